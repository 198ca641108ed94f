"""A server that was started for one task hands that out, once, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dibs.given_claim import given_claim, sign_of
from dibs.session import Session
from dibs.store.errors import InvalidArguments, SettingsError
from support import call, claim, header, write_task


@pytest.fixture
def given(session: Session, other: Session, tasks_dir: Path) -> Session:
    """The agent's session; the claim on t-1 was made by ``session``, and t-2 is ready."""
    write_task(tasks_dir, "t-1", priority=4)
    write_task(tasks_dir, "t-2")
    made = claim(session, "t-1")
    path = tasks_dir.parent / "claim.json"
    path.write_text(json.dumps({"id": "t-1", "claim_token": made.claim_token}), encoding="utf-8")
    other.given = given_claim(path)
    return other


def test_it_hands_out_that_task_and_then_nothing(given: Session, tasks_dir: Path) -> None:
    first = call(given, "claim_next_task")
    assert (first.status, first.task.id) == ("claimed", "t-1")
    second = call(given, "claim_next_task")
    assert (second.status, second.task) == ("empty", None)
    assert "t-1 alone" in second.message
    assert header(tasks_dir / "t-2.md")["status"] == "active"
    call(given, "complete_task", id="t-1", claim_token=first.claim_token)
    assert header(tasks_dir / "t-1.md")["status"] == "done"
    assert call(given, "claim_next_task", resume=True).status == "empty"


def test_the_token_is_the_one_that_stands(given: Session, session: Session) -> None:
    handed = call(given, "claim_next_task")
    assert [handed.claim_token] == [held.token for held in session.held()]


def test_it_can_be_asked_for_again_after_an_interruption(given: Session) -> None:
    first = call(given, "claim_next_task")
    again = call(given, "claim_next_task", resume=True)
    assert again.claim_token == first.claim_token


def test_another_task_is_not_to_be_had(given: Session, tasks_dir: Path) -> None:
    assert call(given, "claim_next_task", id="t-2").status == "empty"
    assert header(tasks_dir / "t-2.md")["status"] == "active"
    assert call(given, "claim_next_task", id="T-1").status == "claimed"


def test_a_claim_that_is_over_is_not_handed_out(given: Session, session: Session) -> None:
    call(session, "release_task", id="t-1")
    answer = call(given, "claim_next_task")
    assert answer.status == "empty"
    assert "over" in answer.message


def test_whoever_made_the_claim_can_see_that_it_was_told(given: Session, tasks_dir: Path) -> None:
    path = tasks_dir.parent / "claim.json"
    assert not sign_of(path).exists()
    call(given, "claim_next_task")
    assert sign_of(path).exists()


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1]", b"\xff"], ids=str)
def test_a_file_that_cannot_be_read_is_an_error_and_claims_nothing(
    session: Session, tasks_dir: Path, content: bytes | None
) -> None:
    path = write_task(tasks_dir, "t-1")
    file = tasks_dir.parent / "claim.json"
    if content is not None:
        file.write_bytes(content)
    session.given = given_claim(file)
    with pytest.raises(SettingsError, match="cannot be read"):
        call(session, "claim_next_task")
    assert header(path)["status"] == "active"


def test_files_are_reserved_besides_the_task_s_own(
    session: Session, make_session: Callable[..., Session], tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1", files=["a.py"])
    write_task(tasks_dir, "t-2", files=["b.py"])
    claim(session, "t-1", files=["b.py"])
    assert session.held()[0].files == ("a.py", "b.py")
    assert call(make_session(), "claim_next_task").status == "empty"
    assert "files: [a.py]" in path.read_text(encoding="utf-8")


def test_files_without_an_id_are_refused(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    with pytest.raises(InvalidArguments, match="give the id too"):
        call(session, "claim_next_task", files=["b.py"])
    assert header(path)["status"] == "active"
