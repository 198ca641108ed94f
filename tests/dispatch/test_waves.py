"""Waves in real processes: files kept apart, every failure as promised, and no dispatcher that may not die."""

from __future__ import annotations

import json
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from shell import PATIENCE_SECONDS, answered, begun, ended, ran, until
from support import header, write_task
from waves import Project, statuses
from wire import served

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform == "win32", reason="no process groups there"),
]

SEED = {
    "wave": 2,
    "tasks": [
        {"taskId": "task-2", "context": {}, "model": "opus", "needsCodexReview": True},
        {"taskId": "task-3", "context": {}, "model": "sonnet", "needsCodexReview": False},
    ],
    "maxParallel": 5,
}


def test_a_wave_gives_one_result_and_agents_their_own_variables_only(
    make_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(mcp=True)
    for name in ("SOME_SECRET_KEY", "CLAUDECODE", "DIBS_CLAIM_FILE", "DIBS_BATCH", "LC_TEST"):
        monkeypatch.setenv(name, "outer")
    write_task(project.tasks_dir, "task-2", title="Implement OAuth", files=["src/oauth.py"])
    wave = project.folder / "wave.json"
    wave.write_text(json.dumps(SEED), encoding="utf-8")
    answer = answered(project.folder, *project.words("wave", "run", wave))
    assert {"wave", "status", "tasks", "errors"} <= answer.keys()
    assert answer["wave"] == 2
    assert statuses(answer) == {"task-2": "completed", "task-3": "completed"}
    done = answer["tasks"]["task-2"]
    assert done["summary"] == "Did task-2."
    assert done["files_changed"] == ["src/oauth.py", "src/new.py"]
    assert (done["attempts"], done["review"]["outcome"]) == (1, "approved")
    assert Path(done["log"]).read_text(encoding="utf-8") == "working on task-2\n"
    assert [worker["task_id"] for worker in answer["workers"]] == ["task-2", "task-3"]
    assert {worker["status"] for worker in answer["workers"]} == {"success"}
    assert (project.reservations(), project.left_running()) == ([], [])
    for event in (event for event in project.events if event["what"] == "begin"):
        check_variables(event["task"], event["environment"])


def check_variables(task_id: str, inner: dict[str, str]) -> None:
    """An agent has what it is to have, and nothing that is somebody else's."""
    assert {"SOME_SECRET_KEY", "CLAUDECODE", "DIBS_BATCH"}.isdisjoint(inner)
    assert (inner["LC_TEST"], inner["DIBS_TASK_ID"]) == ("outer", task_id)
    scratch = Path(inner["DIBS_CLAIM_FILE"]).parent
    assert not scratch.is_relative_to(inner["DIBS_TASKS_DIR"])
    assert not scratch.exists(), "what is an agent's own goes when it has ended"


def test_tasks_with_the_same_files_never_run_at_once_and_a_freed_place_is_filled(project: Project) -> None:
    files = {f"t-{number}": [f"src/{number}.py"] for number in range(12)}
    files |= {"t-1": ["src/0.py"], "t-4": ["src/three/**"], "t-3": ["src/three/a.py"], "t-8": ["src/7.py"]}
    tasks = [{"taskId": task_id, "title": "fine", "files": named} for task_id, named in files.items()]
    tasks[2]["title"] = "hold"  # strict rounds would wait for it
    wave = project.wave(tasks, maxParallel=5)
    with begun(project.folder, *project.words("wave", "run", wave, "--json")) as running:
        until(lambda: len(project.of("end")) == 11)
        project.go()
        code, out, err = ended(running)
    assert code == 0, out + err
    assert set(statuses(json.loads(out)).values()) == {"completed"}
    assert Counter(project.of("begin")) == dict.fromkeys(files, 1)
    together = project.together()
    assert together, "nothing ran side by side"
    assert together.isdisjoint(map(frozenset, (("t-0", "t-1"), ("t-3", "t-4"), ("t-7", "t-8"))))


def test_strict_rounds_wait_for_each_other(project: Project) -> None:
    wave = project.wave([{"taskId": f"t-{number}", "title": "fine"} for number in range(4)], maxParallel=2)
    answered(project.folder, *project.words("wave", "run", wave, "--rounds", "strict"))
    last = max(event["at"] for event in project.events if event["task"] in ("t-0", "t-1"))
    assert last < min(event["at"] for event in project.events if event["task"] in ("t-2", "t-3"))


@pytest.mark.long
def test_each_failure_ends_as_promised_and_all_the_others_are_done(project: Project) -> None:
    failing = {
        "hangs": ("hang orphan", "failed", "it ran longer than 20 s and was ended"),
        "crashes": ("crash", "failed", "it ended with exit code 1"),
        "unfinished": ("unfinished", "failed", "it ended with exit code 0"),
        "blocks": ("block", "blocked", "it needs a person"),
        "dies": ("die orphan", "failed", "it was killed by signal 9 (SIGKILL)"),
        "ended": ("end-supervisor orphan", "failed", "its supervisor was told to end"),
        "broken": ("break-file", "failed", "could not be reported"),
        "deleted": ("delete-file", "failed", "could not be reported"),
        "loses": ("kill-supervisor orphan", "failed", "the process that kept its claim was killed"),
        "conflicts": ("conflict", "completed", "Did conflicts."),
        "loud": ("loud", "completed", "Did loud."),
        "fine": ("fine", "completed", "Did fine."),
    }
    tasks = [{"taskId": task_id, "title": title, "files": [task_id]} for task_id, (title, _, _) in failing.items()]
    tasks[0]["timeoutSeconds"] = 20
    later = {"taskId": "later", "title": "fine", "files": ["broken", "deleted"], "dependsOn": ["conflicts"]}
    vain = {"taskId": "vain", "title": "fine", "dependsOn": ["crashes"]}
    wave = project.wave([*tasks, later, vain], maxParallel=5)
    answer = answered(project.folder, *project.words("wave", "run", wave), code=4)
    assert answer["status"] == "partial"
    expected = {task_id: status for task_id, (_, status, _) in failing.items()}
    assert statuses(answer) == {**expected, "later": "completed", "vain": "skipped"}
    for task_id, (_, status, told) in failing.items():
        row = answer["tasks"][task_id]
        assert told in row["summary"]
        if task_id not in ("ended", "broken", "deleted"):
            assert project.header(task_id)["status"] == ("done" if status == "completed" else "blocked")
        assert row["attempts"] == (2 if task_id == "conflicts" else 1)
    assert {fault["task_id"] for fault in answer["errors"]} == {
        task_id for task_id, status in statuses(answer).items() if status != "completed"
    }
    assert project.of("begin")[-2:] == ["conflicts", "later"], "a conflict is tried again when the others have ended"
    assert "crashes" in answer["tasks"]["vain"]["summary"]
    assert Path(answer["tasks"]["loud"]["log"]).stat().st_size > 50_000_000
    assert len(project.of("orphan")) == 4
    assert (project.reservations(), project.left_running()) == ([], [])
    again = answered(project.folder, *project.words("wave", "run", wave), code=4)
    assert statuses(again) == statuses(answer), "what has failed is not tried again unasked"
    for task_id, row in again["tasks"].items():
        assert row["attempts"] == answer["tasks"][task_id]["attempts"] + (task_id == "ended"), "put back is to be done"


def test_a_failed_task_is_tried_again_as_often_as_settings_say(make_project: Callable[..., Project]) -> None:
    project = make_project(retries=1)
    wave = project.wave([{"taskId": "once", "title": "fail-once"}, {"taskId": "always", "title": "crash"}])
    answer = answered(project.folder, *project.words("wave", "run", wave), code=4)
    assert statuses(answer) == {"once": "completed", "always": "failed"}
    assert Counter(project.of("begin")) == {"once": 2, "always": 2}
    assert [answer["tasks"][task_id]["attempts"] for task_id in ("once", "always")] == [2, 2]


def test_two_dispatchers_of_one_wave_do_each_task_once_and_tell_the_same(project: Project) -> None:
    wave = project.wave([{"taskId": f"t-{number}", "title": "fine"} for number in range(4)], maxParallel=2)
    words = project.words("wave", "run", wave, "--json")
    with begun(project.folder, *words) as one, begun(project.folder, *words) as other:
        (code, out, err), (other_code, other_out, other_err) = ended(one), ended(other)
    assert (code, other_code) == (0, 0), err + other_err + out + other_out
    assert json.loads(out) == json.loads(other_out)
    assert set(statuses(json.loads(out)).values()) == {"completed"}
    assert Counter(project.of("begin")) == dict.fromkeys((f"t-{number}" for number in range(4)), 1)


@pytest.mark.long
def test_a_dispatcher_killed_ten_times_leaves_a_wave_that_is_done_once(project: Project) -> None:
    tasks = [{"taskId": f"t-{number}", "title": "fine", "files": [f"{number // 2}.py"]} for number in range(10)]
    tasks[5]["dependsOn"] = ["t-0"]
    tasks[7]["needsCodexReview"] = True
    wave = project.wave(tasks, maxParallel=4)
    words, chance = project.words("wave", "run", wave, "--json"), random.Random(7)
    for _ in range(10):
        enough = min(len(project.events) + chance.randrange(4), 16)
        with begun(project.folder, *words) as running:
            until(lambda enough=enough, running=running: len(project.events) >= enough or running.poll() is not None)
            running.kill()
    answer = answered(project.folder, *project.words("wave", "run", wave))
    assert statuses(answer) == {task["taskId"]: "completed" for task in tasks}
    assert set(Counter(project.of("begin")).values()) == {1}, "a task was begun twice"
    assert answer["tasks"]["t-7"]["review"]["outcome"] == "approved"
    assert {row["attempts"] for row in answer["tasks"].values()} == {1}
    assert all(row["summary"] == f"Did {task_id}." for task_id, row in answer["tasks"].items())
    assert project.together().isdisjoint(frozenset((f"t-{n}", f"t-{n + 1}")) for n in range(0, 10, 2))
    assert (project.reservations(), project.left_running()) == ([], [])


@pytest.mark.parametrize(("number", "times"), [(signal.SIGINT, 2), (signal.SIGTERM, 1)], ids=["ctrl-c", "sigterm"])
def test_a_wave_that_is_stopped_puts_its_tasks_back(project: Project, number: int, times: int) -> None:
    wave = project.wave([{"taskId": task_id, "title": "hang orphan"} for task_id in ("a", "b", "c")], maxParallel=2)
    with begun(project.folder, *project.words("wave", "run", wave, "--json")) as running:
        project.until_begun("a", "b")
        before = {path: path.read_bytes() for path in project.tasks_dir.glob("c*.md")}
        for _ in range(times):
            running.send_signal(number)
            if times > 1 and _ == 0:
                assert running.stderr is not None
                until(lambda: "Ctrl-C again" in running.stderr.readline())
        code, out, _ = ended(running)
    assert code == 4
    assert set(statuses(json.loads(out)).values()) == {"skipped"}
    assert [project.header(task_id)["status"] for task_id in "abc"] == ["active"] * 3
    assert all(path.read_bytes() == content for path, content in before.items())
    assert (project.reservations(), project.left_running()) == ([], [])


def test_one_ctrl_c_lets_what_runs_be_finished_and_starts_nothing_more(project: Project) -> None:
    wave = project.wave([{"taskId": "a", "title": "hold"}, {"taskId": "b", "title": "fine"}], maxParallel=1)
    with begun(project.folder, *project.words("wave", "run", wave, "--json")) as running:
        project.until_begun("a")
        running.send_signal(signal.SIGINT)
        assert running.stderr is not None
        until(lambda: "Ctrl-C again" in running.stderr.readline())
        project.go()
        code, out, _ = ended(running)
    assert code == 4
    assert statuses(json.loads(out)) == {"a": "completed", "b": "skipped"}
    assert project.of("begin") == ["a"]


def test_a_review_that_asks_for_changes_makes_one_task_for_who_fixes_bugs(make_project: Callable[..., Project]) -> None:
    project = make_project(outcome="Changes requested")
    write_task(project.tasks_dir, "t-1", title="Login", files=["src/login.py"])
    wave = project.wave([{"taskId": "t-1", "needsReview": True}])
    answer = answered(project.folder, *project.words("wave", "run", wave))
    review = answer["tasks"]["t-1"]["review"]
    assert (review["status"], review["outcome"]) == ("completed", "changes_requested")
    assert project.of("begin") == ["t-1", review["task_id"]]
    (path,) = project.tasks_dir.glob(f"{review['fix_task']}*.md")
    assert (header(path)["status"], header(path)["assignee"]) == ("active", "bugFixer")
    text = path.read_text(encoding="utf-8")
    assert "src/login.py" in text
    assert f"Did {review['task_id']}." in text
    again = answered(project.folder, *project.words("wave", "run", wave))
    assert again["tasks"] == answer["tasks"]
    assert len(list(project.tasks_dir.glob("*.md"))) == 3, "no second review, no second fix"


def test_a_review_without_an_outcome_is_no_approval(make_project: Callable[..., Project]) -> None:
    project = make_project(outcome="", by_complexity={"multi-step": {"review": True}})
    write_task(project.tasks_dir, "t-1", title="fine", complexity="multi-step")
    wave = project.wave([{"taskId": "t-1"}])
    answer = answered(project.folder, *project.words("wave", "run", wave), code=4)
    assert answer["status"] == "partial"
    assert answer["tasks"]["t-1"]["review"]["outcome"] == ""
    assert "approved or changes_requested" in answer["errors"][0]["message"]


def test_what_is_wrong_is_refused_before_anything_is_started_or_made(project: Project) -> None:
    wave = project.wave([{"taskId": "a", "title": "fine", "agent": "scripte"}])
    with begun(project.folder, *project.words("wave", "run", wave)) as running:
        code, out, err = ended(running)
    assert (code, out) == (2, "")
    assert "tasks[0].agent: no agent 'scripte' is known, did you mean 'scripted'?" in err
    assert [path.name for path in project.tasks_dir.iterdir()] == ["settings.json"]


def test_a_wave_goes_on_when_nobody_reads_what_it_prints(project: Project) -> None:
    wave = project.wave([{"taskId": "a", "title": "hold"}, {"taskId": "b", "title": "fine"}], maxParallel=1)
    with begun(project.folder, *project.words("wave", "run", wave)) as running:
        project.until_begun("a")
        assert running.stdout is not None
        running.stdout.close()
        project.go()
        assert running.wait(PATIENCE_SECONDS) == 0
        running.stdout = None
    assert project.of("end") == ["a", "b"]


def test_a_coordinator_starts_a_wave_and_reads_what_it_came_to(project: Project) -> None:
    arguments = {"wave": 3, "tasks": [{"taskId": "a", "title": "hold"}, {"taskId": "b", "title": "fine"}]}
    with served(project.folder, "--tasks-dir", project.tasks_dir, "--profile", "coordinator") as wire:
        planned = wire.call("plan_wave", **arguments)
        started = wire.call("run_wave", **arguments)
        assert "code" not in started, started
        assert planned["rounds"] == started["rounds"] == [["a", "b"]]
        assert planned["run_id"] == started["run_id"]
        again = wire.call("run_wave", **arguments)
        assert "already" in again["message"]
        project.until_begun("a")
        now = wire.call("get_wave", run_id=started["run_id"])
        assert (now["status"], now["tasks"]["a"]["status"]) == ("running", "running")
        wire.close_stdin()  # the coordinator goes away, and the wave goes on
        wire.ended()
    project.go()
    with served(project.folder, "--tasks-dir", project.tasks_dir, "--profile", "coordinator") as wire:
        found = until(lambda: _ended(wire.call("get_wave", run_id=started["run_id"], wait_seconds=50)))
    assert statuses(found) == {"a": "completed", "b": "completed"}
    assert found["status"] == "completed"
    until(lambda: not project.left_running())


def _ended(answer: dict[str, object]) -> dict[str, object] | None:
    return answer if answer["status"] != "running" else None


def test_agents_pull_from_a_batch_until_nothing_of_it_is_ready(make_project: Callable[..., Project]) -> None:
    project = make_project(by_complexity={"mechanical": {"model": "haiku"}})
    for number in range(3):
        write_task(project.tasks_dir, f"t-{number}", title="fine", depends_on=["t-0"] if number == 2 else [])
    write_task(project.tasks_dir, "t-3", title="crash", complexity="mechanical")
    ran(project.folder, *project.words("batch", "create", "b", *(f"t-{number}" for number in range(4))))
    write_task(project.tasks_dir, "other", title="fine")
    answer = answered(project.folder, *project.words("run", "--agents", "scripted:3", "--batch", "b"), code=4)
    assert statuses(answer) == {**{f"t-{number}": "completed" for number in range(3)}, "t-3": "failed"}
    assert Counter(project.of("begin")) == dict.fromkeys((f"t-{number}" for number in range(4)), 1)
    begun = (event for event in project.events if event["what"] == "begin")
    assert {event["task"]: event["environment"]["MODEL"] for event in begun if event["environment"]["MODEL"]} == {
        "t-3": "haiku"
    }
    assert project.reservations() == []


def test_agents_stop_after_as_many_tasks_as_they_are_told(project: Project) -> None:
    for number in range(5):
        write_task(project.tasks_dir, f"t-{number}", title="fine")
    answer = answered(project.folder, *project.words("run", "--agents", "scripted:2", "--max-tasks", "3"))
    assert len(statuses(answer)) == len(project.of("begin")) == 3


def test_a_supervisor_that_dies_before_it_claims_costs_no_task(project: Project) -> None:
    write_task(project.tasks_dir, "first", title="lose-ledger")
    wave = project.wave([{"taskId": "first"}, {"taskId": "b", "title": "fine"}, {"taskId": "c", "title": "fine"}])
    answer = answered(project.folder, *project.words("wave", "run", wave))
    assert set(statuses(answer).values()) == {"completed"}
    assert Counter(project.of("begin")) == dict.fromkeys(("first", "b", "c"), 1)


def test_what_an_agent_may_do_is_what_was_shown_though_settings_change_meanwhile(project: Project) -> None:
    wave = project.wave([{"taskId": "a", "title": "hold"}, {"taskId": "b", "title": "fine"}], maxParallel=1)
    with begun(project.folder, *project.words("wave", "run", wave, "--json")) as running:
        project.until_begun("a")
        (project.tasks_dir / "settings.json").write_text(
            json.dumps({"dispatch": {"agent": "x", "agents": {"scripted": {"command": ["false"]}}}}), encoding="utf-8"
        )
        project.go()
        code, out, err = ended(running)
    assert code == 0, out + err
    assert project.of("end") == ["a", "b"]
