"""The rows of an index: what each file was when it was last read, in SQLite, and questions that cost
the same at any size.

A disposable cache: nothing in it is durable, and nothing in it decides. In a file it is shared by all processes on the
directory; without one it is in this process's memory. The file has a rollback journal and is never mapped into memory:
under a write-ahead log every process would die (SIGBUS) when somebody copies a backup over the mapped ``-shm`` file.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import struct
import threading
import time
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from dibs.store.errors import MalformedTask
from dibs.store.publish import Signature
from dibs.store.questions import Asked, Changes, Outline, Place, Scanned
from dibs.store.readiness import is_handed_out, reserved_for
from dibs.store.reading import Row
from dibs.store.settings import Settings
from dibs.store.task import Task

VERSION = 1
BUSY_SECONDS = 2.0
POLL_SECONDS = 0.0005
STATES_AT_ONCE = 2000
SEQ_DIGITS = 18
NOTE, TASK, INVALID = range(3)
NO_COLUMNS = ("", b"", 0, 0, b"", b"", b"", b"", b"", b"", 0)
FIELDS = tuple(field.name for field in fields(Task))
SCHEMA = """
CREATE TABLE meta (generation TEXT, seq INTEGER, scanned_at REAL, scan_seconds REAL);
INSERT INTO meta VALUES (lower(hex(randomblob(8))), 0, NULL, 0);
CREATE TABLE file (
    path BLOB PRIMARY KEY, state BLOB, kind INTEGER, key BLOB, status TEXT, rank BLOB, handed_out INTEGER,
    unmet INTEGER, parent BLOB, project BLOB, type BLOB, complexity BLOB, callers BLOB, tags BLOB, has_files INTEGER,
    content TEXT
) WITHOUT ROWID;
CREATE INDEX file_key ON file (key);
CREATE INDEX file_parent ON file (parent) WHERE parent != x'';
CREATE INDEX file_held ON file (status) WHERE status = 'in_progress';
CREATE INDEX file_ready ON file (rank, path) WHERE status = 'active' AND handed_out AND unmet = 0;
CREATE TABLE dependency (key BLOB, path BLOB, PRIMARY KEY (key, path)) WITHOUT ROWID;
CREATE INDEX dependency_path ON dependency (path);
CREATE TABLE change (key BLOB PRIMARY KEY, seq INTEGER, id TEXT, status TEXT) WITHOUT ROWID;
CREATE INDEX change_seq ON change (seq);
"""
MEMBERS = "CREATE TEMP TABLE IF NOT EXISTS member (list TEXT, key BLOB, PRIMARY KEY (list, key)) WITHOUT ROWID"
"""The lists of keys that were asked for, of this connection alone: no claim goes through ten thousand anew."""
ROW = "path, state, kind, content"
STATE = struct.Struct(">qqqQ")
RACY = b"racy"
"""After the state of a row that is to be read again whatever the stat says."""
IS_ALONE = "(SELECT count(*) FROM file AS twin WHERE twin.key = file.key) = 1"
IS_MET = """(SELECT count(*) = 1 AND min(status) = 'done' FROM file AS other
    WHERE other.key = dependency.key AND other.key != x'' AND other.kind = 1)"""
STATUS_OF = """SELECT count(*), max(kind), max(status), (SELECT status FROM change WHERE key = ?1),
    (SELECT id FROM change WHERE key = ?1) FROM file WHERE key = ?1"""
COUNT_UNMET = f"(SELECT count(*) FROM dependency WHERE dependency.path = file.path AND NOT {IS_MET})"


def state_of(found: os.stat_result) -> bytes:
    """What must be equal for a file to be unchanged, as rows keep it."""
    return STATE.pack(found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


class Rows:
    """The rows, for any number of threads. Every sqlite3.Error means: this cache is of no more use."""

    def __init__(self, path: Path | None = None) -> None:
        """Open the rows at ``path``, which must be there; None: new ones, in memory."""
        self._lock = threading.RLock()
        name = ":memory:" if path is None else f"{path.absolute().as_uri()}?mode=rw"
        self._sqlite = sqlite3.connect(name, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._sqlite.close)
        if path is None:
            self._sqlite.executescript(SCHEMA)
        self._all("PRAGMA synchronous = OFF")
        self._all("PRAGMA journal_mode = TRUNCATE")
        self._all("PRAGMA temp_store = MEMORY")
        self._known_members: set[str] = set()
        ((self._generation,),) = self._all("SELECT generation FROM meta")

    def save(self, path: Path) -> None:
        """Write a copy to a new file, for others to open."""
        with _connected(path) as copy:
            copy.execute("PRAGMA synchronous = OFF")
            self._copy_to(copy)

    def in_memory(self) -> Rows:
        """A copy in this process's memory."""
        made = Rows()
        self._copy_to(made._sqlite)
        ((made._generation,),) = made._all("SELECT generation FROM meta")
        return made

    def _copy_to(self, copy: sqlite3.Connection) -> None:
        """Another generation, since both go their own ways from now on."""
        with self._lock:
            self._sqlite.backup(copy)
        copy.execute("UPDATE meta SET generation = lower(hex(randomblob(8)))")
        copy.commit()

    # writing

    def put(self, path: str, row: Row | None, settings: Settings) -> None:
        """Enter what a file was just read or written as; None: it is gone."""
        self.merge([(path, None, row)], settings, at_all_events=True)

    def merge(
        self,
        changes: Iterable[tuple[str, bytes | None, Row | None]],
        settings: Settings,
        *,
        at_all_events: bool = False,
    ) -> None:
        """Enter what a scan found: path, the state its row had when it looked (None: no row), and the new row.

        A row that somebody changed meanwhile is left as it is, unless ``at_all_events``: it is newer than the look.
        """
        with self._transaction() as sqlite:
            touched: dict[bytes, str] = {}
            for path, was, row in changes:
                name = os.fsencode(path)
                known = sqlite.execute("SELECT state, key FROM file WHERE path = ?", (name,)).fetchone()
                if not at_all_events and (known[0] if known else None) != was:
                    continue
                if known is not None:
                    touched.setdefault(known[1], "")
                    sqlite.execute("DELETE FROM dependency WHERE path = ?", (name,))
                key, task_id = _enter(sqlite, name, row, settings)
                touched[key] = task_id or touched.get(key, "")
            touched.pop(b"", None)
            # counted anew, never up and down: a counter that two changes race for would lose a task silently
            sqlite.executemany(
                f"UPDATE file SET unmet = {COUNT_UNMET} WHERE path IN (SELECT path FROM dependency WHERE key = ?)",
                [(key,) for key in touched],
            )
            _number_changes(sqlite, touched)

    def set_scanned(self, scanned: Scanned) -> None:
        with self._transaction() as sqlite:
            sqlite.execute("UPDATE meta SET scanned_at = ?, scan_seconds = ?", (scanned.at, scanned.seconds))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._patiently("BEGIN IMMEDIATE")
            try:
                yield self._sqlite
                self._patiently("COMMIT")
            except BaseException:
                if self._sqlite.in_transaction:
                    self._sqlite.execute("ROLLBACK")
                raise

    def _patiently(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Execute, after whoever reads or writes now. SQLite's own waiting sleeps for up to 0.1 s at a time, and this
        is often done with the mutex held."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return self._sqlite.execute(statement, values).fetchall()
            except sqlite3.OperationalError as exc:
                if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(POLL_SECONDS)

    # asking

    def scanned(self) -> Scanned | None:
        ((at, seconds),) = self._all("SELECT scanned_at, scan_seconds FROM meta")
        return None if at is None else Scanned(at, seconds)

    def changes(self, cursor: str = "") -> Changes:
        """What changed after ``cursor``; all there is, if that is not a cursor of these rows."""
        generation, _, given = cursor.partition("-")
        ((newest,),) = self._all("SELECT seq FROM meta")
        seq = int(given) if len(given) <= SEQ_DIGITS and given.isascii() and given.isdecimal() else newest + 1
        whole = generation != self._generation or seq > newest
        after = 0 if whole else seq
        found = self._all("SELECT seq, id, status FROM change WHERE seq > ? ORDER BY seq", (after,))
        return Changes(self._generation, max(after, found[-1][0] if found else 0), tuple(found), whole)

    def statuses(self, among: str) -> dict[str, str]:
        """The status of each of these keys (a JSON list) that was ever there, as in :class:`Changes`."""
        found = self._all(
            "SELECT key, status FROM change WHERE key IN (SELECT CAST(value AS BLOB) FROM json_each(?))", (among,)
        )
        return {key.decode("utf-8", "surrogatepass"): status for key, status in found}

    def change(self) -> tuple[str, int, int]:
        """A value that is another one whenever a row may have changed, here or in another process."""
        with self._lock:
            ((theirs,),) = self._all("PRAGMA data_version")
            return self._generation, theirs, self._sqlite.total_changes

    def states(self) -> dict[bytes, bytes]:
        """Each file's state by path, to be compared with :func:`state_of`. Asked for in parts: whoever writes waits for
        readers."""
        states: dict[bytes, bytes] = {}
        last = b""
        while rows := self._all(
            "SELECT path, state FROM file WHERE path > ? ORDER BY path LIMIT ?", (last, STATES_AT_ONCE)
        ):
            states.update(rows)
            last = rows[-1][0]
        return states

    def get(self, path: str) -> Row | None:
        found = self._all(f"SELECT {ROW} FROM file WHERE path = ?", (os.fsencode(path),))
        return _row(found[0]) if found else None

    def all(self) -> list[tuple[str, Row]]:
        return [(os.fsdecode(found[0]), _row(found)) for found in self._all(f"SELECT {ROW} FROM file")]

    def outlines(self) -> list[Outline]:
        return list(map(Outline._make, self._all(f"SELECT {', '.join(Outline._fields)} FROM file")))

    def task(self, key: str) -> Task | None:
        """The task of this id, when it is the only one."""
        found = self._tasks("key = ?", (_blob(key),))
        return found[0] if found else None

    def is_invalid(self, key: str) -> bool:
        """Whether a file of this id is invalid, be it because there are several."""
        kinds = [kind for (kind,) in self._all("SELECT kind FROM file WHERE key = ? AND key != x''", (_blob(key),))]
        return INVALID in kinds or len(kinds) > 1

    def children(self, key: str) -> tuple[Task, ...]:
        return self._tasks("parent = ? AND parent != x''", (_blob(key),))

    def dependents(self, key: str) -> tuple[Task, ...]:
        return self._tasks("path IN (SELECT path FROM dependency WHERE dependency.key = ?)", (_blob(key),))

    def in_progress(self) -> tuple[Task, ...]:
        return self._tasks("status = 'in_progress'")

    def handed_out(self, asked: Asked, limit: int, after: Place | None = None) -> tuple[list[Task], Place | None]:
        """The best ``limit`` of the active tasks that wait for no dependency and are meant for the caller, best first,
        and where to go on; None: these were the last."""
        where, values = _narrowed(asked)
        self._know_members(asked.among)
        rows = self._all(
            "SELECT rank, path, content FROM file WHERE status = 'active' AND handed_out AND unmet = 0 "
            f"AND (rank, path) > (?, ?) {where} AND {IS_ALONE} ORDER BY rank, path LIMIT ?",
            (*(after or (b"", b"")), *values, limit),
        )
        tasks = [_task(path, content) for _, path, content in rows]
        return tasks, (rows[-1][0], rows[-1][1]) if len(rows) == limit else None

    def _know_members(self, among: str) -> None:
        mark = _mark_of(among)
        with self._lock:
            if among and mark not in self._known_members:
                self._sqlite.execute(MEMBERS)
                self._sqlite.execute(
                    "INSERT OR IGNORE INTO member SELECT ?, CAST(value AS BLOB) FROM json_each(?)", (mark, among)
                )
                self._known_members.add(mark)

    def _tasks(self, where: str, values: Sequence[Any] = ()) -> tuple[Task, ...]:
        """The tasks, if no other file has their id."""
        found = self._all(f"SELECT path, content FROM file WHERE {where} AND kind = {TASK} AND {IS_ALONE}", values)
        return tuple(_task(*row) for row in found)

    def _all(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            return self._patiently(statement, values)


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    sqlite = sqlite3.connect(path)
    try:
        yield sqlite
    finally:
        sqlite.close()


def _narrowed(asked: Asked) -> tuple[str, list[bytes | str]]:
    parts: list[str] = ["AND (callers = x'' OR instr(callers, ?))"]
    values: list[bytes | str] = [_items([asked.caller])]
    for name in ("project", "complexity", "type"):
        if wanted := getattr(asked, name):
            parts.append(f"AND {name} = ?")
            values.append(_blob(wanted))
    if asked.with_files:
        parts.append("AND has_files")
    if asked.among:
        parts.append("AND EXISTS (SELECT 1 FROM member WHERE member.list = ? AND member.key = file.key)")
        values.append(_mark_of(asked.among))
    for tags, test in ((asked.tags, "instr(tags, ?)"), (asked.skip_tags, "NOT instr(tags, ?)")):
        parts += [f"AND {test}"] * len(tags)
        values += [_items([tag]) for tag in tags]
    return " ".join(parts), values


def _mark_of(among: str) -> str:
    return hashlib.sha256(among.encode("utf-8", "surrogatepass")).hexdigest()


def _enter(sqlite: sqlite3.Connection, path: bytes, row: Row | None, settings: Settings) -> tuple[bytes, str]:
    """Put the row in the place of the one that is there; returns key and id of its task, empty when it has none."""
    if row is None:
        sqlite.execute("DELETE FROM file WHERE path = ?", (path,))
        return b"", ""
    content, key, task_id = row.content, b"", ""
    if isinstance(content, Task):
        key, task_id = _blob(content.key), content.id
        columns = (TASK, key, *_columns(content, settings))
        sqlite.executemany(
            "INSERT OR IGNORE INTO dependency VALUES (?, ?)",
            [(_blob(dep.casefold()), path) for dep in content.depends_on],
        )
    elif content is None:
        columns = (NOTE, key, *NO_COLUMNS, "")
    else:
        key, task_id = _blob(content.task_id.casefold()), content.task_id
        told = json.dumps([content.cause, content.line, content.path, content.task_id])
        columns = (INVALID, key, *NO_COLUMNS, told)
    sqlite.execute(
        f"INSERT OR REPLACE INTO file VALUES ({', '.join('?' * 16)})",
        (path, STATE.pack(*row.signature) + (RACY if row.racy else b""), *columns),
    )
    if isinstance(content, Task) and content.depends_on:
        sqlite.execute(f"UPDATE file SET unmet = {COUNT_UNMET} WHERE path = ?", (path,))
    return key, task_id


def _number_changes(sqlite: sqlite3.Connection, touched: Mapping[bytes, str]) -> None:
    """Give the next numbers to those of these ids, by key, whose status is another one than before."""
    ((seq,),) = sqlite.execute("SELECT seq FROM meta")
    changed = []
    for key, task_id in touched.items():
        ((files, kind, status, was, name),) = sqlite.execute(STATUS_OF, (key,))
        now = "gone" if not files else status if (files, kind) == (1, TASK) else "invalid"
        if now != (was or "gone"):
            seq += 1
            changed.append((key, seq, task_id or name or "", now))
    if changed:
        sqlite.executemany("INSERT OR REPLACE INTO change VALUES (?, ?, ?, ?)", changed)
        sqlite.execute("UPDATE meta SET seq = ?", (seq,))


def _columns(task: Task, settings: Settings) -> tuple[object, ...]:
    callers = _items([name.casefold() for name in reserved_for(task, settings)])
    return (
        task.status, rank(task), is_handed_out(task, settings), 0, _blob(task.parent.casefold()),
        _blob(task.project.casefold()), _blob(task.type), _blob(task.complexity), callers,
        _items([tag.casefold() for tag in task.tags]), bool(task.files),
        json.dumps([getattr(task, name) for name in FIELDS if name != "path"]),
    )  # fmt: skip


def _blob(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _items(texts: Collection[str]) -> bytes:
    """Texts so that one of them is found in them as a whole: they have no line ends."""
    return _blob("\n" + "\n".join(texts) + "\n") if texts else b""


def _row(found: Sequence[Any]) -> Row:
    path, state, kind, content = found
    told: Task | MalformedTask | None = None
    if kind == TASK:
        told = _task(path, content)
    elif kind == INVALID:
        cause, line, where, task_id = json.loads(content)
        told = MalformedTask(cause, line=line, path=where, task_id=task_id)
    return Row(Signature(*STATE.unpack_from(state)), told, len(state) > STATE.size)


def _task(path: bytes, content: str) -> Task:
    values: list[Any] = [tuple(value) if isinstance(value, list) else value for value in json.loads(content)]
    values.insert(FIELDS.index("path"), os.fsdecode(path))
    return Task(*values)


def rank(task: Task) -> bytes:
    """Bytes that sort as :meth:`Task.sort_key` does."""
    priority, due, order, created, natural = task.sort_key()
    (bits,) = struct.unpack(">Q", struct.pack(">d", order))
    ordered = bits ^ (0xFFFF_FFFF_FFFF_FFFF if bits >> 63 else 1 << 63)
    parts = b"".join(
        b"\x01" + number.to_bytes(8, "big") if kind == 0 else b"\x02" + _blob(text) + b"\x00"
        for kind, number, text in natural
    )
    return b"".join(
        (bytes([priority]), _blob(due), b"\x00", ordered.to_bytes(8, "big"), _blob(created), b"\x00", parts)
    )
