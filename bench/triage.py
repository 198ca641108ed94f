"""How fast tasks are triaged: two `dibs triage` at once where every task is changed, and one where none is.

    python bench/triage.py [--tasks 10000]

From the start of the programs to their end, with all that a program costs at its start and the first look at the files.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from report import Cell, Check, Report, run
from sample import DIBS, Samples, sizes_up_to

CHANGED_A_SECOND = 300
UNCHANGED_A_SECOND = 2_000


def triage(folder: Path, processes: int) -> tuple[float, Sequence[dict[str, Any]]]:
    """So many at once on all tasks: the seconds until the last one ended, and what each answered."""
    command = [DIBS, "triage", "--max", "0", "--json", "--tasks-dir", str(folder)]
    started = time.perf_counter()
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
    answers = [json.loads(process.communicate()[0]) for process in running]
    return time.perf_counter() - started, answers


def rewriting_seconds(folder: Path) -> float:
    """The floor: the same files, each read and replaced by a fsynced copy, by one program that does nothing else."""
    started = time.perf_counter()
    for path in sorted(folder.glob("*.md")):
        temporary = folder / "copy"
        with temporary.open("wb") as copy:
            copy.write(path.read_bytes())
            copy.flush()
            os.fsync(copy.fileno())
        temporary.replace(path)
    return time.perf_counter() - started


def measure(samples: Samples, options: argparse.Namespace) -> Report:
    rows: list[dict[str, Cell]] = []
    for size in sizes_up_to(options.tasks):
        folder = samples.directory(size, "triage")
        changing, answers = triage(folder, processes=2)
        changed = [answer["changed"] for answer in answers]
        if sum(changed) != size:
            raise SystemExit(f"{size} tasks were to be changed once each, and {changed} were")
        unchanging, (answer,) = triage(folder, processes=1)
        if answer["unchanged"] != size:
            raise SystemExit(f"{answer['changed']} tasks were changed a second time")
        rows.append(
            {
                "tasks": size,
                "changed a second, 2 processes": size / changing,
                "by the first of them": changed[0] / size,
                "only rewritten a second": size / rewriting_seconds(folder),
                "unchanged a second, 1 process": size / unchanging,
            }
        )
    checks = [
        Check(f"{name}, {rows[-1]['tasks']:,} tasks", float(rows[-1][name]), bound, ">=")
        for name, bound in (
            ("changed a second, 2 processes", CHANGED_A_SECOND),
            ("unchanged a second, 1 process", UNCHANGED_A_SECOND),
        )
    ]
    return Report("Triage", rows, checks)


if __name__ == "__main__":
    run(__doc__, measure, "tasks")
