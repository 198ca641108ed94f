"""Configurations to paste, also for clients whose files are not edited here."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from dibs_server.clients.launch import Launch
from dibs_server.clients.places import Client, Printed
from dibs_server.clients.recipes import FORMATS, SERVERS, entry_for
from dibs_server.clients.values import Value


@dataclass(frozen=True)
class Snippet:
    """A text, and where it goes."""

    text: str
    goes_into: str


def snippet_for(client: Client | Printed, key: str, launch: Launch) -> Snippet:
    """What this client needs to have dibs under ``key``, as a text to paste."""
    command: dict[str, Value] = {"command": launch.command, "args": list(launch.args)}
    if client == "cursor":
        return _json({"mcpServers": {key: command}}, ".cursor/mcp.json of the project or of your home folder")
    if client == "vscode":
        return _json({"servers": {key: {"type": "stdio", **command}}}, ".vscode/mcp.json of the project")
    if client == "inspector":
        words = ["npx", "@modelcontextprotocol/inspector", "--cli", launch.command, *launch.args]
        return Snippet(f"{shlex.join([*words, '--method', 'tools/list'])}\n", "a shell, in the project")
    if client == "codex":
        text = FORMATS["codex"].put("", (SERVERS["codex"], key), entry_for("codex", launch))
        return Snippet(text, "~/.codex/config.toml, or .codex/config.toml of a trusted project")
    files = {
        "claude": "~/.claude.json, or .mcp.json of the project",
        "gemini": "~/.gemini/settings.json, or .gemini/settings.json of the project",
    }
    return _json({SERVERS[client]: {key: entry_for(client, launch)}}, files[client])


def _json(document: Mapping[str, Value], goes_into: str) -> Snippet:
    return Snippet(json.dumps(document, indent=2, ensure_ascii=False) + "\n", goes_into)
