"""An overview: who works on what, what there is, what ended lately and how fast. Reads only, and makes nothing.

Whether a server lives is not probed, for the look itself would take its lock: what is said of a lease is read from the
claim file and the clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, PlainSerializer

from dibs.answers import WaitingOn
from dibs.batch_state import BatchCounts, BatchState, state_of_batch
from dibs.past import ENDINGS
from dibs.session import Session
from dibs.stock import Stock, take_stock
from dibs.store.claims import Claim, stamp
from dibs.store.journal import Fact, day_files, moment_of, newest_events
from dibs.store.publish import Signature
from dibs.store.snapshot import Around
from dibs.store.task import Task
from dibs.store.truth import Standing, judge

RECENT_SHOWN = 10
MINUTES_OF_RATE = 10
LEAST_MINUTES = 1 / 6
HOUR = timedelta(hours=1)
OLD_EVENTS_READ = 2_000
"""How many events from more than an hour ago are read to fill up the recent endings."""
LATE_RENEWALS = 1.5

LeaseState = Literal["renewed", "running", "passed", "over", "by_hand", "no_record"]
TROUBLED = ("passed", "over", "no_record")
Time = Annotated[datetime, PlainSerializer(stamp, return_type=str, when_used="json")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Worker(_Part):
    """One claim, or work in progress without one (``since`` and ``lease_until`` are null then).

    ``lease``: ``renewed`` by its server, and on time; ``running``: nobody renews it, or its server is late; ``passed``;
    ``over``: a person ended the task, the next claim call settles that; ``by_hand``: a person's work; ``no_record``:
    the task file has a claim whose record is lost or on another machine.
    """

    caller: str
    client: str
    id: str
    title: str
    since: Time | None
    lease_until: Time | None
    lease: LeaseState


class Counts(_Part):
    """As the tool that counts tasks has them; ``invalid`` tasks are among the ``total``."""

    total: int
    ready: int
    waiting_on: WaitingOn
    by_status: dict[str, int]
    done: int
    invalid: int
    stale: int


class Ended(_Part):
    """How a claim, or a task that nobody held, ended. ``title`` is "" when the task is gone."""

    at: Time
    how: str
    id: str
    caller: str
    title: str = ""


class Rate(_Part):
    """Completed tasks: a minute, over the last ten (or since the batch was made); and in the last hour."""

    per_minute: float
    last_hour: int


class BatchProgress(_Part):
    """Where the batch that is watched stands. ``eta_seconds``: how long the rest takes at the present rate, null when
    nothing was completed lately or nothing is left."""

    name: str
    total: int
    counts: BatchCounts
    finished: bool
    eta_seconds: float | None


class Overview(_Part):
    """Everything at one moment. ``recent`` has the last endings, the newest first."""

    at: Time
    tasks_dir: str
    counts: Counts
    workers: list[Worker]
    recent: list[Ended]
    rate: Rate
    batch: BatchProgress | None = None

    def differs_from(self, other: Overview | None) -> bool:
        """Whether anything happened between the two. What the clock alone moves is nothing: renewals, and the rate."""
        return other is None or self._without_clockwork() != other._without_clockwork()

    def _without_clockwork(self) -> dict[str, object]:
        return self.model_dump(
            exclude={
                "at": True,
                "rate": True,
                "workers": {"__all__": {"lease_until"}},
                "batch": {"eta_seconds"},
            }
        )


def overview(session: Session, *, recent: int = RECENT_SHOWN) -> Overview:
    """Who works on what, the counts, the last endings and the rate. Reads only.

    Raises:
        SettingsError, StoreFailure
    """
    return Lookout(session).look(recent=recent)


class Lookout:
    """Looks again and again, and reads the journal again only when it has grown. With a ``batch`` it tells of that, of
    who works on it and of what ended in it."""

    def __init__(self, session: Session, batch: str = "") -> None:
        self._session = session
        self._batch = batch
        self._history: tuple[tuple[object, ...], list[Ended]] | None = None

    def look(self, *, recent: int = RECENT_SHOWN) -> Overview:
        """See :func:`overview`."""
        try:
            return self._look(recent)
        except OSError as exc:
            raise self._session.store.failure(exc) from exc

    def _look(self, recent: int) -> Overview:
        store = self._session.store
        # a scan each time: whoever watches sees a change at the next look, however long the last scan took
        index = store.refresh(after=time.monotonic())
        claims = store.ledger.claims()
        history = self._read_history(recent)
        now = store.now()
        stock = take_stock(self._session)
        workers = _workers(self._session, index, claims, stock, now)
        minutes: float = MINUTES_OF_RATE
        progress: BatchProgress | None = None
        if self._batch:
            batch = store.batches.get(self._batch)
            workers = [worker for worker in workers if worker.id.casefold() in batch.keys]
            history = [ended for ended in history if ended.id.casefold() in batch.keys]
            minutes = min(minutes, max(LEAST_MINUTES, (now - batch.created_at).total_seconds() / 60))
            progress = _progress(state_of_batch(self._session, batch, index.load()), _rate(history, now, minutes))
        return Overview(
            at=now,
            tasks_dir=str(store.tasks_dir),
            counts=_counts(stock),
            workers=workers,
            recent=[ended.model_copy(update={"title": _title(index, ended.id)}) for ended in history[:recent]],
            rate=_rate(history, now, minutes),
            batch=progress,
        )

    def _read_history(self, recent: int) -> list[Ended]:
        """The endings of the last hour and at least ``recent`` ones, newest first; read again when the journal grew."""
        store = self._session.store
        folder = store.ledger.folder / "journal"
        last = day_files(folder)[-1:]
        made_of = (recent, last, [Signature.of(path.stat()) for path in last])
        if self._history is None or self._history[0] != made_of:
            self._history = (made_of, list(_endings(folder, store.now() - HOUR, recent)))
        return self._history[1]


def _counts(stock: Stock) -> Counts:
    return Counts(
        total=stock.total,
        ready=stock.ready,
        waiting_on=stock.waiting_on,
        by_status=stock.by_status,
        done=stock.by_status.get("done", 0),
        invalid=stock.invalid.count,
        stale=stock.stale,
    )


def _workers(session: Session, around: Around, claims: list[Claim], stock: Stock, now: datetime) -> list[Worker]:
    """Those first of whom something must be said, then those who have been at work longest, then work by hand."""
    host, claimed = session.store.host, {claim.id.casefold() for claim in claims}
    renew_seconds = session.store.settings.claims.renew_seconds
    rows = [
        Worker(
            caller=claim.owner.caller,
            client=claim.owner.client,
            id=claim.id,
            title=_title(around, claim.id),
            since=claim.claimed_at,
            lease_until=claim.lease_until,
            lease=_lease(claim, around.tasks.get(claim.id.casefold()), host, renew_seconds, now),
        )
        for claim in sorted(claims, key=lambda claim: (claim.claimed_at, claim.id))
    ]
    for row in stock.in_progress:
        task = around.tasks.get(row.id.casefold())
        if row.since is None and task is not None and task.key not in claimed:
            lease: LeaseState = "by_hand" if judge(task, None, host) is Standing.PERSON else "no_record"
            rows.append(
                Worker(
                    caller=row.caller, client="", id=row.id, title=task.title, since=None, lease_until=None, lease=lease
                )
            )
    return sorted(rows, key=lambda row: row.lease not in TROUBLED)


def _lease(claim: Claim, task: Task | None, host: str, renew_seconds: float, now: datetime) -> LeaseState:
    if task is not None and judge(task, claim, host) is Standing.ENDED_BY_HAND:
        return "over"
    if claim.lease_passed(now):
        return "passed"
    unrenewed = claim.lease_seconds - (claim.lease_until - now).total_seconds()
    on_time = claim.owner.alive is not None and unrenewed <= LATE_RENEWALS * renew_seconds
    return "renewed" if on_time else "running"


def _title(around: Around, task_id: str) -> str:
    task = around.tasks.get(task_id.casefold())
    return task.title if task is not None else ""


def _endings(folder: Path, since: datetime, recent: int) -> Iterator[Ended]:
    """The endings since a moment, and before it as many as are missing to ``recent``; newest first."""
    seen: set[tuple[str, str, str]] = set()
    found = old = 0
    for event in newest_events(folder):
        at = moment_of(event)
        if at is None or at < since:
            old += 1
            if found >= recent or old > OLD_EVENTS_READ:
                return
        ended = _ended(event, at)
        if ended is None:
            continue
        token = event.get("token")
        if isinstance(token, str):
            # a crash after writing it down makes the next caller write it down again
            once = (ended.id.casefold(), token, ended.how)
            if once in seen:
                continue
            seen.add(once)
        found += 1
        yield ended


def _ended(event: dict[str, Fact], at: datetime | None) -> Ended | None:
    """The ending an event tells of; None: it tells of something else, or not all that it should."""
    how, task_id, caller = event.get("event"), event.get("id"), event.get("caller")
    if at is None or not isinstance(how, str) or how not in ENDINGS or not isinstance(task_id, str):
        return None
    return Ended(at=at, how=how, id=task_id, caller=caller if isinstance(caller, str) else "")


def _progress(state: BatchState, rate: Rate) -> BatchProgress:
    counts = state.counts
    eta = round(60 * counts.left / rate.per_minute, 1) if counts.left and rate.per_minute else None
    return BatchProgress(
        name=state.batch.name, total=len(state.items), counts=counts, finished=not counts.left, eta_seconds=eta
    )


def _rate(history: list[Ended], now: datetime, minutes: float) -> Rate:
    """An event from later than now was written before a clock was set back: when it was, nobody knows."""
    ages = [now - ended.at for ended in history if ended.how == "completed" and ended.at <= now]
    lately = sum(age < timedelta(minutes=minutes) for age in ages)
    return Rate(per_minute=round(lately / minutes, 2), last_hour=sum(age < HOUR for age in ages))
