"""Whether a client starts a configured server here: folder trust, approval of a project's servers, sandboxes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from dibs.doctor.findings import Symptom
from dibs_server.clients.config_file import read_document
from dibs_server.clients.disabled import claude_settings, disabled_symptoms, names, rejections
from dibs_server.clients.entries import Entry
from dibs_server.clients.places import Client, Places
from dibs_server.clients.recipes import FORMATS, folder_trust
from dibs_server.clients.values import Value, table_at, value_at

TRUST_VARIABLE = "GEMINI_CLI_TRUST_WORKSPACE"
SANDBOX_VARIABLE = "GEMINI_SANDBOX"
NO_CONTAINER = ("", "0", "false", "sandbox-exec")


def consent_symptoms(
    client: Client, entry: Entry, places: Places, environment: Mapping[str, str], cwd: Path
) -> Iterator[Symptom]:
    """What keeps this client from starting the entry's server in ``cwd``. Raises SettingsError: a file is broken."""
    yield from disabled_symptoms(client, entry, places)
    yield from folder_symptoms(client, places, environment, cwd)
    yield from project_symptoms(client, entry, places)


def project_symptoms(client: Client, entry: Entry, places: Places) -> Iterator[Symptom]:
    """What the client wants before it heeds an entry of a project's own; without, it looks for one of the user's."""
    if client == "codex" and entry.scope == "project":
        yield from _codex(entry, places)
    if client == "claude" and entry.path == places.project_config("claude"):
        yield from _claude(entry, places)


def is_heeded(client: Client, entry: Entry, places: Places) -> bool:
    """Whether the client heeds this entry, and does not pass on to the next one. Raises SettingsError."""
    return all(symptom.severity != "error" for symptom in project_symptoms(client, entry, places))


def folder_symptoms(client: Client, places: Places, environment: Mapping[str, str], cwd: Path) -> Iterator[Symptom]:
    """What keeps this client from starting any server in ``cwd``. Raises SettingsError: a file is broken."""
    if client != "gemini" or environment.get(TRUST_VARIABLE) == "true":
        return
    user = read_document(FORMATS["gemini"], places.user_config("gemini"))
    if value_at(user, ("security", "folderTrust", "enabled")) is False:
        return  # and so every folder is trusted
    trusted = folder_trust(read_document(FORMATS["gemini"], places.trusted_folders), cwd)
    if not trusted:
        what = f"Gemini CLI does not trust {cwd}: it starts no server there, and shows them as Disabled"
        by_rule = f"{places.trusted_folders} says so; change it with `/permissions` in Gemini CLI"
        mend = by_rule if trusted is False else "trust it: dibs setup gemini --write"
        yield Symptom("trust", "error", what, mend=mend)


def sandbox_symptoms(client: Client, entry: Entry, places: Places, environment: Mapping[str, str]) -> Iterator[Symptom]:
    """What the sandbox that this client is configured to run in keeps from the server. Raises SettingsError."""
    if client != "gemini":
        return  # the others confine what their agent runs, not the servers
    said: list[Value] = [environment.get(SANDBOX_VARIABLE)]
    for path in (places.project_config("gemini"), places.user_config("gemini")):
        said.append(value_at(read_document(FORMATS["gemini"], path), ("tools", "sandbox")))
    chosen = next((str(value) for value in said if value is not None), "")
    if chosen.casefold() not in NO_CONTAINER:
        what = f"Gemini CLI is configured to run in a container (sandbox: {chosen}), and starts the server in there"
        mend = f"have {entry.command} and the tasks directory in it under the same paths, or turn the sandbox off"
        yield Symptom("sandbox", "warning", what, mend=mend)


def _codex(entry: Entry, places: Places) -> Iterator[Symptom]:
    document = read_document(FORMATS["codex"], places.user_config("codex"))
    if value_at(document, ("projects", str(places.project), "trust_level")) != "trusted":
        what = f"Codex does not trust {places.project}, and so does not read {entry.path}"
        yield Symptom("trust", "error", what, mend="trust it: dibs setup codex --scope project --write")


def _claude(entry: Entry, places: Places) -> Iterator[Symptom]:
    if rejected := list(rejections(entry, places)):
        yield from rejected
        return
    form = FORMATS["claude"]
    project = table_at(read_document(form, places.claude), ("projects", str(places.project)))
    user, local, _ = (read_document(form, path) for path in claude_settings(places))
    if not any(_approves(each, entry.key) for each in (user, local, project)):  # what is shared may not approve
        what = f"{entry.key} of {entry.path} is pending approval: Claude Code does not start it"
        yield Symptom("trust", "error", what, mend="approve it: dibs setup claude --scope project --write")
    elif project.get("hasTrustDialogAccepted") is not True and not _approves(user, entry.key):
        what = f"{places.project} is not trusted yet: newer versions of Claude Code do not start {entry.key} there"
        yield Symptom("trust", "warning", what, mend="run `claude` there once, and say yes when it asks")


def _approves(settings: Mapping[str, Value], key: str) -> bool:
    return settings.get("enableAllProjectMcpServers") is True or key in names(settings.get("enabledMcpjsonServers"))
