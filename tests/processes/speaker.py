"""A session in a process of its own: each line of input is one call as JSON, each line of output its answer.

Usage: speaker.py TASKS_DIR CLIENT SECONDS_AHEAD [UID]; the clock runs that much ahead, and the user is given up for
another one before anything is opened. The name ``renew`` renews what the session holds.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dibs.arguments import validate
from dibs.registry import TOOLS
from dibs.renewing import renew_claims
from dibs.session import Call, Session
from dibs.store.errors import DibsError
from dibs.store.task_store import TaskStore

importlib.import_module("psutil")  # which the first claim asks for, when another user may not read it any more


def main(tasks_dir: Path, client: str, ahead: timedelta, uid: int | None) -> None:
    if uid is not None:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    store = TaskStore(tasks_dir, now=lambda: datetime.now(UTC) + ahead)
    session = Session(store, client=client, server=True)
    print(json.dumps({"pid": os.getpid()}), flush=True)  # noqa: T201
    for line in sys.stdin:
        print(json.dumps(answer(session, json.loads(line))), flush=True)  # noqa: T201


def answer(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    if request["name"] == "renew":
        renew_claims(session)
        return {"held": [claim.id for claim in session.held()]}
    tool = next(tool for tool in TOOLS if tool.name == request["name"])
    try:
        result = tool.run(session, validate(tool, request["arguments"]), Call())
    except DibsError as error:
        return dict(error.to_json())
    found: dict[str, Any] = result.model_dump(mode="json")
    return found


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        sys.argv[2],
        timedelta(seconds=float(sys.argv[3])),
        int(sys.argv[4]) if len(sys.argv) > 4 else None,
    )
