"""The file system says no at every call in turn, once or from then on: nothing is lost, and whoever comes later can
finish everything.
"""

from __future__ import annotations

import errno
import io
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dibs.renewing import renew_claims
from dibs.session import Session
from dibs.store import publish
from dibs.store.errors import DibsError, MalformedTask, StoreFailure
from dibs.store.task_file import read_task_file
from dibs.store.task_store import TaskStore
from support import Clock, age, call, claim, header, held_ids, the_claim, write_task

CODES = (errno.EDQUOT, errno.EIO, errno.ENOSPC, errno.EMFILE)
ADVICE = ("make room in your quota", "mend that", "make room on the disk", "ulimit -n")
CALLS = ("open", "fdopen", "fsync", "replace", "link", "unlink", "mkdir", "fchmod", "scandir")
BODY = "body\n" * 400
REPORT = "the one report"
MOST_CALLS = 200
TWO_MINUTES = 121


class Torn(io.BufferedWriter):
    """A file on a disk that takes half of what is written."""

    error = OSError()

    def write(self, content: Any) -> int:
        super().write(content[: len(content) // 2])
        self.flush()
        raise self.error


@contextmanager
def failing(world: World, *more_names: str, from_then_on: bool) -> Iterator[None]:
    """Make the n-th call to the file system fail, or all from there on."""
    calls, failed = [0], world.failed

    def guarded(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call_or_fail(*arguments: Any, **more: Any) -> Any:
            calls[0] += 1
            if calls[0] < world.number or (failed and not from_then_on):
                return real(*arguments, **more)
            failed.append(name)
            error = OSError(world.code, os.strerror(world.code), str(arguments[0]))
            if name == "fdopen":
                torn = Torn(io.FileIO(arguments[0], "wb"))
                torn.error = error
                return torn
            raise error

        return call_or_fail

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", lambda seconds: None)  # an ending looks again and again; nothing will change here
        for name in CALLS + more_names:
            patch.setattr(os, name, guarded(name, getattr(os, name)))
        patch.setattr(publish, "exchange", guarded("exchange", publish.exchange))
        patch.setattr(io, "open", guarded("read", io.open))
        yield


def act(session: Session, verb: str, token: str) -> None:
    if verb == "renew":
        renew_claims(session)
    elif verb in ("claim", "reap"):
        call(session, "claim_next_task", project="" if verb == "claim" else "none")
    else:
        texts = {"complete_task": "summary", "block_task": "reason", "release_task": "note"}
        call(session, verb, id="t-1", claim_token=token, **{texts[verb]: REPORT})


def told(session: Session, verb: str, token: str, code: int) -> DibsError | None:
    """Do it; the error of the call, which names the trouble and says what to do."""
    try:
        act(session, verb, token)
    except StoreFailure as error:
        assert any(text in error.message for text in ADVICE), error.message
        assert os.strerror(code) in error.message
        return error
    except MalformedTask as error:
        assert os.strerror(code) in error.message
        return error
    return None


def is_whole(path: Path) -> bool:
    file = read_task_file(path.read_bytes())
    return file is not None and file.body.startswith(BODY)


@dataclass
class World:
    """A directory with one task that nobody has ever worked on, so that the n-th call is the same one each time."""

    tasks_dir: Path
    clock: Clock
    number: int
    code: int
    failed: list[str] = field(default_factory=list)
    made: list[Session] = field(default_factory=list)

    def session(self) -> Session:
        self.made.append(Session(TaskStore(self.tasks_dir, now=self.clock, host="h1"), client="probe", server=True))
        return self.made[-1]

    @property
    def path(self) -> Path:
        return self.tasks_dir / "t-1.md"

    @property
    def what(self) -> str:
        return f"call {self.number} failed with {errno.errorcode[self.code]}: {self.failed}"


def worlds(tmp_path: Path) -> Iterator[World]:
    """One for each call that can fail: it ends when there was none left to fail."""
    for number in range(1, MOST_CALLS):
        tasks_dir = tmp_path / f"tasks-{number}"
        write_task(tasks_dir, "t-1", "To Do", body=BODY)
        world = World(tasks_dir, Clock(tasks_dir), number, random.choice(CODES))
        yield world
        for session in world.made:
            session.close()
        assert is_whole(world.path), world.what
        if not world.failed:
            assert number > 6
            return
    pytest.fail("no end of calls")


each_length = pytest.mark.parametrize("from_then_on", [False, True], ids=["once", "from then on"])


@each_length
@pytest.mark.parametrize("verb", ["complete_task", "block_task", "release_task"])
def test_an_ending_that_fails_anywhere_is_finished_by_a_later_session_with_the_token(
    tmp_path: Path, verb: str, from_then_on: bool
) -> None:
    for world in worlds(tmp_path):
        session, heir, path = world.session(), world.session(), world.path
        token = claim(session).claim_token
        age(path)
        with failing(world, from_then_on=from_then_on):
            told(session, verb, token, world.code)
        assert is_whole(path), world.what
        session.close()
        age(path)
        act(heir, verb, token)
        status = {"complete_task": "done", "block_task": "blocked"}.get(verb, "To Do")
        assert header(path)["status"] == status, world.what
        assert path.read_text(encoding="utf-8").count(REPORT) == 1, world.what
        assert held_ids(heir) == [], world.what


@each_length
def test_a_claim_that_fails_anywhere_is_nobodys_at_once_or_after_a_lease(tmp_path: Path, from_then_on: bool) -> None:
    for world in worlds(tmp_path):
        session, heir, path = world.session(), world.session(), world.path
        before = path.read_bytes()
        with failing(world, "stat", from_then_on=from_then_on):
            error = told(session, "claim", "", world.code)
        if error is not None and not from_then_on:
            assert path.read_bytes() == before, world.what
            assert held_ids(heir) == [], world.what
        world.clock.advance(TWO_MINUTES)
        renew_claims(session)
        if error is not None or held_ids(heir) == []:
            claim(heir)
        token = the_claim(heir, "t-1").token
        assert header(path)["claim"] == token, world.what
        call(heir, "complete_task", id="t-1", claim_token=token)


@each_length
def test_a_reaping_that_fails_anywhere_is_made_good_by_the_next(tmp_path: Path, from_then_on: bool) -> None:
    for world in worlds(tmp_path):
        session, reaper, heir = world.session(), world.session(), world.session()
        claim(session)
        session.close()
        world.clock.advance(TWO_MINUTES)
        with failing(world, from_then_on=from_then_on):
            told(reaper, "reap", "", world.code)
        assert is_whole(world.path), world.what
        age(world.path)
        result = claim(heir)
        assert result.task.attempts == 1, world.what
        assert world.path.read_text(encoding="utf-8").count("## Attempt") == 1, world.what


@each_length
def test_a_renewal_that_fails_anywhere_is_made_good_by_the_next(tmp_path: Path, from_then_on: bool) -> None:
    for world in worlds(tmp_path):
        session, other = world.session(), world.session()
        token = claim(session).claim_token
        world.clock.advance(TWO_MINUTES)
        with failing(world, from_then_on=from_then_on):
            told(session, "renew", token, world.code)
        assert [claim.id for claim in session.held()] == ["t-1"], world.what
        renew_claims(session)
        world.clock.advance(TWO_MINUTES - 2)
        assert call(other, "claim_next_task").status == "empty", world.what
        call(session, "complete_task", id="t-1", claim_token=token)
        assert header(world.path)["status"] == "done"
