"""Whether a client has a configured server switched off: by its entry, or by one of the lists that go before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dibs.doctor.findings import Symptom
from dibs_server.clients.config_file import read_document
from dibs_server.clients.entries import Entry
from dibs_server.clients.places import NAMES, Client, Places
from dibs_server.clients.recipes import FORMATS
from dibs_server.clients.values import Value, table_at, value_at


def disabled_symptoms(client: Client, entry: Entry, places: Places) -> Iterator[Symptom]:
    """Each place that says that this client is not to start the server. Raises SettingsError: a file is broken."""
    if client == "codex" and entry.written.get("enabled") is False:
        yield _disabled(client, entry, entry.path, "`enabled = false`", "take that line out of the entry")
    if client == "gemini":
        yield from _gemini(entry, places)
    if client == "claude":
        yield from _claude(entry, places)


def rejections(entry: Entry, places: Places) -> Iterator[Symptom]:
    """Each list by which Claude Code passes over this server of a project; the shared settings may reject, too."""
    form, listed = FORMATS["claude"], "disabledMcpjsonServers"
    mend = "take it off that list, or run `claude mcp reset-project-choices`"
    for path in claude_settings(places):
        if entry.key in names(read_document(form, path).get(listed)):
            yield _disabled("claude", entry, path, f"`{listed}`", mend)
    if entry.key in names(value_at(read_document(form, places.claude), ("projects", str(places.project), listed))):
        yield _disabled("claude", entry, places.claude, f"`{listed}`", mend)


def claude_settings(places: Places) -> tuple[Path, Path, Path]:
    """The user's settings, those of this person for the project, and those that the project shares."""
    folder = places.project / ".claude"
    return places.claude_settings, folder / "settings.local.json", folder / "settings.json"


def names(given: Value) -> list[Value]:
    """What a list holds; nothing where it is none."""
    return given if isinstance(given, list) else []


def _gemini(entry: Entry, places: Places) -> Iterator[Symptom]:
    form, key = FORMATS["gemini"], _normal(entry.key)
    for path in (places.project_config("gemini"), places.user_config("gemini")):
        lists = table_at(read_document(form, path), ("mcp",))
        if key in map(_normal, names(lists.get("excluded"))):
            yield _disabled("gemini", entry, path, "`mcp.excluded`", "take it off that list")
        if isinstance(lists.get("allowed"), list) and key not in map(_normal, names(lists["allowed"])):
            yield _disabled("gemini", entry, path, "`mcp.allowed`, which is without it", "add it to that list")
    switches = places.gemini / "mcp-server-enablement.json"
    if value_at(read_document(form, switches), (key, "enabled")) is False:
        yield _disabled("gemini", entry, switches, "`enabled: false`", f"run `gemini mcp enable {entry.key}`")


def _claude(entry: Entry, places: Places) -> Iterator[Symptom]:
    form, switched_off = FORMATS["claude"], ("projects", str(places.project), "disabledMcpServers")
    if entry.key in names(value_at(read_document(form, places.claude), switched_off)):
        mend = "switch it on with `/mcp` in Claude Code, or take it off that list"
        yield _disabled("claude", entry, places.claude, "`disabledMcpServers` of this project", mend)
    for path in claude_settings(places):
        if {"serverName": entry.key} in names(read_document(form, path).get("deniedMcpServers")):
            yield _disabled("claude", entry, path, "`deniedMcpServers`", "take it off that list")


def _disabled(client: Client, entry: Entry, path: Path, by: str, mend: str) -> Symptom:
    what = f"{path}: {entry.key} is switched off by {by}: {NAMES[client]} does not start it"
    return Symptom("disabled", "error", what, mend=mend)


def _normal(name: Value) -> str:
    """A server's name as Gemini CLI compares it."""
    return str(name).lower().strip()
