"""How a client starts a server: the words, the environment it lets through, the folder, and how long it waits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dibs_server.clients.entries import Entry, expanded
from dibs_server.clients.places import Client, Places
from dibs_server.clients.values import Value

SECRET = re.compile("TOKEN|SECRET|PASSWORD|PASSWD|KEY|AUTH|CREDENTIAL|CREDS|PRIVATE|CERT", re.IGNORECASE)
ALWAYS = ("GEMINI_CLI_", "GIT_CONFIG_")
"""What Gemini CLI takes for secrets, by their names, and what it passes on whatever it is named."""
INHERITED = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
"""What Codex passes on unasked."""
CLAUDE_SECONDS, GEMINI_SECONDS, CODEX_SECONDS = 30.0, 5.0, 10.0


@dataclass(frozen=True)
class Start:
    """``seconds`` is how long the client waits for the first answer, at the least."""

    command: str
    args: list[str]
    environment: dict[str, str]
    cwd: Path
    seconds: float

    @property
    def tasks_dir(self) -> str | None:
        """The tasks directory that the arguments name."""
        named = next((word.partition("=")[2] for word in self.args if word.startswith("--tasks-dir=")), None)
        if named is None and "--tasks-dir" in self.args[:-1]:
            named = self.args[self.args.index("--tasks-dir") + 1]
        return named and str(self.cwd / Path(named).expanduser())


def start_of(client: Client, entry: Entry, places: Places, environment: Mapping[str, str], cwd: Path) -> Start:
    """How this client starts the entry's server when it runs in ``cwd``."""
    if client == "codex":
        return _codex(entry, environment, cwd)
    bare = client == "gemini"
    own = {name: expanded(text, environment, bare=bare) for name, text in entry.env.items()}
    if client == "gemini":
        passed = {name: value for name, value in environment.items() if not _is_secret(name)}
        folder = cwd / expanded(str(entry.written.get("cwd") or "."), environment, bare=True)
        return Start(entry.command, entry.args, {**passed, "GEMINI_CLI": "1", **own}, folder, GEMINI_SECONDS)
    marks = {"CLAUDECODE": "1", "CLAUDE_PROJECT_DIR": str(cwd)}
    words = [expanded(word, environment, bare=False) for word in (entry.command, *entry.args)]
    seconds = _number(environment.get("MCP_TIMEOUT"), CLAUDE_SECONDS * 1000) / 1000
    return Start(words[0], words[1:], {**environment, **marks, **own}, cwd, seconds)


def _codex(entry: Entry, environment: Mapping[str, str], cwd: Path) -> Start:
    named = entry.written.get("env_vars")
    names = (*INHERITED, *(map(str, named) if isinstance(named, list) else ()))
    passed = {name: environment[name] for name in names if name in environment}
    seconds = _number(entry.written.get("startup_timeout_sec"), CODEX_SECONDS)
    folder = cwd / str(entry.written.get("cwd") or ".")
    return Start(entry.command, entry.args, {**passed, **entry.env}, folder, seconds)


def _is_secret(name: str) -> bool:
    return not name.upper().startswith(ALWAYS) and SECRET.search(name) is not None


def _number(given: Value, default: float) -> float:
    try:
        return float(str(given)) if given is not None else default
    except ValueError:
        return default
