"""Tasks and how they hang together: all of them at one moment, or what is around one of them. Always disposable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from dibs.store.errors import MalformedTask
from dibs.store.task import Task


class Around(Protocol):
    """What is around a task, by key (the id without case). Tasks whose id is not unique are invalid, and not there."""

    @property
    def tasks(self) -> Mapping[str, Task]: ...
    @property
    def invalid_keys(self) -> Mapping[str, MalformedTask]: ...
    @property
    def children(self) -> Mapping[str, tuple[Task, ...]]: ...
    @property
    def dependents(self) -> Mapping[str, tuple[Task, ...]]: ...
    @property
    def in_progress(self) -> tuple[Task, ...]: ...


def ancestors(task: Task, around: Around) -> Iterator[Task]:
    """Parent, its parent, and so on; a circle ends where it closes."""
    seen = {task.key}
    while task.parent and (key := task.parent.casefold()) not in seen:
        found = around.tasks.get(key)
        if found is None:
            return
        seen.add(key)
        task = found
        yield task


@dataclass(frozen=True)
class Snapshot:
    """``tasks``, ``children`` and ``dependents`` by key (the id without case); ``invalid`` sorted by path."""

    tasks: Mapping[str, Task]
    invalid: tuple[MalformedTask, ...] = ()
    notes: int = 0
    invalid_keys: Mapping[str, MalformedTask] = field(default_factory=dict)
    children: Mapping[str, tuple[Task, ...]] = field(default_factory=dict)
    dependents: Mapping[str, tuple[Task, ...]] = field(default_factory=dict)
    in_progress: tuple[Task, ...] = ()


def build_snapshot(rows: Iterable[tuple[str, Task | MalformedTask | None]]) -> Snapshot:
    """Put the rows of a scan together: path, and the task, what is wrong with it, or None for a note.

    Every copy of an id that stands in several files is invalid: nobody could say which one is meant.
    """
    by_key: dict[str, list[Task]] = defaultdict(list)
    invalid: list[MalformedTask] = []
    notes = 0
    for _, content in rows:
        if content is None:
            notes += 1
        elif isinstance(content, MalformedTask):
            invalid.append(content)
        else:
            by_key[content.key].append(content)
    tasks: dict[str, Task] = {}
    for key, copies in by_key.items():
        if len(copies) == 1:
            tasks[key] = copies[0]
        else:
            invalid += [duplicate(task, copies) for task in copies]
    invalid.sort(key=lambda error: error.path)
    return Snapshot(
        tasks=tasks,
        invalid=tuple(invalid),
        notes=notes,
        invalid_keys={error.task_id.casefold(): error for error in invalid if error.task_id},
        children=_grouped((task.parent.casefold(), task) for task in tasks.values() if task.parent),
        dependents=_grouped((dep.casefold(), task) for task in tasks.values() for dep in task.depends_on),
        in_progress=tuple(task for task in tasks.values() if task.status == "in_progress"),
    )


def duplicate(task: Task, copies: Iterable[Task]) -> MalformedTask:
    """What is wrong with a task whose id stands in several files."""
    others = ", ".join(sorted(other.path for other in copies if other.path != task.path))
    return MalformedTask(f"the id {task.id} is also in {others}; give each its own", path=task.path, task_id=task.id)


def _grouped(pairs: Iterable[tuple[str, Task]]) -> dict[str, tuple[Task, ...]]:
    groups: dict[str, list[Task]] = defaultdict(list)
    for key, task in pairs:
        groups[key].append(task)
    return {key: tuple(tasks) for key, tasks in groups.items()}
