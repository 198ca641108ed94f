"""The task store: one tasks directory, its files, its index and its ledger; and the one writer of task files.

Every change runs inside :meth:`TaskStore.change`: under the mutex, on bytes read there, and anew when what it was based
on has changed meanwhile.
"""

from __future__ import annotations

import errno
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from dibs.store.batches import Batches
from dibs.store.claims import Claim, host_name
from dibs.store.errors import DibsError, SettingsError, StoreBusy, StoreFailure, TaskChanged, TaskNotFound
from dibs.store.header import TaskFile
from dibs.store.index import Index
from dibs.store.ledger import Hold, Ledger
from dibs.store.mutex import StartOver
from dibs.store.places import file_system_of, is_trusted, repository_of, roots_of
from dibs.store.publish import Signature, publish_new, replace_unchanged, write_temporary
from dibs.store.reading import Row, StoredTask, nested, read_row, read_stored
from dibs.store.settings import DEFAULTS, LEDGER_FOLDER, SETTINGS_FILE, Settings, load_settings
from dibs.store.snapshot import Snapshot
from dibs.store.task import Task, make_task

SETTLE_NS = 50_000_000
OWN_WRITES_KEPT = 256

T = TypeVar("T")


class FileChanged(StartOver):
    """Somebody else wrote the task file between our reading and our writing."""

    pause = 0.005

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class NotSettled(FileChanged):
    """Somebody else wrote the task file so recently that they may not be done."""

    pause = SETTLE_NS / 1e9


def utc_now() -> datetime:
    return datetime.now(UTC)


class TaskStore:
    """One tasks directory, for any number of threads.

    ``now`` gives the time as an aware UTC ``datetime``; ``host`` names this machine in claims and tokens.
    """

    def __init__(self, tasks_dir: Path, *, now: Callable[[], datetime] = utc_now, host: str | None = None) -> None:
        self.tasks_dir = tasks_dir
        self.now = now
        self.host = host or host_name()
        self.ledger = Ledger(tasks_dir)
        self.index = Index(tasks_dir)
        self.batches = Batches(tasks_dir, self.ledger.folder)
        self.repository = repository_of(tasks_dir.resolve())
        self.roots = roots_of(tasks_dir)
        self._own_writes: OrderedDict[str, Signature] = OrderedDict()
        self._trusted = False
        self._settings_file = tasks_dir / SETTINGS_FILE
        self._settings = DEFAULTS
        self._settings_read: Signature | str | None = "never"

    @property
    def settings(self) -> Settings:
        """The settings as the file has them now; read again only when it changed.

        Raises:
            SettingsError, StoreFailure
        """
        if self._settings_read == "never":
            self._refuse_nested()
        try:
            found: Signature | None = Signature.of(self._settings_file.stat())
        except OSError:
            found = None
        if found != self._settings_read:
            try:
                self._settings = load_settings(self.tasks_dir)
            except OSError as exc:
                raise self.failure(exc) from exc
            self._settings_read = found
        return self._settings

    def _refuse_nested(self) -> None:
        for folder in self.tasks_dir.resolve().parents:
            if (folder / LEDGER_FOLDER / "claims").is_dir():
                raise nested(folder, self.tasks_dir)

    def _refuse_untrusted(self) -> None:
        """Refuse to change anything where locks may not exclude. Looking needs none."""
        kind = file_system_of(self.tasks_dir)
        if not is_trusted(kind):
            raise SettingsError(
                f"{self.tasks_dir} is on a file system of type {kind}, whose locks cannot be trusted: two agents could "
                "get the same task. Use a directory on a local disk; or, if all agents run on this machine and you "
                'know that its locks work, set "trust_file_system": true in settings.json',
                path=str(self.tasks_dir),
            )

    def refresh(self, *, after: float | None = None, behind: bool = False) -> Index:
        """The index, as new as need be; see :meth:`Index.refresh`. Raises StoreFailure when the directory cannot be
        read."""
        try:
            self.index.refresh(self.settings, after=after, behind=behind)
        except OSError as exc:
            raise self.failure(exc) from exc
        return self.index

    def snapshot(self, *, after: float | None = None) -> Snapshot:
        """All tasks now, at one moment. Raises as ``refresh`` does."""
        return self.refresh(after=after).load()

    # reading one task

    def find(self, task_id: str) -> StoredTask:
        """The task of this id, read from its file now.

        Raises:
            TaskNotFound, MalformedTask
        """
        key = task_id.strip().casefold()
        for index in self._older_and_newer():
            task = index.tasks.get(key)
            stored = self.read(task.path) if task is not None else None
            if stored is not None and stored.task.key == key:
                return stored
        if (error := self.index.invalid_keys.get(key)) is not None:
            raise error
        note = self.index.row(f"{task_id.strip()}.md")
        if note is not None and note.content is None:
            why = f"{task_id.strip()}.md is a note, it has no header with a `status`"
        else:
            why = "ids are the `id` in a file's header, or its name without .md"
        raise TaskNotFound(f"no task {task_id} in {self.tasks_dir}; {why}", task_id=task_id)

    def _older_and_newer(self) -> Iterator[Index]:
        yield self.index
        yield self.refresh(after=time.monotonic())

    def find_claimed(self, claim: Claim) -> StoredTask:
        """The task a claim is on, wherever its file is now: at the claim's path, or wherever its token stands.

        Raises:
            TaskNotFound, MalformedTask
        """
        there = self.read(claim.path)
        if there is not None and there.task.token == claim.token:
            return there
        for task in self.refresh(after=time.monotonic()).tasks.values():
            if task.token == claim.token and (stored := self.read(task.path)) is not None:
                return stored
        return there if there is not None and there.task.key == claim.id.casefold() else self.find(claim.id)

    def read(self, path: str) -> StoredTask | None:
        """Read one file, and enter it in the index; None: it is gone, or a note.

        Raises:
            MalformedTask
        """
        try:
            stored = read_stored(self.tasks_dir, path, self._settings)
        except FileNotFoundError:
            self.index.put(path, None)
            return None
        if stored is not None:
            racy = time.time_ns() - stored.stat.st_mtime_ns < SETTLE_NS
            self.index.put(path, Row(stored.signature, stored.task, racy))
        return stored

    def again(self, stored: StoredTask) -> StoredTask:
        """The task as its file is now, read anew only if that changed; as it was, where it is gone."""
        with suppress(OSError):
            if Signature.of((self.tasks_dir / stored.task.path).lstat()) == stored.signature:
                return stored
        return self.read(stored.task.path) or stored

    # changing

    def change(self, act: Callable[[Hold], T]) -> T:
        """Run ``act`` under the mutex, and again as long as what it read has changed before it could write.

        Raises:
            StoreBusy, TaskChanged: that went on for ``mutex_wait_seconds``.
            StoreFailure: the file system refused.
            SettingsError: it is of a type whose locks cannot be trusted.
        """
        wait_seconds = self.settings.claims.mutex_wait_seconds
        if not (self._trusted or self.settings.trust_file_system):
            self._refuse_untrusted()
            self._trusted = True
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                return self._once(act, wait_seconds)
            except StartOver as again:
                if time.monotonic() > deadline:
                    raise self._given_up(again) from again
                time.sleep(again.pause)
            except DibsError:
                raise
            except OSError as exc:
                raise self.failure(exc) from exc

    def _once(self, act: Callable[[Hold], T], wait_seconds: float) -> T:
        with self.ledger.hold(wait_seconds) as hold:
            try:
                if self._trusted:
                    self.index.share(hold)
                return act(hold)
            except FileNotFoundError:
                hold.check_folders()  # the ledger went away under us: that is a new start, not an error
                raise

    def _given_up(self, again: StartOver) -> DibsError:
        if isinstance(again, FileChanged):
            return TaskChanged(
                f"{again.path} is being written by somebody else again and again; "
                "nothing was changed, call again later",
                path=again.path,
            )
        return StoreBusy(f"{self.ledger.folder} is removed again and again; nothing was changed, call again later")

    def failure(self, exc: OSError) -> StoreFailure:
        where = str(exc.filename2 or exc.filename or self.tasks_dir)
        what = exc.strerror or str(exc)
        advice = {
            errno.ENOENT: "make sure that the tasks directory is there",
            errno.ENOSPC: "make room on the disk",
            errno.EDQUOT: "make room in your quota",
            errno.EROFS: "the file system is read-only; mount it for writing",
            errno.EACCES: "give this user the right to write there",
            errno.ELOOP: "remove the symbolic link",
            errno.EISDIR: "move that folder away",
            errno.EEXIST: "move that file away",
            errno.ENOTDIR: "move that file away",
            errno.EMFILE: "close some files or raise the limit (ulimit -n)",
        }.get(exc.errno or 0, "mend that")
        return StoreFailure(f"{where}: {what}; {advice}, then call again. No task file is damaged", path=where)

    def require_settled(self, stored: StoredTask) -> None:
        """Raise NotSettled while the file's last writer, if it was not us, may still be writing."""
        path = stored.task.path
        age = time.time_ns() - stored.stat.st_mtime_ns
        if 0 <= age < SETTLE_NS and self._own_writes.get(path) != stored.signature:
            raise NotSettled(path)

    def write(self, hold: Hold, stored: StoredTask, file: TaskFile) -> StoredTask:
        """Put ``file`` in the place of what was read, durably, with mode and owner kept. Returns it as stored.

        Raises:
            FileChanged, MutexGone: nothing was written; start over.
            MalformedTask: the new bytes would not be a task; nothing was written.
        """
        if file.data == stored.file.data:
            return stored
        self.require_settled(stored)
        path = self.tasks_dir / stored.task.path
        task = make_task(file, stored.task.path, self._settings)
        temporary = write_temporary(hold.tmp, file.data, like=stored.stat, durable=True)
        try:
            hold.check()
            made = temporary.stat()
            if not replace_unchanged(temporary, path, stored.signature):
                raise FileChanged(stored.task.path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return self._written(path, made, StoredTask(task, file, made))

    def _written(self, path: Path, made: os.stat_result, stored: StoredTask) -> StoredTask:
        """Enter our own write in the index: its state after the rename (which changes ctime), if it still is ours."""
        try:
            found = path.lstat()
        except OSError:  # it is written all the same
            return stored
        ours = (found.st_ino, found.st_size, found.st_mtime_ns) == (made.st_ino, made.st_size, made.st_mtime_ns)
        if ours:
            stored = StoredTask(stored.task, stored.file, found)
            self._own_writes[stored.task.path] = stored.signature
            self._own_writes.move_to_end(stored.task.path)
            if len(self._own_writes) > OWN_WRITES_KEPT:
                self._own_writes.popitem(last=False)
        row = Row(stored.signature, stored.task, False) if ours else read_row(
            self.tasks_dir, stored.task.path, found, self._settings
        )  # fmt: skip
        self.index.put(stored.task.path, row)
        return stored

    def create(self, hold: Hold, path: str, file: TaskFile) -> Task:
        """Make a new task file, whole or not at all.

        Raises:
            FileExistsError: there is a file of that name.
        """
        task = make_task(file, path, self._settings)
        hold.check()
        target = self.tasks_dir / path
        target.parent.mkdir(parents=True, exist_ok=True)
        publish_new(target, file.data, hold.tmp, durable=True)
        self.read(path)
        return task

    def unmake(self, path: str, file: TaskFile) -> None:
        """Remove what ``create`` made, if it is there and nobody has changed it since."""
        target = self.tasks_dir / path
        with suppress(OSError):
            if target.read_bytes() == file.data:
                target.unlink()
            self.index.look_again(path)
