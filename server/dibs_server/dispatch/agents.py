"""How an agent is started: its command filled in, the variables it gets, and the server it finds its task through."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from dibs.store.dispatch_settings import PERMISSIONS, Agent
from dibs.store.settings import CLAIM_FILE_VARIABLE, TASKS_DIR_VARIABLE
from dibs_server.clients.values import Value
from dibs_server.dispatch.gemini_home import lay_gemini_home
from dibs_server.dispatch.words import fill

SERVER = "dibs"
GEMINI_HOME = "{gemini_home}"
MODEL = "{model}"
AS_IT_IS = ("", "inherit")
"""Names of models that leave the choice to the agent."""


@dataclass(frozen=True)
class Start:
    """What one start of an agent is about; ``scratch`` is a folder of its own, for this user alone."""

    task_id: str
    task_file: str
    token: str
    model: str
    prompt: str
    tasks_dir: Path
    cwd: Path
    scratch: Path

    @property
    def claim_file(self) -> Path:
        return self.scratch / "claim.json"

    @property
    def mcp_config(self) -> Path:
        return self.scratch / "mcp.json"

    @property
    def gemini_home(self) -> Path:
        return self.scratch / "gemini"


def command_of(agent: Agent, start: Start) -> list[str]:
    """The words to start it with. Where no model is asked for, the words that would name one are left out."""
    values, model = _values(agent, start), _model(agent, start)
    words: list[str] = []
    for word in agent.command:
        if word == PERMISSIONS:
            words += agent.permissions
        elif model or MODEL not in word:
            words.append(fill(word, values))
    return words


def environment_of(agent: Agent, inherits: Sequence[str], start: Start, outer: Mapping[str, str]) -> dict[str, str]:
    """The variables it gets: those that all agents or it inherit, those the settings set, and where its task is."""
    patterns = (*inherits, *agent.inherits)
    kept = {name: value for name, value in outer.items() if any(fnmatchcase(name, pattern) for pattern in patterns)}
    values = _values(agent, start)
    return {**kept, **{name: fill(text, values) for name, text in agent.environment.items()}, **_own(start)}


def server_entry(agent: Agent, start: Start) -> dict[str, Value]:
    """The server that hands its task out, as a client's settings name it."""
    command, *args = server_command(start.tasks_dir)
    return {"command": command, "args": [*args], "env": {**_server_environment(start)}, **agent.server}


def has_server(agent: Agent) -> bool:
    """Whether it is given the server; other programs find their task by their variables."""
    words = (*agent.command, *agent.environment.values())
    return any(place in word for word in words for place in ("{mcp_config}", "{mcp_toml}", GEMINI_HOME))


def write_places(agent: Agent, start: Start, outer: Mapping[str, str]) -> None:
    """Write what the agent and its server look for, for this user's eyes only: whoever has a token may end its claim.
    ``outer`` says where the user is at home. Raises OSError, SettingsError."""
    server = server_entry(agent, start)
    _write(start.claim_file, {"id": start.task_id, "claim_token": start.token})
    _write(start.mcp_config, {"mcpServers": {SERVER: server}})
    if any(GEMINI_HOME in word for word in (*agent.command, *agent.environment.values())):
        users = Path(outer.get("GEMINI_CLI_HOME") or outer.get("HOME") or Path.home())
        lay_gemini_home(start.gemini_home, users / ".gemini", SERVER, server)


def _write(path: Path, value: Mapping[str, Value]) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)


def server_command(tasks_dir: Path) -> Sequence[str]:
    # -P: nothing that lies in an agent's working directory is imported
    return (sys.executable, "-P", "-m", "dibs_server", "serve", "--profile", "worker", "--tasks-dir", str(tasks_dir))


def _own(start: Start) -> dict[str, str]:
    return {
        **_server_environment(start),
        "DIBS_TASK_ID": start.task_id,
        "DIBS_TASK_FILE": start.task_file,
        "DIBS_CLAIM": start.token,
    }


def _server_environment(start: Start) -> dict[str, str]:
    return {CLAIM_FILE_VARIABLE: str(start.claim_file), TASKS_DIR_VARIABLE: str(start.tasks_dir)}


def _values(agent: Agent, start: Start) -> dict[str, str]:
    return {
        "{prompt}": start.prompt,
        MODEL: _model(agent, start),
        "{mcp_config}": str(start.mcp_config),
        "{mcp_toml}": _toml(server_entry(agent, start)),
        GEMINI_HOME: str(start.gemini_home),
        "{task_id}": start.task_id,
        "{cwd}": str(start.cwd),
    }


def _toml(value: Value) -> str:
    """A value as TOML has it in one line: as JSON does, but for tables."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(inner)}" for name, inner in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _model(agent: Agent, start: Start) -> str:
    name = agent.models.get(start.model, start.model)
    return "" if name in AS_IT_IS else name
