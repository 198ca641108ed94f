"""What is peculiar to Gemini CLI: an argument it adds to every tool, and a standard error that it never reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from client import Client
from scripts import Call, Said, Turn
from workers import complete

from support import header, write_task

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

BAD_CALLS = 400
IN_ONE_TURN = 40


def test_the_argument_that_the_client_adds_does_no_harm(gemini: Client, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")

    def script(turn: Turn) -> Said:
        name = gemini.tool("claim_next_task")
        assert "wait_for_previous" in turn.tools[name]["properties"]
        turn = yield Call("claim_next_task", wait_for_previous=True)
        id, token = turn.result.fact("id"), turn.result.fact("claim_token")
        turn = yield Call("complete_task", id=id, claim_token=token, summary="Did it.", wait_for_previous=True)
        return "Done."

    run = gemini.run("Do a task.", script)
    assert header(path)["status"] == "done"
    assert not any("wait_for_previous" in result for result in run.results)


@pytest.mark.long
def test_hundreds_of_errors_in_one_session_do_not_stop_the_next_good_call(gemini: Client, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")

    def failing(number: int) -> Call:
        calls = [
            Call("get_task", id=f"none-{number}"),
            Call("complete_task", id="t-1", summary=f"number {number}"),
            Call("claim_next_task", id=f"none-{number}"),
            Call("block_task", id="t-1", reason=f"number {number}", claim_token="x"),
        ]
        return calls[number % len(calls)]

    def script(turn: Turn) -> Said:
        for first in range(0, BAD_CALLS, IN_ONE_TURN):
            turn = yield [failing(number) for number in range(first, first + IN_ONE_TURN)]
            assert len(turn.results) == IN_ONE_TURN
            assert all('\\"isError\\":true' in result.text for result in turn.results)
        turn = yield Call("claim_next_task")
        turn = yield complete(turn.result)
        return "Done at last."

    assert gemini.run("Do a task.", script).text == "Done at last."
    assert header(path)["status"] == "done"
