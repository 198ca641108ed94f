"""Scripts of models that do what the server's instructions say, for tests in which the work itself is not the point."""

from __future__ import annotations

from collections.abc import Callable

from scripts import Call, Result, Said, Script, Turn


def complete(claimed: Result) -> Call:
    """The call that completes what was claimed."""
    id, token = claimed.fact("id"), claimed.fact("claim_token")
    return Call("complete_task", id=id, claim_token=token, summary="Did it.")


def working_off(caller: str, holding: Callable[[str], None] = lambda task_id: None) -> Script:
    """Claims and completes until there is nothing left; ``holding`` is told each task while it is held."""

    def work(turn: Turn) -> Said:
        while True:
            turn = yield Call("claim_next_task", caller=caller)
            claimed = turn.result
            if claimed.fact("status") == "empty":
                return "The queue is empty."
            holding(claimed.fact("id"))
            turn = yield complete(claimed)

    return work
