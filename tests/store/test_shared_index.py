"""The index that all processes on a directory share: made by a change, disposable at any moment."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store import index as index_module
from dibs.store.index import Index
from dibs.store.questions import Scanned
from dibs.store.settings import Settings
from dibs.store.task_store import TaskStore
from support import age, call, claim, edit, write_file, write_task

MakeSession = Callable[..., Session]


def files_of(tasks_dir: Path) -> list[Path]:
    return sorted((tasks_dir / ".dibs").glob("index-*.sqlite"))


def pointer_of(tasks_dir: Path) -> Path:
    (pointer,) = (path for path in (tasks_dir / ".dibs").glob("index-*") if "." not in path.name)
    return pointer


def scan(index: Index) -> None:
    index.refresh(Settings(), after=time.monotonic())


def test_looking_makes_no_index(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    call(session, "get_index_stats")
    assert not (tasks_dir / ".dibs").exists()


def test_a_change_makes_it_and_others_read_no_file_again(
    session: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        age(write_task(tasks_dir, f"t-{number}"))
    claim(session, "t-0")
    assert session.store.index.is_shared
    assert len(files_of(tasks_dir)) == 1
    age(tasks_dir / "t-0.md")
    session.store.refresh(after=time.monotonic())
    index = Index(tasks_dir)
    monkeypatch.setattr(index_module, "read_row", None)
    scan(index)
    assert index.is_shared
    assert {task.id: task.status for task in index.load().tasks.values()} == {
        "t-0": "in_progress",
        "t-1": "active",
        "t-2": "active",
    }


def test_what_one_writes_the_other_knows_without_a_scan(
    session: Session, other: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2")
    claim(session, "t-1")
    other.store.refresh()
    monkeypatch.setattr(index_module, "files_below", None)
    monkeypatch.setattr(index_module, "FRESH_SECONDS", 3600.0)
    call(session, "complete_task", id="t-1", summary="s")
    assert other.store.refresh().tasks["t-1"].status == "done"


def spoil(tasks_dir: Path, how: str) -> None:
    (rows,) = files_of(tasks_dir)
    if how == "garbage":
        rows.write_bytes(b"no database" * 1000)
    elif how == "empty":
        rows.write_bytes(b"")
    elif how == "deleted":
        for path in (tasks_dir / ".dibs").glob("index*"):
            path.unlink()
    elif how == "only the rows deleted":
        rows.unlink()
    elif how == "a strange name":
        pointer_of(tasks_dir).write_bytes(b"\xff../../../etc/passwd")
    else:
        pointer_of(tasks_dir).unlink()


@pytest.mark.parametrize(
    "how", ["garbage", "empty", "deleted", "only the rows deleted", "a strange name", "only the pointer deleted"]
)
def test_an_index_that_is_gone_or_broken_is_made_again_and_nobody_notices(
    session: Session, make_session: MakeSession, tasks_dir: Path, how: str
) -> None:
    for number in range(4):
        write_task(tasks_dir, f"t-{number}")
    claim(session, "t-0")
    spoil(tasks_dir, how)
    fresh = make_session("claude-code")
    assert claim(session).task.id == "t-1"
    assert claim(fresh).task.id == "t-2"
    assert call(fresh, "get_index_stats").by_status == {"in_progress": 3, "active": 1}
    assert fresh.store.index.is_shared
    assert session.store.refresh(after=time.monotonic()).is_shared


def test_copying_a_backup_over_the_rows_in_use_ends_no_process(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    """Nothing of them is mapped into memory: what is cut there would end whoever has it mapped."""
    for number in range(4):
        write_task(tasks_dir, f"t-{number}")
    claim(session, "t-0")
    assert claim(other).task.id == "t-1"
    for path in (tasks_dir / ".dibs").glob("index-*"):
        path.write_bytes(b"")
    assert claim(session).task.id == "t-2"
    assert claim(other).task.id == "t-3"


def test_whoever_asks_for_changes_is_told_them_again_when_the_rows_are_made_anew(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2")
    claim(session, "t-1")
    cursor = session.store.refresh().changes().cursor()
    call(session, "complete_task", id="t-1", summary="s")
    changes = other.store.refresh(after=time.monotonic()).changes(cursor)
    assert (changes.whole, changes.states) == (False, ((4, "t-1", "done"),))
    for path in (tasks_dir / ".dibs").glob("index-*"):
        path.unlink()
    claim(other, "t-2")
    changes = session.store.refresh(after=time.monotonic()).changes(changes.cursor())
    told = {(task_id, status) for _, task_id, status in changes.states}
    assert (changes.whole, told) == (True, {("t-1", "done"), ("t-2", "in_progress")})


def test_where_a_scan_is_dear_a_claim_does_not_wait_for_it_and_it_goes_on_behind(
    session: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_task(tasks_dir, "t-1")
    claim(session)
    write_task(tasks_dir, "t-2")
    scanned = threading.Event()
    monkeypatch.setattr(index_module, "DEAR_SECONDS", -1.0)
    monkeypatch.setattr(index_module, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(index_module, "FRESH_TIMES_COST", 0)
    monkeypatch.setattr(index_module, "Scanned", lambda *values: (scanned.set(), Scanned(*values))[1])
    session.store.refresh(behind=True)
    assert scanned.wait(30)
    assert claim(session).task.id == "t-2"


def test_the_whole_ledger_may_go_in_between(session: Session, tasks_dir: Path) -> None:
    for number in range(3):
        write_task(tasks_dir, f"t-{number}")
    claim(session, "t-0")
    for path in sorted((tasks_dir / ".dibs").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (tasks_dir / ".dibs").rmdir()
    edit(tasks_dir / "t-1.md", "status: active", "status: done")
    claimed = claim(session)
    assert claimed.task.id == "t-2"
    call(session, "complete_task", id="t-2", claim_token=claimed.claim_token, summary="s")
    assert session.store.index.is_shared


def test_rows_that_can_no_longer_be_written_go_on_in_memory_without_reading_any_file_again(
    session: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        age(write_task(tasks_dir, f"t-{number}"))
    claim(session, "t-0")
    session.store.refresh(after=time.monotonic())
    for path in files_of(tasks_dir):
        path.unlink()
    monkeypatch.setattr(index_module, "read_row", None)
    assert claim(session).task.id == "t-1"
    assert not session.store.index.is_shared


def test_other_settings_mean_other_rows(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "wip")
    write_task(tasks_dir, "t-2")
    claim(session, "t-2")
    assert set(session.store.snapshot().tasks) == {"t-2"}
    (tasks_dir / "settings.json").write_text('{"statuses": {"active": ["wip"]}}', encoding="utf-8")
    assert claim(session).task.id == "t-1"


def test_without_locks_to_trust_each_process_has_its_own(far_away: None, tasks_dir: Path) -> None:
    (tasks_dir / "settings.json").write_text('{"trust_file_system": true}', encoding="utf-8")
    write_task(tasks_dir, "t-1")
    session = Session(TaskStore(tasks_dir), server=True)
    claim(session)
    assert not session.store.index.is_shared
    assert files_of(tasks_dir) == []
    session.close()


def test_rows_that_nobody_wrote_for_a_day_are_swept(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2")
    claim(session, "t-1")
    old = write_file(tasks_dir / ".dibs" / "index-0123-old.sqlite", b"of a process that died")
    os.utime(old, (1e9, 1e9))
    pointer_of(tasks_dir).unlink()
    session.store.refresh(after=time.monotonic())
    claim(session, "t-2")
    assert not old.exists()
    assert len(files_of(tasks_dir)) == 2, "and the ones that somebody may still be led to are left alone"
