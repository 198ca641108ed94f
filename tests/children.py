"""Child interpreters of tests, each bounded in time and gone at the end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = Path(__file__).parent / "processes"
PATIENCE_SECONDS = 60


@contextmanager
def child(program: str, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A child interpreter running one of our programs; killed when the block ends, if it still lives."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAMS / program), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)


@contextmanager
def holding(kind: str, folder: Path, name: str = "") -> Iterator[subprocess.Popen[str]]:
    """A child that holds a mutex or an alive lock by now."""
    with child("hold.py", kind, folder, name) as process:
        expect(process, "held")
        yield process


def expect(process: subprocess.Popen[str], line: str) -> None:
    """Read the child's next line. The suite's time limit bounds the wait; a dead child ends it."""
    assert process.stdout is not None
    assert process.stdout.readline().strip() == line


def let_end(process: subprocess.Popen[str]) -> int:
    """Close the child's input and wait for its end; returns its exit status."""
    process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode
