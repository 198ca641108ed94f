"""A real server that may open no more files: it says so, lives on, and has lost nothing once it may again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dibs.store.ledger import Ledger
from support import age, header, write_task
from wire import Wire, served

if sys.platform == "linux":
    import resource

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="limits of another process can be set only there"),
]

MOST = 20
REPORT = "the one report"
VERBS = {
    "complete_task": ("summary", "done"),
    "block_task": ("reason", "blocked"),
    "release_task": ("note", "active"),
}


@contextmanager
def room_for(server: Wire, more: int) -> Iterator[None]:
    """Let the server open so many files besides those it has open now."""
    pid = server.process.pid
    numbers = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
    free = [number for number in range(max(numbers) + MOST + 2) if number not in numbers]
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free[more], before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_a_server_that_may_open_no_more_files_says_so_and_goes_on_when_it_may(tasks_dir: Path, tmp_path: Path) -> None:
    refusals = []
    with served(tmp_path, "--tasks-dir", tasks_dir) as server:
        assert server.call("get_index_stats")["total"] == 0
        for more in range(MOST):
            refusals.append([claim_and_end(server, tasks_dir / "t-1.md", verb, more) for verb in VERBS])
            if not any(map(any, refusals[-1])):
                break
        assert server.process.poll() is None
    assert len(refusals) < MOST
    assert all(all(refused) for refused in refusals[0]), "it was never short of files"


def claim_and_end(server: Wire, path: Path, verb: str, more: int) -> tuple[bool, bool]:
    """One task from start to end, each call first with room for so few files; whether either was refused then."""
    report, status = VERBS[verb]
    write_task(path.parent, "t-1", body="body\n")
    before = path.read_bytes()
    with room_for(server, more):
        claimed = server.call("claim_next_task")
    if no := refused(claimed):
        assert (path.read_bytes(), Ledger(path.parent).claims()) == (before, [])
        claimed = server.call("claim_next_task")
    ending = {"id": "t-1", "claim_token": claimed["claim_token"], report: REPORT}
    age(path)
    with room_for(server, more):
        ended = server.call(verb, **ending)
    assert server.call(verb, **ending)["task"]["status"] == status
    assert header(path)["status"] == status
    assert path.read_text(encoding="utf-8").count(REPORT) == 1
    return no, refused(ended)


def refused(answer: dict[str, object]) -> bool:
    if "code" not in answer:
        return False
    assert answer["code"] == "io", answer
    assert "raise the limit (ulimit -n)" in str(answer["message"]), answer
    return True
