"""Which tasks somebody wants: one filter for claims, lists, batches and triage. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from dibs.store.batches import Batch
from dibs.store.errors import InvalidArguments
from dibs.store.questions import Asked
from dibs.store.settings import STATUS_WORDS, Settings
from dibs.store.snapshot import Around, Snapshot, ancestors
from dibs.store.task import Task


@dataclass(frozen=True)
class Wanted:
    """What is asked of a task; "", empty and None ask for nothing. Words are compared without case."""

    project: str = ""
    type: str = ""
    complexity: str = ""
    parent: str = ""
    tags: Sequence[str] = ()
    skip_tags: Sequence[str] = ()
    statuses: frozenset[str] = frozenset()
    batch: Batch | None = None

    def asked(self, caller: str) -> Asked:
        """The same as a question to the index, but for parent and statuses, which rows do not answer."""
        return Asked(
            caller=caller.casefold(),
            project=self.project.casefold(),
            complexity=self.complexity,
            type=self.type.casefold(),
            tags=tuple(tag.casefold() for tag in self.tags),
            skip_tags=tuple(tag.casefold() for tag in self.skip_tags),
            among=self.batch.keys_as_json if self.batch is not None else "",
        )

    def told(self) -> str:
        """The filters in words, for messages; "" when there are none."""
        given = {name: getattr(self, name) for name in ("project", "complexity", "type", "tags", "skip_tags", "parent")}
        given["batch"] = self.batch.name if self.batch is not None else ""
        return "; ".join(
            f"{name} {value if isinstance(value, str) else ', '.join(value)}" for name, value in given.items() if value
        )


def matching(wanted: Wanted, snapshot: Snapshot) -> Iterator[Task]:
    tags, skip = _folded(wanted.tags), _folded(wanted.skip_tags)
    for task in snapshot.tasks.values():
        has = _folded(task.tags)
        if (
            (wanted.batch is None or task.key in wanted.batch.keys)
            and (not wanted.statuses or task.status in wanted.statuses)
            and (not wanted.project or task.project.casefold() == wanted.project.casefold())
            and (not wanted.complexity or task.complexity == wanted.complexity)
            and (not wanted.type or task.type == wanted.type.casefold())
            and tags <= has
            and not (skip & has)
            and is_below(task, wanted.parent, snapshot)
        ):
            yield task


def is_below(task: Task, parent: str, around: Around) -> bool:
    return not parent or any(above.key == parent.strip().casefold() for above in ancestors(task, around))


def _folded(words: Collection[str]) -> set[str]:
    return {word.casefold() for word in words}


def statuses_of(words: Collection[str], settings: Settings) -> frozenset[str]:
    """The statuses that words stand for.

    Raises:
        InvalidArguments: one is no status.
    """
    unknown = next((word for word in words if settings.status_of(word) is None), None)
    if unknown is not None:
        hint = "; what is ready is listed with --ready" if unknown == "ready" else ""
        raise InvalidArguments(f"{unknown!r} is no status, there are {', '.join(STATUS_WORDS)}{hint}")
    return frozenset(status for word in words if (status := settings.status_of(word)) is not None)
