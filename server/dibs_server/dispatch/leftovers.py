"""Ending what a program left running: its children may have gone into groups and sessions of their own.

They are known by a variable of their environment, which children inherit wherever they go.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import psutil

PASSES = 20


def end_leftovers(variable: str, value: str) -> int:
    """Kill every process of this user whose environment has this variable at this value, but for this one; how many."""
    ended = 0
    for _ in range(PASSES):  # what is killed may just have started another one
        found = list(_having(variable, value))
        if not found:
            break
        for process in found:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, timeout=5)
        ended += len(found)
    return ended


def _having(variable: str, value: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(variable) == value:
                yield process
