"""reap_claims: dead agents' tasks come back at once, and silent ones' when somebody says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dibs.renewing import renew_claims
from dibs.session import Session
from dibs.store.errors import ClaimLost, InvalidArguments
from support import Clock, call, claim, edit, endings, header, held_ids, write_task

HOUR = 3600


@pytest.fixture
def dead(make_session: Callable[..., Session], tasks_dir: Path, clock: Clock) -> Path:
    """The task of a server that is gone, its lease passed."""
    path = write_task(tasks_dir, "dead", project="aops")
    gone = make_session("claude-code")
    claim(gone, "dead")
    gone.close()
    clock.advance(200)
    return path


def test_what_is_due_is_taken_back_and_told(session: Session, dead: Path) -> None:
    result = call(session, "reap_claims")
    (row,) = result.reaped
    assert (row.id, row.caller, result.left) == ("dead", "claude", 0)
    assert row.why == "its lease has passed, and its server is gone"
    assert header(dead)["status"] == "active"
    assert header(dead)["attempts"] == "1"
    assert held_ids(session) == []
    assert endings(session, "dead")[-1].how == "reaped"


def test_a_dry_run_only_tells(session: Session, dead: Path) -> None:
    before = dead.read_bytes()
    result = call(session, "reap_claims", dry_run=True)
    assert ([row.id for row in result.reaped], result.left) == (["dead"], 0)
    assert "would be taken back" in result.message
    assert dead.read_bytes() == before
    assert held_ids(session) == ["dead"]


def test_another_project_is_left_alone(session: Session, dead: Path) -> None:
    assert call(session, "reap_claims", project="other").reaped == []
    assert held_ids(session) == ["dead"]
    assert len(call(session, "reap_claims", project="AOPS").reaped) == 1


def test_a_living_agent_keeps_its_claim(session: Session, other: Session, tasks_dir: Path, clock: Clock) -> None:
    write_task(tasks_dir, "t-1")
    claim(other, "t-1")
    clock.advance(200)
    assert call(session, "reap_claims").reaped == []


def test_a_silent_one_loses_its_claim_though_its_server_renews_it(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    taken = claim(other, "t-1")
    clock.advance(1.5 * HOUR)
    renew_claims(other)
    assert call(session, "reap_claims", older_than_hours=2).reaped == []
    (row,) = call(session, "reap_claims", older_than_hours=1).reaped
    assert row.why == "its caller has not called for 1.5 hours"
    assert header(path)["status"] == "active"
    claim(session, "t-1")
    with pytest.raises(ClaimLost):
        call(other, "complete_task", id="t-1", claim_token=taken.claim_token)


def test_less_than_an_hour_is_refused_in_words(session: Session, dead: Path) -> None:
    with pytest.raises(InvalidArguments, match="at least 1"):
        call(session, "reap_claims", older_than_hours=0.5)
    assert held_ids(session) == ["dead"]


def test_work_by_hand_is_told_and_never_taken(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "mine", "in_progress")
    before = path.read_bytes()
    assert "mine" in call(session, "reap_claims", older_than_hours=1).warnings[0]
    assert path.read_bytes() == before


def test_a_file_that_cannot_be_read_is_told_and_stays_held(session: Session, dead: Path) -> None:
    edit(dead, "status: in_progress", "status: nonsense")
    result = call(session, "reap_claims")
    assert result.reaped == []
    assert "dead was left alone" in result.warnings[0]
    assert held_ids(session) == ["dead"]


def test_a_claim_whose_file_is_gone_is_settled_and_told(session: Session, dead: Path) -> None:
    dead.unlink()
    result = call(session, "reap_claims")
    assert ([row.id for row in result.reaped], result.left, result.warnings) == (["dead"], 0, [])
    assert "its file is gone" in result.reaped[0].why
    assert held_ids(session) == []
    assert endings(session, "dead")[-1].left_status == "deleted"
