"""Reading a tasks directory: which files there are, and what each one is. Never raises because of a file."""

from __future__ import annotations

import os
import re
import stat as stat_bits
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dibs.store.errors import MalformedTask, SettingsError
from dibs.store.header import MAX_FILE_BYTES, TaskFile
from dibs.store.publish import RACY_NS, Signature
from dibs.store.settings import LEDGER_FOLDER, Settings
from dibs.store.task import Task, make_task
from dibs.store.task_file import read_task_file

NO_FILE = Signature(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Row:
    """One file as last read. ``racy``: it changed so shortly before that the same stat may hide a later change."""

    signature: Signature
    content: Task | MalformedTask | None
    racy: bool


@dataclass(frozen=True)
class StoredTask:
    """A task with the very bytes it was read from, and the file's state then."""

    task: Task
    file: TaskFile
    stat: os.stat_result

    @property
    def signature(self) -> Signature:
        return Signature.of(self.stat)


def files_below(tasks_dir: Path) -> Iterator[tuple[str, os.stat_result | MalformedTask]]:
    """Files below the directory with their stat, folders that cannot be read with what is wrong.

    Names with a dot in front do not exist; links are not followed.

    Raises:
        SettingsError: a folder in it is a tasks directory of its own. Two ledgers would give every task out twice.
    """
    folders = [("", str(tasks_dir))]
    while folders:
        prefix, folder = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError, PermissionError) as exc:
            if not prefix:
                raise
            if isinstance(exc, PermissionError):
                yield prefix, MalformedTask("this folder cannot be read; give this user the right to", path=prefix)
            continue
        for entry in entries:
            if entry.name == LEDGER_FOLDER and prefix:
                raise nested(tasks_dir, tasks_dir / prefix)
            if entry.name.startswith("."):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    folders.append((f"{prefix}{entry.name}/", entry.path))
                else:
                    yield f"{prefix}{entry.name}", entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            except PermissionError:
                if not prefix:
                    raise
                yield prefix, MalformedTask("this folder cannot be entered; give this user the right to", path=prefix)
                break


def nested(outer: Path, inner: Path) -> SettingsError:
    return SettingsError(
        f"{outer} and {inner} inside it are both used as tasks directories, and would hand out the same tasks twice; "
        f"use one of them: name it with --tasks-dir, and remove {LEDGER_FOLDER} from the other when nobody works there",
        path=str(inner),
    )


def read_row(tasks_dir: Path, path: str, found: os.stat_result, settings: Settings) -> Row:
    """What one file is: a task, a note, or what is wrong with it. Never raises because of the file."""
    racy = time.time_ns() - found.st_mtime_ns < RACY_NS
    content: Task | MalformedTask | None
    try:
        stored = read_stored(tasks_dir, path, settings, found)
        content = stored.task if stored is not None else None
    except MalformedTask as error:
        content = error
    return Row(Signature.of(found), content, racy)


def read_stored(
    tasks_dir: Path, path: str, settings: Settings, found: os.stat_result | None = None
) -> StoredTask | None:
    """Read one file; None: it is a note.

    Raises:
        FileNotFoundError: it is not there (only when ``found`` is not given).
        MalformedTask: with its path, and its id as far as that can be told.
    """
    if not path.isprintable():
        name = path.encode("utf-8", "replace").decode()
        raise MalformedTask(
            "its file name has unprintable characters or is not UTF-8; rename it", path=ascii(name)[1:-1]
        )
    try:
        stat = (tasks_dir / path).lstat() if found is None else found
        # not even opened to look for its id: opening a pipe waits for a writer, for ever
        if stat_bits.S_ISLNK(stat.st_mode):
            cause = "it is a symbolic link; put the file itself into the tasks directory"
            raise MalformedTask(cause, task_id=Path(path).stem)
        if not stat_bits.S_ISREG(stat.st_mode):
            raise MalformedTask("it is not a regular file", task_id=Path(path).stem)
        with (tasks_dir / path).open("rb", buffering=0) as opened:
            file = read_task_file(
                opened.read(MAX_FILE_BYTES + 1) if stat.st_size > MAX_FILE_BYTES else opened.readall()
            )
        return None if file is None else StoredTask(make_task(file, path, settings), file, stat)
    except MalformedTask as error:
        raise error.at(path, task_id=error.task_id or _guess_id(tasks_dir / path)) from None
    except OSError as exc:
        if found is None and isinstance(exc, FileNotFoundError):
            raise
        raise MalformedTask(f"it cannot be read ({exc.strerror or exc})", path=path, task_id=Path(path).stem) from exc


def read_again(tasks_dir: Path, stored: StoredTask) -> StoredTask | None:
    """What was read, with the file's state of now, if its bytes are the same; None: they are not, or it is gone."""
    path, data = tasks_dir / stored.task.path, stored.file.data
    try:
        stat = path.lstat()
        same = stat_bits.S_ISREG(stat.st_mode) and stat.st_size == len(data) and path.read_bytes() == data
    except OSError:
        return None
    return StoredTask(stored.task, stored.file, stat) if same else None


def _guess_id(path: Path) -> str:
    """The id of a file that cannot be parsed: its ``id:`` line if it has one, else its stem."""
    try:
        with path.open("rb") as file:
            head = file.read(4096).decode("utf-8", "replace")
    except OSError:
        return path.stem
    found = re.search(r"^(?:id|task_id):[ \t]*[\"']?([^\"'\r\n]{1,128}?)[\"']?[ \t]*\r?$", head, re.MULTILINE)
    return found[1] if found else path.stem
