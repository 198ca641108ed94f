"""wait_for_tasks: every ending is told, to whoever asks with the cursor of the last answer."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from dibs.answers import Request, Result, counted, listed_few
from dibs.batch_items import MAX_NAME_CHARACTERS
from dibs.create_batch import Items
from dibs.outcomes import STATUSES, Outcome, ended
from dibs.session import Call, Session
from dibs.store.errors import InvalidArguments, TaskNotFound
from dibs.store.questions import Changes

MAX_WAIT_SECONDS = 50
PAUSE_SECONDS = 0.5
TOLD_AT_ONCE = 100
CURSOR = re.compile(r"([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-f]{16}-\d{1,18})")


class WaitRequest(Request):
    ids: Annotated[Items, Field(description="Task ids.")] = []
    batch: Annotated[str, Field(max_length=MAX_NAME_CHARACTERS, description="Or all tasks of this batch.")] = ""
    cursor: Annotated[str, Field(max_length=100, description="From your last answer; without, all is told.")] = ""
    wait_seconds: Annotated[int, Field(ge=0, le=MAX_WAIT_SECONDS, description="At most 50.")] = MAX_WAIT_SECONDS


class WaitResult(Result):
    """``endings`` are those since the cursor; ``left`` is how many tasks have none yet; ``finished``: none is left, and
    there is nothing more to be told."""

    endings: list[Outcome]
    total: int
    left: int
    finished: bool
    cursor: str
    message: str


@dataclass(frozen=True)
class _Asked:
    """What is waited for; ``mark`` tells it, and ``directory`` tells the tasks directory, from others in a cursor."""

    keys: frozenset[str]
    mark: str
    directory: str


def wait_for_tasks(session: Session, request: WaitRequest, call: Call) -> WaitResult:
    """Wait until tasks end (done, blocked, failed, cancelled), and be told of each once. Call again with the cursor
    until finished."""
    asked = _asked(session, request)
    index, among = session.store.refresh(), json.dumps(sorted(asked.keys))
    statuses = index.statuses(among)
    if asked.keys - statuses.keys():  # the index may be older than they are
        statuses = session.store.refresh(after=time.monotonic()).statuses(among)
    changes = index.changes(_inner(request.cursor, asked, session))
    told = [(seq, task_id, status) for seq, task_id, status in changes.states if _is_told(task_id, status, asked)]
    more = len(told) > TOLD_AT_ONCE
    told = told[:TOLD_AT_ONCE]
    after = told[-1][0] if more else None
    if changes.whole:
        # of what was gone when these rows were made they know nothing, nor could a cursor say how much of it was told
        known = {task_id.casefold() for _, task_id, _ in changes.states}
        told += [(changes.last, key, "gone") for key in sorted(asked.keys - known)]
    left = sum(statuses.get(key, "gone") not in STATUSES for key in asked.keys)
    return WaitResult(
        endings=[_outcome(session, task_id, status) for _, task_id, status in told],
        total=len(asked.keys),
        left=left,
        finished=not left and not more,
        cursor=_cursor(changes, after, asked),
        message=_message(told, len(asked.keys), left, more),
    )


def pause_before_next(request: WaitRequest, result: WaitResult, waited_seconds: float) -> float | None:
    """How long to sleep before looking again; None: answer now."""
    if result.endings or result.finished or waited_seconds >= request.wait_seconds:
        return None
    return min(PAUSE_SECONDS, request.wait_seconds - waited_seconds)


def progress_of(result: WaitResult) -> tuple[int, int, str]:
    """How many have ended, of how many, and that in words."""
    return result.total - result.left, result.total, result.message


def _asked(session: Session, request: WaitRequest) -> _Asked:
    store = session.store
    if bool(request.ids) == bool(request.batch):
        raise InvalidArguments("wait_for_tasks: name either ids or a batch; call again with one of them")
    if request.batch:
        batch = store.batches.get(request.batch)
        keys, named = batch.keys, f"batch {batch.name.casefold()} {batch.created_at.isoformat()}"
    else:
        keys = frozenset(task_id.strip().casefold() for task_id in request.ids)
        named = "ids " + json.dumps(sorted(keys))
        unknown = sorted(keys - store.refresh().statuses(json.dumps(sorted(keys))).keys())
        if unknown and not request.cursor:
            raise TaskNotFound(
                f"no task {listed_few(unknown)} in {store.tasks_dir}; mend the ids and call again", task_id=unknown[0]
            )
    return _Asked(keys, _mark(named), _mark(str(store.tasks_dir.resolve())))


def _inner(cursor: str, asked: _Asked, session: Session) -> str:
    """The index's own cursor. Waiting for something else begins anew: what ended before was not told then."""
    if not cursor:
        return ""
    found = CURSOR.fullmatch(cursor.strip())
    if found is None:
        raise InvalidArguments(
            f"{cursor[:40]!r} is no cursor of wait_for_tasks; leave it out, and you are told of all endings so far"
        )
    if found[1] != asked.directory:
        raise InvalidArguments(
            f"cursor {cursor} comes from another tasks directory than {session.store.tasks_dir}; leave it out, and you "
            "are told of all endings so far"
        )
    return found[3] if found[2] == asked.mark else ""


def _cursor(changes: Changes, after: int | None, asked: _Asked) -> str:
    return f"{asked.directory}-{asked.mark}-{changes.cursor(after)}"


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _is_told(task_id: str, status: str, asked: _Asked) -> bool:
    return status in STATUSES and task_id.casefold() in asked.keys


def _outcome(session: Session, task_id: str, status: str) -> Outcome:
    task = session.store.index.tasks.get(task_id.casefold())
    return ended(session.store, task_id, task.path if task is not None else None, status).outcome


def _message(told: Sequence[tuple[int, str, str]], total: int, left: int, more: bool) -> str:
    some = f"{listed_few(f'{task_id} {status}' for _, task_id, status in told)}; " if told else ""
    if more:
        return f"{some}more has ended: call again with the cursor"
    if left:
        return f"{some}{left} of {counted(total, 'task')} left: call again with the cursor, or go on with other work"
    return f"{some}all {counted(total, 'task')} ended"
