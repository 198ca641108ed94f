"""No report is lost, and no call acts on another task than the one it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store.errors import ClaimLost, NotClaimed, TaskNotFound
from support import call, claim, header, orphans, the_claim, write_task


def test_a_second_report_on_the_same_ending_is_kept_beside_the_file(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    call(session, "complete_task", id="t-1", claim_token=token)
    before = path.read_bytes()
    again = call(session, "complete_task", id="t-1", claim_token=token, summary="The real report.")
    assert "had ended before this call" in again.warnings[0]
    assert path.read_bytes() == before
    (kept,) = orphans(tasks_dir)
    assert "The real report." in kept


def test_the_same_report_again_is_not_kept_twice(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    for _ in range(2):
        assert call(session, "complete_task", id="t-1", claim_token=token, summary="Did it.").warnings == []
    assert orphans(tasks_dir) == []


def test_a_refused_call_without_a_report_leaves_no_empty_one(session: Session, other: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    claim(other)
    with pytest.raises(ClaimLost):
        call(session, "complete_task", id="t-1", claim_token="h000-00000000000")
    assert orphans(tasks_dir) == []


@pytest.mark.parametrize("ending", ["complete_task", "release_task"])
def test_a_right_token_with_a_wrong_id_ends_nothing(session: Session, tasks_dir: Path, ending: str) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    with pytest.raises(TaskNotFound, match="your claim_token is that of t-1"):
        call(session, ending, id="t-9", claim_token=token)
    assert header(path)["status"] == "in_progress"
    assert the_claim(session, "t-1").token == token


def test_the_token_of_another_task_is_told_apart_from_an_old_one(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2")
    first = claim(session).claim_token
    claim(session)
    with pytest.raises(ClaimLost, match="that of t-1, not of t-2"):
        call(session, "complete_task", id="t-2", claim_token=first)
    with pytest.raises(ClaimLost, match=r"not known here.*copied it whole"):
        call(session, "complete_task", id="t-2", claim_token="h000-00000000000")


def test_an_agent_is_not_told_to_claim_what_is_done(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "done")
    with pytest.raises(NotClaimed, match="done already, there is nothing to do for it"):
        call(session, "block_task", id="t-1", reason="No key.")
