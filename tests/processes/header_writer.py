"""Writes the header of the task t-1 again and again until its input ends: claims, gives back, completes, reopens.

Usage: header_writer.py TASKS_DIR; prints how often it wrote.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from pathlib import Path

from dibs.claim_next_task import ClaimRequest, claim_next_task
from dibs.complete_task import CompleteRequest, complete_task
from dibs.get_task import GetRequest, get_task
from dibs.release_task import ReleaseRequest, release_task
from dibs.reopen_task import ReopenRequest, reopen_task
from dibs.session import Call, Session
from dibs.store.errors import DibsError
from dibs.store.task_store import TaskStore


def main(tasks_dir: Path) -> None:
    agent = Session(TaskStore(tasks_dir), client="gemini", server=True)
    person = Session(TaskStore(tasks_dir), person=True)
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    print("ready", flush=True)  # noqa: T201
    writes = 0
    while not over.is_set():
        writes += one_round(agent) + put_right(person)
    print(writes)  # noqa: T201


def one_round(agent: Session) -> int:
    writes = 0
    with suppress(DibsError):
        token = claim_next_task(agent, ClaimRequest(id="t-1"), Call()).claim_token or ""
        writes += 1
        release_task(agent, ReleaseRequest(id="t-1", claim_token=token), Call())
        writes += 1
        token = claim_next_task(agent, ClaimRequest(id="t-1"), Call()).claim_token or ""
        writes += 1
        complete_task(agent, CompleteRequest(id="t-1", claim_token=token), Call())
        writes += 1
    return writes


def put_right(person: Session) -> int:
    """Make the task active again: after a completion, and after the editor brought an old header back."""
    with suppress(DibsError):
        if get_task(person, GetRequest(id="t-1"), Call()).task.status == "in_progress":
            release_task(person, ReleaseRequest(id="t-1", steal=True), Call())
        else:
            reopen_task(person, ReopenRequest(id="t-1"), Call())
        return 1
    return 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
