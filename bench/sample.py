"""Sample directories, and the commands of the servers that are measured on them.

A sample is a function of its size: which task has which priority and dependency is known without reading it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from wire import running

Kind = Literal["dibs", "bare", "o_excl"]
DIBS = str(Path(sys.executable).with_name("dibs"))
BARE = str(Path(__file__).with_name("bare.py"))
SIZES = (1_000, 10_000, 100_000)
LONG_AGO = 1_000_000_000
BODY = "What is to be done, in a few sentences that somebody wrote down for whoever takes it up.\n\n" * 8


def task_id(number: int) -> str:
    return f"t-{number:06}"


def priority(number: int) -> int:
    return number * 7 % 5


def dependency(number: int) -> int | None:
    """The task that has to be done before this one; every tenth has one."""
    return number - 1 if number % 10 == 9 else None


def sizes_up_to(largest: int) -> list[int]:
    return [size for size in SIZES if size <= largest]


class Samples:
    """Directories made when they are first asked for, below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tools: Path | None = None

    def directory(self, size: int, user: str = "any") -> Path:
        """The directory of this size that belongs to this user of it; the same one each time."""
        folder = self._folder / f"{size}-{user}"
        if not folder.exists():
            folder.mkdir()
            for number in range(size):
                write_task(folder, number)
        return folder

    def command(self, kind: Kind, tasks_dir: Path) -> list[str]:
        if kind == "dibs":
            return [DIBS, "serve", "--tasks-dir", str(tasks_dir)]
        files = [str(tasks_dir)] if kind == "o_excl" else []
        return [sys.executable, BARE, str(self._tools_file()), *files]

    def _tools_file(self) -> Path:
        """The tools that Dibs lists, for the floors to list them too."""
        if self._tools is None:
            empty = self.directory(0)
            with running([self.command("dibs", empty)]) as (server,):
                tools = server.ask("tools/list")["tools"]
            self._tools = self._folder / "tools.json"
            self._tools.write_text(json.dumps(tools), encoding="utf-8")
        return self._tools


@contextmanager
def samples() -> Iterator[Samples]:
    with TemporaryDirectory(prefix="dibs-bench-") as folder:
        yield Samples(Path(folder))


def write_task(folder: Path, number: int) -> None:
    before = dependency(number)
    header = [
        f"id: {task_id(number)}",
        f"title: Task number {number} of a sample",
        "status: active",
        f"priority: {priority(number)}",
        "type: task",
        f"project: project-{number % 7}",
        "tags: [sample, bench]",
        "created: 2026-01-22",
        f"depends_on: [{'' if before is None else task_id(before)}]",
        "complexity: mechanical",
        f"note: a key of the user's own {number}",
    ]
    path = folder / f"{task_id(number)}.md"
    path.write_text("\n".join(["---", *header, "---", "", BODY]), encoding="utf-8")
    os.utime(path, (LONG_AGO, LONG_AGO))  # or the first claims would wait for the files to settle
