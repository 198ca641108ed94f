"""Setting up a client: which files are changed how, and what is never done to them."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from homes import Home

from dibs.store.errors import SettingsError, StoreBusy
from dibs_server.clients.config_file import read_config, remove_config, write_config
from dibs_server.clients.launch import Launch, launch_of_this
from dibs_server.clients.places import CLIENTS, Client, Scope, find_places
from dibs_server.clients.set_up import SetupRequest, SetupResult, set_up

LAUNCH = Launch("/opt/bin/dibs", ("serve",))
every_client = pytest.mark.parametrize("client", CLIENTS)
every_scope = pytest.mark.parametrize("scope", ["user", "project"])


def run(home: Home, client: Client, scope: Scope = "user", *, launch: Launch = LAUNCH, **options: Any) -> SetupResult:
    return set_up(SetupRequest(client, scope, **options), launch, home.places, again="again")


def write(home: Home, client: Client, scope: Scope = "user", **options: Any) -> SetupResult:
    return run(home, client, scope, write=True, **options)


@every_client
@every_scope
def test_showing_changes_nothing(home: Home, client: Client, scope: Scope) -> None:
    result = run(home, client, scope)
    assert not result.written
    assert home.files() == {}
    assert {file.change for file in result.files} == {"create"}
    assert all(file.diff.startswith("--- /dev/null\n+++ ") for file in result.files)
    assert "`again`" in result.next_step


@every_client
@every_scope
def test_a_second_write_changes_nothing_and_says_so(home: Home, client: Client, scope: Scope) -> None:
    assert write(home, client, scope).written
    after = home.files()
    again = write(home, client, scope)
    assert (again.written, home.files()) == (False, after)
    assert "has it already" in again.message
    assert {file.change for file in again.files} == {"none"}


@every_client
@every_scope
def test_removing_leaves_no_trace_of_a_fresh_home(home: Home, client: Client, scope: Scope) -> None:
    write(home, client, scope)
    assert run(home, client, scope, remove=True).files[0].change == "delete"
    assert home.files() != {}
    write(home, client, scope, remove=True)
    assert [path for path in home.folder.rglob("*") if path.name not in ("project", ".git")] == []
    assert "nothing to change" in write(home, client, scope, remove=True).message


@every_client
@every_scope
def test_removing_brings_back_every_byte_and_the_mode(home: Home, client: Client, scope: Scope) -> None:
    files = {home.places.config(client, scope): 0o600, home.places.trusted_folders: 0o640}
    text = "# mine\r\n[tui]\r\na = 1" if client == "codex" else '{\r\n\t"mine": [1]\r\n}'
    for path, mode in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xef\xbb\xbf" + text.encode())
        path.chmod(mode)
    before = home.files()
    write(home, client, scope)
    config = home.places.config(client, scope)
    assert config.read_bytes().startswith(b"\xef\xbb\xbf")
    assert config.stat().st_mode & 0o777 == 0o600
    backup = config.with_name(f"{config.name}.dibs-backup")
    assert backup.read_bytes() == before[config.relative_to(home.folder).as_posix()]
    assert backup.stat().st_mode & 0o777 == 0o600
    write(home, client, scope, remove=True)
    assert home.files() == before
    assert config.stat().st_mode & 0o777 == 0o600


def test_only_our_entry_goes_from_a_file_that_the_client_changed(home: Home) -> None:
    path = home.places.claude
    path.write_text('{"a": 1, "mcpServers": {"other": {"command": "x"}}}', encoding="utf-8")
    write(home, "claude")
    changed = json.loads(path.read_text(encoding="utf-8")) | {"a": 2, "numStartups": 7}
    path.write_text(json.dumps(changed, indent=2), encoding="utf-8")
    write(home, "claude", remove=True)
    left = {"a": 2, "mcpServers": {"other": {"command": "x"}}, "numStartups": 7}
    assert path.read_text(encoding="utf-8") == json.dumps(left, indent=2)


def test_the_backup_is_what_was_there_before_the_first_write(home: Home) -> None:
    path = home.places.claude
    path.write_text('{"a": 1}\n', encoding="utf-8")
    write(home, "claude")
    assert write(home, "claude", launch=Launch("/new/dibs", ("serve",))).files[0].change == "change"
    assert path.with_name(".claude.json.dibs-backup").read_text(encoding="utf-8") == '{"a": 1}\n'
    write(home, "claude", remove=True)
    assert home.files() == {".claude.json": b'{"a": 1}\n'}


def test_claude_gets_its_tools_from_the_first_turn(home: Home) -> None:
    write(home, "claude")
    entry = {"type": "stdio", "command": "/opt/bin/dibs", "args": ["serve"], "alwaysLoad": True}
    assert json.loads(home.places.claude.read_bytes()) == {"mcpServers": {"dibs": entry}}


def test_claude_s_project_server_is_approved_by_name_and_the_trust_is_left_to_the_person(home: Home) -> None:
    local = home.project / ".claude" / "settings.local.json"
    local.parent.mkdir()
    local.write_text('{"enabledMcpjsonServers": ["other"]}', encoding="utf-8")
    result = write(home, "claude", "project")
    assert json.loads(local.read_bytes()) == {"enabledMcpjsonServers": ["other", "dibs"]}
    assert "this machine only" in result.message
    assert "say yes when it asks" in result.warnings[0]
    trusted = {"projects": {str(home.project): {"hasTrustDialogAccepted": True}}}
    home.places.claude.write_text(json.dumps(trusted), encoding="utf-8")
    assert run(home, "claude", "project").warnings == []


@pytest.mark.parametrize(
    ("rules", "added"),
    [
        ({}, True),
        ({"{home}": "TRUST_FOLDER"}, False),
        ({"{project}/x": "TRUST_PARENT"}, False),
        ({"{home}": "DO_NOT_TRUST"}, False),
        ({"{home}": "DO_NOT_TRUST", "{project}": "TRUST_FOLDER"}, False),
        ({"{home}/elsewhere": "TRUST_FOLDER"}, True),
    ],
)
def test_gemini_trusts_the_project_unless_a_rule_says_something_already(
    home: Home, rules: dict[str, str], added: bool
) -> None:
    rules = {key.format(home=home.folder, project=home.project): rule for key, rule in rules.items()}
    home.places.gemini.mkdir()
    home.places.trusted_folders.write_text(json.dumps(rules), encoding="utf-8")
    result = write(home, "gemini")
    after = json.loads(home.places.trusted_folders.read_bytes())
    assert after == (rules | {str(home.project): "TRUST_FOLDER"} if added else rules)
    assert bool(result.warnings) == (list(rules.values()) == ["DO_NOT_TRUST"])


def test_gemini_is_never_told_to_trust_the_home_folder(home: Home) -> None:
    places = find_places({"HOME": str(home.folder)}, home.folder)
    result = set_up(SetupRequest("gemini", write=True), LAUNCH, places, again="")
    assert not places.trusted_folders.exists()
    assert "too much to trust" in result.warnings[0]
    with pytest.raises(SettingsError, match="is no project"):
        set_up(SetupRequest("gemini", "project"), LAUNCH, places, again="")


def test_trust_that_others_may_rely_on_stays(home: Home) -> None:
    write(home, "gemini")
    trust = json.loads(home.places.trusted_folders.read_bytes()) | {"/other": "TRUST_FOLDER"}
    home.places.trusted_folders.write_text(json.dumps(trust), encoding="utf-8")
    result = write(home, "gemini", remove=True)
    assert json.loads(home.places.trusted_folders.read_bytes()) == trust
    assert not home.places.user_config("gemini").exists()
    assert "others may rely on it" in result.warnings[0]


def test_codex_may_call_the_tools_without_asking_and_waits_for_them(home: Home) -> None:
    write(home, "codex", "project")
    entry = tomllib.loads((home.project / ".codex/config.toml").read_text())["mcp_servers"]["dibs"]
    assert entry["default_tools_approval_mode"] == "approve"
    assert entry["required"] is True
    trust = tomllib.loads(home.places.user_config("codex").read_text())["projects"]
    assert trust == {str(home.project): {"trust_level": "trusted"}}


def test_codex_s_untrusted_project_stays_untrusted(home: Home) -> None:
    config = home.places.user_config("codex")
    config.parent.mkdir()
    text = f'[projects."{home.project}"]\ntrust_level = "untrusted"\n'
    config.write_text(text, encoding="utf-8")
    assert "is untrusted" in write(home, "codex", "project").warnings[1]
    assert config.read_text(encoding="utf-8") == text


def test_dibs_under_another_key_is_told_and_not_doubled(home: Home) -> None:
    write(home, "gemini", key="task_manager")
    before = home.files()
    result = write(home, "gemini")
    assert (result.written, home.files()) == (False, before)
    assert "under the key task_manager" in result.message
    assert "--key task_manager" in result.next_step
    assert write(home, "gemini", key="task_manager", remove=True).written


@pytest.mark.parametrize("remove", [False, True])
@pytest.mark.parametrize(
    ("client", "text"),
    [
        ("claude", '{"mcpServers": {"dibs": {"url": "http://127.0.0.1/"}}}'),
        ("claude", '{"mcpServers": {"dibs": {"command": "npx", "args": ["x"], "env": {"SECRET": "s"}}}}'),
        ("gemini", '{"mcpServers": {"dibs": {"command": "/opt/other/dibs", "args": ["mcp"]}}}'),
        ("codex", '[mcp_servers.dibs]\ncommand = "other"\n[mcp_servers.dibs.env]\nA = "b"\n'),
    ],
)
def test_somebody_else_s_server_under_the_key_is_left_alone(
    home: Home, client: Client, text: str, remove: bool
) -> None:
    path = home.places.user_config(client)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    before = home.files()
    with pytest.raises(SettingsError, match=r"another server under the key dibs .* was left alone"):
        write(home, client, remove=remove)
    assert home.files() == before


def test_an_entry_of_ours_that_is_replaced_is_kept_beside(home: Home) -> None:
    text = '{"mcpServers": {"dibs": {"command": "/old/dibs", "args": ["serve"], "timeout": 5}}}'
    home.places.claude.write_text(text, encoding="utf-8")
    assert write(home, "claude").written
    assert home.files()[".claude.json.dibs-backup"].decode() == text
    result = write(home, "claude", remove=True)
    assert ".claude.json.dibs-backup has what was there" in result.warnings[0]


def test_a_backup_of_a_file_that_has_gone_since_brings_nothing_back(home: Home) -> None:
    home.places.claude.write_text('{"old": 1}', encoding="utf-8")
    write(home, "claude")
    home.places.claude.unlink()
    write(home, "claude")
    write(home, "claude", remove=True)
    assert home.files() == {}


def test_what_is_no_file_is_told_and_not_waited_for(home: Home) -> None:
    os.mkfifo(home.places.claude)
    with pytest.raises(SettingsError, match="is not a regular file"):
        write(home, "claude")


@pytest.mark.parametrize(
    ("client", "text", "told"),
    [
        ("claude", '{\n // why\n "a": 1}', r"claude.json:2: the client takes no comments"),
        ("codex", f"a = {'1' * 5000}\n", "a number that is too long"),
    ],
)
def test_what_is_wrong_is_told_in_words(home: Home, client: Client, text: str, told: str) -> None:
    path = home.places.user_config(client)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=told):
        write(home, client)


@every_client
def test_a_broken_file_is_named_with_its_line_and_left_alone(home: Home, client: Client) -> None:
    path = home.places.user_config(client)
    path.parent.mkdir(exist_ok=True)
    path.write_text("a = 1\nb = \n" if client == "codex" else '{\n "a": }\n', encoding="utf-8")
    before = home.files()
    for remove in (False, True):
        with pytest.raises(SettingsError) as caught:
            write(home, client, remove=remove)
        assert caught.value.message.startswith(f"{path}:2: ")
        assert caught.value.facts["line"] == 2
    assert home.files() == before


@every_client
def test_a_link_stays_a_link_and_what_it_leads_to_is_written(home: Home, client: Client, tmp_path: Path) -> None:
    path, real = home.places.user_config(client), tmp_path / "dotfiles" / "config"
    real.parent.mkdir()
    text = "" if client == "codex" else "{}"
    real.write_text(text, encoding="utf-8")
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(real)
    write(home, client)
    assert path.is_symlink()
    assert "dibs" in real.read_text(encoding="utf-8")
    write(home, client, remove=True)
    assert path.is_symlink()
    assert real.read_text(encoding="utf-8") == text
    assert sorted(each.name for each in real.parent.iterdir()) == ["config"]


def test_a_file_that_changes_between_reading_and_writing_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    missing = read_config(path)
    path.write_text("theirs", encoding="utf-8")
    there = read_config(path)
    with pytest.raises(StoreBusy):
        write_config(missing, "ours", first=True)
    path.write_text("theirs, changed", encoding="utf-8")
    with pytest.raises(StoreBusy):
        write_config(there, "ours", first=True)
    with pytest.raises(StoreBusy):
        remove_config(there)
    assert path.read_text(encoding="utf-8") == "theirs, changed"
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_the_variables_that_clients_heed_are_heeded(tmp_path: Path) -> None:
    given = {
        "HOME": "/h", "CLAUDE_CONFIG_DIR": "/c", "GEMINI_CLI_HOME": "/g", "CODEX_HOME": "/x",
        "GEMINI_CLI_TRUSTED_FOLDERS_PATH": "/t.json",
    }  # fmt: skip
    places = find_places(given, tmp_path)
    assert [str(places.user_config(client)) for client in CLIENTS] == [
        "/c/.claude.json", "/g/.gemini/settings.json", "/x/config.toml",
    ]  # fmt: skip
    assert str(places.trusted_folders) == "/t.json"
    assert places.project == tmp_path


def test_the_command_is_kept_as_it_was_called(tmp_path: Path) -> None:
    tool = tmp_path / "tools" / "dibs"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\n", encoding="utf-8")
    tool.chmod(0o755)
    link = tmp_path / "bin" / "dibs"
    link.parent.mkdir()
    link.symlink_to(tool)
    assert launch_of_this(str(link), "/usr/bin/python", {}) == Launch(str(link), ("serve",))
    assert launch_of_this("/x/dibs_server/__main__.py", "/v/bin/python", {}) == Launch(
        "/v/bin/python", ("-m", "dibs_server", "serve")
    )


@pytest.mark.parametrize("where", [".cache/uv/archive-v0/x/bin", ".cache/pipx/x/bin", "pipx/.cache/x/bin", "uv/y"])
def test_a_command_in_a_cache_is_refused(tmp_path: Path, where: str) -> None:
    tool = tmp_path / where / "dibs"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\n", encoding="utf-8")
    tool.chmod(0o755)
    with pytest.raises(SettingsError, match="uv tool install dibs"):
        launch_of_this(str(tool), "/usr/bin/python", {"UV_CACHE_DIR": str(tmp_path / "uv")})
