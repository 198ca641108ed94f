"""A worker that claims and ends tasks of the batch ``b``: every fourth is blocked.

Usage: ender.py TASKS_DIR NAME. It says ``ready``, and takes one task for each line of its input.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dibs.block_task import BlockRequest, block_task
from dibs.claim_next_task import ClaimRequest, claim_next_task
from dibs.complete_task import CompleteRequest, complete_task
from dibs.session import Call, Session
from dibs.store.task_store import TaskStore


def main(tasks_dir: Path, name: str) -> None:
    session = Session(TaskStore(tasks_dir), client=name, server=True)
    print("ready", flush=True)  # noqa: T201
    for _ in sys.stdin:
        claimed = claim_next_task(session, ClaimRequest(batch="b"), Call())
        if claimed.task is None or claimed.claim_token is None:
            return
        task_id, token = claimed.task.id, claimed.claim_token
        if int(task_id.rpartition("-")[2]) % 4:
            complete_task(session, CompleteRequest(id=task_id, claim_token=token, summary=name), Call())
        else:
            block_task(session, BlockRequest(id=task_id, claim_token=token, reason=name), Call())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
