"""Batches: named lists of work, each one file in ``.dibs/batches/``.

A batch names tasks; what became of them stands in their files alone. Losing ``.dibs`` loses the list, not the tasks.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, ValidationError

from dibs.store.claims import Record, slug
from dibs.store.errors import BatchNotFound, StoreFailure
from dibs.store.ledger import Hold
from dibs.store.publish import Signature, publish, publish_new
from dibs.store.steps import reached

# it is moved, and stands in a file that anybody may write: never a path that leads elsewhere
FolderName = Annotated[str, Field(pattern=r"^(?:batch-[a-z0-9-]+)?$", max_length=100)]


class BatchItem(Record):
    """One task of a batch. ``path`` is the full path of the file that its task was made for; "" where it was there."""

    id: str
    path: str = ""


class Skipped(Record):
    """A task that was left out of a batch, and why."""

    task_id: str
    why: str


class Batch(Record):
    """The content of a batch's file. ``folder``, below the tasks directory, has the task files made for it; they were
    written to ``made_in`` below ``.dibs/tmp`` first, and come to their place in one step."""

    version: Literal[1] = 1
    name: str
    created_at: AwareDatetime
    created_by: str
    items: tuple[BatchItem, ...]
    skipped: tuple[Skipped, ...] = ()
    folder: FolderName = ""
    made_in: FolderName = ""
    cancelled_at: AwareDatetime | None = None

    @cached_property
    def keys(self) -> frozenset[str]:
        """The keys (ids without case) of its tasks."""
        return frozenset(item.id.casefold() for item in self.items)

    @cached_property
    def keys_as_json(self) -> str:
        return json.dumps(sorted(self.keys))


def prefix_of(name: str) -> str:
    """What the ids of the tasks made for a batch of this name begin with."""
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:40] or "batch"


def folder_of(name: str) -> str:
    """The folder, below the tasks directory, that has the task files made for a batch of this name."""
    return f"batch-{prefix_of(name)}"


class Batches:
    """The batches of one tasks directory. Looking needs no mutex; a :class:`Hold` is the proof that it is held."""

    def __init__(self, tasks_dir: Path, ledger_folder: Path) -> None:
        self._tasks_dir = tasks_dir
        self._tmp = ledger_folder / "tmp"
        self._folder = ledger_folder / "batches"
        self._read: dict[Path, tuple[Signature, Batch]] = {}

    def get(self, name: str) -> Batch:
        """The batch of this name, whatever its case.

        Raises:
            BatchNotFound: naming those there are.
            StoreFailure: its file cannot be read.
        """
        try:
            return self._load(self._path(name))
        except (FileNotFoundError, NotADirectoryError):
            known = ", ".join(batch.name for batch in self.all()) or "none"
            raise BatchNotFound(
                f"there is no batch {name}{self.left_of(name)}; there are: {known}", batch=name
            ) from None

    def left_of(self, name: str) -> str:
        """What to do where the tasks that were made for a batch of this name are still there; "" where they are not."""
        folder = self._tasks_dir / folder_of(name)
        if not folder.is_dir():
            return ""
        again = shlex.join(["dibs", "batch", "create", name, "--glob", f"{folder}/*.md"])
        return f" (its list is lost with .dibs, its tasks are still in {folder}: `{again}` makes the list again)"

    def has(self, name: str) -> bool:
        """Whether there is a batch of this name, readable or not."""
        return self._path(name).exists()

    def all(self) -> list[Batch]:
        """All batches that can be read, the oldest first."""
        return sorted(self._readable(), key=lambda batch: (batch.created_at, batch.name))

    def _readable(self) -> Iterator[Batch]:
        for path in self._folder.glob("*.json"):
            with suppress(OSError, StoreFailure):
                yield self._load(path)

    def damaged(self) -> list[Path]:
        """Files of batches that this Dibs cannot read."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                self._load(path)
            except StoreFailure:
                found.append(path)
            except OSError:  # gone just now, or told as a matter of permissions
                continue
        return found

    def _load(self, path: Path) -> Batch:
        signature = Signature.of(path.stat())
        cached = self._read.get(path)
        if cached is not None and cached[0] == signature:
            return cached[1]
        try:
            batch = Batch.model_validate_json(path.read_bytes())
        except ValidationError as exc:
            raise StoreFailure(
                f"{path} is not a batch that this Dibs can read; move it away and create the batch again. "
                "Its tasks are as they were",
                path=str(path),
            ) from exc
        self._read[path] = signature, batch
        return batch

    def _path(self, name: str) -> Path:
        return self._folder / f"{slug(name)}.json"

    # changing

    def add(self, hold: Hold, batch: Batch) -> None:
        """Write a new batch down, and bring the task files made for it to their place.

        Raises:
            FileExistsError: there is a batch of that name.
        """
        hold.check()
        publish_new(self._path(batch.name), _bytes(batch), hold.tmp, durable=True)
        reached("batch.record")
        self.settle(hold, batch)

    def settle(self, hold: Hold, batch: Batch) -> bool:
        """Bring the made task files to their place, if a crash left that undone; True: it did."""
        if not batch.made_in:
            return False
        made, place = self._tmp / batch.made_in, self._tasks_dir / batch.folder
        if place.exists() or not made.is_dir():
            return False
        hold.check()
        made.rename(place)
        return True

    def replace(self, hold: Hold, batch: Batch) -> None:
        hold.check()
        publish(self._path(batch.name), _bytes(batch), hold.tmp)


def _bytes(batch: Batch) -> bytes:
    return batch.model_dump_json().encode("utf-8", "replace")
