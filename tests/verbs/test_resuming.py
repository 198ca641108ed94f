"""resume: taking up one's own interrupted claim, and never a living sibling's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store.errors import ClaimLost, InvalidArguments, NotReady
from support import Clock, age, call, claim, header, held_ids, the_claim, write_file, write_task


def test_a_claim_whose_server_is_gone_is_taken_up_under_a_new_token(
    session: Session, make_session: Callable[..., Session], tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-0", priority=0, assignee="nobody")
    old = claim(session).claim_token
    age(path)
    session.close()
    clock.advance(60)
    heir = make_session()
    result = call(heir, "claim_next_task", resume=True)
    assert (result.status, result.task.id) == ("claimed", "t-1")
    assert result.message.startswith("Resumed t-1 for gemini")
    assert result.claim_token not in ("", old)
    assert result.lease_until == "2026-01-22T12:03:00Z"
    assert header(path)["claim"] == result.claim_token
    assert the_claim(heir, "t-1").owner.alive == heir.alive_name
    age(path)
    with pytest.raises(ClaimLost, match=r"taken up again \(resume\) under a new token"):
        call(session, "complete_task", id="t-1", claim_token=old)
    call(heir, "complete_task", id="t-1", claim_token=result.claim_token)


def test_a_resumed_claim_counts_no_attempt_and_release_still_restores_the_file(
    session: Session, make_session: Callable[..., Session], tasks_dir: Path
) -> None:
    content = b"---\nid: t-1\nstatus: To Do\nassignee:\n  - '@gemini'\n---\nbody\n"
    path = write_file(tasks_dir / "t-1.md", content)
    claim(session)
    age(path)
    session.close()
    heir = make_session()
    token = call(heir, "claim_next_task", resume=True).claim_token
    call(heir, "release_task", id="t-1", claim_token=token)
    assert path.read_bytes() == content


def test_a_living_siblings_claim_is_not_taken_up(
    session: Session, make_session: Callable[..., Session], tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    age(path)
    sibling = make_session()
    assert call(sibling, "claim_next_task", resume=True).status == "empty"
    with pytest.raises(NotReady, match="held by gemini"):
        call(sibling, "claim_next_task", resume=True, id="t-1")
    assert the_claim(session, "t-1").token == token


def test_another_callers_claim_is_not_taken_up(session: Session, other: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    age(path)
    session.close()
    assert call(other, "claim_next_task", resume=True).status == "empty"


def test_a_claim_of_this_process_that_no_call_has_named_is_taken_up(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    lost = claim(session).claim_token
    result = call(session, "claim_next_task", resume=True)
    assert result.task.id == "t-1"
    with pytest.raises(ClaimLost):
        call(session, "complete_task", id="t-1", claim_token=lost)
    call(session, "complete_task", id="t-1", claim_token=result.claim_token)
    assert header(path)["status"] == "done"


def test_a_claim_of_this_process_that_a_call_has_named_is_a_siblings(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    call(session, "get_task", id="T-1")
    assert call(session, "claim_next_task", resume=True).status == "empty"
    assert the_claim(session, "t-1").token == token


def test_several_interrupted_claims_are_listed_and_one_is_taken_up_by_its_id(
    session: Session, make_session: Callable[..., Session], tasks_dir: Path
) -> None:
    paths = [write_task(tasks_dir, task_id) for task_id in ("t-1", "t-2")]
    claim(session)
    claim(session)
    for path in paths:
        age(path)
    session.close()
    heir = make_session()
    before = [path.read_bytes() for path in paths]
    with pytest.raises(InvalidArguments, match=r"gemini has 2 interrupted claims: t-1, t-2"):
        call(heir, "claim_next_task", resume=True)
    assert [path.read_bytes() for path in paths] == before
    assert call(heir, "claim_next_task", resume=True, id="T-2").task.id == "t-2"


def test_with_nothing_to_take_up_the_next_task_is_claimed(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    result = call(session, "claim_next_task", resume=True)
    assert (result.task.id, result.message.startswith("Claimed t-1")) == ("t-1", True)


def test_what_was_reaped_cannot_be_taken_up_only_claimed(
    session: Session, make_session: Callable[..., Session], tasks_dir: Path, clock: Clock
) -> None:
    write_task(tasks_dir, "t-1")
    claim(session)
    session.close()
    clock.advance(121)
    result = call(make_session(), "claim_next_task", resume=True)
    assert result.message.startswith("Claimed t-1")
    assert result.task.attempts == 1


def test_a_task_ended_by_hand_meanwhile_is_not_taken_up(
    session: Session, make_session: Callable[..., Session], tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    session.close()
    write_file(path, path.read_bytes().replace(b"in_progress", b"done"))
    assert call(make_session(), "claim_next_task", resume=True).status == "empty"
    assert held_ids(session) == []
    assert header(path)["status"] == "done"


def test_after_taking_it_up_the_old_process_stops_renewing(
    session: Session, make_session: Callable[..., Session], tasks_dir: Path
) -> None:
    from dibs.renewing import renew_claims

    path = write_task(tasks_dir, "t-1")
    claim(session)
    age(path)
    session.close()
    token = call(make_session(), "claim_next_task", resume=True).claim_token
    age(path)
    renew_claims(session)
    assert the_claim(session, "t-1").token == token
    assert session.held() == []
