"""Codex at work: with the server that its settings name, and with one that is given for a single run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from client import SERVER, Client
from codex_cli import Codex, server_table
from workers import working_off

from support import header, write_task

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]


def test_codex_claims_and_completes_task_by_task(make_client: Callable[..., Client], tasks_dir: Path) -> None:
    codex = make_client(Codex)
    paths = [write_task(tasks_dir, f"t-{number}") for number in (1, 2, 3)]
    run = codex.run("Work until the queue is empty.", working_off("bob"))
    assert run.text == "The queue is empty."
    assert codex.tool("claim_next_task") in run.turns[0].tools
    assert [(header(path)["status"], header(path)["assignee"]) for path in paths] == [("done", "bob")] * 3


def test_codex_takes_a_server_for_one_run_with_an_environment_of_its_own(
    make_client: Callable[..., Client], tmp_path: Path
) -> None:
    codex = make_client(Codex, configured=False)
    path = write_task(tmp_path / "elsewhere", "t-1")
    table = server_table(env={"DIBS_TASKS_DIR": str(path.parent)})
    codex.run("Do a task.", working_off("bob"), "--config", f"mcp_servers.{SERVER}={table}")
    assert header(path)["status"] == "done"
