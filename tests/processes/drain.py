"""Claims and completes tasks until there are none, and prints the ids. Exit status 3: two were inside one task.

Usage: drain.py TASKS_DIR MARKERS_DIR NAME, then a line on its input starts it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dibs.claim_next_task import ClaimRequest, claim_next_task
from dibs.complete_task import CompleteRequest, complete_task
from dibs.session import Call, Session
from dibs.store.task_store import TaskStore


def main(tasks_dir: Path, markers: Path, name: str) -> int:
    session = Session(TaskStore(tasks_dir), client=name, server=True)
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    while (result := claim_next_task(session, ClaimRequest(), Call())).status == "claimed":
        assert result.task is not None
        marker = markers / result.task.id
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return 3
        print(result.task.id, flush=True)  # noqa: T201
        marker.unlink()
        done = CompleteRequest(id=result.task.id, claim_token=result.claim_token or "", summary=f"by {name}")
        complete_task(session, done, Call())
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
