"""Several real clients on one directory, and one that is killed with a task in hand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from claude_code import Claude
from client import PATIENCE_SECONDS, Client
from gemini_cli import Gemini
from scripts import Call, Said, Turn
from workers import complete, working_off

from support import header, write_task

pytestmark = [pytest.mark.clients, pytest.mark.long, pytest.mark.timeout(300)]

TASKS = 24
CLIENTS = (Gemini, Claude, Gemini, Claude)
LEASES = {"claims": {"lease_seconds": 3, "renew_seconds": 0.5, "max_idle_seconds": 60}}


def test_four_clients_drain_one_directory_and_no_task_is_done_twice(
    make_client: Callable[..., Client], tasks_dir: Path
) -> None:
    paths = [write_task(tasks_dir, f"t-{number}") for number in range(TASKS)]
    all_ask, all_hold = threading.Barrier(len(CLIENTS)), threading.Barrier(len(CLIENTS))
    held: dict[str, list[str]] = {}

    def competing(caller: str) -> Callable[[Turn], Said]:
        held[caller] = []

        def holding(task_id: str) -> None:
            held[caller].append(task_id)
            if len(held[caller]) == 1:
                all_hold.wait(PATIENCE_SECONDS)

        def script(turn: Turn) -> Said:
            all_ask.wait(PATIENCE_SECONDS)
            return (yield from working_off(caller, holding)(turn))

        return script

    with ExitStack() as stack:
        clients = [make_client(kind) for kind in CLIENTS]
        running = [
            stack.enter_context(client.started("Work.", competing(f"{client.name}-{number}")))
            for number, client in enumerate(clients)
        ]
        runs = [one.ended() for one in running]

    assert [run.text for run in runs] == ["The queue is empty."] * len(CLIENTS)
    assert sorted(task_id for ids in held.values() for task_id in ids) == sorted(path.stem for path in paths)
    for path in paths:
        assert header(path)["status"] == "done"
        assert path.read_text(encoding="utf-8").count("## Completion") == 1


@pytest.mark.parametrize(("dying", "living"), [(Gemini, Claude), (Claude, Gemini)], ids=["gemini", "claude"])
def test_the_task_of_a_killed_client_is_finished_by_another(
    make_client: Callable[..., Client], tasks_dir: Path, dying: type[Client], living: type[Client]
) -> None:
    (tasks_dir / "settings.json").write_text(json.dumps(LEASES), encoding="utf-8")
    path = write_task(tasks_dir, "t-1")
    held, over = threading.Event(), threading.Event()

    def dies(turn: Turn) -> Said:
        turn = yield Call("claim_next_task", caller="mortal")
        assert turn.result.fact("status") == "claimed"
        held.set()
        over.wait(PATIENCE_SECONDS)
        return "too late to be heard"

    def takes_over(turn: Turn) -> Said:
        turn = yield Call("claim_next_task", caller="heir", wait_seconds=50)
        assert turn.result.fact("id") == "t-1"
        assert turn.result.fact("attempts") == "1"
        turn = yield complete(turn.result)
        return "Finished it."

    with make_client(dying).started("Work.", dies) as running:
        try:
            assert held.wait(PATIENCE_SECONDS)
            running.kill()
        finally:
            over.set()
        assert (header(path)["status"], header(path)["assignee"]) == ("in_progress", "mortal")
        assert make_client(living).run("Work.", takes_over).text == "Finished it."
    assert (header(path)["status"], header(path)["assignee"]) == ("done", "heir")
    assert path.read_text(encoding="utf-8").count("## Attempt") == 1
