"""The home that one run of Gemini CLI gets. That the real program takes it is tested beside the clients."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dibs.store.errors import SettingsError
from dibs_server.dispatch.gemini_home import lay_gemini_home
from support import write_file

ENTRY = {"command": "dibs", "args": ["serve"]}


def test_everything_is_the_users_but_for_our_server(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    settings = '// mine\n{"mcpServers": {"dibs": {"url": "x", "env": {}}, "other": {}}, "ui": {}}\n'
    write_file(theirs / "settings.json", settings)
    write_file(theirs / "oauth_creds.json", "{}")
    write_file(theirs / "skills" / "one.md", "One.")
    lay_gemini_home(tmp_path / "run", theirs, "dibs", ENTRY)
    ours = tmp_path / "run" / ".gemini"
    comment, text = (ours / "settings.json").read_text(encoding="utf-8").split("\n", 1)
    assert comment == "// mine"
    assert json.loads(text) == {"mcpServers": {"dibs": ENTRY, "other": {}}, "ui": {}}
    assert (theirs / "settings.json").read_text(encoding="utf-8") == settings
    assert (ours / "settings.json").stat().st_mode & 0o077 == 0
    write_file(ours / "oauth_creds.json", "renewed")
    assert (theirs / "oauth_creds.json").read_text(encoding="utf-8") == "renewed"
    assert (ours / "skills" / "one.md").read_text(encoding="utf-8") == "One."


def test_a_user_who_has_nothing_yet_gets_our_server(tmp_path: Path) -> None:
    lay_gemini_home(tmp_path / "run", tmp_path / "none", "dibs", ENTRY)
    settings = (tmp_path / "run" / ".gemini" / "settings.json").read_text(encoding="utf-8")
    assert json.loads(settings) == {"mcpServers": {"dibs": ENTRY}}


def test_settings_that_are_broken_are_named_and_nothing_is_made(tmp_path: Path) -> None:
    path = write_file(tmp_path / "settings.json", '{"a": 1,\n')
    with pytest.raises(SettingsError, match=f"{path}:"):
        lay_gemini_home(tmp_path / "run", tmp_path, "dibs", ENTRY)
    assert not (tmp_path / "run").exists()
