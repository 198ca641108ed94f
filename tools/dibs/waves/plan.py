"""Which tasks of a wave may run side by side. Pure: one rule makes the rounds of a plan and fills a freed place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from dibs.store.overlap import overlap

Overlap = Callable[[str, str], bool]


@dataclass(frozen=True)
class Unit:
    """What one agent is started for: a task, or the review of one. ``after`` are the keys of the units of its wave
    that must be done first; ``files`` what nobody else may change meanwhile."""

    id: str
    agent: str
    model: str = ""
    kind: str = ""
    files: tuple[str, ...] = ()
    after: frozenset[str] = frozenset()
    timeout_seconds: float = 600

    @property
    def key(self) -> str:
        return self.id.casefold()


@dataclass(frozen=True)
class Limits:
    """At most ``most`` at once, and of a kind at most as many as ``kinds`` says."""

    most: int
    kinds: Mapping[str, int]

    def leave_room(self, unit: Unit, busy: Counter[str], running: int) -> bool:
        return running < self.most and (unit.kind not in self.kinds or busy[unit.kind] < self.kinds[unit.kind])


@dataclass(frozen=True)
class Postponed:
    """A unit that there was a place for, and that has to wait for another one because of a file of its own."""

    unit: Unit
    other: str
    file: str

    def told(self) -> str:
        return f"{self.unit.id} waits for {self.other}: both may change {self.file}"


@dataclass(frozen=True)
class Choice:
    start: tuple[Unit, ...]
    postponed: tuple[Postponed, ...]


@dataclass(frozen=True)
class Round:
    units: tuple[Unit, ...]
    postponed: tuple[Postponed, ...]


def choose(
    waiting: Sequence[Unit],
    running: Collection[Unit],
    limits: Limits,
    done: Collection[str],
    *,
    overtaken: Collection[str] = (),
    overlaps: Overlap = overlap,
) -> Choice:
    """Which of those that wait may start now, beside those that run; the order of ``waiting`` is that of the wave.

    ``done`` and ``overtaken`` are keys. Who was postponed for a file once is ``overtaken`` from then on, and nobody
    after it may take that file before it: else those with few files could keep one with many waiting for good.
    """
    beside, busy = list(running), Counter(unit.kind for unit in running)
    start: list[Unit] = []
    postponed: list[Postponed] = []
    kept: list[Unit] = []
    for unit in waiting:
        if not unit.after <= set(done):
            continue
        if limits.leave_room(unit, busy, len(beside)):
            found = _in_the_way(unit, [*beside, *kept], overlaps)
            if found is None:
                start.append(unit)
                beside.append(unit)
                busy[unit.kind] += 1
                continue
            postponed.append(found)
        if unit.key in overtaken:
            kept.append(unit)
    return Choice(tuple(start), tuple(postponed))


def _in_the_way(unit: Unit, others: Sequence[Unit], overlaps: Overlap) -> Postponed | None:
    for other in others:
        for file in unit.files:
            if any(overlaps(file, theirs) for theirs in other.files):
                return Postponed(unit, other.id, file)
    return None


def rounds_of(
    units: Sequence[Unit], limits: Limits, *, overlaps: Overlap = overlap
) -> tuple[list[Round], tuple[Unit, ...]]:
    """The units in rounds: each begins when the one before has ended. And those that never can begin, because they
    wait for each other."""
    waiting, done, rounds = list(units), set[str](), list[Round]()
    while waiting:
        choice = choose(waiting, (), limits, done, overlaps=overlaps)
        if not choice.start:
            return rounds, tuple(waiting)
        rounds.append(Round(choice.start, choice.postponed))
        done |= {unit.key for unit in choice.start}
        waiting = [unit for unit in waiting if unit.key not in done]
    return rounds, ()
