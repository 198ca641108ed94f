"""The installed `dibs` as a person starts it, several at once, and the programs that `dibs work` is to run."""

from __future__ import annotations

import fcntl
import json
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from dibs_server.race.wire import clean_environment
from doors import Answer
from wire import DIBS

Found = TypeVar("Found")
PAUSE_SECONDS = 0.02
PATIENCE_SECONDS = 100


@contextmanager
def begun(cwd: Path, *words: str | Path) -> Iterator[subprocess.Popen[str]]:
    """``dibs`` with these arguments; killed when the block ends, if it still lives."""
    process = subprocess.Popen(
        [str(DIBS), *map(str, words)],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
        text=True,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for its end: its exit code, what it printed, what it complained of."""
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, out, err


def ran(cwd: Path, *words: str | Path, code: int = 0) -> str:
    """Run ``dibs`` to its end, which must be this exit code; returns what it printed."""
    with begun(cwd, *words) as process:
        found, out, err = ended(process)
    assert found == code, out + err
    return out


def answered(cwd: Path, *words: str | Path, code: int = 0, command: Sequence[str] = ()) -> Answer:
    """What ``dibs … --json`` printed; ``command`` is what it is to run."""
    answer: Answer = json.loads(ran(cwd, *words, "--json", *(["--", *command] if command else []), code=code))
    return answer


def until(found: Callable[[], Found]) -> Found:
    """Look until there is something; returns it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (seen := found()):
        if time.monotonic() > deadline:
            pytest.fail("what was waited for did not come")
        time.sleep(PAUSE_SECONDS)  # only so as not to keep the processor busy; the loop is what waits
    return seen


@contextmanager
def gate(path: Path) -> Iterator[Callable[[], None]]:
    """A gate that programs wait at by ``flock PATH true``, until what is given is called, or the block ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield lambda: fcntl.flock(file, fcntl.LOCK_UN)


def script(*lines: str, **values: str | Path) -> list[str]:
    """A shell script as the words of a program; the path comes as ``$1``, each value under its name."""
    given = [f"{name}={shlex.quote(str(value))}" for name, value in values.items()]
    return ["sh", "-c", "\n".join([*given, *lines]), "sh", "{path}"]
