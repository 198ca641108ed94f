"""What the doctor finds around the tasks: directories, file system, permissions, dates, leftovers. Looks only."""

from __future__ import annotations

import math
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from dibs.answers import counted
from dibs.doctor.findings import Symptom, named
from dibs.store.claims import stamp
from dibs.store.errors import DibsError
from dibs.store.journal import day_files, events_of
from dibs.store.ledger import SUBFOLDERS
from dibs.store.places import file_system_of, is_trusted, linked_worktrees
from dibs.store.publish import LEFTOVER_SECONDS
from dibs.store.settings import LEDGER_FOLDER, Settings, usual_tasks_dirs
from dibs.store.snapshot import Snapshot
from dibs.store.task_store import TaskStore

TEMPORARY = re.compile(r"\.\d+-[0-9a-f]{12}")
LOCK_FILES = ("mutex",)
FUTURE = timedelta(minutes=1)
NOTICE_SECONDS = 10.0


def around(store: TaskStore, settings: Settings) -> Iterator[Symptom]:
    """What is the matter whatever the tasks say."""
    yield from _file_system(store.tasks_dir, settings)
    yield from _ledger_folder(store.ledger.folder)
    yield from _other_directories(store)
    yield from _leftovers(store)
    yield from _set_aside(store.ledger.folder)
    yield from _batches(store)
    yield from _notices(store.ledger.folder)


def _file_system(tasks_dir: Path, settings: Settings) -> Iterator[Symptom]:
    kind = file_system_of(tasks_dir)
    if is_trusted(kind):
        return
    if settings.trust_file_system:
        yield Symptom(
            "file_system",
            "note",
            f"the file system is {kind}, and its locks are trusted only because settings.json says so",
            mend="see that all agents run on this machine, or that its locks exclude other machines",
        )
        return
    yield Symptom(
        "file_system",
        "error",
        f"the file system is {kind}, whose locks may not exclude other machines: nothing can be claimed or changed",
        mend="move the directory to a local disk; or, if all agents run on this machine, set "
        '"trust_file_system": true in settings.json',
    )


def _ledger_folder(ledger: Path) -> Iterator[Symptom]:
    if ledger.is_symlink():
        yield Symptom(
            "directory",
            "error",
            "it is a symbolic link, and Dibs writes only into a folder of its own",
            mend="remove the link",
            path=LEDGER_FOLDER,
        )
    elif ledger.exists() and not ledger.is_dir():
        yield Symptom("directory", "error", "it is not a folder", mend="move it away", path=LEDGER_FOLDER)
    elif wrong := [path for path in _of_ours(ledger) if _is_wrong(path)]:
        for path in wrong:
            yield Symptom(
                "directory",
                "error",
                f"it is {'a symbolic link' if path.is_symlink() else 'not what it should be'}: nothing can be claimed",
                mend="remove it, when nobody works here; the next claim makes it anew",
                path=f"{LEDGER_FOLDER}/{path.name}",
            )
    elif closed := [path.name for path in _closed(ledger)]:
        yield Symptom(
            "permissions",
            "error",
            f"this user may not read and write {named(closed)}: nothing can be claimed",
            mend="give all users of this directory the right to (chown, chgrp, chmod)",
            path=LEDGER_FOLDER,
        )


def _of_ours(ledger: Path) -> list[Path]:
    return [ledger / name for name in (*SUBFOLDERS, *LOCK_FILES)] if ledger.is_dir() else []


def _is_wrong(path: Path) -> bool:
    """Whether something else stands in the place of one of the ledger's folders or lock files."""
    with suppress(OSError):  # what this user may not look at is told as that
        return path.is_symlink() or (
            path.exists() and not (path.is_file() if path.name in LOCK_FILES else path.is_dir())
        )
    return False


def _closed(ledger: Path) -> list[Path]:
    """The ledger, or what in it, this user may not use."""
    if not ledger.is_dir():
        return []
    if not os.access(ledger, os.R_OK | os.W_OK | os.X_OK):
        return [ledger]
    folders = (ledger / name for name in SUBFOLDERS)
    files = (ledger / name for name in LOCK_FILES)
    return [
        *(path for path in folders if path.is_dir() and not os.access(path, os.R_OK | os.W_OK | os.X_OK)),
        *(path for path in files if path.exists() and not os.access(path, os.R_OK | os.W_OK)),
    ]


def _other_directories(store: TaskStore) -> Iterator[Symptom]:
    tasks_dir = store.tasks_dir
    project = tasks_dir.parent.parent if tasks_dir.parent.name == "backlog" else tasks_dir.parent
    usual = []
    with suppress(DibsError, OSError):
        usual = usual_tasks_dirs(project)
    other = next((folder for folder in usual if folder != tasks_dir), None)
    if other is not None and tasks_dir in usual:
        yield Symptom(
            "directory",
            "warning",
            f"{other} is a tasks directory too; who names none gets the one in {usual[0].relative_to(project)}",
            mend="move the tasks into one of them, or name the one you mean with --tasks-dir or DIBS_TASKS_DIR",
        )
    for worktree in linked_worktrees(store.repository):
        if not os.access(worktree, os.X_OK):
            continue
        copy = worktree / tasks_dir.resolve().relative_to(store.repository) / LEDGER_FOLDER
        if copy.is_dir():
            yield Symptom(
                "directory",
                "warning",
                f"{copy} holds claims of its own: all worktrees share the directory of the main one, {tasks_dir}",
                mend=f"when no agent works in {worktree}, delete {copy}",
                cause=str(copy),
            )


def _leftovers(store: TaskStore) -> Iterator[Symptom]:
    limit = time.time() - LEFTOVER_SECONDS
    for _, name in _dated(store.ledger.folder / "tmp", limit):
        yield Symptom(
            "leftover",
            "note",
            "a temporary file that a crash left behind",
            mend="`dibs doctor --fix` removes it, and so does the next server",
            many="temporary files that a crash left behind",
            path=f"{LEDGER_FOLDER}/tmp/{name}",
            done="removed",
        )
    for _, name in _dated(store.tasks_dir, limit):
        if TEMPORARY.fullmatch(name):
            yield Symptom(
                "leftover",
                "note",
                "a temporary file that a crash left behind beside the tasks",
                mend="delete it",
                many="temporary files that a crash left behind beside the tasks",
                path=name,
            )


def _set_aside(ledger: Path) -> Iterator[Symptom]:
    """What stands in ``orphans/``, newest first: reports, and claim files that could not be read."""
    for _, name in sorted(_dated(ledger / "orphans"), reverse=True):
        path = f"{LEDGER_FOLDER}/orphans/{name}"
        if name.endswith(".md"):
            yield Symptom(
                "report",
                "note",
                "a report that did not get into its task file",
                mend="read it, put what matters into the task, then delete it",
                many="reports did not get into their task files; newest first",
                path=path,
            )
        else:
            yield Symptom(
                "leftover",
                "note",
                "a claim file that could not be read, set aside",
                mend="delete it",
                many="claim files could not be read, and were set aside",
                path=path,
            )


def _dated(folder: Path, before: float = math.inf) -> Iterator[tuple[float, str]]:
    """The files of a folder that were last changed before a moment: when, and their names."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            with suppress(OSError):
                changed = entry.stat(follow_symlinks=False).st_mtime
                if entry.is_file(follow_symlinks=False) and changed < before:
                    yield changed, entry.name


def closed_folders(store: TaskStore, snapshot: Snapshot) -> Iterator[Symptom]:
    """Folders with tasks in which this user may not write: a task file is changed by putting a new one in its place."""
    tasks = Counter(task.path.rpartition("/")[0] or "." for task in snapshot.tasks.values())
    for folder, count in sorted({".": 0, **tasks}.items()):
        if os.access(store.tasks_dir / folder, os.W_OK | os.X_OK):
            continue
        whole = folder == "."
        yield Symptom(
            "permissions",
            "error" if whole else "warning",
            f"this user may not write in {store.tasks_dir if whole else 'it'}: "
            f"{'nothing' if whole else f'none of the tasks in it ({count})'} can be claimed",
            mend="give this user the right to; where the file system is read-only, mount it for writing",
            path="" if whole else folder,
        )


def future_dates(store: TaskStore, snapshot: Snapshot, now: datetime) -> Iterator[Symptom]:
    """Task files and entries of the journal from after now: the clock was set back, or another machine's is wrong."""
    limit = time.time_ns() + int(FUTURE.total_seconds() * 1e9)
    rows = ((task.path, store.index.row(task.path)) for task in snapshot.tasks.values())
    files = sorted(path for path, row in rows if row is not None and row.signature.mtime_ns > limit)
    noted = None
    with suppress(OSError):  # a journal that cannot be read is told as that
        noted = max(_entries_after(store.ledger.folder / "journal", now + FUTURE), default=None)
    told = [f"{len(files)} task files ({named(files)})"] if len(files) > 1 else files
    told += [f"entries of the journal up to {stamp(noted)}"] if noted is not None else []
    if told:
        yield Symptom(
            "clock",
            "note",
            f"dated in the future: {' and '.join(told)}",
            mend="see that the clock is right, here and where they come from; if it is, this passes by itself",
        )


def _entries_after(journal: Path, limit: datetime) -> Iterator[datetime]:
    for path in day_files(journal):
        if path.stem < f"{limit:%Y-%m-%d}":
            continue
        for event in events_of(path):
            with suppress(ValueError, TypeError):
                at = datetime.fromisoformat(str(event.get("at")))
                if at > limit:
                    yield at


def _notices(ledger: Path) -> Iterator[Symptom]:
    waiting = [path for path in ledger.glob("notices/*.json") if _age(path) > NOTICE_SECONDS]
    if waiting:
        yield Symptom(
            "leftover",
            "warning",
            f"{counted(len(waiting), 'notice')} of blocked or failed tasks could not be given",
            mend="name a program that is there as `notify.command` in settings.json; the next call gives them",
            path=f"{LEDGER_FOLDER}/notices",
        )


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:  # given just now
        return 0.0


def _batches(store: TaskStore) -> Iterator[Symptom]:
    for path in store.batches.damaged():
        yield Symptom(
            "damaged",
            "warning",
            "this list of a batch cannot be read; its tasks are as they were",
            mend="move it away, and make the batch again from the same items",
            path=path.relative_to(store.tasks_dir).as_posix(),
        )
