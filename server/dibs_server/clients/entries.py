"""Which servers of ours a client has configured, in the order in which the client looks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dibs_server.clients.config_file import read_document
from dibs_server.clients.launch import is_dibs
from dibs_server.clients.places import Client, Places, Scope
from dibs_server.clients.recipes import FORMATS, SERVERS
from dibs_server.clients.values import Value, table_at

VARIABLE = re.compile(r"\$\{(?P<braced>\w+)(?::-(?P<default>[^}]*))?\}|\$(?P<bare>[A-Za-z_]\w*)")


@dataclass(frozen=True)
class Entry:
    """A server as it is configured: under which key of which file, and all that is written there."""

    key: str
    path: Path
    scope: Scope
    written: Mapping[str, Value]

    @property
    def command(self) -> str:
        return str(self.written.get("command", ""))

    @property
    def args(self) -> list[str]:
        args = self.written.get("args")
        return [str(word) for word in args] if isinstance(args, list) else []

    @property
    def env(self) -> dict[str, str]:
        return {name: str(value) for name, value in table_at(self.written, ("env",)).items()}


def ours(entries: Iterable[Entry]) -> list[Entry]:
    """The servers of ours, those that win first; what a nearer file says under the same key is what counts."""
    nearest: dict[str, Entry] = {}
    for entry in entries:
        nearest.setdefault(entry.key, entry)
    return [entry for entry in nearest.values() if is_dibs(entry.command, entry.args)]


def all_entries(client: Client, places: Places) -> Iterator[Entry]:
    """Every server, nearest file first: of this project privately (Claude Code only), of the project, of the user.

    Raises SettingsError, OSError: a configuration is broken, or cannot be read.
    """
    form, key = FORMATS[client], SERVERS[client]
    user = places.user_config(client)
    if client == "claude":
        yield from _entries(read_document(form, user), ("projects", str(places.project), key), user, "user")
    if not places.is_no_project:
        path = places.project_config(client)
        yield from _entries(read_document(form, path), (key,), path, "project")
    yield from _entries(read_document(form, user), (key,), user, "user")


def _entries(document: Mapping[str, Value], keys: tuple[str, ...], path: Path, scope: Scope) -> Iterator[Entry]:
    for name in (servers := table_at(document, keys)):
        yield Entry(name, path, scope, table_at(servers, (name,)))


def expanded(text: str, environment: Mapping[str, str], *, bare: bool) -> str:
    """A configured text with ``${NAME}`` and ``${NAME:-default}`` filled in, and ``$NAME`` where it is known (bare)."""

    def value(found: re.Match[str]) -> str:
        if found["bare"]:
            return environment.get(found["bare"], "") if bare else found[0]
        return environment.get(found["braced"]) or found["default"] or ""

    return VARIABLE.sub(value, text)
