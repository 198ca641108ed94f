"""A ledger that is deleted, emptied or filled with rubbish under a living server: it goes on, and nothing is lost."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store.alive import is_alive
from dibs.store.ledger import Ledger
from dibs.store.task_store import TaskStore
from speakers import speaking
from support import age, call, header, orphans, write_task
from wire import served

pytestmark = pytest.mark.processes

REPORT = "the one report"
PATIENCE_SECONDS = 20
QUICK = {"claims": {"lease_seconds": 5, "renew_seconds": 0.2}}


def files_of(ledger: Path) -> list[Path]:
    return [path for path in ledger.rglob("*") if path.is_file()]


def delete(ledger: Path) -> None:
    shutil.rmtree(ledger, ignore_errors=True)  # the server may be renewing in it


def empty(ledger: Path) -> None:
    for path in files_of(ledger):
        path.unlink(missing_ok=True)


def truncate(ledger: Path) -> None:
    for path in files_of(ledger):
        path.write_bytes(b"")


def fill_with_rubbish(ledger: Path) -> None:
    for path in files_of(ledger):
        path.write_bytes(b"\x00\xff{rubbish\n" * 100)


def remove_the_folders(ledger: Path) -> None:
    for path in ledger.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


VANDALS = (delete, empty, truncate, fill_with_rubbish, remove_the_folders)


@pytest.fixture
def other(tasks_dir: Path) -> Iterator[Session]:
    session = Session(TaskStore(tasks_dir), client="claude-code", server=True)
    yield session
    session.close()


def wait_for_renewal(tasks_dir: Path, token: str) -> None:
    """Until the server has renewed the claim by itself, from now on and in its own name."""
    since, until = datetime.now(UTC), time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        for claim in Ledger(tasks_dir).claims():
            begun = claim.lease_until.timestamp() - claim.lease_seconds
            if claim.token == token and claim.owner.alive and begun > since.timestamp():
                assert is_alive(tasks_dir / ".dibs" / "alive", claim.owner.alive), "others would take it for dead"
                return
        time.sleep(0.02)  # only so as not to keep the processor busy; the loop above is what waits
    pytest.fail("the claim was not renewed")


def others_get_nothing(other: Session) -> None:
    assert call(other, "claim_next_task").status == "empty"


@pytest.mark.parametrize("renewed", [True, False], ids=["renewed since", "at once"])
def test_a_server_completes_what_it_holds_whatever_becomes_of_the_ledger(
    other: Session, tasks_dir: Path, tmp_path: Path, renewed: bool
) -> None:
    (tasks_dir / "settings.json").write_text(json.dumps(QUICK), encoding="utf-8")
    with served(tmp_path, "--tasks-dir", tasks_dir) as server:
        for number, vandal in enumerate(VANDALS):
            path = write_task(tasks_dir, f"t-{number}", body="body\n")
            token = server.call("claim_next_task")["claim_token"]
            vandal(tasks_dir / ".dibs")
            if renewed:
                wait_for_renewal(tasks_dir, token)
            others_get_nothing(other)
            assert header(age(path))["claim"] == token, vandal.__name__
            answer = server.call("complete_task", id=f"t-{number}", claim_token=token, summary=REPORT)
            assert answer.get("newly_ready") == [], (vandal.__name__, answer)
            assert header(path)["status"] == "done"
            assert path.read_text(encoding="utf-8").count(REPORT) == 1
            assert Ledger(tasks_dir).claims() == [], vandal.__name__
        assert server.process.poll() is None, "the server lives on"
    assert orphans(tasks_dir) == []


@pytest.mark.parametrize("vandal", VANDALS, ids=lambda vandal: vandal.__name__)
def test_what_a_dead_server_held_comes_free_whatever_became_of_the_ledger(
    other: Session, tasks_dir: Path, vandal: Callable[[Path], None]
) -> None:
    path = write_task(tasks_dir, "t-1", body="body\n")
    with speaking(tasks_dir) as speaker:
        speaker.claim()
        speaker.die()
    vandal(tasks_dir / ".dibs")
    others_get_nothing(other)
    other.store.now = lambda: datetime.now(UTC) + timedelta(days=1)
    age(path)
    result = call(other, "claim_next_task")
    assert (result.status, result.task.attempts) == ("claimed", 1)


def test_folders_in_the_places_of_all_files_are_refused_and_once_they_are_gone_the_holder_completes(
    other: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1", body="body\n")
    with speaking(tasks_dir) as server:
        token = server.claim()
        before = age(path).read_bytes()
        for file in files_of(tasks_dir / ".dibs"):
            file.unlink()
            file.mkdir()
        answer = server.call("complete_task", id="t-1", claim_token=token, summary=REPORT)
        assert (answer["code"], "move that folder away" in answer["message"]) == ("io", True), answer
        assert path.read_bytes() == before
        delete(tasks_dir / ".dibs")
        others_get_nothing(other)
        assert server.call("renew") == {"held": ["t-1"]}
        server.call("complete_task", id="t-1", claim_token=token, summary=REPORT)
    assert header(path)["status"] == "done"
    assert path.read_text(encoding="utf-8").count(REPORT) == 1
