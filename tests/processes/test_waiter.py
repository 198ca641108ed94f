"""Every ending reaches a waiter that is killed again and again, and goes on with the last cursor it wrote down."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from children import PATIENCE_SECONDS, child, expect
from doors import Answer, run_dibs
from shell import begun
from support import write_file, write_task
from wire import served

pytestmark = pytest.mark.processes

WORKERS = 8
ROUNDS = (9, 8, 8)
"""How many tasks each worker ends before the waiter is killed for the first time, the second time, and after that."""
TASKS = WORKERS * sum(ROUNDS)
Next = Callable[[], Answer]


@contextmanager
def at_a_shell(cwd: Path, tasks_dir: Path, cursor: str) -> Iterator[Next]:
    """`dibs wait`, one line after the other; killed at the end, whatever it was about to print."""
    with begun(cwd, "wait", "--batch", "b", "--cursor", cursor, "--json", "--tasks-dir", tasks_dir) as process:
        yield lambda: next_line(process)


def next_line(process: subprocess.Popen[str]) -> Answer:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "it ended too early"
    answer: Answer = json.loads(line)
    return answer


@contextmanager
def behind_a_server(cwd: Path, tasks_dir: Path, cursor: str) -> Iterator[Next]:
    """A coordinator that calls `wait_for_tasks` with the cursor of the last answer; its server is killed at the end, in
    the middle of a call."""
    with served(cwd, "--tasks-dir", tasks_dir) as wire:
        last = [cursor]

        def following() -> Answer:
            answer = wire.call("wait_for_tasks", batch="b", cursor=last[0])
            last[0] = answer["cursor"]
            return answer

        yield following
        wire.start_call("wait_for_tasks", batch="b", cursor=last[0])


@pytest.mark.parametrize("waiter", [at_a_shell, behind_a_server])
def test_every_ending_reaches_a_waiter_that_is_killed_twice(
    tasks_dir: Path, tmp_path: Path, waiter: Callable[[Path, Path, str], AbstractContextManager[Next]]
) -> None:
    write_file(tasks_dir / "settings.json", json.dumps({"profile": "coordinator"}))
    ids = [f"t-{number}" for number in range(TASKS)]
    for task_id in ids:
        write_task(tasks_dir, task_id)
    made = run_dibs("batch", "create", "b", *ids, "--tasks-dir", str(tasks_dir))
    assert made.exit_code == 0, made.output
    heard: dict[str, str] = {}
    cursor, ended_by_then = "", 0
    with ExitStack() as stack:
        workers = [stack.enter_context(child("ender.py", tasks_dir, f"w-{number}")) for number in range(WORKERS)]
        for worker in workers:
            expect(worker, "ready")
        for number, tasks in enumerate(ROUNDS):
            let_end(workers, tasks)
            wanted = ended_by_then + WORKERS  # some of this round; the rest ends while nobody waits
            ended_by_then += WORKERS * tasks
            if number == len(ROUNDS) - 1:  # when nobody is left who has the index open
                for worker in workers:
                    worker.communicate(timeout=PATIENCE_SECONDS)
                delete_index(tasks_dir)
            with waiter(tmp_path, tasks_dir, cursor) as following:
                while True:
                    answer = following()
                    heard |= {ending["task_id"]: ending["status"] for ending in answer["endings"]}
                    cursor = answer["cursor"]
                    if answer["finished"] or (number < len(ROUNDS) - 1 and len(heard) >= wanted):
                        break
            if number == 0:  # under workers that go on
                delete_index(tasks_dir)
    assert heard == {task_id: "success" if number % 4 else "blocked" for number, task_id in enumerate(ids)}


def let_end(workers: list[subprocess.Popen[str]], tasks: int) -> None:
    """Have each worker claim and end so many tasks, all at the same time."""
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("next\n" * tasks)
        worker.stdin.flush()


def delete_index(tasks_dir: Path) -> None:
    found = list((tasks_dir / ".dibs").glob("index-*"))
    assert found
    for path in found:
        path.unlink()
