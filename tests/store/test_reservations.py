"""Who reserves which files, and whose turn it is."""

from __future__ import annotations

import json
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from dibs.store.claims import Claim, Owner, slug
from dibs.store.overlap import overlap
from dibs.store.reservations import PATIENCE, TURNS_KEPT, Held, Turns, all_held
from dibs.store.snapshot import build_snapshot
from dibs.store.task import Task
from support import NOON, make

A_MINUTE = timedelta(minutes=1)


def claim_of(task_id: str, *files: str) -> Claim:
    return Claim(
        id=task_id,
        path=f"{task_id}.md",
        token="h123-abcdefghijk",
        owner=Owner(caller="gemini"),
        claimed_at=NOON,
        lease_until=NOON + A_MINUTE,
        lease_seconds=60,
        last_call_at=NOON,
        files=files,
    )


def task_of(task_id: str, *files: str, status: str = "active", priority: int = 2) -> Task:
    listed = json.dumps(files)
    return make(f"id: {task_id}\nstatus: {status}\npriority: {priority}\nfiles: {listed}", f"{task_id}.md")


def held(*claims: Claim, tasks: tuple[Task, ...] = (), turns: Turns | None = None) -> Held:
    return all_held(claims, build_snapshot((task.path, task) for task in tasks), turns or Turns())


def holder(all_that_is: Held, task: Task) -> str:
    found = all_that_is.in_the_way(task)
    return found[0].task_id if found else ""


def test_a_claim_reserves_the_files_it_was_made_with_whatever_its_task_says_by_now() -> None:
    now = task_of("t-1", "docs", status="in_progress")
    all_that_is = held(claim_of("t-1", "src/auth"), tasks=(now,))
    assert holder(all_that_is, task_of("t-2", "src/auth/login.py")) == "t-1"
    assert holder(all_that_is, task_of("t-3", "docs")) == ""


def test_files_are_all_or_nothing() -> None:
    found = held(claim_of("t-1", "src/a.py")).in_the_way(task_of("t-2", "lib/x.py", "src/a.py", "src/b.py"))
    assert found is not None
    assert found[1] == ("src/a.py",)


def test_work_in_progress_by_hand_reserves_its_files() -> None:
    by_hand = task_of("t-1", "src/**", status="in_progress")
    assert holder(held(tasks=(by_hand,)), task_of("t-2", "src/a.py")) == "t-1"


def test_an_epic_in_progress_is_no_work_and_reserves_nothing() -> None:
    epic = make("id: e-1\nstatus: in_progress\ntype: epic\nfiles: [src]", "e-1.md")
    snapshot = build_snapshot([(epic.path, epic)])
    assert holder(all_held([], snapshot, Turns(), containers=("epic",)), task_of("t-2", "src/a.py")) == ""
    assert holder(all_held([], snapshot, Turns()), task_of("t-2", "src/a.py")) == "e-1"


def test_a_claim_of_a_newer_dibs_reserves_its_tasks_files_whatever_the_file_says() -> None:
    task = task_of("t-1", "src")
    all_that_is = all_held([], build_snapshot([(task.path, task)]), Turns(), unreadable=[slug("t-1")])
    found = all_that_is.in_the_way(task_of("t-2", "src/a.py"))
    assert found is not None
    assert "held by a claim of a newer Dibs" in found[0].told(found[1])


PATTERNS = ["a", "a/b", "a/b.c", "a/**", "**/b.c", "*.c", "a/*", "d/", "d/e/f.g", "."]


@given(st.lists(st.sampled_from(PATTERNS), min_size=1))
def test_looking_places_up_finds_what_trying_every_pair_finds(patterns: list[str]) -> None:
    *reserved, asked = patterns
    claims = [claim_of(f"c-{number}", pattern) for number, pattern in enumerate(reserved)]
    found = [r.task_id for r, _ in held(*claims).all_in_the_way(task_of("t-1", asked))]
    assert found == [claim.id for claim in claims if overlap(claim.files[0], asked)]


def test_a_task_is_never_in_its_own_way() -> None:
    assert holder(held(claim_of("T-1", "src")), task_of("t-1", "src/a.py")) == ""


def test_a_task_without_files_waits_for_nobody() -> None:
    assert holder(held(claim_of("t-1", "**")), task_of("t-2")) == ""


def test_the_message_names_files_holder_and_lease() -> None:
    found = held(claim_of("t-1", "src")).in_the_way(task_of("t-2", "src/a", "src/b", "src/c", "src/d"))
    assert found is not None
    assert found[0].told(found[1]) == (
        "its files (src/a, src/b, src/c and 1 more) are reserved for t-1, held by gemini until 2026-01-22T12:01:00Z at "
        "least"
    )


def test_whose_turn_it_is_holds_its_place_before_equal_and_lower_priorities_only() -> None:
    waiting = task_of("t-1", "src/**", priority=2)
    turns = Turns(since={"t-1": NOON}, turn="t-1", turn_since=NOON)
    all_that_is = held(tasks=(waiting,), turns=turns)
    assert holder(all_that_is, task_of("t-2", "src/a", priority=2)) == "t-1"
    assert holder(all_that_is, task_of("t-2", "src/a", priority=3)) == "t-1"
    assert holder(all_that_is, task_of("t-2", "src/a", priority=1)) == ""
    assert holder(all_that_is, waiting) == ""


def test_a_task_passed_over_for_ten_minutes_gets_its_turn_for_ten_minutes_at_most() -> None:
    turns = Turns().after(NOON, ["t-1"], ["t-1"])
    assert turns.at(NOON + PATIENCE - A_MINUTE, ["t-1"]).turn == ""
    started = turns.at(NOON + PATIENCE, ["t-1"])
    assert (started.turn, started.turn_since) == ("t-1", NOON + PATIENCE)
    assert started.at(NOON + PATIENCE + PATIENCE - A_MINUTE, ["t-1"]) == started
    over = started.at(NOON + PATIENCE + PATIENCE, ["t-1"])
    assert (over.turn, over.since) == ("", {"t-1": NOON + PATIENCE + PATIENCE}), "it has to wait anew"


def test_one_task_at_a_time_holds_its_place_and_the_longest_waiting_first() -> None:
    turns = Turns(since={"t-2": NOON + A_MINUTE, "t-1": NOON})
    late, both = NOON + PATIENCE + PATIENCE, ["t-1", "t-2"]
    assert turns.at(late, both).turn == "t-1"
    again = turns.at(late, both).at(late + PATIENCE, both)
    assert again.turn == "t-2"


def test_who_waits_for_something_older_or_for_a_person_gets_no_turn_and_keeps_none() -> None:
    turns = Turns(since={"t-1": NOON})
    assert turns.at(NOON + PATIENCE, []).turn == ""
    started = turns.at(NOON + PATIENCE, ["t-1"])
    assert started.at(NOON + PATIENCE + A_MINUTE, []).turn == ""


def test_a_task_that_waits_no_more_loses_its_turn() -> None:
    turns = Turns(since={"t-1": NOON, "t-2": NOON}, turn="t-1", turn_since=NOON)
    after = turns.after(NOON + A_MINUTE, [], ["t-2"])
    assert (after.turn, dict(after.since)) == ("", {"t-2": NOON})


def test_only_so_many_tasks_are_remembered() -> None:
    keys = [f"t-{n}" for n in range(TURNS_KEPT * 2)]
    assert len(Turns().after(NOON, keys, keys).since) == TURNS_KEPT


def test_a_clock_set_back_makes_nobody_wait_longer_than_from_now() -> None:
    turns = Turns(since={"t-1": NOON + PATIENCE})
    assert turns.at(NOON, []).since == {"t-1": NOON}
    ahead = Turns(since={"t-1": NOON}, turn="t-1", turn_since=NOON + PATIENCE)
    assert ahead.at(NOON, ["t-1"]).turn == ""
