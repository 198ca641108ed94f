"""Leases: who renews them, what takes them back, and what does not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from dibs.renewing import renew_claims
from dibs.session import Session
from dibs.store.claims import new_token
from dibs.store.errors import ClaimLost, NotClaimed
from support import (
    NOON,
    Clock,
    age,
    call,
    claim,
    edit,
    endings,
    events,
    header,
    held_ids,
    the_claim,
    write_file,
    write_task,
)


def look(session: Session) -> None:
    """A claim call of a caller nothing is for: it reaps, and takes nothing."""
    assert call(session, "claim_next_task", caller="nobody", project="none").status == "empty"


def lose_ledger(tasks_dir: Path) -> None:
    shutil.rmtree(tasks_dir / ".dibs")


# reaping


def test_a_claim_is_taken_back_when_its_lease_has_passed_and_its_server_is_gone(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_file(
        tasks_dir / "t-1.md", "---\nid: t-1\nstatus: To Do\nassignee:\n  - '@codex'\n  - bot\n---\nbody\n"
    )
    claim(session, caller="codex")
    session.close()
    clock.advance(120)
    look(other)
    assert path.read_text(encoding="utf-8") == (
        "---\nid: t-1\nstatus: To Do\nassignee:\n  - '@codex'\n  - bot\nattempts: 1\n---\nbody\n\n## Attempt 1\n\n"
        "codex claimed this task at 2026-01-22T12:00:00Z and was not heard of again; the lease passed at "
        "2026-01-22T12:02:00Z. Put back at 2026-01-22T12:02:00Z. Work of that attempt may be in the repository: "
        "look before you begin.\n"
    )
    assert held_ids(other) == []
    assert [ending.how for ending in endings(other, "t-1")] == ["reaped"]


def test_the_reaper_gets_the_task_in_the_same_call(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    write_task(tasks_dir, "t-1")
    claim(session)
    session.close()
    clock.advance(120)
    result = claim(other)
    assert result.task.attempts == 1
    assert "## Attempt 1" in result.task.body


def test_before_the_lease_has_passed_death_changes_nothing(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    session.close()
    clock.advance(119)
    before = age(path).read_bytes()
    look(other)
    assert path.read_bytes() == before
    assert held_ids(other) == ["t-1"]


def test_a_living_server_keeps_its_claim_though_the_lease_has_passed(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    clock.advance(7199)
    before = age(path).read_bytes()
    look(other)
    assert path.read_bytes() == before
    assert held_ids(other) == ["t-1"]


def test_a_living_server_nobody_has_called_for_too_long_loses_it(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    clock.advance(7200)
    look(other)
    assert header(path)["status"] == "active"


def test_a_shells_claim_ends_with_its_lease(
    make_session: Callable[..., Session], other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(make_session("", server=False), caller="bob")
    age(path)
    clock.advance(3599)
    look(other)
    assert header(path)["status"] == "in_progress"
    clock.advance(1)
    look(other)
    assert header(path)["status"] == "active"


def test_every_claim_that_is_due_is_reaped_by_whoever_claims_anything(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    paths = [write_task(tasks_dir, f"t-{number}") for number in range(3)]
    for _ in paths:
        claim(session)
    for path in paths:
        age(path)
    session.close()
    clock.advance(121)
    look(other)
    assert [header(path)["status"] for path in paths] == ["active"] * 3


def test_the_last_attempt_blocks_the_task_and_says_why(
    make_session: Callable[..., Session], other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    for _ in range(3):
        victim = make_session()
        claim(victim)
        age(path)
        victim.close()
        clock.advance(121)
        look(other)
        age(path)
    text = path.read_text(encoding="utf-8")
    assert (header(path)["status"], header(path)["attempts"]) == ("blocked", "3")
    assert text.count("## Attempt ") == 3
    assert "**Reason (poison):** 3 attempts in a row were lost" in text
    assert call(other, "claim_next_task").waiting_on.human == 1


def test_reopening_a_poisoned_task_gives_it_all_its_attempts_again(
    session: Session, other: Session, person: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1", attempts=2)
    claim(session)
    session.close()
    clock.advance(121)
    look(other)
    age(path)
    call(person, "reopen_task", id="t-1")
    assert "attempts" not in header(age(path))
    assert claim(other).task.attempts == 0


def test_giving_back_counts_no_attempt(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    for _ in range(4):
        call(session, "release_task", id="t-1", claim_token=claim(session).claim_token)
    assert "attempts" not in header(path)


def test_the_settings_say_how_many_attempts_there_are(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    write_file(tasks_dir / "settings.json", '{"claims": {"max_attempts": 1, "lease_seconds": 10, "renew_seconds": 3}}')
    path = write_task(tasks_dir, "t-1")
    claim(session)
    session.close()
    clock.advance(10)
    look(other)
    assert header(path)["status"] == "blocked"


def test_a_clock_set_back_starts_the_lease_anew(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    session.close()
    clock.advance(-86_400)
    look(other)
    assert the_claim(other, "t-1").lease_until == NOON - timedelta(days=1) + timedelta(seconds=120)
    age(path)
    clock.advance(121)
    look(other)
    assert header(path)["status"] == "active"


def test_a_file_that_cannot_be_read_keeps_its_claim_until_it_can(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    session.close()
    clock.advance(121)
    edit(path, "id: t-1", "id: [t-1")
    before = path.read_bytes()
    look(other)
    assert (held_ids(other), path.read_bytes()) == (["t-1"], before)
    edit(path, "id: [t-1", "id: t-1")
    look(other)
    assert (held_ids(other), header(path)["status"]) == ([], "active")


# renewing


def test_a_renewed_claim_lasts_on(session: Session, other: Session, tasks_dir: Path, clock: Clock) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    age(path)
    for _ in range(5):
        clock.advance(100)
        renew_claims(session)
    session.close()
    look(other)
    assert held_ids(other) == ["t-1"]
    assert the_claim(other, "t-1").lease_until == clock.at + timedelta(seconds=120)


def test_a_renewal_is_not_a_call_and_stops_when_nobody_calls(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    age(path)
    for _ in range(71):
        clock.advance(100)
        renew_claims(session)
    assert the_claim(session, "t-1").lease_until == clock.at + timedelta(seconds=120)
    for _ in range(3):
        clock.advance(100)
        renew_claims(session)
    assert the_claim(session, "t-1").lease_until < clock.at
    look(other)
    assert header(path)["status"] == "active"


def test_a_call_that_names_the_task_keeps_it_from_being_idle(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    write_task(tasks_dir, "t-1")
    claim(session)
    clock.advance(7000)
    call(session, "get_task", id="t-1")
    renew_claims(session)
    clock.advance(7000)
    look(other)
    assert held_ids(other) == ["t-1"]


def test_a_call_of_another_caller_does_not(session: Session, other: Session, tasks_dir: Path, clock: Clock) -> None:
    write_task(tasks_dir, "t-1")
    claim(session, caller="one")
    clock.advance(7000)
    call(session, "claim_next_task", caller="two")
    renew_claims(session)
    clock.advance(201)
    look(other)
    assert held_ids(other) == []


def test_a_server_that_wakes_after_its_task_went_to_another_does_not_take_it_back(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    clock.advance(7201)
    token = claim(other).claim_token
    call(session, "claim_next_task", project="none")
    before = age(path).read_bytes()
    renew_claims(session)
    renew_claims(session)
    assert the_claim(other, "t-1").token == token
    assert path.read_bytes() == before
    assert session.held() == []


def test_a_renewal_stops_for_good_after_the_task_was_given_back_elsewhere(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    age(path)
    call(other, "release_task", id="t-1", claim_token=token)
    renew_claims(session)
    assert (held_ids(session), session.held()) == ([], [])
    assert header(path)["status"] == "active"


def test_a_renewal_does_not_take_back_a_claim_that_ended_though_git_brought_its_file_back(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    claimed = age(path).read_bytes()
    call(other, "release_task", id="t-1", claim_token=token)
    write_file(path, claimed)
    renew_claims(session)
    assert (held_ids(session), session.held()) == ([], [])


def test_a_renewal_that_waited_does_not_drop_the_next_claim_on_the_task(
    make_session: Callable[..., Session], tasks_dir: Path, clock: Clock
) -> None:
    session = make_session()
    write_task(tasks_dir, "t-1")
    first = claim(session).claim_token
    taken_again: list[str] = []

    def meanwhile() -> object:
        # another thread's calls, while the renewal has its list and waits for the mutex
        session.store.now = clock
        call(session, "release_task", id="t-1", claim_token=first)
        taken_again.append(claim(session).claim_token)
        return clock()

    session.store.now = meanwhile  # type: ignore[assignment]
    renew_claims(session)
    assert [claim.token for claim in session.held()] == taken_again
    clock.advance(60)
    renew_claims(session)
    assert the_claim(session, "t-1").lease_until == clock.at + timedelta(seconds=120)


@pytest.mark.parametrize("word", ["done", "blocked", "on_hold"])
def test_a_renewal_sees_that_the_task_was_ended_by_hand(session: Session, tasks_dir: Path, word: str) -> None:
    path = write_task(tasks_dir, "t-1", body="body\n")
    claim(session)
    edit(path, "status: in_progress", f"status: {word}")
    renew_claims(session)
    assert (held_ids(session), session.held()) == ([], [])
    assert path.read_text(encoding="utf-8") == f"---\nid: t-1\nstatus: {word}\nassignee: gemini\n---\nbody\n"
    assert [(ending.how, ending.left_status) for ending in endings(session, "t-1")] == [("by_hand", word)]


def test_a_renewal_during_a_rename_keeps_the_claim(session: Session, tasks_dir: Path, clock: Clock) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    path.rename(tasks_dir / ".elsewhere")
    clock.advance(40)
    renew_claims(session)
    (tasks_dir / ".elsewhere").rename(path)
    clock.advance(40)
    renew_claims(session)
    assert the_claim(session, "t-1").lease_until == clock.at + timedelta(seconds=120)


# by hand


def test_a_task_ended_by_hand_is_settled_by_whoever_claims_next(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2", depends_on=["t-1"])
    claim(session)
    edit(path, "status: in_progress", "status: done")
    assert claim(other).task.id == "t-2"
    assert held_ids(other) == ["t-2"]
    assert "claim" not in header(path)


@pytest.mark.parametrize("claim_line", ["", "claim: mine\n", "claim:\n"])
def test_work_in_progress_by_hand_is_never_reaped(
    session: Session, tasks_dir: Path, clock: Clock, claim_line: str
) -> None:
    path = write_file(tasks_dir / "t-1.md", f"---\nid: t-1\nstatus: in_progress\nassignee: nic\n{claim_line}---\n")
    before = path.read_bytes()
    clock.advance(10_000_000)
    look(session)
    assert path.read_bytes() == before
    (row,) = call(session, "get_index_stats").in_progress
    assert (row.id, row.caller, row.since, row.lease_until) == ("t-1", "nic", None, None)


# the ledger is lost


def test_a_claim_whose_record_is_lost_gets_one_planted_and_a_lease_from_now(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    before = age(path).read_bytes()
    lose_ledger(tasks_dir)
    clock.advance(1000)
    look(other)
    planted = the_claim(other, "t-1")
    assert (planted.token, planted.owner.caller, planted.owner.alive) == (token, "gemini", None)
    assert planted.lease_until == clock.at + timedelta(seconds=120)
    assert path.read_bytes() == before
    assert [event["event"] for event in events(other)] == ["planted"]


def test_a_planted_claim_nobody_takes_up_is_reaped(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    age(path)
    lose_ledger(tasks_dir)
    look(other)
    clock.advance(121)
    look(other)
    assert (header(path)["status"], header(path)["attempts"]) == ("active", "1")
    assert not {"assignee", "claim"} & set(header(path))


@pytest.mark.parametrize("seen_first", [True, False])
def test_its_server_plants_the_full_record_again_and_release_still_restores_the_file(
    session: Session, other: Session, tasks_dir: Path, clock: Clock, seen_first: bool
) -> None:
    content = b"---\nid: t-1\nstatus: To Do\nassignee:\n  - '@gemini'\nfiles: [src/a]\n---\nbody\n"
    path = write_file(tasks_dir / "t-1.md", content)
    token = claim(session).claim_token
    record = the_claim(session, "t-1")
    age(path)
    lose_ledger(tasks_dir)
    if seen_first:
        look(other)
    clock.advance(40)
    renew_claims(session)
    assert the_claim(session, "t-1") == record.model_copy(update={"lease_until": clock.at + timedelta(seconds=120)})
    clock.advance(1000)
    look(other)
    assert held_ids(other) == ["t-1"], "its server lives"
    call(session, "release_task", id="t-1", claim_token=token)
    assert path.read_bytes() == content


def test_the_owner_may_end_a_claim_whose_record_is_lost(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    lose_ledger(tasks_dir)
    call(session, "complete_task", id="t-1", claim_token=token, summary="x")
    assert (header(path)["status"], held_ids(session)) == ("done", [])


def test_a_stranger_may_not_end_a_claim_whose_record_is_lost(session: Session, other: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    before = age(path).read_bytes()
    lose_ledger(tasks_dir)
    with pytest.raises(ClaimLost):
        call(other, "complete_task", id="t-1", claim_token=new_token("h1"))
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"{broken"])
def test_the_owner_may_end_a_claim_whose_record_is_damaged(session: Session, tasks_dir: Path, content: bytes) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    (record,) = (tasks_dir / ".dibs" / "claims").iterdir()
    record.write_bytes(content)
    call(session, "complete_task", id="t-1", claim_token=token)
    assert (header(path)["status"], held_ids(session)) == ("done", [])


def test_when_both_records_are_gone_the_server_stops_renewing(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    claim(session)
    lose_ledger(tasks_dir)
    write_file(path, before)
    renew_claims(session)
    assert (session.held(), held_ids(session)) == ([], [])


def test_a_claim_of_another_host_is_only_reported(
    session: Session, make_session: Callable[..., Session], person: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(make_session(host="h2"))
    before = age(path).read_bytes()
    lose_ledger(tasks_dir)
    clock.advance(10_000_000)
    look(session)
    assert path.read_bytes() == before
    assert held_ids(session) == []
    assert call(session, "get_index_stats").stale == 1
    assert "another machine" in call(session, "explain_task", id="t-1").message
    with pytest.raises(NotClaimed):
        call(session, "complete_task", id="t-1")
    call(person, "release_task", id="t-1", steal=True)
    assert header(path)["status"] == "active"


def test_git_taking_a_claimed_file_back_does_not_make_it_ready(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    token = claim(session).claim_token
    write_file(path, before)
    assert call(other, "claim_next_task").status == "empty"
    assert path.read_bytes() == before
    call(session, "complete_task", id="t-1", claim_token=token)
    assert (header(path)["status"], header(path)["assignee"]) == ("done", "gemini")


def test_a_file_that_never_said_it_was_claimed_loses_no_attempt(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    claim(session)
    write_file(path, before)
    session.close()
    clock.advance(121)
    look(other)
    assert path.read_bytes() == before
    assert held_ids(other) == []


def test_stats_call_a_claim_stale_when_its_lease_has_passed(session: Session, tasks_dir: Path, clock: Clock) -> None:
    write_task(tasks_dir, "t-1")
    claim(session)
    stats = call(session, "get_index_stats")
    (row,) = stats.in_progress
    assert (row.id, row.caller, row.since, row.lease_until, stats.stale) == (
        "t-1", "gemini", "2026-01-22T12:00:00Z", "2026-01-22T12:02:00Z", 0,
    )  # fmt: skip
    clock.advance(121)
    assert call(session, "get_index_stats").stale == 1
