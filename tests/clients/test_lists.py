"""What each client, the Inspector and Codex say of the server when they are asked for their list of servers or tools."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from client import Client
from installed import PATH, PROGRAMS

from dibs.registry import tools_of
from support import header, write_task
from wire import DIBS

pytestmark = pytest.mark.clients

PATIENCE_SECONDS = 60
TOOL_IS_ERROR = 5


def inspect(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The Inspector without its page: one call, one process."""
    return subprocess.run(
        [str(PROGRAMS / "mcp-inspector"), "--cli", str(DIBS), "serve", *words, "--format", "json", "-q"],
        cwd=project,
        env={"PATH": PATH, "HOME": str(project.parent)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def call_tool(project: Path, name: str, *arguments: str, returns: int = 0) -> dict[str, Any]:
    given = [word for argument in arguments for word in ("--tool-arg", argument)]
    done = inspect(project, "--method", "tools/call", "--tool-name", name, *given)
    assert done.returncode == returns, done.stdout + done.stderr
    answer = json.loads(done.stdout)["result"]
    assert isinstance(answer, dict)
    return answer


def test_a_client_lists_the_server_as_connected(client: Client) -> None:
    (line,) = [line for line in client.mcp_list().splitlines() if "dibs: " in line]
    assert line.endswith("Connected")
    assert "✓" in line or "✔" in line


def test_codex_lists_the_server_as_the_readme_configures_it(codex: Codex) -> None:
    codex.configure("serve", "--tasks-dir", str(codex.project / "tasks"))
    (entry,) = json.loads(codex.call("mcp", "list", "--json"))
    assert (entry["name"], entry["enabled"]) == ("dibs", True)
    assert entry["transport"]["command"] == str(DIBS)


def test_the_inspector_lists_the_tools(project: Path, tasks_dir: Path) -> None:
    listed = inspect(project, "--method", "tools/list")
    assert listed.returncode == 0, listed.stderr
    names = [tool["name"] for tool in json.loads(listed.stdout)["result"]["tools"]]
    assert names == [tool.name for tool in tools_of("worker")]


def test_the_inspector_claims_and_completes(project: Path, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    claimed = call_tool(project, "claim_next_task", "caller=me")
    token = claimed["structuredContent"]["claim_token"]
    done = call_tool(project, "complete_task", "id=t-1", f"claim_token={token}", "summary=Did it.")
    assert "t-1 is done" in done["content"][0]["text"]
    assert (header(path)["status"], header(path)["assignee"]) == ("done", "me")


def test_the_inspector_shows_what_an_error_says(project: Path, tasks_dir: Path) -> None:
    refused = call_tool(project, "get_task", "id=t-9", returns=TOOL_IS_ERROR)
    assert refused["content"][0]["text"].startswith("not_found: no task t-9 in ")
