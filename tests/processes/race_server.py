"""``dibs serve`` with one thing of it patched out, or dying on the way: what a race has to notice, or to survive.

Usage: race_server.py no_mutex|no_fence|no_reread|slowly --tasks-dir DIR; ``slowly`` lingers as these do, and is sound.
       race_server.py dies:FOLDER --tasks-dir DIR; at each named step one server dies, once; FOLDER says where so far.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dibs import claim_next_task as claiming
from dibs import fence
from dibs.store import ledger, publish, steps
from dibs.store.index import Index
from dibs.store.mutex import HeldMutex
from dibs.store.task_store import TaskStore
from dibs_server.cli.serve_command import serve_command

WIDEST_SECONDS = 0.05
LONG_SECONDS = 0.3


def hesitate(step: str) -> None:
    """Between looking and locking, now and then for long enough that others claim and complete."""
    if step == "mutex.wanted" and random.random() < 0.2:
        time.sleep(LONG_SECONDS)


def slowly() -> None:
    """Linger where others may come between, on a file system that can neither link nor exchange: the mutex alone
    excludes there. Nor is the index shared, so that a claim proposes from an older one. As long as the mutex and the
    re-read are in force, nothing can come of it."""

    def hook(step: str) -> None:
        hesitate(step)
        if step in ("claim.read", "end.read", "reap.read"):
            time.sleep(random.uniform(0, WIDEST_SECONDS))

    def no_link(source: object, target: object) -> None:
        raise OSError(errno.EPERM, "no hard links here", str(target))

    def replace_late(path: Path, target: Path) -> Path:
        time.sleep(random.uniform(0, WIDEST_SECONDS))
        return sound_replace(path, target)

    sound_replace = Path.replace
    steps.hook = hook
    Index.share = lambda index, hold: None  # type: ignore[method-assign]
    os.link = no_link  # type: ignore[assignment]
    publish.exchange = lambda one, other: False
    Path.replace = replace_late  # type: ignore[method-assign, assignment]


def no_mutex() -> None:
    @contextmanager
    def held_by_all(folder: Path, wait_seconds: float) -> Iterator[HeldMutex]:
        path = folder / "mutex"
        path.touch()
        found = path.stat()
        yield HeldMutex(path, found.st_dev, found.st_ino)

    slowly()
    ledger.hold_mutex = held_by_all


def no_fence() -> None:
    sound: Callable[..., Any] = fence._with_token

    def let_in(hold: Any, stored: Any, claim: Any, token: str, how: Any) -> Any:
        return sound(hold, stored, claim, token, how) if claim is None else fence.Admitted(stored, claim)

    fence._with_token = let_in


def no_reread() -> None:
    """A claim goes by what the index knew before the mutex, not by what the file says under it."""
    sound_try: Callable[..., Any] = claiming._try_candidate
    sound_read = TaskStore.read
    proposed: list[Any] = []

    def try_candidate(attempt: Any, hold: Any, task: Any) -> Any:
        proposed.append(task)
        try:
            return sound_try(attempt, hold, task)
        finally:
            proposed.pop()

    def read(store: TaskStore, path: str) -> Any:
        stored = sound_read(store, path)
        return replace(stored, task=proposed[-1]) if stored is not None and proposed else stored

    slowly()
    claiming._try_candidate = try_candidate
    TaskStore.read = read  # type: ignore[method-assign]


def die_once_at_each_step(folder: Path) -> None:
    def hook(step: str) -> None:
        try:
            (folder / step).touch(exist_ok=False)
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    steps.hook = hook


FAULTS = {
    "no_mutex": no_mutex,
    "no_fence": no_fence,
    "no_reread": no_reread,
    "slowly": slowly,
}


if __name__ == "__main__":
    name, _, folder = sys.argv[1].partition(":")
    if name == "dies":
        die_once_at_each_step(Path(folder))
    else:
        FAULTS[name]()
    serve_command(sys.argv[2:], prog_name="dibs serve")
