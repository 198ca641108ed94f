"""One client at work, Gemini CLI and Claude Code alike: what its model reads, and what is in the file afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from client import Client
from people import dibs
from scripts import Call, Said, Turn
from workers import complete, working_off

from dibs.store.ledger import Ledger
from support import header, orphans, write_task

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]


def test_a_claimed_task_is_completed_in_its_file(client: Client, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", body="# Preface\n\nWrite it.\n")

    def script(turn: Turn) -> Said:
        turn = yield Call("claim_next_task")
        assert header(path)["status"] == "in_progress"
        assert "Write it." in turn.result.text
        turn = yield complete(turn.result)
        assert "t-1 is done" in turn.result.text
        return "I wrote it."

    run = client.run("Do a task.", script)
    assert run.text == "I wrote it."
    assert (header(path)["status"], header(path)["assignee"]) == ("done", client.name)
    assert "Did it." in path.read_text(encoding="utf-8")


def test_the_server_s_instructions_reach_the_model(client: Client) -> None:
    def script(turn: Turn) -> Said:
        assert "Dibs hands out tasks" in turn.text
        yield from ()
        return "Understood."

    assert client.run("Read.", script).text == "Understood."


def test_a_blocked_task_says_why_in_its_file(client: Client, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")

    def script(turn: Turn) -> Said:
        turn = yield Call("claim_next_task")
        id, token = turn.result.fact("id"), turn.result.fact("claim_token")
        turn = yield Call("block_task", id=id, claim_token=token, reason="Which publisher?", kind="human")
        return "Somebody must answer."

    client.run("Do a task.", script)
    assert header(path)["status"] == "blocked"
    assert "Which publisher?" in path.read_text(encoding="utf-8")


def test_an_empty_queue_ends_the_run(client: Client, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    run = client.run("Work until the queue is empty.", working_off("bob"))
    assert len(run.turns) == 4
    assert "stop; do not poll" in run.results[-1]
    assert run.text == "The queue is empty."


def test_a_completion_that_comes_too_late_is_refused_and_its_report_kept(client: Client, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")

    def script(turn: Turn) -> Said:
        turn = yield Call("claim_next_task")
        mine = turn.result
        dibs(tasks_dir, "release", "t-1", "--steal")
        dibs(tasks_dir, "claim", "--caller", "ann")
        turn = yield complete(mine)
        assert "claim_lost: " in turn.result.text
        assert "ann" in turn.result.text
        assert "Stop work on it" in turn.result.text
        return "I stopped."

    client.run("Do a task.", script)
    assert (header(path)["status"], header(path)["assignee"]) == ("in_progress", "ann")
    (kept,) = orphans(tasks_dir)
    assert "Did it." in kept


def test_three_claims_in_one_turn_are_three_tasks(client: Client, tasks_dir: Path) -> None:
    for number in range(5):
        write_task(tasks_dir, f"t-{number}")

    def script(turn: Turn) -> Said:
        turn = yield [Call("claim_next_task", caller=name) for name in ("ann", "bob", "cleo")]
        claimed = turn.results
        assert len({result.fact("id") for result in claimed}) == 3
        turn = yield [complete(result) for result in claimed]
        return "Three."

    client.run("Do three tasks.", script)
    done = [path for path in tasks_dir.glob("*.md") if header(path)["status"] == "done"]
    assert sorted(filter(None, (header(path)["assignee"] for path in done))) == ["ann", "bob", "cleo"]
    assert list(Ledger(tasks_dir).claims()) == []


def test_the_model_reads_the_whole_answer(client: Client, tasks_dir: Path) -> None:
    """One client gives its model the text alone, the other the structure alone: each must have everything."""
    lines = "\n".join(f"line {number}: ä € 𝄞" for number in range(300))
    keys = {
        "project": "book",
        "type": "bug",
        "priority": 1,
        "complexity": "high",
        "tags": ["a", "b"],
        "due": "2030-01-02",
    }
    path = write_task(tasks_dir, "t-1", title="Preface", files=["x/*.md"], body=f"# Preface\n\n{lines}\n", **keys)

    def script(turn: Turn) -> Said:
        turn = yield Call("claim_next_task", caller="bob", colour="red")
        claimed = turn.result
        for name in ("id", "title", "path", "files", "project", "type", "priority", "complexity", "due", "tags"):
            assert claimed.fact(name)
        record = Ledger(tasks_dir).claim("t-1")
        assert record is not None
        assert claimed.fact("claim_token") == record.token
        assert claimed.fact("status") == "claimed"
        assert claimed.fact("path") == str(path)
        assert claimed.fact("lease_until")
        assert json.loads(claimed.fact("files")) == ["x/*.md"]
        assert "colour" in claimed.fact("warnings")
        assert "complete_task" in claimed.text
        body = claimed.text.replace("\\n", "\n")
        assert lines in body
        return "Read."

    client.run("Do a task.", script)
