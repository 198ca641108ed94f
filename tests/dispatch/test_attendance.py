"""What becomes of a program when its claim is over: that depends on who ended the claim."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dibs.session import Session
from dibs_server.dispatch.attendance import PARTING_SECONDS, Attendance
from dibs_server.dispatch.child import Child
from support import Clock, call, claim, edit, write_task


class Program(Child):
    """A program that runs on and on; ``ended`` is why it was asked to end."""

    def __init__(self) -> None:
        self.ended = ""

    def stop(self, why: str) -> None:
        self.ended = why


class Case:
    """A program at work under a claim of ``session``; ``by`` is what it would report with."""

    def __init__(self, session: Session, agent: Session, tasks_dir: Path) -> None:
        self.path = write_task(tasks_dir, "t-1")
        self.agent, self.attendance = agent, Attendance(session)
        self.token = claim(session, "t-1").claim_token
        self.by = {"id": "t-1", "claim_token": self.token}
        self.program = Program()

    def ended(self) -> str:
        """Why the next renewal of its claim ended the program; "": it goes on."""
        with self.attendance.at_work("t-1", self.token, self.program):
            self.attendance.renew()
        return self.program.ended


@pytest.fixture
def case(session: Session, other: Session, tasks_dir: Path) -> Case:
    return Case(session, other, tasks_dir)


def test_a_program_with_a_claim_goes_on(case: Case) -> None:
    assert case.ended() == ""


@pytest.mark.parametrize(
    "report",
    [
        lambda case: call(case.agent, "complete_task", **case.by, summary="Did it."),
        lambda case: call(case.agent, "block_task", **case.by, reason="No key."),
    ],
)
def test_who_has_reported_may_say_its_last_words_and_is_not_waited_for_for_ever(
    case: Case, report: Callable[[Case], object], clock: Clock
) -> None:
    report(case)
    assert case.ended() == ""
    clock.advance(PARTING_SECONDS - 1)
    assert case.ended() == ""
    clock.advance(2)
    assert case.ended() == "it had reported, and did not end"


def test_a_program_whose_task_a_person_ended_is_ended_at_once(case: Case) -> None:
    edit(case.path, "status: in_progress", "status: cancelled")
    assert case.ended() == "its claim is over"
