"""A call its caller gave up on leaves nobody's claim, whenever that happened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dibs.renewing import renew_claims
from dibs.session import Call, CallCancelled, Session
from support import age, call, claim, endings, events, held_ids, the_claim, write_file, write_task

AtStep = Callable[[str, Callable[[], None]], None]
CONTENT = b"---\nid: t-1\nstatus: To Do\nassignee:\n  - '@gemini'\n---\nbody\n"


def nothing_happened(session: Session, path: Path) -> bool:
    renew_claims(session)
    return path.read_bytes() == CONTENT and held_ids(session) == [] and session.held() == []


def test_a_call_cancelled_before_it_began_claims_nothing(session: Session, tasks_dir: Path) -> None:
    path = write_file(tasks_dir / "t-1.md", CONTENT)
    given_up = Call()
    assert given_up.cancel() is None
    with pytest.raises(CallCancelled):
        call(session, "claim_next_task", given_up)
    assert nothing_happened(session, path)
    assert events(session) == []


@pytest.mark.parametrize("step", ["claim.claim_file", "claim.task_file", "claim.journal"])
@pytest.mark.parametrize("arguments", [{}, {"id": "t-1"}], ids=["next", "by id"])
def test_a_call_cancelled_between_two_steps_is_rolled_back(
    session: Session, tasks_dir: Path, at_step: AtStep, step: str, arguments: dict[str, str]
) -> None:
    path = write_file(tasks_dir / "t-1.md", CONTENT)
    given_up = Call()
    at_step(step, lambda: given_up.cancel() and None)
    with pytest.raises(CallCancelled):
        call(session, "claim_next_task", given_up, **arguments)
    assert given_up.cancelled
    assert nothing_happened(session, path)
    assert endings(session, "t-1") == []


def test_a_call_cancelled_after_it_returned_is_undone_by_whoever_cancels(session: Session, tasks_dir: Path) -> None:
    path = write_file(tasks_dir / "t-1.md", CONTENT)
    given_up = Call()
    assert call(session, "claim_next_task", given_up).status == "claimed"
    undo = given_up.cancel()
    assert undo is not None
    undo()
    assert nothing_happened(session, path)
    assert [event["event"] for event in events(session)] == ["claimed", "rolled_back"]


@pytest.mark.parametrize("when", ["resume.claim_file", "resume.task_file", "afterwards"])
def test_a_resumed_claim_whose_call_was_cancelled_is_what_it_was(
    session: Session, make_session: Callable[..., Session], tasks_dir: Path, at_step: AtStep, when: str
) -> None:
    path = write_file(tasks_dir / "t-1.md", CONTENT)
    token = claim(session).claim_token
    before = age(path).read_bytes()
    session.close()
    given_up, heir = Call(), make_session()
    if when == "afterwards":
        call(heir, "claim_next_task", given_up, resume=True)
        undo = given_up.cancel()
        assert undo is not None
        undo()
    else:
        at_step(when, lambda: given_up.cancel() and None)
        with pytest.raises(CallCancelled):
            call(heir, "claim_next_task", given_up, resume=True)
    assert path.read_bytes() == before
    assert heir.held() == []
    assert the_claim(heir, "t-1").token == token
    call(heir, "release_task", id="t-1", claim_token=token)
    assert path.read_bytes() == CONTENT


def test_undoing_after_the_work_was_done_changes_nothing(session: Session, tasks_dir: Path) -> None:
    path = write_file(tasks_dir / "t-1.md", CONTENT)
    late = Call()
    token = call(session, "claim_next_task", late).claim_token
    call(session, "complete_task", id="t-1", claim_token=token)
    after = path.read_bytes()
    undo = late.cancel()
    assert undo is not None
    undo()
    assert path.read_bytes() == after


def test_a_rolled_back_task_is_ready_again_and_counts_no_attempt(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    given_up = Call()
    call(session, "claim_next_task", given_up)
    undo = given_up.cancel()
    assert undo is not None
    undo()
    age(path)
    result = claim(other)
    assert (result.task.id, result.task.attempts, result.warnings) == ("t-1", 0, [])


def test_what_somebody_wrote_into_the_body_meanwhile_survives_the_roll_back(session: Session, tasks_dir: Path) -> None:
    path = write_file(tasks_dir / "t-1.md", CONTENT)
    given_up = Call()
    call(session, "claim_next_task", given_up)
    write_file(path, path.read_bytes() + b"more\n")
    undo = given_up.cancel()
    assert undo is not None
    undo()
    assert path.read_bytes() == CONTENT + b"more\n"
