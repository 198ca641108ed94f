"""One client at work, Gemini CLI and Claude Code alike: what its model reads, and what is in the file afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from client import Client
from people import dibs
from scripts import Call, Said, Turn
from workers import complete

from dibs.store.ledger import Ledger
from support import header, orphans, write_task

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]


KEYS = {
    "project": "book",
    "type": "bug",
    "priority": 1,
    "complexity": "high",
    "tags": ["a", "b"],
    "due": "2030-01-02",
}
TOLD = ("id", "title", "path", "files", "lease_until", *KEYS)


def test_a_session_from_the_instructions_to_the_empty_queue(client: Client, tasks_dir: Path) -> None:
    """One client gives its model the text alone, the other the structure alone: each must have everything."""
    lines = "\n".join(f"line {number}: ä € 𝄞" for number in range(300))
    path = write_task(tasks_dir, "t-1", title="Preface", files=["x/*.md"], body=f"# Preface\n\n{lines}\n", **KEYS)

    def script(turn: Turn) -> Said:
        assert "Dibs hands out tasks" in turn.text, "the server's instructions"
        assert client.tool("claim_next_task") in turn.tools, "at once, without a search for it"
        turn = yield Call("claim_next_task", caller="bob", colour="red")
        claimed = turn.result
        assert header(path)["status"] == "in_progress"
        assert all(claimed.fact(name) for name in TOLD)
        record = Ledger(tasks_dir).claim("t-1")
        assert record is not None
        assert claimed.fact("claim_token") == record.token
        assert claimed.fact("status") == "claimed"
        assert claimed.fact("path") == str(path)
        assert json.loads(claimed.fact("files")) == ["x/*.md"]
        assert "colour" in claimed.fact("warnings")
        assert "complete_task" in claimed.text
        assert lines in claimed.text.replace("\\n", "\n")
        turn = yield complete(claimed)
        assert "t-1 is done" in turn.result.text
        turn = yield Call("claim_next_task", caller="bob")
        assert "stop; do not poll" in turn.result.text
        return "I wrote it."

    run = client.run("Work until the queue is empty.", script)
    assert (run.text, len(run.turns)) == ("I wrote it.", 4)
    assert (header(path)["status"], header(path)["assignee"]) == ("done", "bob")
    assert "Did it." in path.read_text(encoding="utf-8")


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


def test_three_claims_in_one_turn_are_three_tasks_each_with_an_end_of_its_own(client: Client, tasks_dir: Path) -> None:
    for number in range(5):
        write_task(tasks_dir, f"t-{number}")

    def script(turn: Turn) -> Said:
        turn = yield [Call("claim_next_task", caller=name) for name in ("ann", "bob", "cleo")]
        claimed = turn.results
        assert len({result.fact("id") for result in claimed}) == 3
        id, token = claimed[2].fact("id"), claimed[2].fact("claim_token")
        block = Call("block_task", id=id, claim_token=token, reason="Which publisher?", kind="human")
        turn = yield [complete(claimed[0]), complete(claimed[1]), block]
        return "Two, and a question."

    client.run("Do three tasks.", script)
    done = [path for path in tasks_dir.glob("*.md") if header(path)["status"] == "done"]
    assert sorted(str(header(path)["assignee"]) for path in done) == ["ann", "bob"]
    (blocked,) = [path for path in tasks_dir.glob("*.md") if header(path)["status"] == "blocked"]
    assert "Which publisher?" in blocked.read_text(encoding="utf-8")
    assert list(Ledger(tasks_dir).claims()) == []
