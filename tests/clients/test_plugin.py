"""The Claude Code plugin as a user has it: installed from the marketplace of a clone, nothing else configured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from claude_code import Claude
from client import PATIENCE_SECONDS, Client
from scripts import Call, Said, Turn
from workers import complete

from dibs.worker_prompt import ONE, worker_prompt
from support import header, write_task

pytestmark = pytest.mark.clients

CLONE = Path(__file__).resolve().parents[2]
ALLOWED = ("--allowedTools", "mcp__plugin_dibs_dibs")


@pytest.fixture(scope="module")
def plugged_in(tmp_path_factory: pytest.TempPathFactory) -> Claude:
    """Claude Code with the plugin, and with ``dibs`` where pipx puts it: the home of a user of several projects."""
    home = tmp_path_factory.mktemp("home")
    client = Claude(home, home)
    client.prepare_home()
    client.install_dibs()
    client.call("plugin", "marketplace", "add", CLONE)
    client.call("plugin", "install", "dibs@dibs")
    return client


@pytest.fixture
def claude(plugged_in: Claude, project: Path) -> Client:
    return replace(plugged_in, project=project)


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("folder", [CLONE, CLONE / "integrations" / "claude"], ids=["marketplace", "plugin"])
def test_the_client_finds_it_valid(make_client: Callable[..., Client], folder: Path) -> None:
    assert (
        "Validation passed"
        in make_client(Claude, configured=False).call("plugin", "validate", "--strict", folder).stdout
    )


def test_a_session_is_told_reminded_and_relieved(claude: Client, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")

    def script(turn: Turn) -> Said:
        assert f"Dibs hands out the tasks of {tasks_dir}: 1 ready" in turn.text
        turn = yield Call("claim_next_task")
        assert turn.result.fact("id") == "t-1"
        turn = yield "I stop here."
        assert "You still hold t-1." in turn.text
        return "I really stop here."

    assert claude.run("Begin a task.", script, *ALLOWED).text == "I really stop here."
    until(lambda: header(path)["status"] == "active")
    assert "The session that held this task ended" in path.read_text(encoding="utf-8")


def test_pull_takes_the_named_task_needs_no_permission_and_stops_undisturbed(claude: Client, tasks_dir: Path) -> None:
    paths = [write_task(tasks_dir, f"t-{number}") for number in (1, 2)]

    def script(turn: Turn) -> Said:
        assert f"{worker_prompt(ONE, caller='claude')}\nt-2" in turn.text
        turn = yield Call("claim_next_task", caller="claude", id="t-2")
        turn = yield complete(turn.result)
        return "COMPLETED: t-2"

    assert claude.run("/dibs:pull t-2", script).text == "COMPLETED: t-2"
    assert [header(path)["status"] for path in paths] == ["active", "done"]


def test_status_counts_and_changes_nothing(claude: Client, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")

    def script(turn: Turn) -> Said:
        assert "include_projects=true" in turn.text
        turn = yield Call("get_index_stats", include_projects=True)
        assert turn.result.fact("ready") == "1"
        return "One is ready."

    assert claude.run("/dibs:status", script).text == "One is ready."
    assert not (tasks_dir / ".dibs").exists()


def test_two_worker_agents_work_by_the_rules_and_do_a_task_each(claude: Client, tasks_dir: Path) -> None:
    paths = [write_task(tasks_dir, f"t-{number}") for number in (1, 2)]

    def worker(turn: Turn) -> Said:
        assert worker_prompt(caller="claude") in turn.text
        turn = yield Call("claim_next_task", caller="claude")
        turn = yield complete(turn.result)
        return "COMPLETED"

    def script(turn: Turn) -> Said:
        if "One task" in turn.prompt:
            return (yield from worker(turn))
        assert "dibs:parallel-tasks" in turn.text
        prompts = ["One task, you are the first.", "One task, you are the second."]
        turn = yield [
            Call("Agent", description="one task", prompt=prompt, subagent_type="dibs:worker", run_in_background=False)
            for prompt in prompts
        ]
        return "Both are done."

    assert claude.run("Start two workers.", script, *ALLOWED).text == "Both are done."
    assert [header(path)["status"] for path in paths] == ["done", "done"]
