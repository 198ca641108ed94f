"""Codex' configuration as docs/clients.md shows it, and the tools as the Inspector has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from client import Program, shown
from codex_cli import Codex

from dibs_server.dispatch.registry import tools_of
from support import header, write_file, write_task
from wire import DIBS

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

TOOL_IS_ERROR = 5


class Inspector(Program):
    """Without its page: one call, one process."""

    name = "mcp-inspector"

    def ask(self, *words: str, status: int = 0) -> dict[str, Any]:
        done = self.call("--cli", DIBS, "serve", *words, "--format", "json", "-q", status=status)
        answer = json.loads(done.stdout)["result"]
        assert isinstance(answer, dict)
        return answer

    def call_tool(self, name: str, *arguments: str, status: int = 0) -> dict[str, Any]:
        given = [word for argument in arguments for word in ("--tool-arg", argument)]
        return self.ask("--method", "tools/call", "--tool-name", name, *given, status=status)


@pytest.fixture
def inspector(project: Path, tasks_dir: Path, tmp_path: Path) -> Inspector:
    return Inspector(tmp_path, project)


def test_codex_reads_what_the_page_says(project: Path, tmp_path: Path) -> None:
    codex = Codex(tmp_path, project)
    write_file(codex.home / ".codex" / "config.toml", shown("toml"))
    (entry,) = json.loads(codex.call("mcp", "list", "--json").stdout)
    assert (entry["name"], entry["enabled"]) == ("dibs", True)
    assert (entry["transport"]["command"], entry["transport"]["args"][0]) == (str(DIBS), "serve")


def test_the_inspector_lists_the_tools(inspector: Inspector) -> None:
    listed = inspector.ask("--method", "tools/list")["tools"]
    assert [tool["name"] for tool in listed] == [tool.name for tool in tools_of("worker")]


def test_the_inspector_claims_and_completes(inspector: Inspector, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    token = inspector.call_tool("claim_next_task", "caller=me")["structuredContent"]["claim_token"]
    done = inspector.call_tool("complete_task", "id=t-1", f"claim_token={token}", "summary=Did it.")
    assert "t-1 is done" in done["content"][0]["text"]
    assert (header(path)["status"], header(path)["assignee"]) == ("done", "me")


def test_the_inspector_shows_what_an_error_says(inspector: Inspector, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    refused = inspector.call_tool("get_task", "id=t-9", status=TOOL_IS_ERROR)
    assert refused["content"][0]["text"].startswith("not_found: no task t-9 in ")
