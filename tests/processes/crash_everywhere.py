"""Claims, completes, blocks and gives back in a fork that is killed at its n-th change of the file system, for every n.

After each death another session, later, has to find every task whole, finish it, and find no claim left over.
Usage: crash_everywhere.py FOLDER before|after; prints how many deaths there were.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dibs.block_task import BlockRequest, block_task
from dibs.claim_next_task import ClaimRequest, ClaimResult, claim_next_task
from dibs.complete_task import CompleteRequest, complete_task
from dibs.release_task import ReleaseRequest, release_task
from dibs.session import Call, Session
from dibs.store import publish
from dibs.store.task_file import read_task_file
from dibs.store.task_store import TaskStore

CALLS = ("open", "replace", "link", "unlink", "fsync", "mkdir", "fchmod")
IDS = ("t-1", "t-2", "t-3")
CONTENT = "---\nid: {id}\nstatus: To Do\nassignee:\n  - '@victim'\n  - '@heir'\n---\nbody of {id}\n"


def main(folder: Path, when: str) -> int:
    for deaths in range(10_000):
        tasks_dir = folder / "tasks"
        shutil.rmtree(tasks_dir, ignore_errors=True)
        tasks_dir.mkdir()
        for task_id in IDS:
            (tasks_dir / f"{task_id}.md").write_text(CONTENT.format(id=task_id), encoding="utf-8")
        grow_old(tasks_dir)
        pid = os.fork()
        if pid == 0:
            work(tasks_dir, deaths + 1, when)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status == 0:
            return deaths
        assert status == -signal.SIGKILL, f"call {deaths + 1}: exit status {status}"
        grow_old(tasks_dir)
        inherit(tasks_dir, f"killed {when} call {deaths + 1}")
    raise AssertionError("no end of calls")


def work(tasks_dir: Path, last_call: int, when: str) -> None:
    left = [last_call]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            mine = left[0] == 0
            try:
                return real(*arguments, **more)
            finally:
                if mine:
                    os.kill(os.getpid(), signal.SIGKILL)

        return call

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    publish.exchange = counted(publish.exchange)
    session = Session(TaskStore(tasks_dir), client="victim", server=True)
    one, two, three = (claim(session) for _ in range(3))
    complete_task(session, CompleteRequest(id="t-1", claim_token=one.claim_token or "", summary="the report"), Call())
    block_task(session, BlockRequest(id="t-2", claim_token=two.claim_token or "", reason="the report"), Call())
    release_task(session, ReleaseRequest(id="t-3", claim_token=three.claim_token or ""), Call())


def claim(session: Session) -> ClaimResult:
    result = claim_next_task(session, ClaimRequest(), Call())
    assert result.status == "claimed"
    return result


def inherit(tasks_dir: Path, what: str) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    session = Session(TaskStore(tasks_dir, now=lambda: later), client="heir", server=True)
    while (result := claim_next_task(session, ClaimRequest(), Call())).status == "claimed":
        assert result.task is not None, what
        assert not [text for text in result.warnings if "completed" in text], (what, result.warnings)
        done = CompleteRequest(id=result.task.id, claim_token=result.claim_token or "", summary="the report")
        complete_task(session, done, Call())
    assert session.store.ledger.claims() == [], what
    assert not session.store.snapshot(after=time.monotonic()).invalid, what
    for task_id in IDS:
        check((tasks_dir / f"{task_id}.md").read_bytes(), task_id, what)
    session.close()


def check(content: bytes, task_id: str, what: str) -> None:
    file = read_task_file(content)
    assert file is not None, what
    text = content.decode()
    status = file.text("status")
    assert status == "done" or (task_id == "t-2" and status == "blocked"), (what, text)
    assert text.count("the report") == 1, (what, text)
    assert text.count("## Attempt") <= 1, (what, text)
    assert f"body of {task_id}\n" in text, (what, text)
    assert "claim" not in file.entries, (what, text)


def grow_old(tasks_dir: Path) -> None:
    then = time.time() - 60
    for path in tasks_dir.glob("*.md"):
        os.utime(path, (then, then))


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), sys.argv[2]))  # noqa: T201
