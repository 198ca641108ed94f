"""The mutex: one short lock around every change of a tasks directory, held for milliseconds, never while work is done.

filelock's ``FileLock`` is what excludes: a kernel lock, freed when its holder dies. On POSIX waiters first queue in a
blocking ``flock`` on a second file, because ``FileLock`` polls: waiting in the kernel is fair and costs nothing.
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
    deadline = time.monotonic() + wait_seconds
    path = folder / "mutex"
    with _queue(folder / "mutex.queue", deadline):
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
            raise _busy(wait_seconds) from None
        try:
            held = HeldMutex(path, taken[0].st_dev, taken[0].st_ino)
            held.check()
            yield held
        finally:
            lock.release()


def _busy(wait_seconds: float) -> StoreBusy:
    return StoreBusy(
        f"another process held the tasks directory's mutex for {wait_seconds:g} s; "
        "nothing was changed, call again in a moment"
    )


@contextmanager
def _queue(path: Path, deadline: float) -> Iterator[None]:
    if sys.platform == "win32":
        yield
        return
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except FileNotFoundError:
        raise MutexGone from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        in_line = True
    except BlockingIOError:
        # False: somebody is stopped at the head of the line; the lock behind it may be free all the same
        in_line = _wait_in_line(descriptor, deadline)
    except BaseException:
        os.close(descriptor)
        raise
    try:
        yield
    finally:
        if in_line:
            os.close(descriptor)


def _wait_in_line(descriptor: int, deadline: float) -> bool:
    """Wait in a blocking ``flock``. False: time ran out, and the waiting thread closes the descriptor itself.

    On a thread, so that the wait can end: a process stopped while first in line must not stop everybody for ever.
    """
    granted = threading.Event()
    settled = threading.Lock()
    given_up = False

    def wait() -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with settled:
            granted.set()
            if given_up:
                os.close(descriptor)

    threading.Thread(target=wait, name="dibs-mutex-queue", daemon=True).start()
    try:
        granted.wait(max(0.0, deadline - time.monotonic()))
    finally:
        with settled:
            given_up = not granted.is_set()
    return not given_up
