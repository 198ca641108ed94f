"""Waves of real agents, started by Dibs as its settings say at their defaults; only the models are scripted."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from claude_code import Claude
from client import NOWHERE, PATIENCE_SECONDS, Client
from codex_cli import Codex
from gemini_cli import Gemini
from model_service import serving
from scripts import Call, Said, Turn

from dibs_server.dispatch.run_result import RunResult
from support import header, write_file
from wire import DIBS

pytestmark = [pytest.mark.clients, pytest.mark.long, pytest.mark.timeout(300)]

SETTINGS = {"claims": {"lease_seconds": 60, "renew_seconds": 5}, "parallelism": {"maxParallelTasks": 4}}


def working(turn: Turn) -> Said:
    """What an agent does that was started for one task: it gets that, and then nothing."""
    turn = yield Call("claim_next_task")
    claimed = turn.result
    id, token = claimed.fact("id"), claimed.fact("claim_token")
    turn = yield Call("claim_next_task")
    assert turn.result.fact("status") == "empty"
    turn = yield Call("complete_task", id=id, claim_token=token, summary=f"Did {id}.", files_changed=[f"src/{id}.py"])
    return f"COMPLETED: {id}"


def run_wave(folder: Path, wave: object, environment: Mapping[str, str], tasks_dir: Path) -> RunResult:
    (folder / "wave.json").write_text(json.dumps(wave), encoding="utf-8")
    done = subprocess.run(
        [str(DIBS), "wave", "run", "wave.json", "--json", "--tasks-dir", str(tasks_dir)],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return RunResult.model_validate_json(done.stdout)


def test_two_of_each_run_a_wave_of_eight_to_its_end(
    make_client: Callable[..., Client], project: Path, tasks_dir: Path
) -> None:
    (tasks_dir / "settings.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    claude, gemini = make_client(Claude, configured=False), make_client(Gemini, configured=False)
    write_file(gemini.home / ".gemini" / "GEMINI.md", "Be kind to owls.")
    (gemini.home / ".gemini").rename(claude.home / ".gemini")  # one user has both
    agents = ["claude", "gemini"] * 4
    wave = {
        "wave": 1,
        "maxParallel": 4,
        "tasks": [
            {"taskId": f"t-{number}", "title": f"Part {number}", "agent": agent, "model": "sonnet"}
            for number, agent in enumerate(agents)
        ],
    }
    with ExitStack() as stack:
        services = [stack.enter_context(serving(client.dialect, working)) for client in (claude, gemini)]
        around = dict(claude.environment())
        for client, service in zip((claude, gemini), services, strict=True):
            around |= client.served_by(service.url)
        around.pop("GEMINI_CLI_TRUST_WORKSPACE")
        result = run_wave(project, wave, {**around, "HOME": str(claude.home)}, tasks_dir)
    for service in services:
        service.check()
    assert result.status == "completed"
    assert {task_id: row.summary for task_id, row in result.tasks.items()} == {
        f"t-{number}": f"Did t-{number}." for number in range(8)
    }
    assert [row.agent for row in result.tasks.values()] == agents
    assert all(row.tokens > 0 for row in result.tasks.values()), "what they say of their tokens is read"
    for path in tasks_dir.glob("t-*.md"):
        assert header(path)["status"] == "done"
    told = [[turn.text for turn in service.turns] for service in services]
    assert any("Part 0" in text for text in told[0])
    assert any("Part 1" in text for text in told[1])
    assert all("Be kind to owls." in text for text in told[1]), "what the user tells Gemini CLI is told here too"


def test_codex_is_started_too(make_client: Callable[..., Client], project: Path, tasks_dir: Path) -> None:
    (tasks_dir / "settings.json").write_text(json.dumps({**SETTINGS, "dispatch": {"agent": "codex"}}), encoding="utf-8")
    codex = make_client(Codex, configured=False)
    with serving(codex.dialect, working) as service:
        config = codex.home / ".codex" / "config.toml"
        write_file(config, config.read_text(encoding="utf-8").replace(NOWHERE, service.url))
        wave = {"wave": 1, "tasks": [{"taskId": "t-1", "title": "One", "model": "scripted"}]}
        result = run_wave(project, wave, {**codex.environment(), **codex.served_by(service.url)}, tasks_dir)
        service.check()
    assert result.tasks["t-1"].summary == "Did t-1."
    assert result.tasks["t-1"].tokens > 0
