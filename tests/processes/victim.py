"""Does one thing with a task, and kills itself at a named step of it. The token is on its output before.

Usage: victim.py TASKS_DIR STEP VERB...; STEP ``-`` kills nothing. Each VERB is a tool's name, or one of these:
``wait`` says ``waiting`` and goes on with the next line of input; ``later`` puts the clock forward an hour.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dibs.registry import TOOLS
from dibs.session import Call, Session
from dibs.store import steps
from dibs.store.errors import DibsError
from dibs.store.task_store import TaskStore

ARGUMENTS = {
    "complete_task": {"id": "t-1", "summary": "the one report"},
    "block_task": {"id": "t-1", "reason": "the one report"},
    "release_task": {"id": "t-1"},
    "resume": {"resume": True},
}


def main(tasks_dir: Path, step: str, verbs: Sequence[str]) -> None:
    def kill_at(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    steps.hook = kill_at
    ahead = timedelta()
    session = Session(TaskStore(tasks_dir, now=lambda: datetime.now(UTC) + ahead), client="victim", server=True)
    token = ""
    for verb in verbs:
        if verb == "wait":
            print("waiting", flush=True)  # noqa: T201
            sys.stdin.readline()
        elif verb == "later":
            ahead = timedelta(hours=1)
        else:
            token = do(session, verb, token)


def do(session: Session, verb: str, token: str) -> str:
    tool = next(tool for tool in TOOLS if tool.name == ("claim_next_task" if verb == "resume" else verb))
    arguments = dict(ARGUMENTS.get(verb, {}))
    if verb in ("complete_task", "block_task", "release_task"):
        arguments["claim_token"] = token
    try:
        result = tool.run(session, tool.request(**arguments), Call())
    except DibsError as error:
        print(error.code, flush=True)  # noqa: T201
        return token
    print(getattr(result, "claim_token", None) or result.message, flush=True)  # noqa: T201
    return getattr(result, "claim_token", None) or token


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
