"""The doctor of a client that has its server from our plugin or extension, alone or beside an entry."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from homes import Home

from dibs.examine_tasks_dir import DoctorResult
from dibs_server.clients import start
from dibs_server.clients.examine_client import examine_client
from dibs_server.clients.launch import Launch
from dibs_server.clients.places import Client
from dibs_server.clients.set_up import SetupRequest, set_up
from support import write_task

OURS = Launch(sys.executable, ("-m", "dibs_server", "serve"))


def written(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


def with_plugin(home: Home, **by_file: bool) -> None:
    """Install the plugin as Claude Code does, and switch it on or off in the user's or the project's settings."""
    folders = {"user": home.folder, "project": home.project}
    installed = {"version": 2, "plugins": {"dibs@dibs": [{"scope": "user"}]}}
    written(home.folder / ".claude" / "plugins" / "installed_plugins.json", installed)
    for where, enabled in by_file.items():
        written(folders[where] / ".claude" / "settings.json", {"enabledPlugins": {"dibs@dibs": enabled}})


def with_extension(home: Home, *overrides: str, manifest: str = ".gemini-extension-install.json") -> None:
    written(home.places.gemini / "extensions" / "dibs" / manifest, {})
    written(home.places.gemini / "extensions" / "extension-enablement.json", {"dibs": {"overrides": overrides}})
    written(home.places.trusted_folders, {str(home.project): "TRUST_FOLDER"})


def examined(home: Home, client: Client) -> DoctorResult:
    return examine_client(client, home.places, home.environment, home.project)


def test_claude_with_the_plugin_alone_is_not_told_to_set_up_an_entry(home: Home) -> None:
    with_plugin(home, user=True)
    result = examined(home, "claude")
    assert (result.status, result.findings) == ("well", [])
    assert "from the plugin dibs@dibs: `claude mcp list` shows" in result.message
    with_plugin(home, project=False)
    assert examined(home, "claude").findings[0].kind == "client"


@pytest.mark.parametrize("manifest", [".gemini-extension-install.json", "gemini-extension.json"])
def test_gemini_with_the_extension_alone_is_not_told_to_set_up_an_entry(home: Home, manifest: str) -> None:
    with_extension(home, f"{home.folder}/*", manifest=manifest)
    result = examined(home, "gemini")
    assert (result.status, result.findings) == ("well", [])
    assert "`gemini mcp list` shows" in result.message
    home.places.trusted_folders.unlink()
    assert [finding.kind for finding in examined(home, "gemini").findings] == ["trust"]


@pytest.mark.parametrize(
    ("overrides", "enabled"),
    [([], True), (["!{home}/*"], False), (["!{home}/*", "{project}/"], True), (["{home}/*", "!{home}/"], True)],
)
def test_an_extension_is_there_where_its_last_rule_says_so(home: Home, overrides: list[str], enabled: bool) -> None:
    with_extension(home, *(rule.format(home=home.folder, project=home.project) for rule in overrides))
    assert (examined(home, "gemini").status == "well") is enabled


@pytest.mark.parametrize(
    ("client", "key", "is_twice"), [("claude", "dibs", True), ("gemini", "tm", True), ("gemini", "dibs", False)]
)
def test_an_entry_beside_the_plugin_or_extension_is_told_unless_it_hides_the_other(
    home: Home, client: Client, key: str, is_twice: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "GEMINI_SECONDS", 60.0)
    write_task(home.project / "tasks", "t-1")
    set_up(SetupRequest(client, key=key, write=True), OURS, home.places, again="")
    if client == "claude":
        with_plugin(home, user=True)
    else:
        with_extension(home)
    result = examined(home, client)
    assert [(finding.kind, finding.severity) for finding in result.findings] == [("twice", "warning")] * is_twice
    assert all("uninstall" in finding.mend for finding in result.findings)


def test_setting_up_an_entry_beside_the_plugin_says_what_that_means(home: Home) -> None:
    with_plugin(home, user=True)
    (warning,) = set_up(SetupRequest("claude"), OURS, home.places, again="").warnings
    assert "twice; take it out: claude plugin uninstall dibs@dibs" in warning
    with_plugin(home, user=False)
    assert set_up(SetupRequest("claude"), OURS, home.places, again="").warnings == []
