"""The Gemini CLI extension, linked from a clone, and the worker prompt as a shell gives it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from client import Client
from gemini_cli import Gemini
from scripts import Call, Said, Turn
from workers import complete

from dibs.worker_prompt import ONE, worker_prompt
from support import header, write_task

pytestmark = pytest.mark.clients

CLONE = Path(__file__).resolve().parents[2]
PROMPT_FILE = "prompts/gemini-task-worker.md"
REQUEST = "Claim and complete one mechanical task from aops project"


@pytest.fixture
def extended(make_client: Callable[..., Client]) -> Client:
    """Gemini CLI with the extension, and with ``dibs`` where pipx puts it."""
    client = make_client(Gemini, configured=False)
    client.install_dibs()
    client.call("extensions", "link", CLONE, "--consent")
    return client


def test_the_client_finds_it_valid(make_client: Callable[..., Client]) -> None:
    said = make_client(Gemini, configured=False).call("extensions", "validate", CLONE)
    assert "has been successfully validated" in said.stdout + said.stderr


def test_pull_takes_the_named_task(extended: Client, tasks_dir: Path) -> None:
    paths = [write_task(tasks_dir, f"t-{number}") for number in (1, 2)]

    def script(turn: Turn) -> Said:
        assert f"{worker_prompt(ONE, caller='gemini')}\nt-2" in turn.text
        assert "The `dibs` tools hand out tasks" in turn.text
        turn = yield Call("claim_next_task", caller="gemini", id="t-2")
        turn = yield complete(turn.result)
        return "COMPLETED: t-2"

    assert extended.run("/dibs:pull t-2", script, "--yolo").text == "COMPLETED: t-2"
    assert [header(path)["status"] for path in paths] == ["active", "done"]


def test_the_worker_prompt_gets_one_task_of_its_kind_done(gemini: Client, tasks_dir: Path) -> None:
    (gemini.project / PROMPT_FILE).parent.mkdir()
    shutil.copy(CLONE / PROMPT_FILE, gemini.project / PROMPT_FILE)
    write_task(tasks_dir, "t-1", project="aops", complexity="requires-judgment", priority=0)
    write_task(tasks_dir, "t-2", project="home", complexity="mechanical", priority=0)
    path = write_task(tasks_dir, "t-3", project="aops", complexity="mechanical")

    def script(turn: Turn) -> Said:
        assert worker_prompt(caller="gemini").strip() in turn.text
        assert REQUEST in turn.text
        turn = yield Call("claim_next_task", caller="gemini", project="aops", complexity="mechanical")
        assert turn.result.fact("id") == "t-3"
        turn = yield complete(turn.result)
        return "COMPLETED: t-3\nSummary: Did it.\nFiles modified: none"

    assert gemini.run(f"@{PROMPT_FILE} {REQUEST}", script, "--yolo").text.startswith("COMPLETED: t-3\n")
    done = [path for path in tasks_dir.glob("*.md") if "assignee: gemini" in path.read_text(encoding="utf-8")]
    assert done == [path]
    assert header(path)["status"] == "done"
