"""Counting what there is. Tasks that are alike to the readiness rule are judged once, so that most are never read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from dibs.store.errors import MalformedTask
from dibs.store.index import Index
from dibs.store.questions import Outline
from dibs.store.readiness import WaitingKind, obstacles
from dibs.store.reservations import Held
from dibs.store.rows import INVALID, NOTE, TASK
from dibs.store.settings import Settings
from dibs.store.snapshot import Around, duplicate
from dibs.store.task import ENDED, Task

MANY = 200
"""From so many kinds of tasks on it costs less to load everything than to look up what is around each."""

Likeness = tuple[object, ...]


@dataclass(frozen=True)
class Counted:
    """Every file once: a note, an invalid task, or one of ``tasks``. ``ready`` are the ready ones among them,
    ``waiting`` what the others wait for that are not ended, in progress or held."""

    tasks: tuple[Outline, ...]
    notes: int
    invalid: tuple[Outline, ...]
    ready: tuple[Outline, ...]
    waiting: Counter[WaitingKind]


def count(index: Index, settings: Settings, held: Held) -> Counted:
    """Count the tasks as the index has them."""
    outlines = index.outlines()
    copies = Counter(outline.key for outline in outlines if outline.kind == TASK)
    tasks = tuple(o for o in outlines if o.kind == TASK and copies[o.key] == 1)
    ready: list[Outline] = []
    waiting: Counter[WaitingKind] = Counter()
    held_keys = _held_keys(index, held)
    alike = _alike((o for o in tasks if o.status not in ENDED and o.key not in held_keys), outlines, held)
    around: Around = index if len(alike) < MANY else index.load()
    for group in alike:
        first = _first_obstacle(group, index, around, settings, held)
        if first is None:
            ready += group
        else:
            waiting[first] += len(group)
    return Counted(
        tasks=tasks,
        notes=sum(outline.kind == NOTE for outline in outlines),
        invalid=tuple(o for o in outlines if o.kind == INVALID or copies[o.key] > 1),
        ready=tuple(ready),
        waiting=waiting,
    )


def _held_keys(index: Index, held: Held) -> frozenset[bytes]:
    keys = {key.encode("utf-8", "surrogatepass") for key in held.keys}
    if held.unreadable:  # known by the names of their claim files only
        keys |= {key.encode("utf-8", "surrogatepass") for key, task in index.load().tasks.items() if held.has(task)}
    return frozenset(keys)


def _alike(tasks: Iterable[Outline], outlines: Iterable[Outline], held: Held) -> list[list[Outline]]:
    """The tasks in groups whose first obstacle must be the same, whatever else is in their way."""
    parents = {outline.parent for outline in outlines if outline.parent}
    groups: dict[Likeness, list[Outline]] = {}
    for outline in tasks:
        if outline.status != "in_progress":
            groups.setdefault(_likeness(outline, parents, held), []).append(outline)
    return list(groups.values())


def _likeness(outline: Outline, parents: set[bytes], held: Held) -> Likeness:
    """What the readiness rule looks at, as far as it has to look, in its order."""
    if outline.status != "active":
        return (outline.status,)
    if not outline.handed_out:
        return ("not handed out", outline.type)
    if outline.callers:
        return ("reserved", outline.callers)
    if outline.unmet:
        return ("dependencies",)
    if outline.key in parents or (outline.has_files and held.reservations):
        return ("by itself", outline.path)
    return ("below", outline.parent)


def _first_obstacle(
    group: Iterable[Outline], index: Index, around: Around, settings: Settings, held: Held
) -> WaitingKind | None:
    """What the tasks of a group wait for first, by one that is still there; None: they are ready."""
    task = next((task for outline in group if (task := read(index, outline)) is not None), None)
    if task is None:
        return "other"
    obstacle = next(obstacles(task, around, settings, caller=None, held=held), None)
    return obstacle.kind if obstacle is not None else None


def read(index: Index, outline: Outline) -> Task | None:
    """The task of an outline; None: it has gone meanwhile."""
    row = index.row(os.fsdecode(outline.path))
    return row.content if row is not None and isinstance(row.content, Task) else None


def first_invalid(index: Index, counted: Counted, limit: int) -> list[MalformedTask]:
    """What is wrong with the first of the invalid files, by path."""
    found = []
    for outline in sorted(counted.invalid)[:limit]:
        row = index.row(os.fsdecode(outline.path))
        content = row.content if row is not None else None
        if isinstance(content, Task):
            copies = (read(index, other) for other in counted.invalid if other.key == outline.key)
            found.append(duplicate(content, [copy for copy in copies if copy is not None]))
        elif content is not None:
            found.append(content)
    return found
