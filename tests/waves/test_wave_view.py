"""How a plan looks: all of it is said, nothing is wider than the terminal, nothing in it moves the cursor."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from dibs_server.cli.render import RENDERERS
from doors import run_dibs
from support import write_file, write_task

WAVE = """{"tasks": [
  {"taskId": "a", "model": "opus", "kind": "implementation", "files": ["src/a.py", "docs/"], "needsReview": true},
  {"taskId": "b", "title": "Later", "files": ["src/"]},
  {"taskId": "old"}, {"taskId": "bad"}
]}"""


def row(task_id: str = "t-1", **keys: object) -> dict[str, Any]:
    about = {"title": "A title", "agent": "claude", "model": "", "kind": "", "files": [], "round": 1, "state": "ready"}
    return {"task_id": task_id, **about, "why": "", "review": False, **keys}


def page(tasks: list[dict[str, Any]], width: int = 80, agents: list[dict[str, Any]] | None = None) -> list[str]:
    """The lines that a terminal of that width gets."""
    rounds = [["…"]] * max(task["round"] for task in tasks)
    answer = {"tasks": tasks, "rounds": rounds, "agents": agents or [], "message": "9 tasks in 2 rounds"}
    text = io.StringIO()
    console = Console(file=text, width=width, color_system=None, highlight=False, soft_wrap=True, legacy_windows=False)
    RENDERERS["plan_wave"](console, {**answer, "warnings": []})
    return text.getvalue().split("\n")


def test_a_plan_says_first_where_tasks_stand_then_each_round_then_what_does_not_start_then_the_agents(
    tasks_dir: Path,
) -> None:
    write_task(tasks_dir, "a", title="Implement it")
    write_task(tasks_dir, "old", "done", title="Long ago")
    write_task(tasks_dir, "bad", "nearly")
    wave = write_file(tasks_dir.parent / "wave.json", WAVE)
    result = run_dibs("wave", "plan", str(wave), "--tasks-dir", str(tasks_dir))
    assert result.exit_code == 0
    assert result.stderr == "note: b waits for a: both may change src/\n"
    lines = result.stdout.splitlines()
    assert lines[:12] == [
        "1 task skipped (already complete), 1 task invalid, 2 tasks in 2 rounds",
        "",
        "round 1: 1 task",
        "  a    claude (opus)  Implement it",
        "      implementation  to be reviewed  src/a.py, docs/",
        "",
        "round 2: 1 task",
        "  b    claude         Later",
        "      new  src/",
        "",
        "not started: 2 tasks",
        "  old  claude         Long ago",
    ]
    assert lines[12] == "      done: already complete"
    assert lines[14].startswith("      invalid: bad.md:3: unknown status 'nearly'")
    assert lines[-3:] == [
        "agents and what they may do",
        "  claude  --permission-mode acceptEdits --allowedTools mcp__dibs",
        "  codex  --sandbox workspace-write --skip-git-repo-check",
    ]


def test_a_reason_and_permissions_are_never_cut() -> None:
    why, permissions = "because " * 40 + "END", [f"--allow-{number}" for number in range(40)]
    lines = page(
        [row(round=0, state="waiting", why=why)], 60, [{"agent": "x", "program": "y", "permissions": permissions}]
    )
    text = " ".join(" ".join(lines).split())
    assert why in text
    assert f"x (y) {' '.join(permissions)}" in text


def test_an_agent_that_is_given_nothing_is_told_of() -> None:
    assert (
        page([row()], 80, [{"agent": "x", "program": "x", "permissions": []}])[-2]
        == "  x  whatever its own settings allow"
    )


def test_a_long_id_keeps_its_end_and_leaves_room_for_the_title() -> None:
    (line,) = [line for line in page([row("project-" * 15 + "f7458c85", model="opus")]) if "f7458c85" in line]
    assert re.fullmatch(r"  proj\S+…\S+f7458c85  claude \(opus\)  A title", line)


def test_a_reader_that_is_no_terminal_gets_everything_whole(tasks_dir: Path) -> None:
    task_id, files = "x" * 128, ", ".join(f"src/a-file-with-a-long-name-{n}.py" for n in range(30))
    write_task(tasks_dir, task_id, title="word " * 100, files=files.split(", "))
    text = run_dibs("wave", "plan", "--tasks", f'[{{"taskId": "{task_id}"}}]', "--tasks-dir", str(tasks_dir)).stdout
    assert task_id in text
    assert files in text
    assert ("word " * 100).strip() in text
    assert max(map(len, text.splitlines())) < 2000


TEXTS = st.text(max_size=60) | st.sampled_from(
    ["認証を実装する" * 9, "\x1b[2J\x1b]0;x\x07", "a\nb\u202ec\td", "x" * 200]
)
ROWS = st.builds(
    row,
    TEXTS,
    title=TEXTS,
    agent=TEXTS,
    model=TEXTS,
    kind=st.sampled_from(["", "implementation"]),
    files=st.lists(TEXTS, max_size=4),
    round=st.integers(0, 3),
    state=st.sampled_from(["ready", "new", "done", "held", "waiting", "invalid"]),
    why=TEXTS,
    review=st.booleans(),
)
AGENTS = st.fixed_dictionaries({"agent": TEXTS, "program": TEXTS, "permissions": st.lists(TEXTS, max_size=4)})


@settings(deadline=None, max_examples=100)
@given(st.lists(ROWS, min_size=1, max_size=8), st.integers(24, 220), st.lists(AGENTS, max_size=2))
def test_no_line_is_wider_than_the_terminal_and_nothing_moves_the_cursor(
    rows: list[dict[str, Any]], width: int, agents: list[dict[str, Any]]
) -> None:
    lines = page(rows, width, agents)
    assert all(cell_len(line) <= width for line in lines)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", "".join(lines))


@pytest.mark.parametrize("width", [80, 200])
def test_two_hundred_tasks_are_all_on_the_page(width: int) -> None:
    tasks = [row(f"task-{n:03}", round=1 + n // 5, title="word " * 60, files=["src/api.py"] * 30) for n in range(200)]
    lines = page(tasks, width)
    assert [line.split()[0] for line in lines if line.startswith("  task-")] == [task["task_id"] for task in tasks]
    assert all(cell_len(line) <= width for line in lines)
