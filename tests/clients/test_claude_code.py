"""What is peculiar to Claude Code: tools that it keeps back until the model looks for them, and subagents."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from claude_code import Claude
from client import PATIENCE_SECONDS, Client
from scripts import Call, Result, Said, Turn
from workers import complete

from support import header, write_task

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

ANN, BEN = "You are Ann.", "You are Ben."


def test_tools_that_are_kept_back_are_found_by_their_names(make_client: Callable[..., Client], tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    claude = make_client(Claude, configured=False)
    claude.configure(alwaysLoad=False)
    claim, finish = claude.tool("claim_next_task"), claude.tool("complete_task")

    def script(turn: Turn) -> Said:
        assert claim not in turn.tools
        assert claim in turn.text
        assert "Dibs hands out tasks" in turn.text
        turn = yield Call("ToolSearch", query=f"select:{claim},{finish}")
        assert {claim, finish} <= turn.tools.keys()
        turn = yield Call("claim_next_task")
        turn = yield complete(turn.result)
        return "Done."

    claude.run("Do a task.", script)
    assert header(path)["status"] == "done"


@pytest.mark.parametrize(
    ("callers", "first"),
    [({ANN: "ann", BEN: "ben"}, ANN), ({ANN: "both", BEN: "both"}, BEN)],
    ids=["two-names", "one-name"],
)
def test_subagents_behind_one_server_each_end_their_own_task(
    claude: Client, tasks_dir: Path, callers: dict[str, str], first: str
) -> None:
    paths = [write_task(tasks_dir, f"t-{number}") for number in range(2)]
    held: dict[str, Result] = {}
    both_hold, first_is_done = threading.Barrier(2), threading.Event()

    def subagent(turn: Turn) -> Said:
        me = turn.prompt
        turn = yield Call("claim_next_task", caller=callers[me])
        mine = held[me] = turn.result
        both_hold.wait(PATIENCE_SECONDS)
        (theirs,) = (result.fact("id") for name, result in held.items() if name != me)
        assert theirs != mine.fact("id")
        turn = yield Call("complete_task", id=theirs, summary="Not mine.")
        assert "token_required: " in turn.result.text
        turn = yield Call("complete_task", id=theirs, claim_token=mine.fact("claim_token"), summary="Not mine.")
        assert "claim_lost: " in turn.result.text
        both_hold.wait(PATIENCE_SECONDS)
        if me != first:
            assert first_is_done.wait(PATIENCE_SECONDS)
        turn = yield complete(mine)
        assert f"{mine.fact('id')} is done" in turn.result.text
        if me == first:
            turn = yield Call("complete_task", id=theirs, summary="Not mine.")
            assert "token_required: " in turn.result.text
        first_is_done.set()
        return "Mine is done."

    def script(turn: Turn) -> Said:
        if turn.prompt in callers:
            return (yield from subagent(turn))
        turn = yield [
            Call("Agent", description="one task", prompt=name, subagent_type="general-purpose", run_in_background=False)
            for name in callers
        ]
        return "Both are done."

    assert claude.run("Start two helpers.", script).text == "Both are done."
    assert sorted(header(path)["assignee"] or "" for path in paths) == sorted(callers.values())
    for path in paths:
        assert header(path)["status"] == "done"
        assert path.read_text(encoding="utf-8").count("## Completion") == 1
        assert "Not mine." not in path.read_text(encoding="utf-8")
