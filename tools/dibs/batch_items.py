"""What a batch is to be made of: task ids, task files, other files, globs, filters. Looks only.

A word is taken for the id of a task if there is one, else for a path; ``./name`` is always a path.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dibs.answers import listed_few
from dibs.matching import Wanted, matching
from dibs.session import Session
from dibs.store.batches import Batch, Skipped
from dibs.store.claims import stamp
from dibs.store.errors import InvalidArguments, NotReady
from dibs.store.ledger import Hold
from dibs.store.readiness import is_claimable
from dibs.store.snapshot import Snapshot
from dibs.store.task import ENDED, Task
from dibs.store.task_store import TaskStore

MAX_NAME_CHARACTERS = 64
ALREADY_COMPLETE = "already complete"


def open_batch(store: TaskStore, hold: Hold, batch: Batch) -> None:
    """See that its tasks can be handed out: those made for it are in their place, and it was not cancelled.

    Raises:
        NotReady: it was cancelled.
    """
    if batch.cancelled_at is not None:
        raise NotReady(
            f"batch {batch.name} was cancelled at {stamp(batch.cancelled_at)}; nothing of it is handed out. "
            "Report that and stop"
        )
    if store.batches.settle(hold, batch):
        store.refresh(after=time.monotonic())


@dataclass
class Chosen:
    """Tasks that are there, by key; full paths of files that get a task of their own; and what is left out."""

    tasks: dict[str, Task] = field(default_factory=dict)
    paths: dict[str, None] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)


class Chooser:
    """Chooses for one call. ``root`` is what relative paths begin at: where a person is, or an agent's repository."""

    def __init__(self, session: Session, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._settings = session.store.settings
        self._root = Path.cwd() if session.person else session.store.repository
        self._tasks_dir = session.store.tasks_dir
        self._real_tasks_dir = session.store.tasks_dir.resolve()
        self._by_path = {task.path: task for task in snapshot.tasks.values()}
        self._invalid_paths = {error.path: error for error in snapshot.invalid}
        self.chosen = Chosen()

    def add_named(self, words: Iterable[str]) -> None:
        """Add what is named one by one; every word must be something, and none the same as another.

        Raises:
            InvalidArguments: naming each word that is neither, or that comes twice.
        """
        seen: dict[str, str] = {}
        unknown, twice = [], []
        for word in words:
            key = self._add_word(word)
            if key is None:
                unknown.append(word)
            elif key in seen:
                twice.append(word if seen[key] == word else f"{word} (also as {seen[key]})")
            else:
                seen[key] = word
        if unknown:
            raise InvalidArguments(
                f"neither a task's id nor a file below {self._root}: {listed_few(map(repr, unknown))}. "
                "Nothing was made; mend that and call again"
            )
        if twice:
            raise InvalidArguments(
                f"given more than once: {listed_few(map(repr, twice))}. Nothing was made; name each once"
            )

    def add_globs(self, patterns: Iterable[str]) -> None:
        """Add the files that match; names with a dot in front do not.

        Raises:
            InvalidArguments: a pattern matches nothing.
        """
        for pattern in patterns:
            # Path.glob takes no full paths, and does not pass over names with a dot in front
            found = [self._root / name for name in glob.iglob(pattern, root_dir=self._root, recursive=True)]  # noqa: PTH207
            files = sorted(str(path) for path in found if path.is_file())
            if not files:
                raise InvalidArguments(f"no file below {self._root} matches {pattern!r}; nothing was made")
            for path in files:
                self._add_path(path)

    def add_matching(self, wanted: Wanted) -> None:
        """Add the tasks that filters choose, but for containers."""
        for task in matching(wanted, self._snapshot):
            if is_claimable(task, self._settings):
                self._add_task(task)

    def _add_word(self, word: str) -> str | None:
        """Add one; returns what tells it from others, None when it is nothing."""
        key = word.strip().casefold()
        if (task := self._snapshot.tasks.get(key)) is not None:
            return self._add_task(task)
        if (error := self._snapshot.invalid_keys.get(key)) is not None:
            self._skip(error.task_id, f"invalid: {error.cause}")
            return error.task_id.casefold()
        return self._add_path(word) if word and "\0" not in word and os.path.lexists(self._root / word) else None

    def _add_path(self, word: str) -> str:
        path = Path(os.path.normpath(self._root / word))
        within = self._within(path)
        if within is not None and (task := self._by_path.get(within)) is not None:
            return self._add_task(task)
        if within is not None and (error := self._invalid_paths.get(within)) is not None:
            self._skip(error.task_id or within, f"invalid: {error.cause}")
            return within
        if not is_text(str(path)):
            raise InvalidArguments(f"the name of {str(path)!a} is not UTF-8; rename it. Nothing was made")
        self.chosen.paths[str(path)] = None
        return str(path)

    def _within(self, path: Path) -> str | None:
        """The path relative to the tasks directory, however that is reached; None: it lies elsewhere."""
        for whole, folder in ((path, self._tasks_dir), (path.parent.resolve() / path.name, self._real_tasks_dir)):
            if whole.is_relative_to(folder):
                return whole.relative_to(folder).as_posix()
        return None

    def _add_task(self, task: Task) -> str:
        if task.status in ENDED:
            self._skip(task.id, f"{ALREADY_COMPLETE}: {task.status}")
        else:
            self.chosen.tasks[task.key] = task
        return task.key

    def _skip(self, task_id: str, why: str) -> None:
        skipped = Skipped(task_id=task_id, why=why)
        if skipped not in self.chosen.skipped[-1:]:
            self.chosen.skipped.append(skipped)


def is_text(text: str) -> bool:
    """Whether it can be written as UTF-8: a file's name need not be."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
