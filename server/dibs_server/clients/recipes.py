"""What each client needs in which file, so that it starts ``dibs serve`` and lets its agent call the tools.

The user's own configuration is the default scope for all three: it works in every project at once, is trusted by the
client without a question, and keeps the absolute path of a program out of files that a team shares. A project's
configuration has to be approved first (Claude Code, Codex), and fits one machine only.

What was measured with the real programs: Claude Code reads plain JSON, starts servers late unless ``alwaysLoad``, and
a project's server only when approved by name; Gemini CLI starts servers only in trusted folders; Codex asks for the
tools' approval, and without ``required`` sends its first request before they are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dibs.store.settings import TASKS_DIR_VARIABLE
from dibs_server.clients.config_file import read_document
from dibs_server.clients.edits import Edit, Format
from dibs_server.clients.json_text import JsonText
from dibs_server.clients.launch import Launch
from dibs_server.clients.places import NAMES, Client, Places, Scope
from dibs_server.clients.toml_text import TomlText
from dibs_server.clients.values import Value, table_at, value_at

FORMATS: Mapping[Client, Format] = {"claude": JsonText(), "gemini": JsonText(comments=True), "codex": TomlText()}
SERVERS: Mapping[Client, str] = {"claude": "mcpServers", "gemini": "mcpServers", "codex": "mcp_servers"}
CODEX_START_SECONDS = 30


@dataclass(frozen=True)
class Step:
    """One edit of one file. Not ``of_ours``: others write the same, so it is taken out only of a file as we left it."""

    path: Path
    form: Format
    edit: Edit
    says: str
    of_ours: bool = True


@dataclass(frozen=True)
class Recipe:
    """The entry for the server, what else is needed, what is left to say, and how the client shows that it works."""

    entry: Step
    others: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    check: str = ""

    @property
    def steps(self) -> tuple[Step, ...]:
        return (self.entry, *self.others)


def entry_for(client: Client, launch: Launch) -> dict[str, Value]:
    """What stands under the server's key in this client's configuration."""
    command: dict[str, Value] = {"command": launch.command, "args": list(launch.args)}
    if client == "claude":
        return {"type": "stdio", **command, "alwaysLoad": True}
    if client == "gemini":
        return {**command, "trust": True}
    return {
        **command,
        "env_vars": [TASKS_DIR_VARIABLE],
        "startup_timeout_sec": CODEX_START_SECONDS,
        "required": True,
        "default_tools_approval_mode": "approve",
    }


def recipe_for(client: Client, scope: Scope, key: str, launch: Launch, places: Places) -> Recipe:
    """What this client needs to have dibs under ``key``."""
    where = "in every project of this user" if scope == "user" else f"in {places.project}"
    entry = Step(
        places.config(client, scope),
        FORMATS[client],
        Edit((SERVERS[client], key), entry_for(client, launch)),
        f"{NAMES[client]} starts the server `{key}` {where}",
    )
    if client == "gemini":
        return _gemini(entry, places)
    if client == "codex":
        return _codex(entry, scope, places)
    return _claude(entry, scope, key, places)


def _claude(entry: Step, scope: Scope, key: str, places: Places) -> Recipe:
    if scope == "user":
        return Recipe(entry, check="claude mcp list")
    approval = Step(
        places.project / ".claude" / "settings.local.json",
        FORMATS["claude"],
        Edit(("enabledMcpjsonServers",), key, listed=True),
        f"approves the server `{key}` of this project's .mcp.json, and no other",
    )
    trusted = table_at(read_document(FORMATS["claude"], places.claude), ("projects", str(places.project)))
    notes = () if trusted.get("hasTrustDialogAccepted") is True else (
        f"newer versions of Claude Code start a project's servers only in a trusted folder: run `claude` in "
        f"{places.project} once, and say yes when it asks",
    )  # fmt: skip
    return Recipe(entry, (approval,), notes, "claude mcp list")


def _gemini(entry: Step, places: Places) -> Recipe:
    check = "gemini mcp list"
    if places.is_no_project:
        note = f"Gemini CLI starts servers only in folders that it trusts; {places.project} is too much to trust: run "
        return Recipe(entry, (), (f"{note}this again in a project",), check)
    trust = Step(
        places.trusted_folders,
        FORMATS["gemini"],
        Edit((str(places.project),), "TRUST_FOLDER"),
        f"Gemini CLI trusts {places.project}: it then also loads settings, commands and extensions from there, and "
        "starts servers at all",
        of_ours=False,
    )
    trusted = folder_trust(read_document(trust.form, trust.path), places.project)
    if trusted is False:
        note = f"{trust.path} says that {places.project} is not to be trusted, so that Gemini CLI starts no server "
        return Recipe(
            entry, (), (f"{note}there; change it with `/permissions` in Gemini CLI if you want it to",), check
        )
    own = value_at(read_document(trust.form, trust.path), trust.edit.path)
    return Recipe(entry, (trust,) if trusted is None or own == trust.edit.value else (), (), check)


def folder_trust(rules: Mapping[str, Value], folder: Path) -> bool | None:
    """Whether Gemini CLI trusts a folder: the longest rule above it decides; None: there is none, and it asks."""
    best, trusted = "", None
    for path, rule in rules.items():
        ruled = Path(path).parent if rule == "TRUST_PARENT" else Path(path)
        if folder.resolve().is_relative_to(ruled.resolve()) and len(path) > len(best):
            best, trusted = path, {"TRUST_FOLDER": True, "TRUST_PARENT": True, "DO_NOT_TRUST": False}.get(str(rule))
    return trusted


def _codex(entry: Step, scope: Scope, places: Places) -> Recipe:
    notes = ("Codex now waits for this server when it starts, and does not start without it: `required`",)
    path = ("projects", str(places.project))
    level = value_at(read_document(FORMATS["codex"], places.user_config("codex")), (*path, "trust_level"))
    if scope == "user":
        return Recipe(entry, (), notes, "codex mcp list")
    if level == "untrusted":
        note = f"{places.user_config('codex')} says that {places.project} is untrusted, so that Codex does not read "
        return Recipe(entry, (), (*notes, f"{note}{entry.path}; change it there if you want it to"), "codex mcp list")
    trust = Step(
        places.user_config("codex"),
        FORMATS["codex"],
        Edit(path, {"trust_level": "trusted"}),
        f"Codex trusts {places.project}: it then also reads the project's own settings, hooks and rules",
        of_ours=False,
    )
    return Recipe(entry, (trust,), notes, "codex mcp list")
