"""The fields of a task: which key gives which, and what each may hold."""

from __future__ import annotations

import pytest

from dibs.store.errors import MalformedTask
from dibs.store.settings import STATUS_WORDS, Settings
from dibs.store.task import Task
from support import make


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("id: a", "id", "a"),
        ("task_id: a", "id", "a"),
        ("permalink: x/a", "id", "x/a"),
        ("tags: [a, b]", "tags", ("a", "b")),
        ("labels:\n  - a\n  - b", "tags", ("a", "b")),
        ("order: 1.5", "order", 1.5),
        ("ordinal: 2000", "order", 2000.0),
        ("created: 2026-01-22", "created", "2026-01-22"),
        ("created_date: '2026-01-22 10:00'", "created", "2026-01-22 10:00"),
        ("parent: t-9", "parent", "t-9"),
        ("parent_task_id: t-9", "parent", "t-9"),
        ("depends_on: [t-2]", "depends_on", ("t-2",)),
        ("dependencies:\n  - t-2", "depends_on", ("t-2",)),
        ("blocked_by: t-2, t-3", "depends_on", ("t-2", "t-3")),
        ("soft_depends_on: t-2", "soft_depends_on", ("t-2",)),
        ("assignee: '@codex'", "assignees", ("@codex",)),
        ("assignee:\n  - '@codex'\n  - b", "assignees", ("@codex", "b")),
        ("files: [src/**]", "files", ("src/**",)),
        ("targetFiles: src/a.py", "files", ("src/a.py",)),
        ("project: aops", "project", "aops"),
        ("type: Bug", "type", "bug"),
        ("due: 2026-02-01", "due", "2026-02-01"),
        ("attempts: 2", "attempts", 2),
        ("attempts: many", "attempts", 0),
        ("claim: h123-abcdefghjkm", "token", "h123-abcdefghjkm"),
        ("complexity: Multi_Step", "complexity", "multi-step"),
    ],
)
def test_each_field_is_read_from_any_of_its_keys(line: str, field: str, value: object) -> None:
    assert getattr(make(f"status: active\n{line}"), field) == value


def test_the_first_of_several_keys_of_a_field_counts() -> None:
    task = make("status: active\nblocked_by: c\ndependencies: b\ndepends_on: a\npermalink: p\ntask_id: t\nid: i")
    assert (task.depends_on, task.id) == (("a",), "i")


def test_what_is_left_out_has_its_default() -> None:
    assert make("status: active", "deep/t-7.md") == Task(id="t-7", title="t-7", status="active", path="deep/t-7.md")


def test_a_title_is_one_line_whatever_the_file_says() -> None:
    assert make('status: active\ntitle: "one\\ntwo"').title == "one two"


def test_the_title_is_the_first_heading_else_the_id() -> None:
    assert make("status: active\ntitle: A", body="# B\n").title == "A"
    assert make("status: active", body="\ntext\n\n# B  #\n# C\n").title == "B"
    assert make("status: active", body="## B\n").title == "t-1"


@pytest.mark.parametrize(
    ("word", "priority"),
    [("0", 0), ("4", 4), ("P0", 0), ("p3", 3), ("critical", 0), ("High", 1), ("medium", 2), ("low", 3), ("2.0", 2)],
)
def test_priorities_have_numbers_and_words(word: str, priority: int) -> None:
    assert make(f"status: active\npriority: {word}").priority == priority


@pytest.mark.parametrize("word", ["", "7", "urgent", "~", "-1"])
def test_a_priority_nobody_knows_counts_as_none(word: str) -> None:
    assert make(f"status: active\npriority: {word}").priority == 2


@pytest.mark.parametrize("status", STATUS_WORDS)
def test_every_status_word_stands_for_itself(status: str) -> None:
    assert make(f"status: {status}").status == status


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("To Do", "active"),
        ("to-do", "active"),
        ("TODO", "active"),
        ("todo", "active"),
        ("In Progress", "in_progress"),
        ("in-progress", "in_progress"),
        ("doing", "in_progress"),
        ("Dormant", "on_hold"),
        ("draft", "on_hold"),
        ("waiting", "on_hold"),
        ("On Hold", "on_hold"),
        ("Complete", "done"),
        ("completed", "done"),
        ("canceled", "cancelled"),
    ],
)
def test_status_words_have_synonyms_compared_without_case_and_separators(word: str, status: str) -> None:
    assert make(f"status: {word}").status == status


@pytest.mark.parametrize("word", ["wip", "''", "~", "activ"])
def test_an_unknown_status_word_is_named_with_its_line(word: str) -> None:
    with pytest.raises(MalformedTask, match="unknown status") as caught:
        make(f"id: t-1\nstatus: {word}")
    assert caught.value.line == 3


def test_a_synonym_of_the_settings_counts() -> None:
    assert make("status: Parked!", settings=Settings(statuses={"on_hold": ("parked!",)})).status == "on_hold"


@pytest.mark.parametrize(
    "text", ["00123", "1.10", "0x1F", "no", "2026-01-22", "12:30:45", "1e3", "任务", "a/b c", "CON"]
)
def test_an_id_stays_the_text_it_is(text: str) -> None:
    assert make(f"status: active\nid: {text}").id == text
    assert make(f"status: active\ndepends_on: [{text}]").depends_on == (text,)


def test_an_id_has_1_to_128_printable_characters() -> None:
    assert len(make(f"status: active\nid: {'x' * 128}").id) == 128
    for bad in ("x" * 129, '"a\\tb"', '"a\\u200bb"'):
        with pytest.raises(MalformedTask, match="1 to 128 printable characters"):
            make(f"status: active\nid: {bad}")


@pytest.mark.parametrize("line", ["id:", "id: ''", "id: [a]", "id: {a: b}"])
def test_an_id_that_is_no_text_gives_way_to_the_file_name(line: str) -> None:
    assert make(f"status: active\n{line}", "sub/t-5.md").id == "t-5"


@pytest.mark.parametrize("line", ["depends_on: {a: b}", "files: [[a]]", "priority: [1]", "due: {a: b}"])
def test_a_field_dibs_needs_that_cannot_be_read_is_named_with_its_line(line: str) -> None:
    with pytest.raises(MalformedTask) as caught:
        make(f"status: active\n{line}")
    assert caught.value.line == 3
    assert line.partition(":")[0] in caught.value.cause


def test_a_key_dibs_does_not_need_may_hold_anything() -> None:
    assert make("status: active\ntitle: [a]\nmeta: {a: [b, {c: d}]}\n").title == "t-1"


def test_the_order_is_priority_due_order_created_id() -> None:
    wanted = [
        "status: active\npriority: 0",
        "status: active\npriority: 1\ndue: 2026-01-01",
        "status: active\npriority: 1\ndue: 2026-01-02\norder: 9",
        "status: active\npriority: 1\ndue: 2026-01-02\norder: 10",
        "status: active\npriority: 1\norder: 1\ncreated: 2025-12-31",
        "status: active\npriority: 1\norder: 1\ncreated: 2026-01-01",
        "status: active\npriority: 1\norder: 1",
        "status: active\npriority: 1\nid: t-2",
        "status: active\npriority: 1\nid: t-10",
        "status: active\npriority: 1\nid: t-10a",
        "status: active",
    ]
    tasks = [make(header, f"z-{number}.md") for number, header in enumerate(wanted)]
    mixed = [*tasks[1::2], *tasks[::2]]
    assert sorted(mixed, key=Task.sort_key) == tasks
