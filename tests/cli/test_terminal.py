"""What reaches a terminal: colours only there, and nothing that a task file could do to it."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console

from dibs_server.cli.reading_view import TASKS_AT_ONCE, WORTH_TELLING
from dibs_server.cli.render import render
from doors import run_dibs
from support import write_file, write_task

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
NASTY = r"\e]0;owned\a\e[2Jred\x9b31m \u202Eback\u2066 \x7f\b"
TERMINAL: Mapping[str, str | None] = {"FORCE_COLOR": "1", "NO_COLOR": None, "TERM": "xterm-256color"}
NO_TERMINAL: Mapping[str, str | None] = {"FORCE_COLOR": None, "TTY_COMPATIBLE": None}
COMMANDS = [
    ["list"], ["stats", "--include-projects"], ["show", "t-1"], ["why", "t-1"], ["claim", "--id", "t-1"],
    ["claim", "--id", "bad"], ["complete", "t-1"], ["show", "t-1\x1b[2J"], ["block", "t-1", "--reason", "x\x1b[2J"],
    ["triage", "--dry-run"],
]  # fmt: skip


def nasty_directory(tasks_dir: Path) -> None:
    write_task(
        tasks_dir, "t-1", body="\nRaw: \x1b[31m \x9b2J \x08\n", title=f'"{NASTY}"', project=f'"{NASTY}"',
        tags=[f'"{NASTY}"'], depends_on=[], type=f'"{NASTY}"', due=f'"{NASTY}"', files=[f'"{NASTY}"'],
    )  # fmt: skip
    write_file(tasks_dir / "bad \x1b[31m.md", f'---\nid: bad\nstatus: "{NASTY}"\n---\n')


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words).replace("\x1b", "ESC"))
@pytest.mark.parametrize("env", [TERMINAL, NO_TERMINAL], ids=["terminal", "pipe"])
def test_nothing_in_a_task_reaches_the_terminal_raw(
    tasks_dir: Path, words: list[str], env: Mapping[str, str | None]
) -> None:
    nasty_directory(tasks_dir)
    result = run_dibs(*words, "--tasks-dir", str(tasks_dir), env=env)
    shown = COLOUR.sub("", result.stdout + result.stderr)
    assert shown
    assert HARMFUL.findall(shown) == []


@pytest.mark.parametrize("words", COMMANDS[:3], ids=" ".join)
def test_json_is_harmless_too_and_still_says_everything(tasks_dir: Path, words: list[str]) -> None:
    nasty_directory(tasks_dir)
    result = run_dibs(*words, "--json", "--tasks-dir", str(tasks_dir), env=TERMINAL)
    assert HARMFUL.findall(result.stdout) == []
    assert "\u202e" in json.dumps(json.loads(result.stdout), ensure_ascii=False)


def test_colours_are_for_terminals_only(tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    for words in (["list"], ["stats"], ["show", "t-1"], ["show", "t-9"]):
        plain = run_dibs(*words, "--tasks-dir", str(tasks_dir), env=NO_TERMINAL)
        assert "\x1b" not in plain.stdout + plain.stderr
        coloured = run_dibs(*words, "--tasks-dir", str(tasks_dir), env=TERMINAL)
        assert COLOUR.search(coloured.stdout + coloured.stderr)


def test_markup_in_a_title_is_shown_as_it_is(tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", title='"[bold]x[/bold] [link=a]b :smile:"')
    for words in (["list"], ["show", "t-1"]):
        assert "[bold]x[/bold] [link=a]b :smile:" in run_dibs(*words, "--tasks-dir", str(tasks_dir)).stdout


def test_the_claim_token_can_be_copied_from_one_line(tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", title="long " * 60)
    result = run_dibs("claim", "--tasks-dir", str(tasks_dir), env=NO_TERMINAL)
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("claim token")]
    token = line.split()[-1]
    assert f"claim: {token}" in (tasks_dir / "t-1.md").read_text(encoding="utf-8")


def narrow_list(width: int, tasks: list[dict[str, object]]) -> list[str]:
    """The lines of `dibs list` on a terminal of that width."""
    page = io.StringIO()
    console = Console(file=page, force_terminal=True, width=width, highlight=False, soft_wrap=True, color_system=None)
    render("list_tasks", console, {"tasks": tasks, "total": len(tasks), "warnings": []})
    return page.getvalue().splitlines()


@pytest.mark.parametrize("width", [50, 60, 80, 120])
def test_a_list_keeps_ids_and_statuses_whole_however_long_a_title_is(width: int) -> None:
    row = {"ready": False, "status": "in_progress", "priority": 2, "project": "aops", "assignee": "@codex", "path": ""}
    lines = narrow_list(width, [{**row, "id": "aops-f7458c85", "title": "word " * 60}])
    assert len(lines) == 2
    assert all(word in lines[1] for word in ("aops-f7458c85", "in_progress", "word"))


def test_a_list_that_a_program_reads_is_not_cut(tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", title="word " * 60)
    result = run_dibs("list", "--tasks-dir", str(tasks_dir))
    assert ("word " * 60).strip() in result.stdout


@pytest.mark.processes
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_claim_whose_answer_cannot_be_printed_is_taken_back(tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    command = [sys.executable, "-m", "dibs_server", "claim", "--json", "--tasks-dir", str(tasks_dir)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 7
    assert "the claim was taken back" in done.stderr
    assert "Traceback" not in done.stderr
    assert path.read_bytes() == before


def test_a_first_look_at_many_files_is_told_on_a_terminal_only(tasks_dir: Path) -> None:
    for number in range(WORTH_TELLING):
        write_task(tasks_dir, f"t-{number}")
    told = run_dibs("stats", "--tasks-dir", str(tasks_dir), env=TERMINAL)
    assert f"reading the task files for the first time, or those that changed: {WORTH_TELLING}" in told.stderr
    assert "reading" not in told.stdout
    silent = run_dibs("stats", "--tasks-dir", str(tasks_dir), env=NO_TERMINAL)
    assert silent.stderr == ""


def test_the_progress_of_a_triage_is_told_on_a_terminal_only(tasks_dir: Path) -> None:
    for number in range(TASKS_AT_ONCE * 2):
        write_task(tasks_dir, f"t-{number}", project="aops")
    told = run_dibs("triage", "--tasks-dir", str(tasks_dir), env=TERMINAL)
    shown = COLOUR.sub("", told.stderr)
    assert f"tasks gone through: {TASKS_AT_ONCE * 2} of {TASKS_AT_ONCE * 2}" in shown
    assert "gone through" not in told.stdout
    silent = run_dibs("triage", "--tasks-dir", str(tasks_dir), env=NO_TERMINAL)
    assert silent.stderr == ""


@pytest.mark.parametrize("width", [60, 100])
def test_what_triage_changed_is_a_line_each_with_its_reason(tasks_dir: Path, width: int) -> None:
    write_task(tasks_dir, "aops-f7458c85", "inbox", body="## Closed\n", project="aops")
    write_task(tasks_dir, "t-2", "in_progress")
    result = run_dibs("triage", "--tasks-dir", str(tasks_dir), env={**NO_TERMINAL, "COLUMNS": str(width)})
    lines = result.stdout.splitlines()
    assert lines[1].split() == [
        "aops-f7458c85",
        "status",
        "inbox",
        "→",
        "done",
        *["its", "body", "has", "the", "heading", "'Closed'"],
    ]
    assert lines[2].split()[:5] == ["body", "+", "Project:", "[[aops]]", "no"]
    assert lines[3:] == ["left alone  t-2: it is in progress", "1 task was changed, 0 need nothing, 1 were left alone"]
