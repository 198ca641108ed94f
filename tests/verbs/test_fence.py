"""The fence: a token speaks for one claim of one task, and nothing an agent can pass lifts it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store.claims import new_token
from dibs.store.errors import ClaimLost, NotClaimed, TokenRequired
from support import Clock, age, call, claim, edit, endings, events, header, held_ids, orphans, write_task

ENDINGS = {
    "complete_task": {"summary": "my report"},
    "block_task": {"reason": "my report"},
    "release_task": {"note": "my report"},
}
each_ending = pytest.mark.parametrize("name", ENDINGS)


def lapse(session: Session, clock: Clock) -> None:
    """The session's server dies and its leases pass."""
    session.close()
    clock.advance(121)


@each_ending
def test_a_token_nobody_has_cannot_end_a_claim(session: Session, tasks_dir: Path, name: str) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    before = path.read_bytes()
    for token in (new_token("h1"), "x", "t-1"):
        with pytest.raises(ClaimLost, match="t-1 is now held by gemini since 2026-01-22T12:00:00Z"):
            call(session, name, id="t-1", claim_token=token, **ENDINGS[name])
    assert path.read_bytes() == before
    assert held_ids(session) == ["t-1"]


@each_ending
def test_without_a_token_the_only_claim_of_a_process_is_meant(session: Session, tasks_dir: Path, name: str) -> None:
    write_task(tasks_dir, "t-1")
    claim(session)
    call(session, name, id="t-1", **ENDINGS[name])
    assert held_ids(session) == []


@each_ending
def test_without_a_token_another_process_cannot_end_it(
    session: Session, other: Session, tasks_dir: Path, name: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    before = age(path).read_bytes()
    with pytest.raises(TokenRequired, match="t-1 is held by gemini; give the claim_token"):
        call(other, name, id="t-1", **ENDINGS[name])
    assert path.read_bytes() == before


def test_without_a_token_a_process_with_two_claims_is_asked_which(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2")
    claim(session)
    second = claim(session)
    with pytest.raises(TokenRequired):
        call(session, "complete_task", id="t-1")
    call(session, "complete_task", id="t-2", claim_token=second.claim_token)
    with pytest.raises(TokenRequired):
        call(session, "complete_task", id="t-1")


def test_who_has_ended_its_own_task_cannot_end_its_sibling_s_without_a_token(session: Session, tasks_dir: Path) -> None:
    """Two subagents behind one server: when one is through, the process holds one claim, and it is not that one's."""
    for number in range(3):
        write_task(tasks_dir, f"t-{number}")
    ann = claim(session, caller="ann")
    call(session, "complete_task", id=ann.task.id, claim_token=ann.claim_token)
    claim(session, caller="ben")
    with pytest.raises(TokenRequired, match="t-1 is held by ben"):
        call(session, "complete_task", id="t-1")


def test_one_agent_after_another_task_needs_no_token(session: Session, tasks_dir: Path) -> None:
    for number in range(3):
        write_task(tasks_dir, f"t-{number}")
        claim(session)
        call(session, "complete_task", id=f"t-{number}")


def test_a_shell_has_no_process_that_could_hold_a_claim(make_session: Callable[..., Session], tasks_dir: Path) -> None:
    shell = make_session("", server=False)
    write_task(tasks_dir, "t-1")
    claim(shell, caller="bob")
    with pytest.raises(TokenRequired):
        call(shell, "complete_task", id="t-1")


def test_a_person_needs_the_token_of_a_held_task_too(session: Session, person: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    age(path)
    with pytest.raises(TokenRequired):
        call(person, "complete_task", id="t-1")


@each_ending
def test_the_right_token_from_another_process_is_good(
    session: Session, other: Session, tasks_dir: Path, name: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    age(path)
    call(other, name, id="t-1", claim_token=f" {token} ", **ENDINGS[name])
    assert held_ids(other) == []


@each_ending
def test_the_same_token_again_gets_the_same_answer_again(
    session: Session, other: Session, tasks_dir: Path, clock: Clock, name: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    first = call(session, name, id="t-1", claim_token=token, **ENDINGS[name])
    after = age(path).read_bytes()
    clock.advance(10_000)
    for asked in (session, other):
        assert call(asked, name, id="T-1", claim_token=token, **ENDINGS[name]) == first
    assert path.read_bytes() == after
    assert len(endings(session, "t-1")) == 1


def test_the_same_answer_comes_even_when_the_task_has_gone_on(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    first = call(session, "release_task", id="t-1", claim_token=token)
    age(path)
    claim(other)
    age(path)
    assert call(session, "release_task", id="t-1", claim_token=token) == first
    assert held_ids(other) == ["t-1"]


@pytest.mark.parametrize(
    ("first", "then"),
    [("release_task", "complete_task"), ("block_task", "complete_task"), ("complete_task", "release_task")],
)
def test_a_token_ends_one_claim_in_one_way(session: Session, tasks_dir: Path, first: str, then: str) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    call(session, first, id="t-1", claim_token=token, **ENDINGS[first])
    after = path.read_bytes()
    with pytest.raises(ClaimLost, match="your claim on it ended"):
        call(session, then, id="t-1", claim_token=token, **ENDINGS[then])
    assert path.read_bytes() == after


def test_a_token_from_before_a_reopening_does_not_count_any_more(
    session: Session, person: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    call(session, "complete_task", id="t-1", claim_token=token)
    age(path)
    call(person, "reopen_task", id="t-1")
    before = age(path).read_bytes()
    with pytest.raises(ClaimLost):
        call(session, "complete_task", id="t-1", claim_token=token)
    assert path.read_bytes() == before


@each_ending
def test_an_agent_is_told_to_claim_what_nobody_holds(session: Session, tasks_dir: Path, name: str) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    with pytest.raises(NotClaimed, match="claim_next_task with id=t-1"):
        call(session, name, id="t-1", **ENDINGS[name])
    assert path.read_bytes() == before


def test_an_agent_is_told_to_leave_a_persons_work_alone(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "in_progress", assignee="nic")
    with pytest.raises(NotClaimed, match="a person's work"):
        call(session, "complete_task", id="t-1")


# process-mates: several agents behind one server


def test_who_lost_a_claim_cannot_speak_for_the_process_mate_who_got_the_task(
    session: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    lost = claim(session, caller="one").claim_token
    clock.advance(7201)  # nobody called for too long, though the server lives
    mine = claim(session, caller="two").claim_token
    before = age(path).read_bytes()
    with pytest.raises(TokenRequired):
        call(session, "complete_task", id="t-1", summary="of one")
    with pytest.raises(ClaimLost):
        call(session, "complete_task", id="t-1", summary="of one", claim_token=lost)
    assert path.read_bytes() == before
    call(session, "complete_task", id="t-1", claim_token=mine)


def test_who_gave_a_task_back_cannot_speak_for_the_process_mate_who_took_it(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    call(session, "release_task", id="t-1", claim_token=claim(session, caller="one").claim_token)
    claim(session, caller="two")
    with pytest.raises(TokenRequired):
        call(session, "complete_task", id="t-1")


# late


def test_a_passed_lease_alone_revokes_nothing(session: Session, tasks_dir: Path, clock: Clock) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    lapse(session, clock)
    call(session, "complete_task", id="t-1", claim_token=token)
    assert header(path)["status"] == "done"


@pytest.mark.parametrize("name", ["complete_task", "block_task"])
def test_late_work_counts_while_nobody_has_claimed_since(
    session: Session, other: Session, tasks_dir: Path, clock: Clock, name: str
) -> None:
    path = write_task(tasks_dir, "t-1", "To Do")
    token = claim(session).claim_token
    lapse(session, clock)
    assert call(other, "claim_next_task", project="none").status == "empty"  # reaps
    assert header(path)["status"] == "To Do"
    age(path)
    call(session, name, id="t-1", claim_token=token, **ENDINGS[name])
    assert header(path)["status"] in ("done", "blocked")
    assert "my report" in path.read_text(encoding="utf-8")


def test_a_late_retry_gets_the_same_answer(session: Session, other: Session, tasks_dir: Path, clock: Clock) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    lapse(session, clock)
    call(other, "claim_next_task", project="none")
    age(path)
    first = call(session, "complete_task", id="t-1", claim_token=token, summary="my report")
    assert call(session, "complete_task", id="t-1", claim_token=token, summary="my report") == first
    assert path.read_text(encoding="utf-8").count("my report") == 1


def test_late_work_on_a_task_that_lost_its_last_attempt_counts_too(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1", attempts=2)
    token = claim(session).claim_token
    lapse(session, clock)
    call(other, "claim_next_task")
    assert header(age(path))["status"] == "blocked"
    assert call(session, "complete_task", id="t-1", claim_token=token).task.status == "done"


def test_giving_back_late_does_not_make_a_poisoned_task_active(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1", attempts=2)
    token = claim(session).claim_token
    lapse(session, clock)
    call(other, "claim_next_task")
    before = age(path).read_bytes()
    with pytest.raises(ClaimLost, match="t-1 is blocked and nobody holds it; your claim on it was taken back"):
        call(session, "release_task", id="t-1", claim_token=token)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["complete_task", "block_task"])
def test_late_work_is_refused_once_somebody_else_has_claimed_and_the_report_is_kept(
    session: Session, other: Session, tasks_dir: Path, clock: Clock, name: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    lapse(session, clock)
    claim(other)
    before = age(path).read_bytes()
    with pytest.raises(ClaimLost, match="now held by claude since 2026-01-22T12:02:01Z") as caught:
        call(session, name, id="t-1", claim_token=token, **ENDINGS[name])
    assert caught.value.facts["owner"] == "claude"
    assert "Stop work on it at once" in caught.value.message
    assert f"Your report was kept in {caught.value.facts['report']}" in caught.value.message
    assert str(caught.value) == caught.value.message
    assert path.read_bytes() == before
    assert held_ids(other) == ["t-1"]
    (kept,) = orphans(tasks_dir)
    assert "my report" in kept
    assert Path(str(caught.value.facts["report"])).read_text(encoding="utf-8") == kept


def test_late_work_is_refused_even_if_who_claimed_since_has_given_it_back(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    lapse(session, clock)
    call(other, "release_task", id="t-1", claim_token=claim(other).claim_token)
    before = age(path).read_bytes()
    with pytest.raises(ClaimLost, match="your claim on it was taken back"):
        call(session, "complete_task", id="t-1", claim_token=token, summary="my report")
    assert path.read_bytes() == before
    assert "my report" in orphans(tasks_dir)[0]


def test_a_refusal_without_a_token_keeps_no_report(session: Session, other: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    age(path)
    with pytest.raises(TokenRequired):
        call(other, "complete_task", id="t-1", summary="x")
    assert orphans(tasks_dir) == []


# a hand on the file


@pytest.mark.parametrize("word", ["done", "Completed"])
def test_an_agent_that_set_done_itself_may_still_deliver_its_report(
    session: Session, tasks_dir: Path, word: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    edit(path, "status: in_progress", f"status: {word}")
    result = call(session, "complete_task", id="t-1", claim_token=token, summary="my report")
    assert result.task.status == "done"
    assert path.read_text(encoding="utf-8").count("my report") == 1
    assert held_ids(session) == []


@pytest.mark.parametrize("word", ["cancelled", "blocked", "on_hold", "review"])
def test_a_person_who_put_the_task_aside_has_the_last_word(session: Session, tasks_dir: Path, word: str) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    edit(path, "status: in_progress", f"status: {word}")
    with pytest.raises(ClaimLost, match=f"t-1 is {word} and nobody holds it; your claim on it ended"):
        call(session, "complete_task", id="t-1", claim_token=token, summary="my report")
    assert header(path)["status"] == word
    assert "claim" not in header(path)
    assert "my report" in orphans(tasks_dir)[0]
    assert held_ids(session) == []


def test_an_agent_that_gives_back_what_was_ended_by_hand_does_not_open_it_again(
    session: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    edit(path, "status: in_progress", "status: done")
    with pytest.raises(ClaimLost, match="your claim on it ended"):
        call(session, "release_task", id="t-1", claim_token=token)
    assert header(path)["status"] == "done"


# renewing from a shell


def test_renewing_needs_the_token_and_counts_from_now(
    make_session: Callable[..., Session], tasks_dir: Path, clock: Clock
) -> None:
    shell = make_session("", server=False)
    write_task(tasks_dir, "t-1")
    token = claim(shell, caller="bob", lease=60).claim_token
    clock.advance(50)
    with pytest.raises(TokenRequired):
        call(shell, "renew_task", id="t-1")
    assert call(shell, "renew_task", id="t-1", claim_token=token).lease_until == "2026-01-22T12:01:50Z"
    assert call(shell, "renew_task", id="t-1", claim_token=token, lease=600).lease_until == "2026-01-22T12:10:50Z"
    clock.advance(1)
    assert call(shell, "renew_task", id="t-1", claim_token=token).lease_until == "2026-01-22T12:10:51Z"


def test_a_claim_that_is_over_cannot_be_renewed(
    make_session: Callable[..., Session], tasks_dir: Path, clock: Clock
) -> None:
    shell = make_session("", server=False)
    path = write_task(tasks_dir, "t-1")
    token = claim(shell, caller="bob", lease=60).claim_token
    clock.advance(61)
    call(shell, "claim_next_task", project="none")
    age(path)
    with pytest.raises(ClaimLost, match="claim it again"):
        call(shell, "renew_task", id="t-1", claim_token=token)
    call(shell, "release_task", id="t-1", claim_token=claim(shell, caller="bob").claim_token)
    with pytest.raises(ClaimLost):
        call(shell, "renew_task", id="t-1", claim_token=token)
    with pytest.raises(NotClaimed):
        call(shell, "renew_task", id="t-1")


def test_every_ending_is_in_the_journal_with_its_token(session: Session, tasks_dir: Path) -> None:
    for number, name in enumerate(ENDINGS):
        write_task(tasks_dir, f"t-{number}")
        token = claim(session, f"t-{number}").claim_token
        call(session, name, id=f"t-{number}", claim_token=token, **ENDINGS[name])
        claimed, ended = events(session)[-2:]
        assert (claimed["event"], claimed["token"], claimed["caller"]) == ("claimed", token, "gemini")
        assert (ended["token"], ended["id"]) == (token, f"t-{number}")


@pytest.mark.parametrize("name", ["complete_task", "block_task", "release_task"])
def test_the_token_of_another_task_that_ended_so_is_no_answer_for_this_one(
    session: Session, other: Session, tasks_dir: Path, name: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2")
    more = {"reason": "why"} if name == "block_task" else {}
    token = claim(session, "t-1").claim_token
    call(session, name, id="t-1", claim_token=token, **more)
    age(path)
    with pytest.raises(ClaimLost):
        call(other, name, id="t-2", claim_token=token, **more)
    assert header(tasks_dir / "t-2.md")["status"] == "active"
