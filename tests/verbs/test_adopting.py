"""The right token from another process: that process has the claim from then on, and renews it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from dibs.renewing import renew_claims
from dibs.session import Session
from dibs.store.errors import ChecklistOpen
from support import Clock, call, claim, held_ids, the_claim, write_task

MakeSession = Callable[..., Session]
OPEN = "- [ ] a step\n"


def try_to_complete(session: Session, token: str) -> None:
    with pytest.raises(ChecklistOpen):
        call(session, "complete_task", id="t-1", claim_token=token)


def test_a_call_that_leaves_the_claim_standing_takes_it_over(
    session: Session, make_session: MakeSession, tasks_dir: Path, clock: Clock
) -> None:
    write_task(tasks_dir, "t-1", body=OPEN)
    token = claim(session).claim_token
    heir = make_session()
    clock.advance(100)
    try_to_complete(heir, token)
    adopted = the_claim(heir, "t-1")
    assert (adopted.owner.alive, adopted.owner.caller, adopted.token) == (heir.alive_name, "gemini", token)
    assert adopted.lease_until == clock.at + timedelta(seconds=120)


def test_from_then_on_the_new_process_renews_and_the_old_one_does_not(
    session: Session, make_session: MakeSession, tasks_dir: Path, clock: Clock
) -> None:
    write_task(tasks_dir, "t-1", body=OPEN)
    token = claim(session).claim_token
    heir = make_session()
    try_to_complete(heir, token)
    clock.advance(40)
    renew_claims(session)
    assert session.held() == []
    renew_claims(heir)
    assert the_claim(heir, "t-1").lease_until == clock.at + timedelta(seconds=120)
    assert the_claim(heir, "t-1").owner.alive == heir.alive_name


def test_a_restarted_server_keeps_the_claim_of_the_one_before(
    session: Session, make_session: MakeSession, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    write_task(tasks_dir, "t-1", body=OPEN)
    token = claim(session).claim_token
    session.close()
    heir = make_session()
    try_to_complete(heir, token)
    clock.advance(1000)
    call(other, "claim_next_task", project="none")
    assert held_ids(other) == ["t-1"], "its server lives"
    call(heir, "complete_task", id="t-1", ignore_checklist=True)


def test_a_shell_leaves_a_claim_to_the_server_that_lives(
    session: Session, person: Session, tasks_dir: Path, clock: Clock
) -> None:
    write_task(tasks_dir, "t-1", body=OPEN)
    token = claim(session).claim_token
    before = the_claim(session, "t-1")
    clock.advance(10)
    try_to_complete(person, token)
    assert the_claim(session, "t-1") == before


def test_a_shell_takes_over_what_a_dead_server_left(
    session: Session, person: Session, tasks_dir: Path, clock: Clock
) -> None:
    write_task(tasks_dir, "t-1", body=OPEN)
    token = claim(session).claim_token
    session.close()
    try_to_complete(person, token)
    assert the_claim(person, "t-1").lease_until == clock.at + timedelta(hours=1)


def test_every_call_with_its_token_renews_a_shells_claim_for_as_long_as_it_was_given(
    person: Session, tasks_dir: Path, clock: Clock
) -> None:
    write_task(tasks_dir, "t-1", body=OPEN)
    token = claim(person, lease=86_400).claim_token
    clock.advance(80_000)
    try_to_complete(person, token)
    assert the_claim(person, "t-1").lease_until == clock.at + timedelta(days=1)


def test_a_wrong_token_adopts_nothing(session: Session, other: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", body=OPEN)
    claim(session)
    before = the_claim(session, "t-1")
    with pytest.raises(Exception, match="not known here"):
        call(other, "complete_task", id="t-1", claim_token="h000-aaaaaaaaaaa")
    assert the_claim(session, "t-1") == before
