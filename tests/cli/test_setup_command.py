"""`dibs setup` and `dibs doctor --client` on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PATIENCE_SECONDS = 60


def dibs(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dibs_server", *words],
        cwd=home / "project", env={"HOME": str(home)}, capture_output=True, text=True, check=False,
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "project" / ".git").mkdir(parents=True)
    return tmp_path


def test_the_change_is_shown_and_then_made_with_the_command_that_was_named(home: Path) -> None:
    shown = dibs(home, "setup", "gemini", "--tasks-dir", "tasks")
    assert shown.returncode == 0
    assert '+      "command": "' in shown.stdout
    assert f"+++ {home}/.gemini/trustedFolders.json" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "Do it with `dibs setup gemini --tasks-dir tasks --write`."
    assert not (home / ".gemini").exists()
    written = dibs(home, "setup", "gemini", "--tasks-dir", "tasks", "--write")
    assert "Gemini CLI has dibs now." in written.stdout
    entry = json.loads((home / ".gemini/settings.json").read_bytes())["mcpServers"]["dibs"]
    arguments = ["-m", "dibs_server", "serve", "--tasks-dir", str(home / "project/tasks")]
    assert (entry["command"], entry["args"]) == (sys.executable, arguments)
    again = dibs(home, "setup", "gemini", "--tasks-dir", "tasks", "--write")
    assert again.stdout.startswith("Gemini CLI has it already")


def test_json_is_the_whole_result(home: Path) -> None:
    answer = json.loads(dibs(home, "setup", "codex", "--scope", "project", "--json").stdout)
    assert answer.keys() == {"client", "scope", "key", "files", "written", "message", "next_step", "warnings"}
    assert [file.keys() for file in answer["files"]] == [{"path", "change", "diff", "says"}] * 2
    assert (answer["client"], answer["scope"], answer["written"]) == ("codex", "project", False)


def test_a_broken_file_is_6_with_its_line(home: Path) -> None:
    (home / ".claude.json").write_text('{\n"a": 1,\n}\n', encoding="utf-8")
    for flags in ([], ["--write"]):
        result = dibs(home, "setup", "claude", *flags, "--json")
        error = json.loads(result.stdout)
        assert (result.returncode, error["code"], error["line"]) == (6, "settings", 3)
        assert error["message"].startswith(f"{home}/.claude.json:3: ")
    assert (home / ".claude.json").read_text(encoding="utf-8") == '{\n"a": 1,\n}\n'


@pytest.mark.parametrize("client", ["claude", "gemini", "codex", "cursor", "vscode", "inspector"])
def test_a_snippet_is_printed_alone_on_stdout(home: Path, client: str) -> None:
    result = dibs(home, "setup", client, "--print", "--key", "tm")
    assert sys.executable in result.stdout
    assert "goes into" in result.stderr
    assert "goes into" not in result.stdout
    if client not in ("codex", "inspector"):
        (servers,) = json.loads(result.stdout).values()
        assert list(servers) == ["tm"]
    assert sorted(path.name for path in home.iterdir()) == ["project"]


@pytest.mark.parametrize("words", [["cursor", "--write"], ["claude", "--print", "--remove"]])
def test_printing_and_writing_at_once_is_a_usage_error(home: Path, words: list[str]) -> None:
    result = dibs(home, "setup", *words)
    assert result.returncode == 2
    assert "only printing" in result.stderr


def test_the_doctor_of_a_client_looks_and_ends_like_the_doctor(home: Path) -> None:
    result = dibs(home, "doctor", "--client", "gemini")
    assert result.returncode == 6
    assert result.stdout.splitlines() == [
        f"error    Gemini CLI has no dibs server, neither in {home}/project nor for this user",
        "         put it in: dibs setup gemini --write",
        "1 thing to mend",
    ]
    dibs(home, "init")
    dibs(home, "setup", "claude", "--write")
    well = dibs(home, "doctor", "--client", "claude", "--json")
    assert (well.returncode, json.loads(well.stdout)["status"]) == (0, "well")
    assert dibs(home, "doctor", "--client", "claude", "--fix").returncode == 2
