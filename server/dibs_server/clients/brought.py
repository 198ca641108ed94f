"""The server that Dibs' own plugin (Claude Code) or extension (Gemini CLI) brings, without an entry of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dibs_server.clients.config_file import read_document
from dibs_server.clients.disabled import claude_settings, names
from dibs_server.clients.places import Client, Places
from dibs_server.clients.recipes import FORMATS
from dibs_server.clients.values import table_at, value_at

NAME = "dibs"
MANIFESTS = ("gemini-extension.json", ".gemini-extension-install.json")
"""What makes a folder an installed extension, and a linked one."""


@dataclass(frozen=True)
class Brought:
    """``what`` brings it, and the command that takes that out; an entry under the key ``hidden_by`` goes before it."""

    what: str
    removal: str
    hidden_by: str | None = None


def brought(client: Client, places: Places, cwd: Path) -> Brought | None:
    """What brings this client a server when it runs in ``cwd``. Raises SettingsError: a file is broken."""
    if client == "claude":
        return _plugin(places)
    return _extension(places, cwd) if client == "gemini" else None


def _plugin(places: Places) -> Brought | None:
    form = FORMATS["claude"]
    installed = read_document(form, places.claude_settings.parent / "plugins" / "installed_plugins.json")
    user, local, shared = (table_at(read_document(form, path), ("enabledPlugins",)) for path in claude_settings(places))
    enabled = {**user, **shared, **local}
    for plugin in table_at(installed, ("plugins",)):
        if plugin.partition("@")[0] == NAME and enabled.get(plugin) is True:
            return Brought(f"the plugin {plugin}", f"claude plugin uninstall {plugin}")
    return None


def _extension(places: Places, cwd: Path) -> Brought | None:
    folder = places.gemini / "extensions"
    if not any((folder / NAME / manifest).is_file() for manifest in MANIFESTS):
        return None
    rules = value_at(read_document(FORMATS["gemini"], folder / "extension-enablement.json"), (NAME, "overrides"))
    if not _is_enabled((str(rule) for rule in names(rules)), cwd):
        return None
    return Brought(f"the extension {folder / NAME}", f"gemini extensions uninstall {NAME}", hidden_by=NAME)


def _is_enabled(rules: Iterable[str], folder: Path) -> bool:
    """The last rule for a folder decides: ``!`` in front switches off there, ``*`` at the end is for all below."""
    enabled = True
    for rule in rules:
        pattern = rule.removeprefix("!")
        ruled = pattern.removesuffix("*")
        if f"{folder}/".startswith(ruled) if pattern.endswith("*") else f"{folder}/" == ruled:
            enabled = not rule.startswith("!")
    return enabled
