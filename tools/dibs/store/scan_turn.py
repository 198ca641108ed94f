"""Whose turn it is to scan: one of all processes on a directory, so that many who ask at once share what one found."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl

LONGEST_WAIT_SECONDS = 2.0
POLL_SECONDS = 0.002


class ScanTurn:
    """The turn of one process's threads among themselves, and of the process among others.

    Only politeness: who waited for long scans beside the others. Among processes it is locked in the kernel, which
    frees it when one dies; a stopped one is waited for only so long.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, folder: Path | None, *, wait: bool) -> Iterator[bool]:
        """Whether it is this thread's turn, for as long as the block lasts; ``wait``: after whoever has it now.

        Without a ``folder`` to share it is the process's own affair.
        """
        patience_seconds = LONGEST_WAIT_SECONDS if wait else 0.0
        mine = self._lock.acquire(timeout=patience_seconds)
        descriptor = None if folder is None or sys.platform == "win32" else _opened(folder)
        try:
            yield mine and (descriptor is None or _locked(descriptor, patience_seconds))
        finally:
            if descriptor is not None:
                os.close(descriptor)
            if mine:
                self._lock.release()


def _opened(folder: Path) -> int | None:
    try:
        return os.open(folder / "scanning", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError:
        return None


def _locked(descriptor: int, wait_seconds: float) -> bool:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
