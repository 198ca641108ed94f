"""A file system that says no: the reader sees the old file or the new one, the caller is told, and a retry succeeds."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dibs.session import Session
from dibs.store import publish
from dibs.store.errors import StoreFailure
from dibs.store.task_file import read_task_file
from support import Clock, age, call, claim, header, held_ids, the_claim, write_file, write_task

ADVICE = {errno.ENOSPC: "make room on the disk", errno.EACCES: "give this user the right", errno.EIO: "mend that"}
BODY = "body\n" * 400
MOST_CALLS = 60

MakeSession = Callable[..., Session]


@contextmanager
def failing(name: str, number: int, code: int) -> Iterator[list[bool]]:
    """Make the n-th call of ``os.name`` or of our exchange fail, only that one; yields whether it came to that."""
    module: Any = publish if name == "exchange" else os
    real = getattr(module, name)
    calls, failed = [0], []

    def call_or_fail(*arguments: Any, **more: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            failed.append(True)
            raise OSError(code, os.strerror(code), str(arguments[0]))
        return real(*arguments, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, call_or_fail)
        yield failed


def is_whole(path: Path) -> bool:
    """Whether a reader finds the complete body below a header that can be read."""
    file = read_task_file(path.read_bytes())
    return file is not None and file.body.startswith(BODY)


def fresh_task(tasks_dir: Path, number: int) -> Path:
    for old in tasks_dir.glob("*.md"):
        old.unlink()
    return write_task(tasks_dir, f"t-{number}", "To Do", body=BODY)


each_error = pytest.mark.parametrize("code", ADVICE, ids=errno.errorcode.get)


@each_error
@pytest.mark.parametrize("name", ["open", "exchange", "replace", "link", "fsync", "unlink", "fchmod"])
def test_a_claim_that_fails_leaves_nothing_and_a_retry_succeeds(
    make_session: MakeSession, tasks_dir: Path, name: str, code: int
) -> None:
    session = make_session()
    for number in range(1, MOST_CALLS):
        path = fresh_task(tasks_dir, number)
        before = path.read_bytes()
        result, told = None, None
        with failing(name, number, code) as failed:
            try:
                result = call(session, "claim_next_task")
            except StoreFailure as error:
                told = error
        assert is_whole(path), number
        if told is not None:
            assert (told.code, ADVICE[code] in told.message) == ("io", True), told.message
        if result is None or result.status == "empty":
            assert told is not None or any(f"t-{number}" in warning for warning in result.warnings), number
            assert path.read_bytes() == before, f"call {number} of {name}: a claim nobody knows of"
            assert held_ids(session) == [], number
            result = call(session, "claim_next_task")
        assert result.status == "claimed", f"call {number} of {name}: stuck"
        call(session, "release_task", id=f"t-{number}", claim_token=result.claim_token)
        assert path.read_bytes() == before
        if not failed:
            assert number > 1, f"os.{name} was never called"
            return
    pytest.fail("no end of calls")


@each_error
@pytest.mark.parametrize("name", ["open", "exchange", "replace", "fsync", "unlink", "fchmod"])
@pytest.mark.parametrize("verb", ["complete_task", "release_task"])
def test_an_ending_that_fails_can_be_tried_again_and_is_done_once(
    make_session: MakeSession, tasks_dir: Path, name: str, code: int, verb: str
) -> None:
    session = make_session()
    for number in range(1, MOST_CALLS):
        path = fresh_task(tasks_dir, number)
        before = path.read_bytes()
        token = claim(session).claim_token
        more = {"summary": "the one report"} if verb == "complete_task" else {}
        told = None
        with failing(name, number, code) as failed:
            try:
                call(session, verb, id=f"t-{number}", claim_token=token, **more)
            except StoreFailure as error:
                told = error
        assert is_whole(path), number
        if told is not None:
            assert (told.code, ADVICE[code] in told.message) == ("io", True), told.message
        call(session, verb, id=f"t-{number}", claim_token=token, **more)
        assert held_ids(session) == [], f"call {number} of {name}: the claim stays"
        if verb == "complete_task":
            assert header(path)["status"] == "done"
            assert path.read_text(encoding="utf-8").count("the one report") == 1
        else:
            assert path.read_bytes() == before
        if not failed:
            assert number > 1, f"os.{name} was never called"
            return
    pytest.fail("no end of calls")


@pytest.mark.parametrize("verb", ["get_index_stats", "list_tasks", "complete_task"])
def test_a_file_system_that_does_not_even_let_one_look_is_told_like_one_that_does_not_let_one_write(
    session: Session, tasks_dir: Path, verb: str
) -> None:
    write_task(tasks_dir, "t-1")
    arguments = {"id": "t-1", "claim_token": claim(session).claim_token} if verb == "complete_task" else {}
    told = []
    for number in range(1, MOST_CALLS):
        with failing("scandir", number, errno.EMFILE) as failed:
            try:
                call(session, verb, **arguments)
            except StoreFailure as error:
                told.append(error.message)
        if not failed:
            break
    assert told
    assert all("Too many open files; close some files or raise the limit (ulimit -n)" in text for text in told)


def test_nobody_is_told_to_move_the_settings_away_because_too_many_files_are_open(
    session: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tasks_dir / "settings.json").write_text("{}", encoding="utf-8")
    write_task(tasks_dir, "t-1")
    real = io.open

    def refuse(path: Any, *arguments: Any, **more: Any) -> Any:
        if Path(path).name == "settings.json":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))
        return real(path, *arguments, **more)

    monkeypatch.setattr(io, "open", refuse)
    with pytest.raises(StoreFailure, match=r"settings\.json: Too many open files; .* \(ulimit -n\)"):
        call(session, "claim_next_task")
    monkeypatch.undo()
    claim(session)


def test_a_task_given_back_is_free_though_its_claim_file_could_not_be_removed(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    with failing("unlink", 2, errno.EIO), pytest.raises(StoreFailure):
        call(session, "release_task", id="t-1", claim_token=token)
    assert held_ids(other) == ["t-1"]
    age(path)
    result = claim(other)
    assert (result.task.id, result.task.attempts) == ("t-1", 0)
    assert the_claim(other, "t-1").token == result.claim_token


def test_a_note_is_written_once_though_giving_back_failed_after_it(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    with failing("unlink", 2, errno.EIO), pytest.raises(StoreFailure):
        call(session, "release_task", id="t-1", claim_token=token, note="Half of it is done.")
    # an ending that did not even come to its record
    next((tasks_dir / ".dibs" / "ended").iterdir()).unlink()
    age(path)
    call(other, "release_task", id="t-1", claim_token=token, note="Half of it is done.")
    assert header(path) == {"id": "t-1", "status": "active"}
    assert path.read_text(encoding="utf-8").count("Half of it is done.") == 1
    assert held_ids(other) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
@pytest.mark.parametrize("verb", ["claim_next_task", "complete_task"])
def test_a_disk_that_is_full_for_real_damages_nothing(session: Session, tasks_dir: Path, verb: str) -> None:
    path = write_task(tasks_dir, "t-1", body=BODY)
    token = claim(session).claim_token if verb == "complete_task" else ""
    arguments = {"id": "t-1", "claim_token": token, "summary": "the one report"} if token else {}
    before = path.read_bytes()
    with at_most_bytes_in_a_file(1500), pytest.raises(StoreFailure):
        call(session, verb, **arguments)
    assert path.read_bytes() == before
    assert held_ids(session) == (["t-1"] if token else [])
    assert list((tasks_dir / ".dibs" / "tmp").iterdir()) == []
    call(session, verb, **arguments)
    assert header(path)["status"] == ("done" if token else "in_progress")


@contextmanager
def at_most_bytes_in_a_file(limit: int) -> Iterator[None]:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_one_task_that_cannot_be_written_does_not_stop_the_others(
    session: Session, other: Session, tasks_dir: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = write_task(tasks_dir / "locked", "t-1", priority=0)
    write_task(tasks_dir, "t-2")
    refuse_to_replace(monkeypatch, locked)
    result = claim(session)
    assert result.task.id == "t-2"
    assert "passed over t-1" in result.warnings[0]
    assert held_ids(session) == ["t-2"]


def test_a_due_claim_whose_task_cannot_be_written_does_not_stop_the_others(
    session: Session, other: Session, tasks_dir: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = write_task(tasks_dir / "locked", "t-1")
    claim(session)
    session.close()
    clock.advance(121)
    write_task(tasks_dir, "t-2")
    refuse_to_replace(monkeypatch, locked)
    assert claim(other).task.id == "t-2"
    assert held_ids(other) == ["t-1", "t-2"]
    monkeypatch.undo()
    assert claim(other).task.id == "t-1"


def refuse_to_replace(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """As in a folder this user may not write to."""
    real = publish.exchange

    def exchange(source: Path, target: Path) -> bool:
        if target == path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(source), None, str(target))
        return real(source, target)

    monkeypatch.setattr(publish, "exchange", exchange)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_directory_that_cannot_be_written_says_so_and_can_still_be_read(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    tasks_dir.chmod(0o500)
    try:
        with pytest.raises(StoreFailure, match="give this user the right to write there"):
            call(session, "claim_next_task")
        assert call(session, "get_index_stats").ready == 1
        assert call(session, "get_task", id="t-1").task.id == "t-1"
    finally:
        tasks_dir.chmod(0o700)


def test_a_directory_that_is_gone_says_so(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    for file in sorted(tasks_dir.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    tasks_dir.rmdir()
    with pytest.raises(StoreFailure, match="make sure that the tasks directory is there"):
        call(session, "claim_next_task")
    assert not path.exists()
    assert not tasks_dir.exists(), "a directory that went away must not be made anew"


def test_without_hard_links_claims_work_all_the_same(
    session: Session, other: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*arguments: Any, **more: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    age(path)
    assert call(other, "claim_next_task").status == "empty"
    call(session, "complete_task", id="t-1", claim_token=token)
    assert header(path)["status"] == "done"
    assert call(session, "add_task", title="x").task.status == "active"


# an editor between our read and our write


def by_rename(path: Path, content: bytes) -> None:
    temporary = path.with_name(".editor")
    temporary.write_bytes(content)
    temporary.replace(path)


def in_place(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@pytest.mark.parametrize("save", [by_rename, in_place])
@pytest.mark.parametrize("verb", ["claim_next_task", "complete_task", "block_task", "release_task"])
@pytest.mark.parametrize("old", [True, False], ids=["with an old date", "just now"])
def test_what_an_editor_saves_between_our_read_and_our_write_survives(
    session: Session,
    tasks_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    save: Callable[[Path, bytes], None],
    verb: str,
    old: bool,
) -> None:
    path = write_task(tasks_dir, "t-1", body="body\n")
    arguments: dict[str, Any] = {}
    if verb != "claim_next_task":
        arguments = {"id": "t-1", "claim_token": claim(session).claim_token}
        arguments |= {"reason": "x"} if verb == "block_task" else {}
    real, saves = os.fsync, []

    def save_then_sync(descriptor: int) -> None:
        # our new version is written and about to take the place of the one we read
        if not saves:
            saves.append(path.read_bytes() + b"the editor's line\n")
            save(path, saves[0])
            if old:
                age(path)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", save_then_sync)
    call(session, verb, **arguments)
    assert saves
    text = path.read_text(encoding="utf-8")
    assert text.count("body\nthe editor's line\n") == 1
    status = {"claim_next_task": "in_progress", "complete_task": "done", "block_task": "blocked"}.get(verb, "active")
    assert header(path)["status"] == status


def test_an_editor_that_sets_the_task_aside_between_our_read_and_our_write_wins(
    session: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_task(tasks_dir, "t-1", priority=0)
    write_task(tasks_dir, "t-2")
    real, saves = os.fsync, []

    def save_then_sync(descriptor: int) -> None:
        if not saves:
            saves.append(True)
            write_file(path, path.read_bytes().replace(b"active", b"on_hold"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", save_then_sync)
    assert claim(session).task.id == "t-2"
    assert header(path) == {"id": "t-1", "status": "on_hold", "priority": "0"}
    assert held_ids(session) == ["t-2"]
