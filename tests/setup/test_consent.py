"""What keeps a client from starting a server that it has configured: made-up configurations, nothing is started."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from homes import Home

from dibs.doctor.findings import Symptom
from dibs_server.clients.consent import consent_symptoms, sandbox_symptoms
from dibs_server.clients.entries import all_entries, ours
from dibs_server.clients.launch import Launch
from dibs_server.clients.places import Client, Scope
from dibs_server.clients.set_up import SetupRequest, set_up

OURS = Launch(sys.executable, ("-m", "dibs_server", "serve"))


def consent(home: Home, client: Client, **environment: str) -> list[Symptom]:
    (entry,) = ours(all_entries(client, home.places))
    return list(consent_symptoms(client, entry, home.places, environment, home.project))


def test_a_folder_that_gemini_does_not_trust_is_told(home: Home) -> None:
    set_up(SetupRequest("gemini", write=True), OURS, home.places, again="")
    assert consent(home, "gemini") == []
    home.places.trusted_folders.unlink()
    (symptom,) = consent(home, "gemini")
    assert (symptom.kind, symptom.severity) == ("trust", "error")
    assert symptom.mend == "trust it: dibs setup gemini --write"
    assert consent(home, "gemini", GEMINI_CLI_TRUST_WORKSPACE="true") == []
    home.places.trusted_folders.write_text(json.dumps({str(home.folder): "DO_NOT_TRUST"}), encoding="utf-8")
    assert "change it with `/permissions`" in consent(home, "gemini")[0].mend


@pytest.mark.parametrize(
    ("user", "project", "variable", "told_of"),
    [
        (None, None, {}, ""),
        (True, None, {}, "sandbox: True"),
        ("docker", None, {}, "sandbox: docker"),
        ("docker", False, {}, ""),
        (False, "podman", {}, "sandbox: podman"),
        ("docker", None, {"GEMINI_SANDBOX": "false"}, ""),
        ("sandbox-exec", None, {}, ""),
        (None, None, {"GEMINI_SANDBOX": "true"}, "sandbox: true"),
    ],
)
def test_a_server_that_would_start_in_a_container_is_told(
    home: Home, user: object, project: object, variable: dict[str, str], told_of: str
) -> None:
    set_up(SetupRequest("gemini", write=True), OURS, home.places, again="")
    for scope, value in (("user", user), ("project", project)):
        path = home.places.config("gemini", "user" if scope == "user" else "project")
        path.parent.mkdir(exist_ok=True)
        document = json.loads(path.read_bytes()) if path.exists() else {}
        path.write_text(
            json.dumps(document | ({} if value is None else {"tools": {"sandbox": value}})), encoding="utf-8"
        )
    (entry,) = ours(all_entries("gemini", home.places))
    symptoms = list(sandbox_symptoms("gemini", entry, home.places, variable))
    assert [(symptom.kind, symptom.severity) for symptom in symptoms] == ([("sandbox", "warning")] if told_of else [])
    assert all(f"({told_of})" in symptom.one for symptom in symptoms)
    assert list(sandbox_symptoms("codex", entry, home.places, {"GEMINI_SANDBOX": "docker"})) == []


def test_a_project_server_of_claude_needs_approval_and_trust(home: Home) -> None:
    set_up(SetupRequest("claude", "project", write=True), OURS, home.places, again="")
    local = home.project / ".claude" / "settings.local.json"
    trusted = {"projects": {str(home.project): {"hasTrustDialogAccepted": True}}}
    home.places.claude.write_text(json.dumps(trusted), encoding="utf-8")
    assert consent(home, "claude") == []
    local.unlink()
    (pending,) = consent(home, "claude")
    assert (pending.severity, "is pending approval" in pending.one) == ("error", True)
    home.places.claude_settings.parent.mkdir()
    home.places.claude_settings.write_text('{"enabledMcpjsonServers": ["dibs"]}', encoding="utf-8")
    home.places.claude.unlink()
    assert consent(home, "claude") == []
    local.write_text('{"disabledMcpjsonServers": ["dibs"]}', encoding="utf-8")
    (rejected,) = consent(home, "claude")
    assert (rejected.severity, "`disabledMcpjsonServers`" in rejected.one) == ("error", True)


def test_a_project_that_codex_does_not_trust_is_told(home: Home) -> None:
    set_up(SetupRequest("codex", "project", write=True), OURS, home.places, again="")
    assert consent(home, "codex") == []
    home.places.user_config("codex").unlink()
    (symptom,) = consent(home, "codex")
    assert (symptom.kind, symptom.severity) == ("trust", "error")


def written(path: Path, **members: Any) -> Path:
    """Add these members to a JSON file, which need not be there."""
    path.parent.mkdir(exist_ok=True)
    document = json.loads(path.read_bytes()) if path.exists() else {}
    path.write_text(json.dumps(document | members), encoding="utf-8")
    return path


def test_a_server_that_codex_has_switched_off_is_told(home: Home) -> None:
    set_up(SetupRequest("codex", write=True), OURS, home.places, again="")
    config = home.places.user_config("codex")
    entry = config.read_text(encoding="utf-8")
    config.write_text(entry.replace("required = true", "required = true\nenabled = true"), encoding="utf-8")
    assert consent(home, "codex") == []
    config.write_text(entry.replace("required = true", "required = true\nenabled = false"), encoding="utf-8")
    (symptom,) = consent(home, "codex")
    assert (symptom.kind, symptom.severity) == ("disabled", "error")
    assert symptom.mend == "take that line out of the entry"


@pytest.mark.parametrize("scope", ["user", "project"])
@pytest.mark.parametrize(
    ("lists", "mend"),
    [
        ({"excluded": ["other", " Dibs"]}, "take it off that list"),
        ({"allowed": ["other"]}, "add it to that list"),
        ({"allowed": []}, "add it to that list"),
        ({"allowed": ["DIBS"], "excluded": ["other"]}, None),
    ],
)
def test_a_server_that_gemini_s_lists_leave_out_is_told(
    home: Home, scope: Scope, lists: dict[str, list[str]], mend: str | None
) -> None:
    set_up(SetupRequest("gemini", write=True), OURS, home.places, again="")
    path = written(home.places.config("gemini", scope), mcp=lists)
    symptoms = consent(home, "gemini")
    assert [symptom.mend for symptom in symptoms] == ([mend] if mend else [])
    assert all(symptom.kind == "disabled" and str(path) in symptom.one for symptom in symptoms)


def test_a_server_that_gemini_mcp_disable_switched_off_is_told(home: Home) -> None:
    set_up(SetupRequest("gemini", write=True), OURS, home.places, again="")
    switches = home.places.gemini / "mcp-server-enablement.json"
    written(switches, dibs={"enabled": True})
    assert consent(home, "gemini") == []
    written(switches, dibs={"enabled": False})
    (symptom,) = consent(home, "gemini")
    assert (symptom.kind, symptom.severity) == ("disabled", "error")
    assert symptom.mend == "run `gemini mcp enable dibs`"


def test_a_server_that_claude_has_switched_off_in_this_project_is_told(home: Home) -> None:
    set_up(SetupRequest("claude", write=True), OURS, home.places, again="")
    written(home.places.claude, projects={str(home.folder): {"disabledMcpServers": ["dibs"]}})
    assert consent(home, "claude") == []
    written(home.places.claude, projects={str(home.project): {"disabledMcpServers": ["dibs"]}})
    (symptom,) = consent(home, "claude")
    assert (symptom.kind, symptom.severity) == ("disabled", "error")
    assert "`/mcp`" in symptom.mend


@pytest.mark.parametrize("file", [".claude/settings.json", "project/.claude/settings.local.json"])
def test_a_server_that_claude_is_denied_is_told(home: Home, file: str) -> None:
    set_up(SetupRequest("claude", write=True), OURS, home.places, again="")
    path = written(home.folder / file, deniedMcpServers=[{"serverName": "other"}])
    assert consent(home, "claude") == []
    written(path, deniedMcpServers=[{"serverName": "other"}, {"serverName": "dibs"}])
    (symptom,) = consent(home, "claude")
    assert (symptom.kind, str(path) in symptom.one) == ("disabled", True)


def test_settings_that_a_project_shares_may_reject_its_server_but_not_approve_it(home: Home) -> None:
    set_up(SetupRequest("claude", "project", write=True), OURS, home.places, again="")
    written(home.places.claude, projects={str(home.project): {"hasTrustDialogAccepted": True}})
    shared = home.project / ".claude" / "settings.json"
    written(shared, disabledMcpjsonServers=["dibs"])
    (rejected,) = consent(home, "claude")
    assert (rejected.kind, str(shared) in rejected.one) == ("disabled", True)
    shared.unlink()
    (home.project / ".claude" / "settings.local.json").unlink()
    written(shared, enabledMcpjsonServers=["dibs"])
    assert [symptom.kind for symptom in consent(home, "claude")] == ["trust"]


def test_gemini_that_asks_about_no_folder_trusts_every_one(home: Home) -> None:
    set_up(SetupRequest("gemini", write=True), OURS, home.places, again="")
    home.places.trusted_folders.unlink()
    assert [symptom.kind for symptom in consent(home, "gemini")] == ["trust"]
    written(home.places.config("gemini", "user"), security={"folderTrust": {"enabled": False}})
    assert consent(home, "gemini") == []
