"""The contract of the tools for coordinators: the same scenarios through every door."""

from __future__ import annotations

from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store.task import Task
from doors import Answer, Entrance
from support import claim, header, make, write_file, write_task

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


# update_task

WRITTEN = (
    "---\r\nid: t-1\r\nstatus: 'To Do'\r\nlabels:   # what it is about\r\n  - a\r\n  - b\r\npriority:  high # P1\r\n"
    "blocked_by:  [x]\r\ntargetFiles: src/a\r\nassignee:\r\n  - '@codex'\r\nx: 007\r\n---\r\nbody\r\n- [ ] one"
)


def test_only_the_bytes_of_what_is_updated_change(door: Entrance, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-2")
    path = write_file(tasks_dir / "t-1.md", WRITTEN)
    answer = door.call(
        "update_task", id="T-1", priority=0, tags=["b", "c d"], depends_on=["t-2"], files=["src/**", "1.0"],
        assignee="claude",
    )  # fmt: skip
    assert answer.keys() == {"task", "message", "warnings"}
    assert path.read_bytes().decode() == (
        "---\r\nid: t-1\r\nstatus: 'To Do'\r\nlabels: [b, c d]\r\npriority:  0 # P1\r\n"
        'blocked_by:  [t-2]\r\ntargetFiles: ["src/**", "1.0"]\r\nassignee: claude\r\nx: 007\r\n---\r\nbody\r\n- [ ] one'
    )
    task = answer["task"]
    assert (task["priority"], task["tags"], task["depends_on"], task["body"]) == (0, ["b", "c d"], ["t-2"], "")
    assert answer["warnings"] == []
    for told in (
        "tags a, b → b, c d", "priority 1 → 0", "depends_on x → t-2", "files src/a → src/**, 1.0",
        "assignee @codex → claude",
    ):  # fmt: skip
        assert told in answer["message"]


def test_fields_are_emptied(door: Entrance, tasks_dir: Path) -> None:
    path = write_file(tasks_dir / "t-1.md", WRITTEN)
    answer = door.call("update_task", id="t-1", clear=["priority", "tags", "assignee", "depends_on", "files"])
    assert path.read_bytes().decode() == (
        "---\r\nid: t-1\r\nstatus: 'To Do'\r\nlabels: []\r\nblocked_by:  []\r\ntargetFiles: []\r\nx: 007\r\n---\r\n"
        "body\r\n- [ ] one"
    )
    assert (answer["task"]["priority"], answer["task"]["tags"]) == (2, [])
    assert "tags a, b → none" in answer["message"]


def test_what_a_task_did_not_say_is_added(door: Entrance, tasks_dir: Path) -> None:
    path = write_file(tasks_dir / "t-1.md", "---\nstatus: active\n---\nbody")
    door.call("update_task", id="t-1", priority=4, tags=["a"], assignee="@codex")
    assert path.read_text(encoding="utf-8") == (
        '---\nstatus: active\ntags: [a]\nassignee: "@codex"\npriority: 4\n---\nbody'
    )


@pytest.mark.parametrize(
    ("status", "action", "becomes"),
    [
        ("blocked", "unblock", "active"),
        ("blocked", "reopen", "active"),
        ("review", "reopen", "active"),
        ("done", "reopen", "active"),
        ("cancelled", "reopen", "active"),
        ("failed", "reopen", "active"),
        ("inbox", "activate", "active"),
        ("on_hold", "activate", "active"),
        ("inbox", "cancel", "cancelled"),
        ("active", "cancel", "cancelled"),
        ("blocked", "cancel", "cancelled"),
    ],
)
def test_an_action_changes_the_status(door: Entrance, tasks_dir: Path, status: str, action: str, becomes: str) -> None:
    path = write_task(tasks_dir, "t-1", status, priority=1)
    reason = {"reason": "Not wanted."} if action == "cancel" else {}
    answer = door.call("update_task", id="t-1", action=action, priority=0, **reason)
    assert (answer["task"]["status"], answer["task"]["priority"]) == (becomes, 0)
    assert answer["message"] == f"t-1: status {status} → {becomes}; priority 1 → 0"
    assert (header(path)["status"], header(path)["priority"]) == (becomes, "0")


@pytest.mark.parametrize(
    ("status", "action"),
    [("done", "unblock"), ("on_hold", "unblock"), ("inbox", "reopen"), ("blocked", "activate"), ("done", "cancel")],
)
def test_an_action_that_does_not_fit_the_status_is_refused(
    door: Entrance, tasks_dir: Path, status: str, action: str
) -> None:
    path = write_task(tasks_dir, "t-1", status)
    before = path.read_bytes()
    reason = {"reason": "Not wanted."} if action == "cancel" else {}
    refused(door.call("update_task", id="t-1", action=action, priority=0, **reason), "not_ready", "t-1", status, action)
    assert path.read_bytes() == before


def test_cancelling_says_why_and_who_waits_for_it(door: Entrance, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", body="body\n")
    write_task(tasks_dir, "t-2", depends_on=["t-1"])
    write_task(tasks_dir, "t-3", parent="t-1")
    write_task(tasks_dir, "t-4", "done", depends_on=["t-1"])
    answer = door.call("update_task", id="t-1", action="cancel", reason="Nobody wants it.")
    assert answer["warnings"] == [
        "these depend on t-1, and will not become ready: t-2",
        "these belong to t-1, and will not become ready: t-3",
    ]
    text = path.read_text(encoding="utf-8")
    assert text.startswith("---\nid: t-1\nstatus: cancelled\n---\nbody\n\n## Cancelled\n\n**By:** ")
    assert text.endswith("\n\n**Reason:** Nobody wants it.\n")


@pytest.mark.parametrize(
    "changes",
    [{"priority": 0}, {"tags": ["a"]}, {"clear": ["files"]}, {"action": "cancel", "reason": "x"}, {"action": "reopen"}],
    ids=str,
)
def test_a_task_that_somebody_works_on_is_not_updated(
    door: Entrance, tasks_dir: Path, stranger: Session, changes: dict[str, object]
) -> None:
    path = write_task(tasks_dir, "t-1", files=["a"])
    by_hand = write_task(tasks_dir, "t-2", "in_progress", assignee="maria", files=["b"])
    claim(stranger, "t-1")
    before = (path.read_bytes(), by_hand.read_bytes())
    held = refused(door.call("update_task", id="t-1", **changes), "not_ready", "t-1 is held by claude until")
    theirs = refused(door.call("update_task", id="t-2", **changes), "not_ready", "t-2 is in progress by maria")
    assert (held["owner"], theirs["owner"]) == ("claude", "maria")
    assert ("--steal" in held["message"]) == door.person
    assert (path.read_bytes(), by_hand.read_bytes()) == before


def test_a_dependency_that_would_close_a_circle_is_refused(door: Entrance, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", depends_on=["x"])
    write_task(tasks_dir, "t-2", depends_on=["t-3"])
    write_task(tasks_dir, "t-3", depends_on=["T-1"])
    before = path.read_bytes()
    answer = door.call("update_task", id="t-1", depends_on=["x", "t-2"], priority=0)
    refused(answer, "invalid_arguments", "t-1 → t-2 → t-3 → t-1")
    refused(door.call("update_task", id="t-1", depends_on=["T-1"]), "invalid_arguments", "t-1 → t-1")
    assert path.read_bytes() == before
    (warning,) = door.call("update_task", id="t-1", depends_on=["gone"])["warnings"]
    assert warning == "t-1 depends on gone, which does not exist (yet)"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "nothing to change"),
        ({"tags": ["a"], "clear": ["tags"]}, "tags: either"),
        ({"action": "cancel"}, "reason"),
        ({"action": "cancel", "reason": " "}, "reason"),
        ({"action": "unblock", "reason": "x"}, "reason goes with"),
        ({"clear": ["status"]}, "clear[0]"),
        ({"priority": 5}, "priority"),
    ],
    ids=str,
)
def test_an_update_that_makes_no_sense_is_refused(
    door: Entrance, tasks_dir: Path, arguments: dict[str, object], told: str
) -> None:
    path = write_task(tasks_dir, "t-1", "blocked", tags=["b"])
    before = path.read_bytes()
    refused(door.call("update_task", id="t-1", **arguments), "invalid_arguments", told)
    assert path.read_bytes() == before


def test_an_update_to_what_is_there_already_changes_nothing(door: Entrance, tasks_dir: Path) -> None:
    path = write_file(tasks_dir / "t-1.md", "---\nstatus: To Do\nlabels: [a]\npriority: high\nassignee: bob\n---\n")
    before, inode = path.read_bytes(), path.stat().st_ino
    answer = door.call(
        "update_task", id="t-1", tags=["a"], priority=1, assignee="bob", clear=["files"], action="reopen"
    )
    assert (answer["message"], answer["task"]["status"]) == ("t-1 is like that already; nothing was changed", "active")
    assert (path.read_bytes(), path.stat().st_ino) == (before, inode)


def test_what_cannot_be_updated_is_named(door: Entrance, tasks_dir: Path) -> None:
    flawed = write_file(tasks_dir / "t-1.md", "---\nstatus: active\ntags: &a [a]\nx: *a\n---\n")
    write_task(tasks_dir, "bad", "nearly")
    before = flawed.read_bytes()
    refused(door.call("update_task", id="t-1", tags=["b"]), "invalid_task", "t-1.md:3", "`tags`")
    refused(door.call("update_task", id="bad", tags=["b"]), "invalid_task", "bad.md:3")
    refused(door.call("update_task", id="t-9", tags=["b"]), "not_found", "t-9")
    assert flawed.read_bytes() == before


# plan_wave

ROW_KEYS = {"task_id", "title", "agent", "model", "kind", "files", "round", "state", "why", "review"}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claude and a codex that can be found, and nothing else."""
    for name in ("claude", "codex"):
        program = write_file(tmp_path / "bin" / name, "#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.mark.usefixtures("installed")
def test_a_wave_is_planned_and_nothing_is_changed(door: Entrance, tasks_dir: Path, stranger: Session) -> None:
    write_task(tasks_dir, "t-1", title="Paint", files=["src/**"])
    write_task(tasks_dir, "t-2", "done")
    write_task(tasks_dir, "t-3")
    claim(stranger, "t-3")
    before = files(tasks_dir)
    answer = door.call(
        "plan_wave",
        wave=2,
        maxParallel=3,
        tasks=[
            {"taskId": "T-1", "model": "opus", "needsReview": True},
            {"taskId": "t-2"},
            {"taskId": "t-3"},
            {"taskId": "new", "title": "New", "targetFiles": ["src/api.py"], "agent": "codex", "kind": "research"},
        ],
    )
    assert answer.keys() == {
        "run_id", "wave", "max_parallel", "rounds", "tasks", "agents", "message", "warnings"
    }  # fmt: skip
    assert (answer["wave"], answer["max_parallel"], answer["rounds"]) == (2, 3, [["t-1"], ["new"]])
    assert answer["run_id"].startswith("wave-")
    assert answer["message"] == (
        "1 task skipped (already complete), 1 task claimed by others, 2 tasks in 2 rounds"
    )  # fmt: skip
    assert answer["warnings"] == ["new waits for t-1: both may change src/api.py"]
    assert all(row.keys() == ROW_KEYS for row in answer["tasks"])
    assert [(row["task_id"], row["round"], row["state"], row["why"]) for row in answer["tasks"]] == [
        ("t-1", 1, "ready", ""), ("t-2", 0, "done", "already complete"), ("t-3", 0, "held", "claimed by claude"),
        ("new", 2, "new", ""),
    ]  # fmt: skip
    first = answer["tasks"][0]
    assert (first["title"], first["model"], first["review"], first["files"]) == ("Paint", "opus", True, ["src/**"])
    assert [(row["agent"], row["program"]) for row in answer["agents"]] == [("claude", "claude"), ("codex", "codex")]
    assert answer["agents"][1]["permissions"] == ["--sandbox", "workspace-write", "--skip-git-repo-check"]
    assert files(tasks_dir) == before


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("task", "told"),
    [
        ({"title": "A"}, ["tasks[1].taskId", "required"]),
        ({"taskId": "B", "agent": "gemini"}, ["tasks[1].agent", "there is no program gemini", "settings.json"]),
        ({"taskId": "A"}, ["tasks[1].taskId", "A is that of tasks[0]"]),
        ({"taskId": "b", "target_files": ["x"]}, ["tasks[1].target_files", "there is no such field"]),
        ({"taskId": "b", "files": ["../x"]}, ["tasks[1].files", "../x is outside the repository"]),
        ({"taskId": "b", "dependsOn": ["a"]}, ["tasks: a → b → a"]),
    ],
    ids=str,
)
def test_a_wave_with_a_fault_is_refused_before_anything_starts(
    door: Entrance, tasks_dir: Path, task: dict[str, object], told: list[str]
) -> None:
    tasks = [{"taskId": "a", "title": "A", "dependsOn": ["b"]}, task]
    refused(door.call("plan_wave", tasks=tasks), "invalid_arguments", *told)
    assert files(tasks_dir) == {}


@pytest.mark.usefixtures("installed")
def test_a_wave_may_come_as_json_text_and_null_counts_as_left_out(door: Entrance) -> None:
    answer = door.call("plan_wave", tasks='[{"taskId": "a", "title": "A", "files": null, "kind": null}]')
    assert answer["rounds"] == [["a"]]
