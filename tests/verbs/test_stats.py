"""The counts: alike tasks, judged once, count as each by itself would; and what the journal tells of the past."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dibs import counting
from dibs.session import Session
from dibs.store.journal import append_event
from dibs.store.readiness import obstacles
from dibs.store.reservations import Held, Reservation
from dibs.store.task import ENDED
from dibs.store.task_store import TaskStore
from support import NOON, Clock, age, call, claim, edit, write_file, write_task

MOST_TASKS = 8
IDS = st.integers(0, MOST_TASKS - 1).map("t{}".format)
STATUSES = ("inbox", "blocked", "done", "cancelled", "in_progress", "no")


def seldom(default: object, *others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 5).flatmap(lambda number: st.one_of(*others) if number == 0 else st.just(default))


TASKS = st.lists(
    st.fixed_dictionaries(
        {
            "id": seldom("", IDS.map(str.upper)),  # "": one that nobody else has
            "status": seldom("active", st.sampled_from(STATUSES)),
            "type": seldom("task", st.sampled_from(["epic", "learn"])),
            "depends_on": seldom([], st.lists(IDS, min_size=1, max_size=2)),
            "parent": st.sampled_from(["", "", "t0", "t1"]),
            "files": st.sampled_from([[], [], ["src/a"], ["src/b", "src/**"]]),
            "assignee": seldom("", st.sampled_from(["bot", "maria", "codex"])),
            "complexity": seldom("", st.just("blocked-human")),
        }
    ),
    min_size=3,
    max_size=MOST_TASKS,
)
SETTINGS = json.dumps({"assignees": {"humans": ["maria"]}})


@settings(deadline=None)  # it writes files, and the machine may be busy
@given(
    tasks=TASKS,
    held=st.builds(
        lambda keys, files: Held(
            keys=frozenset(keys), reservations=(Reservation("x", "eve", tuple(files)),) if files else ()
        ),
        seldom([], st.lists(IDS, max_size=2)),
        st.sampled_from([[], ["src/a"], ["elsewhere"]]),
    ),
    many=st.sampled_from([0, counting.MANY]),
)
def test_alike_tasks_are_counted_as_each_by_itself_would_be(tasks: list[dict[str, Any]], held: Held, many: int) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(counting, "MANY", many)
        write_file(Path(folder) / "settings.json", SETTINGS)
        for number, task in enumerate(tasks):
            of_its_own = f"invalid-{number}" if task["status"] == "no" else f"t{number}"
            task_id = of_its_own if task["status"] == "no" else task["id"] or of_its_own
            keys = {key: value for key, value in {**task, "id": task_id}.items() if value}
            write_task(Path(folder), keys.pop("id"), keys.pop("status"), name=f"{number}.md", **keys)
        store = TaskStore(Path(folder))
        snapshot, rules = store.snapshot(), store.settings
        counted = counting.count(store.index, rules, held)
        first = {
            task.path: next(obstacles(task, snapshot, rules, caller=None, held=held), None)
            for task in snapshot.tasks.values()
            if task.status not in ENDED and task.status != "in_progress" and not held.has(task)
        }
    assert {o.path.decode() for o in counted.tasks} == {task.path for task in snapshot.tasks.values()}
    assert {o.path.decode() for o in counted.invalid} == {error.path for error in snapshot.invalid}
    assert {o.path.decode() for o in counted.ready} == {path for path, obstacle in first.items() if obstacle is None}
    kinds = [obstacle.kind for obstacle in first.values() if obstacle is not None]
    assert sorted(counted.waiting.elements()) == sorted(kinds)


def test_what_is_below_a_cancelled_task_or_has_reserved_files_is_not_taken_for_ready(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    write_task(tasks_dir, "over", "cancelled")
    write_task(tasks_dir, "whole", type="epic")
    for number in range(3):
        write_task(tasks_dir, f"below-over-{number}", parent="over")
        write_task(tasks_dir, f"below-whole-{number}", parent="whole")
        write_task(tasks_dir, f"files-{number}", files=[f"src/{number}"])
    write_task(tasks_dir, "first", priority=0, files=["src/0", "src/1"])
    claim(other, "first")
    seen = stats(session)
    assert (seen.ready, seen.waiting_on.files, seen.waiting_on.other) == (4, 2, 4)


def stats(session: Session, **arguments: Any) -> Any:
    return call(session, "get_index_stats", **arguments)


def test_every_copy_of_an_id_is_invalid_and_the_first_ten_are_named(session: Session, tasks_dir: Path) -> None:
    for number in range(12):
        write_task(tasks_dir, f"bad-{number:02}", "nearly")
    for name in ("a.md", "b.md"):
        write_task(tasks_dir, "same", name=name)
    seen = stats(session).invalid
    assert seen.count == 14
    assert [entry.path for entry in seen.first] == ["a.md", "b.md", *(f"bad-{number:02}.md" for number in range(8))]
    assert seen.first[0].cause == "the id same is also in b.md; give each its own"


def test_a_project_is_one_however_it_is_spelt(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "a", project="House")
    write_task(tasks_dir, "b", "done", project="house")
    write_task(tasks_dir, "c", project="Attic")
    write_task(tasks_dir, "d")
    rows = stats(session, include_projects=True).projects
    assert [(row.project, row.total, row.done, row.ready) for row in rows] == [
        ("", 1, 0, 1), ("Attic", 1, 0, 1), ("House", 2, 1, 1),
    ]  # fmt: skip


def test_a_claim_of_a_newer_version_holds_its_task(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2")
    claim(session, "t-1")
    (path,) = (tasks_dir / ".dibs" / "claims").glob("*.lock")
    path.write_text('{"version": 99, "id": "t-1"}', encoding="utf-8")
    edit(tasks_dir / "t-1.md", "status: in_progress", "status: active")
    seen = stats(session)
    assert (seen.ready, sum(seen.waiting_on.model_dump().values())) == (1, 0)


# the past


def test_the_claims_of_each_caller_are_counted_by_how_they_ended(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    for number in range(5):
        write_task(tasks_dir, f"t-{number}", priority=number)
    for seconds, ending in ((10, "complete_task"), (30, "complete_task"), (20, "block_task"), (99, "release_task")):
        taken = claim(session)
        clock.advance(seconds)
        reason = {"reason": "x"} if ending == "block_task" else {}
        call(session, ending, id=taken.task.id, claim_token=taken.claim_token, **reason)
    assert claim(other, "t-3").task.id == "t-3"
    other.close()
    clock.advance(121)
    claim(session, "t-4")
    seen = stats(session)
    assert [row.model_dump() for row in seen.by_caller] == [
        {"caller": "gemini", "completed": 2, "blocked": 1, "released": 1, "lost": 0},
        {"caller": "claude", "completed": 0, "blocked": 0, "released": 0, "lost": 1},
    ]
    assert seen.seconds_to_end.model_dump() == {"p50": 20.0, "p95": 30.0, "count": 3}
    assert (seen.oldest_claim.id, seen.oldest_claim.caller) == ("t-4", "gemini")


def test_where_nothing_has_happened_there_is_no_past(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    seen = stats(session)
    assert (seen.by_caller, seen.oldest_claim, seen.seconds_to_end, seen.orphans) == ([], None, None, 0)


def journal(tasks_dir: Path, at: datetime, event: str, **facts: Any) -> None:
    folder = tasks_dir / ".dibs" / "journal"
    folder.mkdir(parents=True, exist_ok=True)
    append_event(folder, at, event, **facts)


def test_a_claim_and_its_ending_meet_by_their_token_across_days(session: Session, tasks_dir: Path) -> None:
    journal(tasks_dir, NOON - timedelta(days=1), "claimed", id="a", token="h1-1", caller="bob")
    journal(tasks_dir, NOON - timedelta(days=1), "claimed", id="b", token="h1-2", caller="bob")
    journal(tasks_dir, NOON - timedelta(hours=1), "completed", id="b", token="h1-2", caller="bob")
    journal(tasks_dir, NOON - timedelta(hours=2), "completed", id="c", token="h1-3", caller="bob")
    journal(tasks_dir, NOON - timedelta(hours=2), "completed", id="d", caller="nic")
    seen = stats(session)
    assert [(row.caller, row.completed) for row in seen.by_caller] == [("bob", 2), ("nic", 1)]
    assert seen.seconds_to_end.model_dump() == {"p50": 82_800.0, "p95": 82_800.0, "count": 1}


def test_an_ending_that_was_written_down_twice_counts_once(session: Session, tasks_dir: Path) -> None:
    journal(tasks_dir, NOON - timedelta(seconds=50), "claimed", id="a", token="h1-1", caller="bob")
    for seconds in (40, 30):
        journal(tasks_dir, NOON - timedelta(seconds=seconds), "completed", id="a", token="h1-1", caller="bob")
    seen = stats(session)
    assert ([row.completed for row in seen.by_caller], seen.seconds_to_end.count) == ([1], 1)


@pytest.mark.parametrize(
    "line",
    [
        '{"at":"2026-01-22T11:00:00+00:00","event":"comple', "[]", "7", "\ufffd", '{"event":"completed"}',
        '{"at":7,"event":"completed"}', '{"at":"2026-01-22T11:00:00","event":"completed"}',
        '{"at":"2026-01-22T11:00:00+00:00","event":["completed"]}', '{"at":"0001-01-01T00:00:00+23:00"}',
        '{"at":"2025-12-01T11:00:00+00:00","event":"completed"}', '{"at":"2026-01-22T11:00:00+00:00"} more',
        '{"at":"2026-01-22T11:00:00+00:00","event":"claimed","token":{"a":1}}', "",
    ],
)  # fmt: skip
def test_odd_lines_of_the_journal_are_passed_over(session: Session, tasks_dir: Path, line: str) -> None:
    journal(tasks_dir, NOON, "completed", id="a", token="h1-1", caller="bob")
    (path,) = (tasks_dir / ".dibs" / "journal").iterdir()
    path.write_text(f"{line}\n{path.read_text(encoding='utf-8')}{line}", encoding="utf-8")
    assert [(row.caller, row.completed) for row in stats(session).by_caller] == [("bob", 1)]


def test_what_is_older_than_thirty_days_counts_no_more(session: Session, tasks_dir: Path) -> None:
    for days in (29, 31, 400):
        journal(tasks_dir, NOON - timedelta(days=days), "completed", id="a", token=f"h1-{days}", caller="bob")
    assert [row.completed for row in stats(session).by_caller] == [1]


def test_only_the_busiest_twenty_callers_are_told(session: Session, tasks_dir: Path) -> None:
    for number in range(25):
        for count in range(1 + number % 2):
            journal(tasks_dir, NOON, "completed", id="a", token=f"h1-{number}-{count}", caller=f"c{number:02}")
    callers = [row.caller for row in stats(session).by_caller]
    assert callers[:12] == [f"c{number:02}" for number in range(1, 25, 2)]
    assert len(callers) == 20


def test_a_journal_that_cannot_be_read_hides_only_the_past(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    write_file(tasks_dir / ".dibs" / "journal", "no folder")
    seen = stats(session)
    assert (seen.ready, seen.by_caller) == (1, [])


def test_what_was_kept_or_set_aside_is_counted(session: Session, other: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session, "t-1")
    age(path)
    answer = other.store.ledger.keep_orphan("t-1", NOON, "too late")
    (tasks_dir / ".dibs" / "claims" / "torn.lock").write_bytes(b"{")
    assert (stats(session).stale, stats(session).orphans) == (1, 1)
    write_task(tasks_dir, "t-2")
    claim(other, "t-2")
    assert (stats(session).stale, stats(session).orphans) == (0, 2)
    assert answer.exists()
