"""The mutex: one short lock around every change of a tasks directory, held for milliseconds, never while work is done.

A kernel lock, freed when its holder dies. On POSIX it is ``flock`` itself, the lock that filelock's ``FileLock`` takes:
that one polls, and a wait in the kernel is fair and costs nothing. Elsewhere it is ``FileLock``.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from dibs.store.errors import StoreBusy

if sys.platform != "win32":
    import fcntl

POLL_SECONDS = 0.003
STOPPED_SECONDS = 0.2


class StartOver(Exception):
    """What the change was based on is no longer so. Nothing was written; after ``pause`` seconds it is tried anew."""

    pause = 0.0


class MutexGone(StartOver):
    """The locked file is no longer the one at its path: ``git clean`` took the folder."""


@dataclass(frozen=True)
class HeldMutex:
    """Proof that the mutex is held, for as long as its file stays in place."""

    path: Path
    device: int
    inode: int

    def check(self) -> None:
        """Raise MutexGone unless the locked file is still at its path. Called before each visible write."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            raise MutexGone from None
        if (found.st_dev, found.st_ino) != (self.device, self.inode):
            raise MutexGone


@contextmanager
def hold_mutex(folder: Path, wait_seconds: float) -> Iterator[HeldMutex]:
    """Hold the mutex of a ledger folder, which must exist.

    Raises:
        StoreBusy: somebody else held it for all of ``wait_seconds``.
        MutexGone: the folder was taken away meanwhile.
    """
    path = folder / "mutex"
    with _locked(path, time.monotonic() + wait_seconds) as found:
        if found is None:
            raise StoreBusy(
                f"another process held the tasks directory's mutex for {wait_seconds:g} s; "
                "nothing was changed, call again in a moment"
            )
        held = HeldMutex(path, found.st_dev, found.st_ino)
        held.check()
        yield held


if sys.platform == "win32":

    @contextmanager
    def _locked(path: Path, deadline: float) -> Iterator[os.stat_result | None]:
        """Lock the file until the block ends, and give its stat; None: it did not come free in time."""
        taken: list[os.stat_result] = []
        # a fresh instance each time: a shared one counts re-entries instead of excluding
        lock = FileLock(
            path,
            timeout=max(0.0, deadline - time.monotonic()),
            poll_interval=POLL_SECONDS,
            fallback_to_soft=False,
            on_acquired=lambda descriptor: taken.append(os.fstat(descriptor)),
        )
        try:
            lock.acquire()
        except Timeout:
            yield None
            return
        try:
            yield taken[0]
        finally:
            lock.release()

else:

    @contextmanager
    def _locked(path: Path, deadline: float) -> Iterator[os.stat_result | None]:
        """Lock the file until the block ends, and give its stat; None: it did not come free in time."""
        descriptor, waiter = _opened(path), None
        try:
            if not _is_taken(descriptor):
                waiter = _Waiter(_opened(path))
                if not waiter.wait(descriptor, deadline):
                    yield None
                    return
            yield os.fstat(descriptor)
        finally:
            if waiter is not None:
                waiter.close()
            _free(descriptor)

    def _opened(path: Path) -> int:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except FileNotFoundError:
            raise MutexGone from None

    def _is_taken(descriptor: int) -> bool:
        """Whether the lock was free, and is ours now."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _free(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # a fork has a copy of it: closing ours alone would not free the lock
        os.close(descriptor)

    class _Waiter:
        """A thread that waits in a blocking ``flock``, in the line that the kernel keeps; the wait itself can end.

        Whoever stands behind a waiter that was stopped (SIGSTOP) is not woken, though the lock is free: so it has to be
        tried from the side, now and then.
        """

        def __init__(self, descriptor: int) -> None:
            self._descriptor = descriptor
            self._granted = threading.Event()
            self._settled = threading.Lock()
            self._given_up = False
            threading.Thread(target=self._wait, name="dibs-mutex-queue", daemon=True).start()

        def _wait(self) -> None:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            with self._settled:
                self._granted.set()
                if self._given_up:
                    _free(self._descriptor)

        def wait(self, side: int, deadline: float) -> bool:
            """Whether the lock was got in time, in the line or with the descriptor ``side``."""
            while not self._granted.wait(max(0.0, min(STOPPED_SECONDS, deadline - time.monotonic()))):
                if _is_taken(side):
                    return True
                if time.monotonic() >= deadline:
                    return False
            return True

        def close(self) -> None:
            """Free the lock, or leave the line."""
            with self._settled:
                self._given_up = True
                if self._granted.is_set():
                    _free(self._descriptor)
