"""What is held at one moment: tasks by claims, and files by claims, by work in progress by hand, and by a task that has
been passed over for so long that it is its turn.

Pure. Files are reserved with the claim, all or nothing, as the task named them then; work that a person set in progress
reserves its files as well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from pydantic import AwareDatetime

from dibs.store.claims import Claim, Record, slug, stamp
from dibs.store.overlap import Parts, meet, parts_of, plain
from dibs.store.snapshot import Around
from dibs.store.task import Task

PATIENCE = timedelta(minutes=10)
"""So long a task is passed over for its files before it holds its place; and so long it holds it at most."""
TURNS_KEPT = 32


@dataclass(frozen=True)
class Reservation:
    """Files set aside for one task, since ``began`` and until its lease passes; work by hand has neither.

    ``turn_of``: nobody works on the task yet; it only holds its place, before tasks of this priority and lower ones.
    """

    task_id: str
    owner: str
    files: tuple[str, ...]
    began: datetime | None = None
    until: datetime | None = None
    turn_of: int | None = None
    newer: bool = False

    def told(self, files: Sequence[str]) -> str:
        """Why a task that is to change ``files`` has to wait for this one."""
        named = ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
        if self.newer:
            why = f"reserved for {self.task_id}, held by a claim of a newer Dibs"
        elif self.until is None:
            why = f"reserved for {self.task_id}, in progress by hand{f' by {self.owner}' if self.owner else ''}"
        elif self.turn_of is not None:
            why = f"kept free until {stamp(self.until)} for {self.task_id}, which has been passed over for too long"
        else:
            why = f"reserved for {self.task_id}, held by {self.owner or 'somebody'} until {stamp(self.until)} at least"
        return f"its files ({named}) are {why}"


class _Places:
    """The reserved patterns by place: whether a plain path overlaps with a plain one is looked up, not tried out."""

    def __init__(self, reservations: Sequence[Reservation], parts_of: Callable[[str], Parts]) -> None:
        self._parts_of = parts_of
        self._at: dict[Parts, list[int]] = {}
        self._above: dict[Parts, list[int]] = {}
        self._patterns: list[tuple[Parts, int]] = []
        self._all: list[tuple[Parts, int]] = []
        for number, reservation in enumerate(reservations):
            for file in reservation.files:
                self._enter(parts_of(file), number)

    def _enter(self, parts: Parts, number: int) -> None:
        self._all.append((parts, number))
        path = plain(parts)
        if path is None:
            self._patterns.append((parts, number))
            return
        self._at.setdefault(path, []).append(number)
        for length in range(len(path)):
            self._above.setdefault(path[:length], []).append(number)

    def overlapping(self, file: str) -> set[int]:
        """The numbers of the reservations that this file or pattern overlaps with."""
        parts = self._parts_of(file)
        path = plain(parts)
        if path is None:
            return {number for other, number in self._all if meet(parts, other)}
        found = {number for other, number in self._patterns if meet(parts, other)}
        found.update(self._above.get(path, ()))
        for length in range(len(path) + 1):
            found.update(self._at.get(path[:length], ()))
        return found


@dataclass(frozen=True)
class Held:
    """All that is held. ``unreadable`` are the claim files' names (see ``slug``) that only a newer Dibs can read;
    ``roots`` and ``fold`` as in ``parts_of``."""

    keys: frozenset[str] = frozenset()
    reservations: tuple[Reservation, ...] = ()
    unreadable: frozenset[str] = frozenset()
    roots: tuple[str, ...] = ()
    fold: bool = False

    def has(self, task: Task) -> bool:
        """Whether the task itself is held by a claim."""
        return task.key in self.keys or bool(self.unreadable and slug(task.id) in self.unreadable)

    def without(self, task: Task) -> Held:
        """What is held once the claim on a task has ended."""
        left = tuple(r for r in self.reservations if r.task_id.casefold() != task.key)
        return replace(self, keys=self.keys - {task.key}, reservations=left)

    def only(self, task: Task) -> Held:
        """What is reserved for this task, and nothing else."""
        return replace(self, reservations=tuple(r for r in self.reservations if r.task_id.casefold() == task.key))

    def in_the_way(self, task: Task) -> tuple[Reservation, tuple[str, ...]] | None:
        """The first reservation that overlaps with the task's files, and those of its files; None: they are free."""
        return next(self.all_in_the_way(task), None)

    def all_in_the_way(self, task: Task) -> Iterator[tuple[Reservation, tuple[str, ...]]]:
        if not task.files or not self.reservations:
            return
        found = {file: self._places.overlapping(file) for file in task.files}
        for number in sorted(set().union(*found.values())):
            reservation = self.reservations[number]
            its_own = reservation.task_id.casefold() == task.key
            if not its_own and (reservation.turn_of is None or task.priority >= reservation.turn_of):
                yield reservation, tuple(file for file in task.files if number in found[file])

    @cached_property
    def _places(self) -> _Places:
        return _Places(self.reservations, lambda file: parts_of(file, self.roots, self.fold))


NOTHING_HELD = Held()


class Turns(Record):
    """The tasks that are passed over only for their files: since when, and which one holds its place, since when."""

    version: int = 1
    since: Mapping[str, AwareDatetime] = {}
    turn: str = ""
    turn_since: AwareDatetime | None = None

    def at(self, now: datetime, overtaken: Collection[str]) -> Turns:
        """The turns now: a place held too long is given up, and the one who waited longest gets the next one.

        ``overtaken`` are those who wait for nothing but claims that were made after they began to wait. Nobody else
        gets a turn: keeping others away would not help who waits for something older, or for a person.
        """
        since = {key: min(then, now) for key, then in self.since.items()}
        turn, turn_since = self.turn, self.turn_since
        if turn_since is not None and turn in since and now - turn_since >= PATIENCE:
            since[turn] = now
        over = turn_since is None or not timedelta() <= now - turn_since < PATIENCE
        if over or turn not in since or turn not in overtaken:
            longest = min((key for key in since if key in overtaken), key=lambda key: since[key], default="")
            has_waited = bool(longest) and now - since[longest] >= PATIENCE
            turn, turn_since = (longest, now) if has_waited else ("", None)
        return Turns(since=since, turn=turn, turn_since=turn_since)

    def after(self, now: datetime, passed_over: Iterable[str], waiting: Iterable[str]) -> Turns:
        """The turns after a call that passed over some tasks, best first; ``waiting`` are those that still wait only
        for files."""
        still = set(waiting)
        since = {key: then for key, then in self.since.items() if key in still}
        for key in passed_over:
            if len(since) < TURNS_KEPT:
                since.setdefault(key, now)
        kept = self.turn in since
        return Turns(since=since, turn=self.turn if kept else "", turn_since=self.turn_since if kept else None)


def all_held(
    claims: Sequence[Claim],
    around: Around,
    turns: Turns,
    *,
    unreadable: Iterable[str] = (),
    containers: Collection[str] = (),
    roots: tuple[str, ...] = (),
    fold: bool = False,
) -> Held:
    """Put together what is held. Tasks of the types in ``containers`` are no work, and reserve nothing."""
    keys, newer = frozenset(claim.id.casefold() for claim in claims), frozenset(unreadable)
    tokens = {claim.token for claim in claims}
    found = [Reservation(c.id, c.owner.caller, c.files, c.claimed_at, c.lease_until) for c in claims if c.files]
    for task in around.tasks.values() if newer else around.in_progress:
        if not task.files or task.key in keys or task.type in containers:
            continue
        if newer and slug(task.id) in newer:
            found.append(Reservation(task.id, "", task.files, newer=True))
        elif task.status == "in_progress" and task.token not in tokens:
            found.append(Reservation(task.id, ", ".join(task.assignees), task.files))
    waiting = around.tasks.get(turns.turn) if turns.turn else None
    if waiting is not None and turns.turn_since is not None:
        until = turns.turn_since + PATIENCE
        found.append(Reservation(waiting.id, "", waiting.files, turns.turn_since, until, turn_of=waiting.priority))
    return Held(keys, tuple(found), newer, roots, fold)
