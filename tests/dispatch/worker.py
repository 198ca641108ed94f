"""An agent as waves start it, without a model: claims, and does what the title of its task says.

Usage: worker.py MCP_CONFIG RECORDS [OUTCOME]. It starts the server of the configuration and speaks MCP with it; with -
instead it calls the tools itself, which takes half the time. What it does is written into RECORDS/events, a JSON object
a line, with the moment on the clock that all processes share. Words of a title:

    crash  unfinished  block  conflict (the first time)  loud  hang  hold (until RECORDS/go is there)
    orphan (leaves a process that has a session of its own)  die (by SIGKILL)  kill-supervisor  end-supervisor
    fail-once  break-file  delete-file  lose-ledger
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

PAUSE_SECONDS = 0.02
LOUD_BYTES = 50_000_000
Answer: TypeAlias = dict[str, Any]
Tools: TypeAlias = Callable[..., Answer]


def main(config: str, records: Path, outcome: str) -> None:
    with library() if config == "-" else server(Path(config)) as tools:
        claimed = tools("claim_next_task")
        assert claimed["status"] == "claimed", claimed
        assert tools("claim_next_task")["status"] == "empty"
        task = claimed["task"]
        note(records, task["id"], "begin", files=task["files"], environment=dict(os.environ))
        print(f"working on {task['id']}", flush=True)  # noqa: T201
        answer = work(tools, records, task, outcome, {"id": task["id"], "claim_token": claimed["claim_token"]})
        assert "code" not in answer, answer
        note(records, task["id"], "end")


@contextmanager
def server(config: Path) -> Iterator[Tools]:
    from dibs_server.race.wire import Wire, reading

    entry = json.loads(config.read_text(encoding="utf-8"))["mcpServers"]["dibs"]
    words, around = [entry["command"], *entry["args"]], {**os.environ, **entry["env"]}
    wire = Wire(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=around))
    with reading(wire):
        wire.initialize("scripted")
        yield wire.call


@contextmanager
def library() -> Iterator[Tools]:
    from dibs.given_claim import given_claim
    from dibs.registry import TOOLS
    from dibs.session import Call, Session
    from dibs.store.task_store import TaskStore

    store = TaskStore(Path(os.environ["DIBS_TASKS_DIR"]))
    session = Session(store, client="scripted", server=True, given=given_claim(Path(os.environ["DIBS_CLAIM_FILE"])))

    def call(name: str, **arguments: object) -> Answer:
        tool = next(tool for tool in TOOLS if tool.name == name)
        answer: Answer = tool.run(session, tool.request(**arguments), Call()).model_dump(mode="json")
        return answer

    yield call
    session.close()


def work(tools: Tools, records: Path, task: Answer, outcome: str, by: dict[str, str]) -> Answer:
    words = task["title"].split()
    first = sum(event["task"] == task["id"] and event["what"] == "begin" for event in events(records)) == 1
    if "orphan" in words:
        orphan = subprocess.Popen(["sleep", "600"], start_new_session=True)
        note(records, task["id"], "orphan", pid=orphan.pid)
    if "loud" in words:
        sys.stdout.write("x" * LOUD_BYTES + "\nthe end\n")
    if "hold" in words:
        wait_for(records / "go")
    if "hang" in words:
        time.sleep(600)
    if "kill-supervisor" in words:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
    if "end-supervisor" in words:
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(600)
    if "lose-ledger" in words:
        shutil.rmtree(Path(os.environ["DIBS_TASKS_DIR"]) / ".dibs", ignore_errors=True)
    if "break-file" in words:
        Path(task["path"]).write_text("---\nstatus: [\n---\n", encoding="utf-8")
        sys.exit(0)
    if "delete-file" in words:
        Path(task["path"]).unlink()
        sys.exit(0)
    if "die" in words:
        os.kill(os.getpid(), signal.SIGKILL)
    if "crash" in words or ("fail-once" in words and first):
        sys.exit("something is very wrong")
    if "unfinished" in words:
        note(records, task["id"], "end")
        sys.exit(0)
    if "block" in words:
        return tools("block_task", **by, reason="it needs a person")
    if "conflict" in words and first:
        return tools("block_task", **by, reason="two at once", kind="conflict", files=["src/theirs.py"])
    changed = [*task["files"], "src/new.py"]
    return tools("complete_task", **by, summary=f"Did {task['id']}.", outcome=outcome, files_changed=changed)


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(PAUSE_SECONDS)


def note(records: Path, task_id: str, what: str, **facts: object) -> None:
    """Write an event down, whole, however many write at once."""
    line = json.dumps({"task": task_id, "what": what, "at": time.monotonic(), "pid": os.getpid(), **facts})
    with (records / "events").open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(line + "\n")


def events(records: Path) -> list[Answer]:
    """All that was written down."""
    path = records / "events"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "")
