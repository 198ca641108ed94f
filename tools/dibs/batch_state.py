"""What became of each task of a batch, at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from dibs.answers import counted
from dibs.holding import held_now
from dibs.outcomes import STATUSES, Ended, ended
from dibs.session import Session
from dibs.store.batches import Batch, BatchItem
from dibs.store.claims import Claim, stamp
from dibs.store.readiness import obstacles
from dibs.store.reservations import Held
from dibs.store.snapshot import Snapshot
from dibs.store.task import Task


class BatchCounts(BaseModel):
    """``blocked`` has what waits for review too. ``waiting`` is what nobody can take now: other tasks, files, people,
    the inbox. ``gone``: the file is not there any more."""

    model_config = ConfigDict(frozen=True)

    done: int = 0
    blocked: int = 0
    failed: int = 0
    cancelled: int = 0
    in_progress: int = 0
    ready: int = 0
    waiting: int = 0
    gone: int = 0
    invalid: int = 0

    @property
    def left(self) -> int:
        """How many have no outcome yet."""
        return self.in_progress + self.ready + self.waiting

    def told(self) -> str:
        words = {name.replace("_", " "): count for name, count in self.model_dump().items() if count}
        return ", ".join(f"{count} {word}" for word, count in words.items()) or "nothing"


class AtWork(BaseModel):
    """Who works on what. ``since`` is null where it is in progress by hand; ``path`` is the file its task was made
    for."""

    model_config = ConfigDict(frozen=True)

    id: str
    caller: str
    since: str | None
    path: str


@dataclass(frozen=True)
class ItemState:
    """One task of the batch: ``status`` is a stored one, or ready, waiting, gone or invalid."""

    item: BatchItem
    status: str
    task: Task | None = None
    claim: Claim | None = None

    @property
    def count(self) -> str:
        """Which of the counts it is in."""
        return "blocked" if self.status == "review" else self.status


@dataclass(frozen=True)
class BatchState:
    batch: Batch
    items: Sequence[ItemState]

    @property
    def counts(self) -> BatchCounts:
        return BatchCounts(**Counter(item.count for item in self.items))

    @property
    def at_work(self) -> list[AtWork]:
        return [
            AtWork(
                id=item.item.id,
                caller=item.claim.owner.caller if item.claim else ", ".join(item.task.assignees if item.task else ()),
                since=stamp(item.claim.claimed_at) if item.claim else None,
                path=item.item.path,
            )
            for item in self.items
            if item.status == "in_progress"
        ]

    @property
    def with_outcome(self) -> list[ItemState]:
        return [item for item in self.items if item.status in STATUSES]

    def endings(self, session: Session, items: Sequence[ItemState]) -> list[Ended]:
        """How these ended, read from their files."""
        return [
            ended(session.store, item.item.id, item.task.path if item.task else None, item.status) for item in items
        ]

    def told(self) -> str:
        """Where the batch stands, and what to do about it."""
        counts = self.counts
        told = f"batch {self.batch.name}: {counted(len(self.items), 'task')}, {counts.told()}"
        if not counts.left:
            return f"{told}. All of it has an outcome"
        if not counts.in_progress and not counts.ready:
            return f"{told}. Nobody works on it and nothing is ready: see what the rest waits for with `dibs why ID`"
        return told


def state_of_batch(session: Session, batch: Batch, snapshot: Snapshot) -> BatchState:
    store = session.store
    standing = store.ledger.standing()
    held = held_now(store, snapshot, standing)
    claims = {claim.id.casefold(): claim for claim in standing.claims}
    return BatchState(batch, [_item(session, item, snapshot, held, claims) for item in batch.items])


def _item(session: Session, item: BatchItem, snapshot: Snapshot, held: Held, claims: dict[str, Claim]) -> ItemState:
    key = item.id.casefold()
    task = snapshot.tasks.get(key)
    if task is None:
        return ItemState(item, "invalid" if key in snapshot.invalid_keys else "gone")
    if task.status in STATUSES:
        return ItemState(item, task.status, task)
    if task.status == "in_progress" or held.has(task):
        return ItemState(item, "in_progress", task, claims.get(key))
    ready = next(obstacles(task, snapshot, session.store.settings, caller=None, held=held), None) is None
    return ItemState(item, "ready" if ready else "waiting", task)


def seconds_between(start: datetime, end: datetime) -> float:
    return max(0.0, round((end - start).total_seconds(), 1))
