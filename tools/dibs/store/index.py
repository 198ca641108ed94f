"""The index: what a scan of the directory found. It proposes, the files decide.

A scan reads the directory's stats and only those files whose stat changed. What it finds is kept in the rows (see
``rows``): in ``.dibs/``, shared by all processes on the directory, or where that is not possible in memory. The shared
rows are made under the mutex, by a change, never by looking. A pointer file leads to them, so that there are never two
at one path; its name has in it what the rows depend on besides the files. Missing or broken: this process goes on in
memory, and the next change makes new ones.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from dibs import __version__
from dibs.store.errors import MalformedTask, SettingsError
from dibs.store.globs import matches
from dibs.store.ledger import Hold
from dibs.store.publish import Signature, publish
from dibs.store.questions import Asked, Changes, Outline, Place, Scanned
from dibs.store.reading import NO_FILE, Row, files_below, read_row
from dibs.store.rows import VERSION, Rows, state_of
from dibs.store.scan_turn import ScanTurn
from dibs.store.settings import LEDGER_FOLDER, Settings
from dibs.store.snapshot import Snapshot, build_snapshot
from dibs.store.task import Task

FRESH_SECONDS = 0.020
FRESH_TIMES_COST = 10
DEAR_SECONDS = 0.1
"""A scan that takes longer than this is not waited for where the rows of the last one will do."""
MERGED_AT_ONCE = 500
FIRST_LOOK, NEXT_LOOK = 4, 64
POINTER = "index"
ABANDONED_SECONDS = 86_400.0
RETRY_SECONDS = 60.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

Found = tuple[str, bytes | None, Row | None]
T = TypeVar("T")
V = TypeVar("V")


class Index:
    """All tasks of one directory, for any number of threads.

    As what is around a task (see ``snapshot.Around``) it looks up what is asked for, as it is at that moment.
    ``on_read`` is told, while a scan reads files, how many it has read by now.
    """

    def __init__(self, tasks_dir: Path) -> None:
        self.on_read: Callable[[int], None] = lambda read: None
        self._tasks_dir = tasks_dir
        self._folder = tasks_dir / LEDGER_FOLDER
        self._settings: Settings | None = None
        self._scanned: Scanned | None = None
        self._mark = ""
        self._rows: Rows | None = None
        self._shared = ""
        self._unusable = ""
        self._share_at = 0.0
        self._lock = threading.RLock()
        self._turn = ScanTurn()
        self._behind: threading.Thread | None = None
        self._loaded: tuple[tuple[str, int, int], Snapshot] | None = None
        self.tasks: Mapping[str, Task] = _LookedUp(
            lambda key: self._ask(lambda rows: rows.task(key)), lambda: self.load().tasks
        )
        self.invalid_keys: Mapping[str, MalformedTask] = _LookedUp(
            lambda key: self.load().invalid_keys.get(key) if self._ask(lambda rows: rows.is_invalid(key)) else None,
            lambda: self.load().invalid_keys,
        )
        self.children: Mapping[str, tuple[Task, ...]] = _LookedUp(
            lambda key: self._ask(lambda rows: rows.children(key)), lambda: self.load().children
        )
        self.dependents: Mapping[str, tuple[Task, ...]] = _LookedUp(
            lambda key: self._ask(lambda rows: rows.dependents(key)), lambda: self.load().dependents
        )

    # looking

    def refresh(self, settings: Settings, *, after: float | None = None, behind: bool = False) -> None:
        """Scan, when the last scan is too old, or began before ``after`` (``time.monotonic()``).

        ``behind``: when that would take long, it goes on behind this call, and the rows of the last scan must do.

        Raises:
            OSError: the directory cannot be read.
            SettingsError: there is a tasks directory inside it.
        """
        if settings is self._settings and _is_fresh(self._scanned, after):
            return
        with self._lock:
            self._use(settings)
            self._follow()
        scanned = self._look_when()
        if _is_fresh(scanned, after):
            return
        if behind and scanned is not None and scanned.seconds > DEAR_SECONDS:
            self._scan_behind(settings)
            return
        with self._turn.taken(
            self._folder if self._shared else None, wait=after is not None or scanned is None
        ) as mine:
            if (mine or scanned is None) and not _is_fresh(self._look_when(), after):
                self._ask(lambda rows: self._scan(rows, settings))
                self._look_when()

    def _look_when(self) -> Scanned | None:
        self._scanned = self._ask(lambda rows: rows.scanned())
        return self._scanned

    def load(self) -> Snapshot:
        """All tasks as last seen, at one moment."""
        with self._lock:
            change = self._ask(lambda rows: rows.change())
            if self._loaded is None or self._loaded[0] != change:
                found = self._ask(lambda rows: rows.all())
                self._loaded = change, build_snapshot((path, row.content) for path, row in found)
            return self._loaded[1]

    def changes(self, cursor: str = "") -> Changes:
        """The tasks whose status changed since ``cursor``, which an earlier answer gave. Late or twice is possible,
        when rows are made anew; missing is not."""
        return self._ask(lambda rows: rows.changes(cursor))

    def statuses(self, among: str) -> dict[str, str]:
        """The status of each of these keys, a JSON list, that was ever there."""
        return self._ask(lambda rows: rows.statuses(among))

    def outlines(self) -> list[Outline]:
        """What is known of every file without reading its task: enough to count most of them."""
        return self._ask(lambda rows: rows.outlines())

    @property
    def in_progress(self) -> tuple[Task, ...]:
        return self._ask(lambda rows: rows.in_progress())

    def handed_out(self, asked: Asked) -> Iterator[Task]:
        """The active tasks that wait for no dependency and are meant for the caller, best first."""
        place: Place | None = None
        limit = FIRST_LOOK
        while True:
            found, place = self._ask(lambda rows, n=limit, place=place: rows.handed_out(asked, n, place))  # type: ignore[misc]
            yield from found
            if place is None:
                return
            limit = NEXT_LOOK

    def row(self, path: str) -> Row | None:
        return self._ask(lambda rows: rows.get(path))

    @property
    def scan_seconds(self) -> float:
        """What the last scan cost, without what it had to read."""
        scanned = self._ask(lambda rows: rows.scanned())
        return scanned.seconds if scanned is not None else 0.0

    @property
    def is_shared(self) -> bool:
        return bool(self._shared)

    # entering

    def put(self, path: str, row: Row | None) -> None:
        """Enter what one file was just read or written as; None: it is gone."""
        settings, known = self._settings, self.row(path)
        # what was known exactly (our own write) is no less so for being read again while it is young
        same = known == row or (known is not None and row is not None and known == replace(row, racy=False))
        if settings is not None and not same:  # before the first scan there is nothing to keep up
            self._ask(lambda rows: rows.put(path, row, settings))

    def look_again(self, path: str) -> bool:
        """Read one file anew if its stat changed; True: its row is now another."""
        known = self.row(path)
        try:
            found = (self._tasks_dir / path).lstat()
        except (FileNotFoundError, NotADirectoryError):
            self.put(path, None)
            return known is not None
        if known is not None and not known.racy and known.signature == Signature.of(found):
            return False
        row = read_row(self._tasks_dir, path, found, self._settings or Settings())
        self.put(path, row)
        return known is None or known.content != row.content

    def _scan_behind(self, settings: Settings) -> None:
        def scan() -> None:
            # what cannot be read is told to the next call that must wait for a scan
            with suppress(OSError, SettingsError):
                self.refresh(settings)

        with self._lock:
            if self._behind is None or not self._behind.is_alive():
                self._behind = threading.Thread(target=scan, name="dibs-scan", daemon=True)
                self._behind.start()

    def _scan(self, rows: Rows, settings: Settings) -> None:
        started, reading, read = time.monotonic(), 0.0, 0
        known = rows.states()
        changed: list[tuple[str, os.stat_result | MalformedTask, bytes | None]] = []
        for path, found in files_below(self._tasks_dir):
            was = known.pop(os.fsencode(path), None)
            if isinstance(found, MalformedTask) or was != state_of(found):
                changed.append((path, found, was))
        # what is gone goes first: a file that was moved is never there twice
        changes: list[Found] = [(os.fsdecode(name), was, None) for name, was in known.items()]
        for path, found, was in changed:
            if isinstance(found, MalformedTask):
                row = Row(NO_FILE, found, racy=True)
            elif not matches(path, settings.include) or matches(path, settings.exclude):
                continue
            else:
                began = time.monotonic()
                row = read_row(self._tasks_dir, path, found, settings)
                reading += time.monotonic() - began
                read += 1
                self.on_read(read)
            changes.append((path, was, row))
            if len(changes) >= MERGED_AT_ONCE:
                reading += _merge(rows, changes, settings)
        reading += _merge(rows, changes, settings)
        # without what was read: that is not read again, and a first scan must not count as fresh for seconds
        rows.set_scanned(Scanned(started, time.monotonic() - started - reading))

    # sharing

    def _use(self, settings: Settings) -> None:
        """Rows read by other settings are of no use: go on with new ones, or those that others have by these."""
        if settings is self._settings:
            return
        mark = _mark(settings)
        if self._settings is not None and mark != self._mark:
            self._rows, self._shared = None, ""
        self._settings, self._mark = settings, mark

    @property
    def _pointer(self) -> Path:
        return self._folder / f"{POINTER}-{self._mark}"

    def _follow(self) -> None:
        """Use the rows that the pointer names, if it names others than those in use and they are of any use."""
        try:
            named = self._pointer.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            named = ""
        if named == self._shared:
            return
        self._shared = ""  # the rows in use were ours and others'; now they are ours alone
        if named and named != self._unusable:
            try:
                self._rows = Rows(self._folder / Path(named).name)
            except sqlite3.Error:
                self._unusable = named
            else:
                self._shared = named

    def share(self, hold: Hold) -> None:
        """Have the rows shared from now on, if they are not; under the mutex (``hold`` is the proof)."""
        with self._lock:
            if self._settings is None or self._shared or time.monotonic() < self._share_at:
                return
            self._follow()
            if self._shared:
                return
            hold.check()
            named = f"{self._pointer.name}-{secrets.token_hex(4)}.sqlite"
            path = self._folder / named
            try:
                self._rows_in_use().save(path)
                publish(self._pointer, named.encode(), hold.tmp)
            except (sqlite3.Error, OSError):
                path.unlink(missing_ok=True)  # memory it is; nothing depends on it
                self._share_at = time.monotonic() + RETRY_SECONDS
                return
            self._follow()
            self._sweep()

    def _sweep(self) -> None:
        """Remove what was not written for long; whoever has it open keeps it."""
        for path in self._folder.glob(f"{POINTER}-*.sqlite*"):
            with suppress(OSError):
                if not path.name.startswith(self._shared) and time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                    path.unlink()

    def _rows_in_use(self) -> Rows:
        """New ones in memory are made for the first question only: most processes find shared ones before that."""
        if self._rows is None:
            with self._lock:
                self._rows = self._rows or Rows()
        return self._rows

    def _ask(self, question: Callable[[Rows], T]) -> T:
        """The answer of the rows; when they cannot be written any more, of a copy in memory; when they turn out to be
        broken, of new ones."""
        rows = self._rows_in_use()
        try:
            return question(rows)
        except sqlite3.Error as error:
            with self._lock:
                if self._rows is rows:
                    self._unusable, self._shared = self._shared, ""
                    self._rows = self._rescued(rows, error)
                return question(self._rows_in_use())

    def _rescued(self, rows: Rows, error: sqlite3.Error) -> Rows:
        if isinstance(error, sqlite3.OperationalError):  # the disk is full, the file was deleted: what it says is right
            with suppress(sqlite3.Error):
                return rows.in_memory()
        made = Rows()
        if self._settings is not None:
            self._scan(made, self._settings)
        return made


class _LookedUp(Mapping[str, V]):
    """A mapping that asks for one key at a time, and loads everything only for who wants everything."""

    def __init__(self, find: Callable[[str], V | None], everything: Callable[[], Mapping[str, V]]) -> None:
        self._find = find
        self._everything = everything

    def __getitem__(self, key: str) -> V:
        found = self._find(key)
        if not found:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._everything())

    def __len__(self) -> int:
        return len(self._everything())


def _merge(rows: Rows, changes: list[Found], settings: Settings) -> float:
    """Enter the changes and empty the list; returns the seconds it took."""
    began = time.monotonic()
    if changes:
        rows.merge(changes, settings)
        changes.clear()
    return time.monotonic() - began


def _is_fresh(scanned: Scanned | None, after: float | None) -> bool:
    if scanned is None:
        return False
    now = time.monotonic()
    oldest = now - max(FRESH_SECONDS, FRESH_TIMES_COST * scanned.seconds)
    return (oldest if after is None else after) <= scanned.at <= now


def _mark(settings: Settings) -> str:
    """What the rows depend on besides the files. Not on times before the system's start: rows are not durable, and a
    power cut may leave them wrong in a way that nothing shows."""
    told = f"{VERSION} {__version__} {_boot_id()} {settings.model_dump_json()}"
    return hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:12]


@lru_cache(maxsize=1)
def _boot_id() -> str:
    """What tells this start of the system from earlier ones; "" where there is no such thing."""
    try:
        return BOOT_ID.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
