"""Holds a mutex or an alive lock from the moment it says ``held`` until its input ends.

Usage: hold.py mutex|alive FOLDER NAME
"""

from __future__ import annotations

import sys
from pathlib import Path

from dibs.store.alive import AliveLock
from dibs.store.mutex import hold_mutex


def main(kind: str, folder: Path, name: str) -> None:
    if kind == "alive":
        lock = AliveLock(folder, name)
        lock.keep()
        wait_for_end()
        lock.drop()
        return
    with hold_mutex(folder, 30):
        wait_for_end()


def wait_for_end() -> None:
    print("held", flush=True)  # noqa: T201
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
