"""Waves as they are written down: every fault is named with its field, and where every task stands before a start."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dibs.session import Session
from doors import Answer, function_door, run_dibs
from support import claim, write_file, write_task

BACKSLASH_U = "\\ud800"
SEED = """
{"wave": 2, "tasks": [
  {"taskId": "task-2", "context": {}, "model": "opus", "needsCodexReview": true},
  {"taskId": "task-3", "context": {}, "model": "sonnet", "needsCodexReview": false}
], "maxParallel": 5}
"""


@pytest.fixture
def at(tasks_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: the one that has the tasks directory in it."""
    monkeypatch.chdir(tasks_dir.parent)
    return tasks_dir.parent


def plan(tasks_dir: Path, *tasks: object, **keys: object) -> Answer:
    with function_door(tasks_dir) as door:
        return door.call("plan_wave", tasks=list(tasks), **keys)


def written(at: Path, content: str | bytes, *words: str, code: int = 0) -> Answer:
    """What `dibs wave plan` says of a file with this content."""
    write_file(at / "wave.json", content)
    result = run_dibs("wave", "plan", "wave.json", *words, "--json", "--tasks-dir", "tasks")
    assert result.exit_code == code, result.output
    answer: Answer = json.loads(result.stdout)
    return answer


def states(answer: Answer) -> dict[str, tuple[str, str]]:
    return {row["task_id"]: (row["state"], row["why"]) for row in answer["tasks"]}


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}


def task(**keys: object) -> dict[str, object]:
    return {"taskId": "a", **keys}


# what is refused

FAULTS: list[tuple[Any, list[str]]] = [
    ({"tasks": [task()], "maxParalel": 2}, ["maxParalel: there is no such field, did you mean 'maxParallel'?"]),
    ({"tasks": [task()], "waves": 2}, ["waves: there is no such field, did you mean 'wave'?"]),
    ({"tasks": [task()], "colour": 2}, ["colour: there is no such field, there are wave, tasks, maxParallel"]),
    ({"tasks": [{"taskID": "a"}]}, ["tasks[0].taskID: there is no such field, did you mean 'taskId'?"]),
    ({"tasks": [task(), task(depends_on=[])]}, ["tasks[1].depends_on", "did you mean 'dependsOn'?"]),
    ({"tasks": [{"title": "A"}]}, ["tasks[0].taskId: this argument is required"]),
    ({"tasks": [task(files=["x"], targetFiles=["x"])]}, ["tasks[0]: targetFiles is another name of files"]),
    ({"tasks": [task(needsReview=True, needsCodexReview=True)]}, ["needsReview is another name of needsCodexReview"]),
    ({"tasks": [task(agent="claud")]}, ["tasks[0].agent: no agent 'claud' is known, did you mean 'claude'?"]),
    ({"tasks": [task(agent="zzz")]}, ["tasks[0].agent: no agent 'zzz' is known, there are claude, gemini, codex"]),
    ({"tasks": [task(agent="gemini")]}, ["tasks[0].agent: there is no program gemini", "dispatch.agents.gemini"]),
    ({"tasks": []}, ["tasks: this must not be empty"]),
    ({}, ["tasks: this argument is required"]),
    ({"tasks": [task(), {"taskId": "b"}, {"taskId": "A"}]}, ["tasks[2].taskId: A is that of tasks[0] as well"]),
    ({"tasks": [task(files=["../x"])]}, ["tasks[0].files: ../x is outside the repository"]),
    ({"tasks": [task(files=["src/../../x"])]}, ["tasks[0].files: src/../../x is outside"]),
    ({"tasks": [task(files=["/etc/passwd"])]}, ["tasks[0].files: /etc/passwd is outside"]),
    ({"tasks": [task(targetFiles=["~/x"])]}, ["tasks[0].files: ~/x is outside"]),
    ({"tasks": [task(files=["C:\\x"])]}, ["tasks[0].files: C:\\x is outside"]),
    ({"tasks": [task(files=["..\\x"])]}, ["tasks[0].files: ..\\x is outside"]),
    ({"tasks": [task(context={"targetFiles": ["../x"]})]}, ["tasks[0].files: ../x is outside"]),
    *(({"tasks": [task()], "maxParallel": most}, ["maxParallel: "]) for most in (0, -1, 101, "5x", 1.5)),
    *(({"tasks": [task(timeoutSeconds=long)]}, ["tasks[0].timeoutSeconds"]) for long in (0, -1, 604_801, 10**400)),
    ({"tasks": [task(kind="cooking")]}, ["tasks[0].kind: it should be 'research', 'planning', 'implementation'"]),
    ({"tasks": [task(dependsOn=["A"])]}, ["tasks[0].dependsOn: a cannot wait for itself"]),
    ({"tasks": [task(dependsOn=["b"]), {"taskId": "b", "dependsOn": ["a"]}]}, ["tasks: a → b → a wait for each other"]),
    ({"tasks": [{"taskId": f"t-{n}"} for n in range(501)]}, ["tasks: ", "at most 500"]),
    ({"tasks": [task(dependsOn=["nope"])]}, ["tasks[0].dependsOn: there is no task nope"]),
    ({"tasks": [task(context={"description": "y" * 20_001})]}, ["tasks[0].context: no file can be made of it"]),
    ({"tasks": [task(context={"targetFiles": ["y" * 600]})]}, ["tasks[0].files: no file can be made of it"]),
    ({"tasks": [{"taskId": "a\x1b[31m"}]}, ["tasks[0].taskId: 'a\\x1b[31m' is not printable"]),
    ({"tasks": [{"taskId": "x" * 129}]}, ["tasks[0].taskId", "128"]),
    ({"tasks": [{"taskId": " "}]}, ["tasks[0].taskId"]),
    ({"tasks": ["a"]}, ["tasks[0]: it should be an object, not 'a'"]),
    ({"tasks": {"taskId": "a"}}, ["tasks: "]),
    ({"tasks": [task(context=["x"])]}, ["tasks[0].context"]),
    ({"wave": 10**400, "tasks": [task()]}, ["wave: "]),
    ({"wave": "two", "tasks": [task()]}, ["wave: "]),
]  # fmt: skip


@pytest.mark.parametrize(("wave", "told"), FAULTS, ids=[told[0][:70] for _, told in FAULTS])
def test_a_fault_is_refused_with_the_field_it_is_in(at: Path, wave: dict[str, Any], told: list[str]) -> None:
    before = everything(at / "tasks")
    answer = written(at, json.dumps(wave), code=2)
    assert answer["code"] == "invalid_arguments"
    for text in told:
        assert text in answer["message"]
    assert "mend that and call again" in answer["message"]
    assert everything(at / "tasks") == before


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "wave.json is not JSON"),
        ("{", "wave.json is not JSON"),
        ('{"wave": 1, /* mine */ "tasks": []}', "which has no comments"),
        ("[]", "wave.json is no wave: it should be an object"),
        ('"wave"', "wave.json is no wave"),
        ("null", "wave.json is no wave"),
        (b"\xff\xfe{\x00}\x00", "wave.json is not JSON"),
        ("[" * 5000 + "]" * 5000, "wave.json is not JSON"),
        ('{"wave": 1' + "0" * 5000 + "}", "wave.json is not JSON"),
        ('{"tasks": [{"taskId": "a", "timeoutSeconds": 1e999}]}', "tasks[0].timeoutSeconds"),
        ('{"tasks": [{"taskId": "a", "context": {"x": 1e999}}]}', "tasks[0].context: it cannot be written down"),
        ('{"tasks": [{"taskId": "a", "context": {"x": NaN}}]}', "tasks[0].context: it cannot be written down"),
        (f'{{"tasks": [{{"taskId": "a", "context": {{"x": "{BACKSLASH_U}"}}}}]}}', "tasks[0].context: it cannot be"),
        (f'{{"tasks": [{{"taskId": "a", "context": {{"{BACKSLASH_U}": 1}}}}]}}', "tasks[0].context: it cannot be"),
        (f'{{"tasks": [{{"taskId": "a{BACKSLASH_U}"}}]}}', "tasks[0].taskId"),
        (f'{{"tasks": [{{"taskId": "a", "files": ["{BACKSLASH_U}"]}}]}}', "tasks[0].files[0]"),
        ('{"tasks": [{"taskId": "a", "context": {"x": ' + "[" * 300 + "]" * 300 + "}}]}", "context: it is nested"),
        (f'{{"{BACKSLASH_U}": 1, "tasks": [{{"taskId": "a"}}]}}', "it should be a valid string"),
    ],
    ids=range(18),
)  # fmt: skip
def test_what_is_no_wave_is_refused(at: Path, content: str | bytes, told: str) -> None:
    assert told in written(at, content, code=2)["message"]


def test_a_file_that_is_not_there_is_named(at: Path) -> None:
    for name in ("nowhere.json", "tasks"):
        result = run_dibs("wave", "plan", name)
        assert (result.exit_code, f"{name} cannot be read" in result.stderr) == (2, True)


def test_all_faults_are_told_at_once_and_of_many_the_first(tasks_dir: Path) -> None:
    files = [f"../{number}" for number in range(12)]
    message = plan(tasks_dir, task(files=files, agent="zzz"), {"taskId": "A"})["message"]
    assert message.count("is outside the repository") == 10
    assert message.endswith("; and 4 more. Nothing was started; mend that and call again")


def test_a_program_that_is_not_there_is_told_of_once_however_many_tasks_are_for_it(tasks_dir: Path) -> None:
    answer = plan(tasks_dir, *({"taskId": f"t-{n}", "agent": "gemini"} for n in range(50)))
    assert answer["message"].count("no program gemini") == 1
    assert "tasks[0].agent" in answer["message"]


def test_the_reviewer_has_to_be_there_where_one_is_asked_for(tasks_dir: Path, programs: Path) -> None:
    (programs / "codex").unlink()
    assert "code" not in plan(tasks_dir, task())
    answer = plan(tasks_dir, task(), {"taskId": "b", "needsReview": True})
    assert "tasks[1].needsCodexReview: there is no program codex to start agent codex with" in answer["message"]


def test_what_is_done_needs_no_agent(tasks_dir: Path) -> None:
    write_task(tasks_dir, "a", "done")
    assert states(plan(tasks_dir, task(agent="gemini", needsReview=True)))["a"] == ("done", "already complete")
    assert plan(tasks_dir, task(agent="gemini"))["agents"] == []
    reviewed = plan(tasks_dir, task(agent="gemini", needsReview=True))["agents"]
    assert [row["agent"] for row in reviewed] == ["codex"], "it may still have to be reviewed"


def test_null_counts_as_left_out(at: Path) -> None:
    keys = ("title", "context", "agent", "model", "kind", "files", "dependsOn", "needsCodexReview", "timeoutSeconds")
    wave = {"wave": None, "maxParallel": None, "tasks": [task(**dict.fromkeys(keys), targetFiles=["a.py"])]}
    (row,) = written(at, json.dumps(wave))["tasks"]
    assert (row["state"], row["agent"], row["files"]) == ("new", "claude", ["a.py"])


# where its tasks stand


def test_the_first_line_says_where_the_tasks_stand_and_each_says_why(
    tasks_dir: Path, make_session: Callable[..., Session]
) -> None:
    write_task(tasks_dir, "ready")
    write_task(tasks_dir, "done", "done")
    write_task(tasks_dir, "bad", "nearly")
    write_task(tasks_dir, "outer")
    write_task(tasks_dir, "behind", depends_on=["outer"])
    write_task(tasks_dir, "maria", assignee="maria")
    write_task(tasks_dir, "held", files=["src/api.py"])
    write_task(tasks_dir, "outside", files=["docs/"])
    write_task(tasks_dir, "same-file", files=["docs/api.md"])
    write_task(tasks_dir, "by-hand", "in_progress", assignee="bob")
    other = make_session("claude-code")
    claim(other, "held")
    claim(other, "outside")
    names = ("ready", "new", "done", "held", "behind", "maria", "same-file", "by-hand", "bad")
    answer = plan(tasks_dir, *({"taskId": name} for name in names))
    found = states(answer)
    assert [found[name][0] for name in names] == ["ready", "new", "done", "held", *["waiting"] * 4, "invalid"]
    assert found["held"][1] == "claimed by claude"
    assert found["behind"][1] == "it depends on outer (active)"
    assert found["maria"][1] == "it is reserved for maria"
    assert "its files (docs/api.md) are reserved for outside, held by claude" in found["same-file"][1]
    assert found["by-hand"][1] == "it is in progress"
    assert "unknown status 'nearly'" in found["bad"][1]
    assert answer["rounds"] == [["ready", "new"]]
    assert answer["message"] == (
        "1 task skipped (already complete), 1 task claimed by others, 1 task invalid, 4 tasks waiting, "
        "2 tasks in 1 round"
    )


def test_what_only_the_wave_asks_for_counts_like_what_the_file_says(
    tasks_dir: Path, make_session: Callable[..., Session]
) -> None:
    write_task(tasks_dir, "held", files=["src/api.py"])
    write_task(tasks_dir, "plain")
    write_task(tasks_dir, "outer")
    other = make_session("claude-code")
    claim(other, "held")
    answer = plan(
        tasks_dir, {"taskId": "plain", "files": ["src/"]}, {"taskId": "new", "files": ["src/"]},
        {"taskId": "later", "dependsOn": ["outer"]},
    )  # fmt: skip
    found = states(answer)
    assert [found[name][0] for name in ("plain", "new", "later")] == ["waiting"] * 3
    assert "reserved for held" in found["new"][1]
    assert found["later"][1] == "it depends on outer (active)"


def test_who_comes_after_one_of_the_wave_that_does_not_start_waits_too(
    tasks_dir: Path, make_session: Callable[..., Session]
) -> None:
    write_task(tasks_dir, "held", files=["src/api.py"])
    claim(make_session("claude-code"), "held")
    write_task(tasks_dir, "bad", "nearly")
    write_task(tasks_dir, "parent")
    write_task(tasks_dir, "child", parent="parent", depends_on=["bad"])
    answer = plan(
        tasks_dir, {"taskId": "last", "dependsOn": ["PARENT"]}, {"taskId": "parent"}, {"taskId": "child"},
        {"taskId": "bad"}, {"taskId": "free"}, {"taskId": "held"}, {"taskId": "same-file", "files": ["src/"]},
    )  # fmt: skip
    assert states(answer) == {
        "last": ("waiting", "it comes after parent (waiting)"),
        "parent": ("waiting", "it comes after child (waiting)"),
        "child": ("waiting", "it comes after bad (invalid)"),
        "bad": ("invalid", states(answer)["bad"][1]),
        "free": ("new", ""),
        "held": ("held", "claimed by claude"),
        "same-file": ("waiting", "it comes after held (held)"),
    }
    assert answer["rounds"] == [["free"]]


def test_a_parent_is_in_a_later_round_than_its_children(tasks_dir: Path) -> None:
    write_task(tasks_dir, "parent")
    write_task(tasks_dir, "child", parent="parent")
    assert plan(tasks_dir, {"taskId": "parent"}, {"taskId": "child"})["rounds"] == [["child"], ["parent"]]


def test_what_depends_on_a_done_task_of_the_wave_is_ready(tasks_dir: Path) -> None:
    write_task(tasks_dir, "a", "done")
    write_task(tasks_dir, "b", depends_on=["a"])
    assert plan(tasks_dir, task(), {"taskId": "b"})["rounds"] == [["b"]]


def test_a_reserved_task_is_for_the_agent_it_is_reserved_for(tasks_dir: Path) -> None:
    write_task(tasks_dir, "a", assignee="codex")
    assert states(plan(tasks_dir, task()))["a"][0] == "waiting"
    assert states(plan(tasks_dir, task(agent="codex")))["a"][0] == "ready"


# rounds and limits


def test_the_example_of_the_skill_is_planned_word_for_word(at: Path) -> None:
    answer = written(at, SEED)
    assert (answer["wave"], answer["max_parallel"], answer["rounds"]) == (2, 5, [["task-2", "task-3"]])
    assert [(row["model"], row["review"], row["state"]) for row in answer["tasks"]] == [
        ("opus", True, "new"), ("sonnet", False, "new"),
    ]  # fmt: skip
    assert [row["agent"] for row in answer["agents"]] == ["claude", "codex"]
    assert answer["run_id"] == written(at, SEED.replace("\n", " "))["run_id"]
    assert answer["run_id"] != written(at, SEED.replace('"wave": 2', '"wave": 3'))["run_id"]


def test_who_would_change_the_same_file_is_in_a_later_round_with_one_warning(tasks_dir: Path) -> None:
    answer = plan(tasks_dir, *({"taskId": f"t-{n}", "title": "T", "files": ["a.py"]} for n in range(4)))
    assert answer["rounds"] == [["t-0"], ["t-1"], ["t-2"], ["t-3"]]
    assert answer["warnings"] == [f"t-{n} waits for t-0: both may change a.py" for n in (1, 2, 3)]


def test_a_wave_may_ask_for_less_at_once_and_gets_no_more_than_the_settings_allow(tasks_dir: Path) -> None:
    write_file(tasks_dir / "settings.json", '{"parallelism": {"maxParallelTasks": 2, "research": 1}}')
    tasks = [{"taskId": f"t-{n}", "title": "T"} for n in range(3)]
    few, many = plan(tasks_dir, *tasks, maxParallel=1), plan(tasks_dir, *tasks, maxParallel=3)
    assert (few["rounds"], few["warnings"]) == ([["t-0"], ["t-1"], ["t-2"]], [])
    assert (many["max_parallel"], many["rounds"]) == (2, [["t-0", "t-1"], ["t-2"]])
    assert many["warnings"] == [
        "maxParallel 3 is more than parallelism.maxParallelTasks in the settings allows: 2"
    ]  # fmt: skip
    assert plan(tasks_dir, *tasks, maxParallel="1")["max_parallel"] == 1
    research = plan(tasks_dir, *({**each, "kind": "research"} for each in tasks))
    assert research["rounds"] == [["t-0"], ["t-1"], ["t-2"]]


def test_a_new_task_without_a_title_is_told_of_and_its_description_gives_one(tasks_dir: Path) -> None:
    context = {"description": "Prime it.\nTwice."}
    answer = plan(tasks_dir, task(), {"taskId": "b", "context": context}, {"taskId": "c", "title": "C"})
    assert [row["title"] for row in answer["tasks"]] == ["a", "Prime it.", "C"]
    (warning,) = answer["warnings"]
    assert warning.startswith("a has no file, and the wave gives it no title")


def test_files_of_the_context_count_where_the_task_names_none(tasks_dir: Path) -> None:
    context = {"targetFiles": ["a.py", 7, "b.py"]}
    answer = plan(tasks_dir, task(context=context), {"taskId": "b", "context": context, "files": ["c.py"]})
    assert [row["files"] for row in answer["tasks"]] == [["a.py", "b.py"], ["c.py"]]


def test_the_repository_s_own_absolute_paths_are_inside(tasks_dir: Path) -> None:
    (tasks_dir.parent / ".git").mkdir()
    inside, outside = f"{tasks_dir.parent}/src/a.py", f"{tasks_dir.parent}-other/a.py"
    answer = plan(tasks_dir, task(files=[inside]), {"taskId": "b", "files": ["src/"]})
    assert answer["rounds"] == [["a"], ["b"]]
    assert "is outside the repository" in plan(tasks_dir, task(files=[outside]))["message"]


# the command


def test_a_wave_comes_from_a_file_or_standard_input_and_options_are_taken_instead(at: Path) -> None:
    write_task(at / "tasks", "task-2", title="Implement")
    from_file = written(at, SEED, "--maxParallel", "1", "--wave", "7")
    assert (from_file["wave"], from_file["rounds"]) == (7, [["task-2"], ["task-3"]])
    for stdin in (SEED, b"\xef\xbb\xbf" + SEED.encode()):
        result = run_dibs("wave", "plan", "-", "--json", stdin=stdin)
        assert json.loads(result.stdout) == written(at, stdin)
    instead = written(at, SEED, "--tasks", '[{"taskId": "other"}]')
    assert instead["rounds"] == [["other"]]
    only = run_dibs("wave", "plan", "--tasks", "-", "--json", stdin='[{"taskId": "other"}]')
    assert json.loads(only.stdout)["rounds"] == [["other"]]


def test_planning_creates_nothing(at: Path) -> None:
    before = everything(at / "tasks")
    written(at, SEED)
    assert run_dibs("wave", "plan", "wave.json", "--tasks-dir", "tasks").exit_code == 0
    assert everything(at / "tasks") == before == {}


def test_without_a_tasks_directory_planning_says_what_to_do(at: Path) -> None:
    write_file(at / "wave.json", SEED)
    result = run_dibs("wave", "plan", "wave.json", "--tasks-dir", "nowhere")
    assert (result.exit_code, "nowhere" in result.stderr) == (6, True)


def test_where_the_wave_does_not_say_the_settings_give_model_and_review_by_complexity(
    tasks_dir: Path, programs: Path
) -> None:
    efforts = {"mechanical": {"model": "haiku"}, "multi-step": {"model": "opus", "review": True}}
    write_file(tasks_dir / "settings.json", json.dumps({"dispatch": {"by_complexity": efforts}}))
    write_task(tasks_dir, "easy", complexity="mechanical")
    write_task(tasks_dir, "hard", complexity="multi-step")
    write_task(tasks_dir, "other", complexity="requires-judgment")
    unsaid = plan(tasks_dir, {"taskId": "easy"}, {"taskId": "HARD"}, {"taskId": "other"}, {"taskId": "new"})
    assert [(row["model"], row["review"]) for row in unsaid["tasks"]] == [
        ("haiku", False), ("opus", True), ("", False), ("", False),
    ]  # fmt: skip
    assert [row["agent"] for row in unsaid["agents"]] == ["claude", "codex"]
    said = plan(
        tasks_dir,
        {"taskId": "easy", "model": "sonnet", "needsReview": True},
        {"taskId": "hard", "model": "inherit", "needsReview": False},
    )
    assert [(row["model"], row["review"]) for row in said["tasks"]] == [("sonnet", True), ("inherit", False)]
    (programs / "codex").unlink()
    refused = plan(tasks_dir, {"taskId": "hard"})
    assert "tasks[0].needsCodexReview (by dispatch.by_complexity): there is no program codex" in refused["message"]
