"""What came of an agent's work is read from the task file, whatever the agent said and however it ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dibs.session import Session
from dibs.store.dispatch_settings import Agent
from dibs_server.dispatch.judging import judge
from dibs_server.dispatch.records import Order, Progress
from support import Clock, call, claim, edit, header, held_ids, write_task


class Case:
    """An order whose agent has ended: ``session`` is its supervisor, which holds the claim."""

    def __init__(self, session: Session, agent: Session, path: Path) -> None:
        self.session, self.agent, self.path = session, agent, path
        self.before = path.read_bytes()
        self.claimed = claim(session, "t-1")
        self.by = {"id": "t-1", "claim_token": self.claimed.claim_token}

    def judged(self, *, interrupted: bool = False, **order: Any) -> Progress:
        given = Order(
            **{"task_id": "t-1", "agent": "claude", "setup": Agent(command=("x",)), "timeout_seconds": 9, **order}
        )
        progress = Progress(
            task_id="t-1",
            agent="claude",
            attempt=1,
            token=self.claimed.claim_token,
            started_at=self.session.store.now(),
        )
        return judge(self.session, given, progress, "it ended with exit code 7", "> tail", interrupted=interrupted)


@pytest.fixture
def case(session: Session, other: Session, tasks_dir: Path) -> Case:
    return Case(session, other, write_task(tasks_dir, "t-1", body="\nDo it.\n"))


def test_what_was_completed_is_completed_whatever_the_exit_code(case: Case) -> None:
    call(case.agent, "complete_task", **case.by, summary="Did it.")
    assert case.judged().how == "completed"


def test_what_is_still_in_hand_is_blocked_with_the_end_of_the_output(case: Case) -> None:
    judged = case.judged()
    assert (judged.how, judged.told) == ("failed", "did not finish it: it ended with exit code 7")
    text = case.path.read_text(encoding="utf-8")
    assert header(case.path)["status"] == "blocked"
    assert "**Reason (agent):** claude did not finish it: it ended with exit code 7" in text
    assert "> tail" in text
    assert held_ids(case.session) == []


def test_before_the_last_attempt_it_is_put_back_with_a_note(case: Case) -> None:
    assert case.judged(last=False).how == "failed"
    assert header(case.path)["status"] == "active"
    assert "Attempt 1: claude did not finish it" in case.path.read_text(encoding="utf-8")
    assert held_ids(case.session) == []


def test_what_was_interrupted_is_put_back_as_it_was(case: Case) -> None:
    assert case.judged(interrupted=True).how == "interrupted"
    assert case.path.read_bytes() == case.before
    assert held_ids(case.session) == []


def test_what_was_completed_at_the_last_moment_counts_though_it_was_interrupted(case: Case) -> None:
    call(case.agent, "complete_task", **case.by)
    assert case.judged(interrupted=True).how == "completed"


def test_a_block_is_told_with_its_reason(case: Case) -> None:
    call(case.agent, "block_task", **case.by, reason="no key", kind="human")
    judged = case.judged(again_after_conflict=True)
    assert (judged.how, judged.told) == ("blocked", "no key")


def test_a_conflict_is_put_back_once_and_names_its_files(case: Case) -> None:
    call(case.agent, "block_task", **case.by, reason="both", kind="conflict", files=["a.py", "b c.py"])
    judged = case.judged(again_after_conflict=True)
    assert (judged.how, judged.files) == ("conflict", ("a.py", "b c.py"))
    assert header(case.path)["status"] == "active"


def test_another_conflict_stays_blocked(case: Case) -> None:
    call(case.agent, "block_task", **case.by, reason="both", kind="conflict")
    assert case.judged().how == "blocked"
    assert header(case.path)["status"] == "blocked"


def test_what_its_agent_gave_back_is_not_blocked_by_us(case: Case) -> None:
    call(case.agent, "release_task", **case.by)
    assert case.judged().how == "given_back"
    assert header(case.path)["status"] == "active"


@pytest.mark.parametrize(
    ("word", "how"), [("done", "completed"), ("blocked", "blocked"), ("cancelled", "failed"), ("review", "blocked")]
)
def test_a_status_that_was_written_by_hand_counts(case: Case, word: str, how: str) -> None:
    edit(case.path, "status: in_progress", f"status: {word}")
    assert case.judged().how == how
    assert header(case.path)["status"] == word
    assert held_ids(case.session) == [], "nobody may have to claim before it is free"


def test_a_task_that_somebody_else_has_by_now_is_theirs(case: Case, clock: Clock) -> None:
    clock.advance(case.session.store.settings.claims.max_idle_seconds + 1)
    taken = claim(case.agent)
    assert case.judged().how == "given_back"
    assert header(case.path)["claim"] == taken.claim_token


def test_a_lost_record_does_not_leave_it_in_hand(case: Case, make_session: Callable[..., Session]) -> None:
    for path in (case.session.store.ledger.folder / "claims").glob("*.lock"):
        path.unlink()
    assert case.judged().how == "failed"
    assert header(case.path)["status"] == "blocked"


def test_a_file_that_git_took_back_is_still_ours(case: Case) -> None:
    case.path.write_bytes(case.before)
    assert case.judged().how == "failed"
    assert header(case.path)["status"] == "blocked"
