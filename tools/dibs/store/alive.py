"""Alive locks: a server holds ``alive/<name>.lock`` for its whole life; when somebody can take it, the server is gone.

The kernel frees the lock at death, however it came. A pid would prove nothing: pids are reused, and containers have
their own.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout


class AliveLock:
    """One server's alive lock. All calls under the mutex, so that no look at it meets the moment of taking it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.lock"
        self._lock: FileLock | None = None
        self._inode = 0
        self.name = name

    def keep(self) -> None:
        """Hold the lock from now on; again, if its file was taken away."""
        if self._lock is not None and self._in_place():
            return
        taken: list[int] = []
        # thread_local=False: the thread that takes it ends long before the server does
        lock = FileLock(
            self._path,
            timeout=0,
            thread_local=False,
            fallback_to_soft=False,
            on_acquired=lambda descriptor: taken.append(os.fstat(descriptor).st_ino),
        )
        lock.acquire()
        if self._lock is not None:
            self._lock.release(force=True)
        self._lock, self._inode = lock, taken[0]

    def _in_place(self) -> bool:
        try:
            return self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def drop(self) -> None:
        """Let go, as death would."""
        if self._lock is not None:
            self._lock.release(force=True)
            self._lock = None


def is_alive(folder: Path, name: str) -> bool:
    """Whether the server of that name lives. Under the mutex: the look itself takes a free lock for a moment."""
    path = folder / f"{name}.lock"
    if not path.exists():
        return False
    lock = FileLock(path, timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        return True
    lock.release()
    return False


def sweep_dead(folder: Path) -> None:
    """Remove the locks of servers that are gone. Under the mutex; names are never used twice, so nobody waits."""
    for entry in os.scandir(folder):
        with suppress(OSError):
            if entry.name.endswith(".lock") and not is_alive(folder, entry.name.removesuffix(".lock")):
                Path(entry.path).unlink()
