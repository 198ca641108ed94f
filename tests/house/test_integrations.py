"""The plugin, the extension and the marketplace: one version, one list of tools, and a launcher that finds Dibs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tree import REPO

from dibs import __version__
from dibs.worker_prompt import ONE, worker_prompt
from dibs_server.cli.program import program
from dibs_server.dispatch.registry import tools_of
from doors import run_dibs

PLUGIN = REPO / "integrations" / "claude"
LAUNCHER = PLUGIN / "scripts" / "dibs-launcher"
LONG_NAME = re.compile(r"mcp__plugin_dibs_dibs__(\w+)")


def loaded(path: Path) -> dict[str, Any]:
    given = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(given, dict)
    return given


def front_matter(path: Path) -> dict[str, str]:
    _, header, _ = path.read_text(encoding="utf-8").split("---\n", 2)
    return dict(line.split(": ", 1) for line in header.splitlines())


def test_every_manifest_states_this_version() -> None:
    manifests = [PLUGIN / ".claude-plugin" / "plugin.json", REPO / "gemini-extension.json"]
    assert {path.name: loaded(path)["version"] for path in manifests} == {path.name: __version__ for path in manifests}


def test_everything_is_called_dibs() -> None:
    plugin, extension = loaded(PLUGIN / ".claude-plugin" / "plugin.json"), loaded(REPO / "gemini-extension.json")
    (listed,) = loaded(REPO / ".claude-plugin" / "marketplace.json")["plugins"]
    assert {plugin["name"], extension["name"], listed["name"]} == {"dibs"}
    assert set(loaded(PLUGIN / ".mcp.json")["mcpServers"]) == set(extension["mcpServers"]) == {"dibs"}
    assert (REPO / listed["source"]).resolve() == PLUGIN
    assert listed["description"] == plugin["description"] == extension["description"]


def test_the_claude_server_is_loaded_before_the_first_turn() -> None:
    assert loaded(PLUGIN / ".mcp.json")["mcpServers"]["dibs"]["alwaysLoad"] is True


def test_commands_name_the_tools_that_there_are() -> None:
    worker = [tool.name for tool in tools_of("worker")]
    assert LONG_NAME.findall(front_matter(PLUGIN / "commands" / "pull.md")["allowed-tools"]) == worker
    for path in PLUGIN.rglob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert set(LONG_NAME.findall(text)) <= set(worker), path
        assert set(re.findall(r"`(\w+_(?:next_task|task|stats))`", text)) <= set(worker), path


def test_a_shell_prints_the_same_rules() -> None:
    printed = run_dibs("prompt", "--caller", "gemini")
    assert printed.stdout == worker_prompt(caller="gemini")


def test_all_clients_work_by_the_same_rules() -> None:
    gemini = (REPO / "prompts" / "gemini-task-worker.md").read_text(encoding="utf-8")
    assert gemini == worker_prompt(caller="gemini")
    command = tomllib.loads((REPO / "commands" / "dibs" / "pull.toml").read_text(encoding="utf-8"))
    assert command["prompt"] == f"{worker_prompt(ONE, caller='gemini')}\n{{{{args}}}}\n"
    for name in ("agents/worker.md", "commands/pull.md"):
        assert worker_prompt(caller="claude") in (PLUGIN / name).read_text(encoding="utf-8"), name


@pytest.mark.parametrize("form", ["COMPLETED: <id>", "BLOCKED: <id>", "QUEUE EMPTY"])
def test_the_rules_have_the_forms_of_an_end(form: str) -> None:
    assert f"\n    {form}\n" in worker_prompt()


def test_the_skill_is_found_by_what_people_say() -> None:
    described = front_matter(PLUGIN / "skills" / "parallel-tasks" / "SKILL.md")["description"]
    for trigger in ("batch tasks", "parallel processing", "process queue in parallel"):
        assert f'"{trigger}"' in described


def hook_commands() -> dict[str, str]:
    hooks = loaded(PLUGIN / "hooks" / "hooks.json")["hooks"]
    return {event: entry["hooks"][0]["command"] for event, (entry,) in hooks.items()}


def test_hooks_run_what_there_is_and_become_it() -> None:
    """``exec``, so that the client is the hook's parent, as it is the server's: by that the two are told together."""
    assert set(hook_commands()) == {"SessionStart", "Stop", "SessionEnd"}
    events = program.commands["hook"].params[0].type.to_info_dict()["choices"]
    for event, command in hook_commands().items():
        words = shlex.split(command)
        assert words[:2] == ["exec", "sh"]
        assert words[3:] == ["hook", re.sub(r"(?<=[a-z])(?=[A-Z])", "-", event).lower()]
        assert words[-1] in events


def launched(home: Path, *arguments: str, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    script = home / "cache" / "dibs" / "dibs" / "0.1.0" / "scripts" / LAUNCHER.name
    script.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(LAUNCHER, script)
    return subprocess.run(
        ["sh", str(script), *arguments], env={"HOME": str(home), "PATH": path}, cwd=home,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def a_program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "{says} $*"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


needs_no_dibs = pytest.mark.skipif(
    any(Path(place, "dibs").exists() for place in ("/opt/homebrew/bin", "/usr/local/bin", "/usr/bin", "/bin")),
    reason="dibs is installed on this machine for everybody",
)


@needs_no_dibs
def test_without_dibs_the_launcher_says_how_to_get_it(tmp_path: Path) -> None:
    server = launched(tmp_path, "serve")
    assert (server.returncode, server.stdout) == (127, "")
    assert "pipx install" in server.stderr
    start = launched(tmp_path, "hook", "session-start")
    assert (start.returncode, start.stderr) == (0, "")
    assert "pipx install" in json.loads(start.stdout)["systemMessage"]
    stop = launched(tmp_path, "hook", "stop")
    assert (stop.returncode, stop.stdout, stop.stderr) == (0, "", "")


@needs_no_dibs
def test_the_launcher_looks_on_the_path_in_the_home_and_in_its_clone(tmp_path: Path) -> None:
    a_program(tmp_path / ".venv" / "bin" / "dibs", "the clone's")
    script = tmp_path / "integrations" / "claude" / "scripts" / "dibs-launcher"
    script.parent.mkdir(parents=True)
    shutil.copy(LAUNCHER, script)
    environment = {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}
    run = subprocess.run(["sh", str(script), "serve"], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout == "the clone's serve\n"
    a_program(tmp_path / ".local" / "bin" / "dibs", "the home's")
    assert launched(tmp_path, "serve").stdout == "the home's serve\n"
    a_program(tmp_path / "bin" / "dibs", "the path's")
    assert launched(tmp_path, "a b", path=f"{tmp_path / 'bin'}:/usr/bin:/bin").stdout == "the path's a b\n"


@needs_no_dibs
def test_the_launcher_runs_nothing_out_of_the_project(tmp_path: Path) -> None:
    a_program(tmp_path / "dibs", "the project's")
    a_program(tmp_path / ".venv" / "bin" / "dibs", "the project's")
    assert launched(tmp_path, "serve").returncode == 127


def test_the_launcher_can_be_run(tmp_path: Path) -> None:
    assert os.access(LAUNCHER, os.X_OK)
