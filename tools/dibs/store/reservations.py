"""What is held at one moment: tasks by claims, and files by claims, by work in progress by hand, and by a task that has
been passed over for so long that it is its turn.

Pure. Files are reserved with the claim, all or nothing, as the task named them then; work that a person set in progress
reserves its files as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pydantic import AwareDatetime

from dibs.store.claims import Claim, Record, slug, stamp
from dibs.store.overlap import overlap
from dibs.store.snapshot import Snapshot
from dibs.store.task import Task

PATIENCE = timedelta(minutes=10)
"""So long a task is passed over for its files before it holds its place; and so long it holds it at most."""
TURNS_KEPT = 32


@dataclass(frozen=True)
class Reservation:
    """Files set aside for one task. ``until``: when its lease passes, None for work in progress by hand.

    ``turn_of``: nobody works on the task yet; it only holds its place, before tasks of this priority and lower ones.
    """

    task_id: str
    owner: str
    files: tuple[str, ...]
    until: datetime | None = None
    turn_of: int | None = None

    def told(self, files: Sequence[str]) -> str:
        """Why a task that is to change ``files`` has to wait for this one."""
        named = ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
        if self.until is None:
            why = f"reserved for {self.task_id}, in progress by hand{f' by {self.owner}' if self.owner else ''}"
        elif self.turn_of is not None:
            why = f"kept free until {stamp(self.until)} for {self.task_id}, which has been passed over for too long"
        else:
            why = f"reserved for {self.task_id}, held by {self.owner or 'somebody'} until {stamp(self.until)} at least"
        return f"its files ({named}) are {why}"


@dataclass(frozen=True)
class Held:
    """All that is held. ``unreadable`` are the claim files' names (see ``slug``) that only a newer Dibs can read."""

    keys: frozenset[str] = frozenset()
    reservations: tuple[Reservation, ...] = ()
    unreadable: frozenset[str] = frozenset()
    root: str = ""
    fold: bool = False
    _known: dict[tuple[str, tuple[str, ...], int], tuple[Reservation, tuple[str, ...]] | None] = field(
        default_factory=dict, compare=False
    )

    def has(self, task: Task) -> bool:
        """Whether the task itself is held by a claim."""
        return task.key in self.keys or bool(self.unreadable and slug(task.id) in self.unreadable)

    def without(self, task: Task) -> Held:
        """What is held once the claim on a task has ended."""
        left = tuple(r for r in self.reservations if r.task_id.casefold() != task.key)
        return replace(self, keys=self.keys - {task.key}, reservations=left, _known={})

    def in_the_way(self, task: Task) -> tuple[Reservation, tuple[str, ...]] | None:
        """The first reservation that overlaps with the task's files, and those of its files; None: they are free."""
        if not task.files or not self.reservations:
            return None
        asked = (task.key, task.files, task.priority)
        if asked not in self._known:
            self._known[asked] = next(self._overlaps(task), None)
        return self._known[asked]

    def _overlaps(self, task: Task) -> Iterator[tuple[Reservation, tuple[str, ...]]]:
        for reservation in self.reservations:
            if reservation.task_id.casefold() == task.key:
                continue
            if reservation.turn_of is not None and task.priority < reservation.turn_of:
                continue
            files = tuple(f for f in task.files if any(self._overlap(f, other) for other in reservation.files))
            if files:
                yield reservation, files

    def _overlap(self, one: str, other: str) -> bool:
        return overlap(one, other, root=self.root, fold=self.fold)


NOTHING_HELD = Held()


class Turns(Record):
    """The tasks that are passed over only for their files: since when, and which one holds its place, since when."""

    version: int = 1
    since: Mapping[str, AwareDatetime] = {}
    turn: str = ""
    turn_since: AwareDatetime | None = None

    def at(self, now: datetime) -> Turns:
        """The turns now: a place held too long is given up, and the one who waited longest gets the next one."""
        since = {key: min(then, now) for key, then in self.since.items()}
        turn, turn_since = self.turn, self.turn_since
        if turn_since is None or turn not in since or not timedelta() <= now - turn_since < PATIENCE:
            if turn in since:
                since[turn] = now
            turn, turn_since = "", None
            longest = min(since, key=lambda key: since[key], default="")
            if longest and now - since[longest] >= PATIENCE:
                turn, turn_since = longest, now
        return Turns(since=since, turn=turn, turn_since=turn_since)

    def after(self, now: datetime, passed_over: Iterable[str], waiting: Iterable[str]) -> Turns:
        """The turns after a call that passed over some tasks; ``waiting`` are those still kept only by their files."""
        still = set(waiting)
        since = {key: then for key, then in self.since.items() if key in still}
        for key in passed_over:
            if len(since) < TURNS_KEPT:
                since.setdefault(key, now)
        kept = self.turn in since
        return Turns(since=since, turn=self.turn if kept else "", turn_since=self.turn_since if kept else None)


def all_held(
    claims: Sequence[Claim],
    snapshot: Snapshot,
    turns: Turns,
    *,
    unreadable: Iterable[str] = (),
    root: str = "",
    fold: bool = False,
) -> Held:
    """Put together what is held."""
    keys = frozenset(claim.id.casefold() for claim in claims)
    tokens = {claim.token for claim in claims}
    found = [Reservation(c.id, c.owner.caller, c.files, c.lease_until) for c in claims if c.files]
    for task in snapshot.in_progress:
        if task.files and task.key not in keys and task.token not in tokens:
            found.append(Reservation(task.id, ", ".join(task.assignees), task.files))
    waiting = snapshot.tasks.get(turns.turn)
    if waiting is not None and turns.turn_since is not None:
        until = turns.turn_since + PATIENCE
        found.append(Reservation(waiting.id, "", waiting.files, until, turn_of=waiting.priority))
    return Held(keys, tuple(found), frozenset(unreadable), root, fold)
