"""Many callers wait behind one server: none takes up a thread, and whatever comes free is taken by one of them."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from support import write_task
from wire import served

pytestmark = pytest.mark.processes

WAITERS = 200
MOST_THREADS = 100
"""The pool of 40 that runs calls, each with one in the mutex's line at most, and a few more."""


def test_two_hundred_waiting_calls_leave_room_for_the_one_that_ends_their_waiting(
    tasks_dir: Path, tmp_path: Path
) -> None:
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2", depends_on=["t-1"])
    with served(tmp_path, "--tasks-dir", tasks_dir) as wire:
        token = wire.call("claim_next_task", caller="first")["claim_token"]
        waiting = [wire.start_call("claim_next_task", caller=f"c-{n}", wait_seconds=50) for n in range(WAITERS)]
        assert wire.call("get_index_stats")["ready"] == 0, "other calls are answered meanwhile"
        assert psutil.Process(wire.process.pid).num_threads() < MOST_THREADS
        done = wire.call("complete_task", id="t-1", claim_token=token, summary="x")
        assert done["newly_ready"] == ["t-2"]
        number, answer = wire.first_reply(waiting)
        assert answer["result"]["structuredContent"]["task"]["id"] == "t-2"
        assert number in waiting
