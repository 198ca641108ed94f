"""The contract of the tools for coordinators: the same scenarios through every door."""

from __future__ import annotations

from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store.task import Task
from doors import Answer, Entrance
from support import claim, make, write_task

CREATE_KEYS = {"tasks", "message", "warnings"}


def refused(answer: Answer, code: str, *told: str) -> Answer:
    """The answer, once it is an error of this code whose message has all that should be told."""
    assert answer.get("code") == code, answer
    for text in told:
        assert text in answer["message"]
    return answer


def read(path: Path) -> Task:
    text = path.read_text(encoding="utf-8")
    return make(text.split("---\n")[1], path.name)


def files(tasks_dir: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in tasks_dir.glob("*.md")}


# create_tasks


def test_tasks_are_created_together_and_depend_on_one_another(door: Entrance, tasks_dir: Path) -> None:
    answer = door.call(
        "create_tasks",
        tasks=[
            {"id": "House-1", "title": "Prime", "priority": 0, "project": "house", "body": "White."},
            {
                "title": "Paint",
                "depends_on": ["house-1"],
                "tags": ["a", "1.0"],
                "files": ["door.py"],
                "status": "inbox",
            },
        ],
    )
    assert answer.keys() == CREATE_KEYS
    assert [row.keys() for row in answer["tasks"]] == [{"id", "title", "path"}] * 2
    assert (answer["tasks"][0]["id"], answer["tasks"][0]["title"], answer["warnings"]) == ("House-1", "Prime", [])
    first, second = (read(tasks_dir / row["path"]) for row in answer["tasks"])
    assert (first.id, first.priority, first.project, first.status) == ("House-1", 0, "house", "active")
    assert (second.depends_on, second.tags, second.files, second.status) == (
        ("house-1",), ("a", "1.0"), ("door.py",), "inbox",
    )  # fmt: skip
    assert second.id == answer["tasks"][1]["id"]
    assert second.id in answer["message"]
    assert door.call("claim_next_task", caller="bob")["task"]["body"] == "# Prime\n\nWhite."


def test_a_dependency_that_is_nowhere_is_warned_of(door: Entrance) -> None:
    tasks = [{"id": "a", "title": "A", "depends_on": ["b"]}, {"id": "b", "title": "B", "depends_on": ["gone", "lost"]}]
    (warning,) = door.call("create_tasks", tasks=tasks)["warnings"]
    assert warning == "b depends on gone, lost, which do not exist (yet)"


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ({"title": "B", "id": "A"}, ["tasks[1].id", "A is the id of tasks[0]"]),
        ({"title": "B", "id": "T-1"}, ["tasks[1].id", "there is a task T-1 already, in t-1.md"]),
        ({"title": "B", "id": "a\u200bb"}, ["tasks[1].id", "printable"]),
        ({"title": "B", "id": "x" * 129}, ["tasks[1].id", "128"]),
        ({"title": " \t"}, ["tasks[1].title", "blank"]),
        ({"title": ""}, ["tasks[1].title", "empty"]),
        ({"body": "B"}, ["tasks[1].title", "required"]),
        ({"title": "B", "priority": 7}, ["tasks[1].priority", "7"]),
        ({"title": "B", "dependson": ["a"]}, ["tasks[1].dependson", "did you mean 'depends_on'?"]),
        ({"title": "B", "colour": "red"}, ["tasks[1].colour", "there is no such field", "complexity"]),
        ({"title": "B", "tags": [7]}, ["tasks[1].tags[0]"]),
        ("B", ["tasks[1]", "it should be an object, not 'B'"]),
        ({"title": "B", "id": "b", "depends_on": ["a"]}, ["tasks[0].depends_on", "a → b → a"]),
        ({"title": "B", "id": "b", "depends_on": ["b"]}, ["tasks[1].depends_on", "b → b"]),
    ],
    ids=str,
)
def test_one_task_that_is_wrong_keeps_all_from_being_made(
    door: Entrance, tasks_dir: Path, second: object, told: list[str]
) -> None:
    write_task(tasks_dir, "t-1")
    before = files(tasks_dir)
    tasks = [{"id": "a", "title": "A", "depends_on": ["b"]}, second]
    refused(door.call("create_tasks", tasks=tasks), "invalid_arguments", *told)
    assert files(tasks_dir) == before


def test_what_is_null_counts_as_left_out(door: Entrance, tasks_dir: Path) -> None:
    (row,) = door.call("create_tasks", tasks=[{"title": "A", "id": None, "tags": None, "priority": None}])["tasks"]
    assert read(tasks_dir / row["path"]).priority == 2


def test_tasks_may_come_as_json_text(door: Entrance, tasks_dir: Path) -> None:
    assert len(door.call("create_tasks", tasks='[{"title": "A"}, {"title": "B"}]')["tasks"]) == 2
    refused(door.call("create_tasks", tasks="A, B"), "invalid_arguments", "tasks: this is not a JSON list of objects")
    refused(door.call("create_tasks", tasks="[]"), "invalid_arguments", "tasks: this must not be empty")
    refused(door.call("create_tasks", tasks='{"title": "A"}'), "invalid_arguments", "tasks: ")
    assert len(files(tasks_dir)) == 2


def test_an_id_that_is_held_though_its_file_is_gone_is_not_given_again(
    door: Entrance, tasks_dir: Path, stranger: Session
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(stranger, "t-1")
    path.unlink()
    answer = door.call("create_tasks", tasks=[{"id": "t-1", "title": "A"}])
    refused(answer, "invalid_arguments", "tasks[0].id", "t-1 is still held by a claim")
    assert files(tasks_dir) == {}
