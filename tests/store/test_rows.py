"""The rows of the index: what they answer, in which order, and that nothing is counted up or down."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dibs.store import rows as rows_module
from dibs.store.errors import MalformedTask
from dibs.store.publish import Signature
from dibs.store.questions import Asked
from dibs.store.reading import Row
from dibs.store.rows import Rows, rank
from dibs.store.settings import Settings
from dibs.store.task import Task

SETTINGS = Settings()
STATE = Signature(1, 2, 3, 4)
TEXT = st.text(max_size=6)
LIMIT = 5


def packed(state: Signature) -> bytes:
    return rows_module.STATE.pack(*state)


PACKED = packed(STATE)


def task(task_id: str, status: str = "active", **fields: object) -> Task:
    return replace(Task(id=task_id, title=task_id, status="active", path=f"{task_id}.md"), status=status, **fields)  # type: ignore[arg-type]


def entered(*tasks: Task) -> Rows:
    rows = Rows()
    for each in tasks:
        rows.put(each.path, Row(STATE, each, False), SETTINGS)
    return rows


def ids(rows: Rows, **asked: object) -> list[str]:
    found, after = rows.handed_out(Asked(**asked), LIMIT)  # type: ignore[arg-type]
    while after is not None:
        more, after = rows.handed_out(Asked(**asked), LIMIT, after)  # type: ignore[arg-type]
        found += more
    return [each.id for each in found]


TASKS = st.builds(
    lambda task_id, priority, due, order, created: task(
        task_id, priority=priority, due=due, order=order, created=created
    ),
    task_id=st.text("aB1209-é", min_size=1, max_size=5) | st.integers(0, 10**20).map(str),
    priority=st.integers(0, 4),
    due=st.sampled_from(["", "2026-01-02", "2026-01-10", "soon", "~x"]),
    order=st.none() | st.floats(-1e14, 1e14) | st.integers(-3, 12).map(float),
    created=st.sampled_from(["", "2025", "2026-01-01T00:00:00Z"]),
)


@settings(deadline=None)
@given(TASKS, TASKS)
def test_rank_sorts_as_the_order_of_handing_out_does(one: Task, other: Task) -> None:
    assert (rank(one) < rank(other)) == (one.sort_key() < other.sort_key())
    assert (rank(one) == rank(other)) == (one.sort_key() == other.sort_key())


@settings(deadline=None)
@given(
    st.builds(
        Task, id=st.text(min_size=1, max_size=8), title=TEXT, status=st.just("review"), path=st.just("ä/x.md"),
        type=TEXT, project=TEXT, tags=st.lists(TEXT).map(tuple), order=st.none() | st.floats(allow_nan=False),
        parent=TEXT, depends_on=st.lists(TEXT).map(tuple), assignees=st.lists(TEXT).map(tuple), token=TEXT,
        files=st.lists(TEXT).map(tuple), attempts=st.integers(0, 9),
    )
)  # fmt: skip
def test_a_task_comes_back_as_it_was_entered(given_task: Task) -> None:
    rows = entered(given_task)
    assert rows.get("ä/x.md") == Row(STATE, given_task, False)
    assert rows.task(given_task.key) == given_task


def test_notes_and_invalid_files_come_back_too() -> None:
    rows = Rows()
    rows.put("note.md", Row(STATE, None, True), SETTINGS)
    rows.put("bad.md", Row(STATE, MalformedTask("no", line=3, path="bad.md", task_id="T-1"), False), SETTINGS)
    assert rows.get("note.md") == Row(STATE, None, True)
    found = rows.get("bad.md")
    assert found is not None
    assert isinstance(found.content, MalformedTask)
    assert (found.content.cause, found.content.line, found.content.task_id) == ("no", 3, "T-1")
    assert rows.is_invalid("t-1")
    assert not rows.is_invalid("")
    assert rows.task("t-1") is None


def test_a_file_name_that_is_not_utf8_is_a_path_like_others() -> None:
    rows = Rows()
    rows.put("\udcff.md", Row(STATE, None, False), SETTINGS)
    assert rows.states() == {b"\xff.md": PACKED}


def test_the_best_first_over_many_looks() -> None:
    names = [f"t-{number}" for number in range(3 * LIMIT + 1)]
    assert ids(entered(*(task(name) for name in reversed(names)))) == names


def test_only_what_waits_for_no_dependency_is_handed_out() -> None:
    rows = entered(task("a"), task("b", depends_on=("a",)), task("c", depends_on=("A", "b")), task("d", "done"))
    assert ids(rows) == ["a"]
    rows.put("a.md", Row(STATE, task("a", "done"), False), SETTINGS)
    assert ids(rows) == ["b"]
    rows.put("b.md", Row(STATE, task("b", "cancelled"), False), SETTINGS)
    assert ids(rows) == []
    rows.put("b.md", Row(STATE, task("b", "done"), False), SETTINGS)
    assert ids(rows) == ["c"]
    rows.put("a.md", None, SETTINGS)
    assert ids(rows) == [], "a dependency that is gone is not met"


def test_a_dependency_with_two_files_is_not_met() -> None:
    rows = entered(task("a", "done"), task("b", depends_on=("a",)))
    copy = task("A", "done", path="copy.md")
    rows.put("copy.md", Row(STATE, copy, False), SETTINGS)
    assert ids(rows) == []
    assert rows.task("a") is None
    assert rows.is_invalid("a")
    rows.put("copy.md", None, SETTINGS)
    assert ids(rows) == ["b"]


def test_a_dependency_that_changes_its_id_is_missing_under_the_old_one() -> None:
    rows = entered(task("a", "done"), task("b", depends_on=("a",)))
    rows.put("a.md", Row(STATE, task("z", "done", path="a.md"), False), SETTINGS)
    assert ids(rows) == []


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["plain", "tagged"]),
        ({"caller": "codex"}, ["plain", "tagged", "codex-s"]),
        ({"caller": "code"}, ["plain", "tagged"]),
        ({"project": "aops"}, ["plain"]),
        ({"complexity": "mechanical"}, ["tagged"]),
        ({"type": "bug"}, ["tagged"]),
        ({"tags": ("a", "b")}, ["tagged"]),
        ({"tags": ("a", "x")}, []),
        ({"skip_tags": ("b",)}, ["plain"]),
        ({"with_files": True}, ["tagged"]),
    ],
)
def test_a_claim_s_filters(asked: dict[str, object], found: list[str]) -> None:
    rows = entered(
        task("plain", project="AOps"),
        task("tagged", tags=("A", "b"), complexity="mechanical", type="bug", files=("x",)),
        task("codex-s", assignees=("@Codex",)),
        task("epic", type="epic"),
        task("human", complexity="blocked-human"),
    )
    assert sorted(ids(rows, **asked)) == sorted(found)


def test_around_a_task_only_what_is_valid() -> None:
    rows = entered(
        task("top"), task("a", "in_progress", parent="TOP"), task("b", parent="top", depends_on=("Top",)),
        task("b", parent="top", path="copy.md"),
    )  # fmt: skip
    assert [each.id for each in rows.children("top")] == ["a"]
    assert rows.dependents("top") == ()
    assert [each.id for each in rows.in_progress()] == ["a"]


def test_what_a_scan_found_loses_against_what_changed_meanwhile() -> None:
    rows = entered(task("a"))
    newer = STATE._replace(mtime_ns=9)
    rows.put("a.md", Row(newer, task("a", "done"), False), SETTINGS)
    rows.merge([("a.md", PACKED, Row(STATE._replace(size=7), task("a"), False))], SETTINGS)
    assert rows.get("a.md") == Row(newer, task("a", "done"), False)
    rows.merge([("a.md", packed(newer), None)], SETTINGS)
    assert rows.get("a.md") is None


def test_every_status_change_gets_the_next_number_and_nothing_else_does() -> None:
    rows = entered(task("a"), task("b"))
    start = rows.changes()
    assert (start.whole, start.states) == (True, ((1, "a", "active"), (2, "b", "active")))
    rows.put("a.md", Row(STATE, task("a", priority=0, title="anew"), False), SETTINGS)
    assert rows.changes(start.cursor()) == replace(start, whole=False, states=())
    rows.put("a.md", Row(STATE, task("a", "in_progress"), False), SETTINGS)
    middle = rows.changes(start.cursor())
    assert middle.states == ((3, "a", "in_progress"),)
    rows.put("b.md", Row(STATE, task("b", "done"), False), SETTINGS)
    rows.put("a.md", Row(STATE, task("a", "blocked"), False), SETTINGS)
    assert rows.changes(middle.cursor()).states == ((4, "b", "done"), (5, "a", "blocked"))
    assert rows.changes(middle.cursor(4)).states == ((5, "a", "blocked"),)
    last = ((4, "b", "done"), (5, "a", "blocked"))
    assert rows.changes(start.cursor()).states == last, "each task once, as it is now"


def test_a_task_that_goes_or_breaks_has_changed_and_a_renamed_file_has_not() -> None:
    rows = entered(task("a"), task("b"), task("c"))
    start = rows.changes().cursor()
    moved = Row(STATE, task("c", path="sub/c.md"), False)
    rows.merge([("c.md", PACKED, None), ("sub/c.md", None, moved)], SETTINGS)
    assert rows.changes(start).states == ()
    rows.put("a.md", None, SETTINGS)
    rows.put("b.md", Row(STATE, MalformedTask("no", path="b.md", task_id="b"), False), SETTINGS)
    assert rows.changes(start).states == ((4, "a", "gone"), (5, "b", "invalid"))
    rows.put("b-again.md", Row(STATE, task("b", path="b-again.md"), False), SETTINGS)
    rows.put("b.md", None, SETTINGS)
    assert rows.changes(start).states == ((4, "a", "gone"), (6, "b", "active"))


@pytest.mark.parametrize("cursor", ["", "x", "x-1", "-", "-1", "1", "\x00-٣", f"x-{'9' * 9000}"])
def test_a_cursor_of_other_rows_tells_everything_again(cursor: str) -> None:
    found = entered(task("a", "done")).changes(cursor)
    assert (found.whole, found.states) == (True, ((1, "a", "done"),))


@pytest.mark.parametrize("number", ["2", "9" * 9000, "x", ""])
def test_a_cursor_with_a_number_that_was_never_given_tells_everything_again(number: str) -> None:
    rows = entered(task("a", "done"))
    found = rows.changes(f"{rows.changes().generation}-{number}")
    assert (found.whole, found.states) == (True, ((1, "a", "done"),))


def test_a_copy_goes_its_own_way_and_has_cursors_of_its_own(tmp_path: Path) -> None:
    rows = entered(task("a"))
    rows.save(tmp_path / "rows.sqlite")
    assert Rows(tmp_path / "rows.sqlite").changes(rows.changes().cursor()).whole


def test_a_change_is_seen_by_whoever_remembers_what_it_was_before(tmp_path: Path) -> None:
    entered(task("a")).save(tmp_path / "rows.sqlite")
    one, other = Rows(tmp_path / "rows.sqlite"), Rows(tmp_path / "rows.sqlite")
    before = other.change(), one.change()
    assert (other.change(), one.change()) == before
    one.put("b.md", Row(STATE, task("b"), False), SETTINGS)
    assert other.change() != before[0]
    assert one.change() != before[1]
    assert ids(other) == ["a", "b"]


def test_rows_that_are_none_are_an_error_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.Error):
        Rows(tmp_path / "none.sqlite").scanned()
    assert list(tmp_path.iterdir()) == []
