"""The hooks of the plugin, as processes: this test stands for the client that starts the server and runs the hooks."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dibs.client_claims import claims_of_client
from dibs.store.processes import ProcessMark, mark_of
from dibs.store.task_store import TaskStore
from support import header, write_task
from wire import DIBS, PATIENCE_SECONDS, Wire, served

pytestmark = pytest.mark.processes


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "tasks").mkdir()
    write_task(tmp_path / "tasks", "t-1")
    return tmp_path


@pytest.fixture
def server(project: Path) -> Iterator[Wire]:
    with served(project) as wire:
        yield wire


def hook(project: Path, event: str, given: object = None, *, through: list[str] | None = None) -> dict[str, Any]:
    """What ``dibs hook`` answers, run by this process; or by one of its own, ``through`` a shell."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DIBS_", "CLAUDE_"))}
    environment |= {"CLAUDE_PROJECT_DIR": str(project), "CLAUDE_PLUGIN_DATA": str(project / "plugin data")}
    done = subprocess.run(
        [*(through or []), str(DIBS), "hook", event], input=json.dumps(given or {}), env=environment,
        capture_output=True, text=True, encoding="utf-8", timeout=PATIENCE_SECONDS, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return json.loads(done.stdout) if done.stdout else {}


def another_client() -> list[str]:
    return ["sh", "-c", '"$@"; true', "sh"]


def told(answer: dict[str, Any]) -> str:
    return str(answer["hookSpecificOutput"]["additionalContext"])


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_session_is_told_what_is_ready_and_who_holds_what(project: Path, server: Wire) -> None:
    write_task(project / "tasks", "t-2")
    server.call("claim_next_task", caller="claude", id="t-1")
    text = told(hook(project, "session-start"))
    assert "1 ready, 1 in progress" in text
    assert "- t-1 is in progress: this session, since " in text
    assert "- t-1 is in progress: claude, since " in told(hook(project, "session-start", through=another_client()))


def test_telling_makes_nothing(project: Path) -> None:
    before = sorted(project.rglob("*"))
    assert "1 ready" in told(hook(project, "session-start"))
    assert hook(project, "stop") == {}
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize("event", ["session-start", "stop", "session-end"])
def test_where_there_are_no_tasks_hooks_say_nothing(tmp_path: Path, event: str) -> None:
    assert hook(tmp_path, event) == {}


def test_broken_settings_are_told_to_the_person(project: Path) -> None:
    (project / "tasks" / "settings.json").write_text('{"profil": "worker"}', encoding="utf-8")
    assert "did you mean 'profile'" in hook(project, "session-start")["systemMessage"]


def test_who_stops_with_a_task_is_reminded_once(project: Path, server: Wire) -> None:
    server.call("claim_next_task", caller="claude")
    reminder = hook(project, "stop", {"stop_hook_active": False, "background_tasks": []})
    assert reminder["decision"] == "block"
    assert "You still hold t-1" in reminder["reason"]
    assert hook(project, "stop") == {}


def test_a_second_task_is_a_second_reminder(project: Path, server: Wire) -> None:
    write_task(project / "tasks", "t-2")
    server.call("claim_next_task", caller="claude", id="t-1")
    assert "t-1" in hook(project, "stop")["reason"]
    server.call("claim_next_task", caller="claude", id="t-2")
    assert "hold t-2." in hook(project, "stop")["reason"]


@pytest.mark.parametrize("given", [{"stop_hook_active": True}, {"background_tasks": [{"id": "a1"}]}])
def test_nobody_is_reminded_while_it_goes_on(project: Path, server: Wire, given: dict[str, object]) -> None:
    server.call("claim_next_task", caller="claude")
    assert hook(project, "stop", given) == {}


def test_what_another_client_holds_is_no_reminder(project: Path, server: Wire) -> None:
    server.call("claim_next_task", caller="claude")
    assert hook(project, "stop", through=another_client()) == {}


def test_the_end_of_a_session_gives_back_what_it_holds_with_a_note(project: Path, server: Wire) -> None:
    path = project / "tasks" / "t-1.md"
    server.call("claim_next_task", caller="claude")
    assert hook(project, "session-end", {"reason": "clear"}) == {}
    until(lambda: header(path)["status"] == "active")
    assert "**By:** claude" in path.read_text(encoding="utf-8")
    assert "ended (clear) before the task did" in path.read_text(encoding="utf-8")
    assert server.call("claim_next_task", caller="claude")["task"]["attempts"] == 0


def test_it_is_given_back_after_the_server_has_gone_too(project: Path) -> None:
    with served(project) as server:
        server.call("claim_next_task", caller="claude")
    hook(project, "session-end", {"reason": "other"})
    until(lambda: header(project / "tasks" / "t-1.md")["status"] == "active")


def test_the_end_of_another_session_gives_back_nothing_of_ours(project: Path, server: Wire) -> None:
    store = TaskStore(project / "tasks")
    server.call("claim_next_task", caller="claude")
    us = mark_of(os.getpid())
    assert us is not None
    (claim,) = claims_of_client(store, us)
    for stranger in (
        us.model_copy(update={"pid": us.pid + 1}),
        us.model_copy(update={"started": us.started - 60}),
        ProcessMark(pid=0, started=0),
    ):
        assert claims_of_client(store, stranger) == []
    assert claims_of_client(TaskStore(project / "tasks", host="elsewhere"), us) == []
    hook(project, "session-end", through=another_client())
    assert server.call("complete_task", id="t-1", claim_token=claim.token)["task"]["status"] == "done"


def test_what_the_file_system_refuses_is_told_to_the_person(project: Path, server: Wire) -> None:
    server.call("claim_next_task", caller="claude")
    (project / "plugin data").write_text("in the way of what is remembered", encoding="utf-8")
    assert hook(project, "stop")["systemMessage"].startswith("Dibs: ")


@pytest.mark.parametrize("given", [b"{\xff", b"[" * 200_000, b"[1]", b""])
def test_input_that_is_none_of_a_client_is_no_reason_to_fail(project: Path, given: bytes) -> None:
    environment = {**os.environ, "CLAUDE_PROJECT_DIR": str(project)}
    command = [str(DIBS), "hook", "stop"]
    done = subprocess.run(command, input=given, env=environment, capture_output=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_folder_that_has_gone_and_a_closed_stdin_are_none_either(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DIBS_", "CLAUDE_"))}
    gone = tmp_path / "gone"
    gone.mkdir()
    command = ["sh", "-c", 'rmdir "$PWD"; exec "$@" <&-', "sh", str(DIBS), "hook", "session-start"]
    done = subprocess.run(command, cwd=gone, env=environment, capture_output=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
