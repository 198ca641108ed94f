"""How long the first claim takes in a directory that no Dibs has ever seen: the index is made from nothing.

    python bench/cold.py [--tasks 100000]

Cold is the index; the files were written a moment ago, and the system may still have them in memory.
"""

from __future__ import annotations

import argparse
import shutil
import time

from report import Cell, Check, Report, run
from sample import Samples, sizes_up_to
from wire import running

MOST_SECONDS = 30.0


def first_claim_seconds(samples: Samples, size: int) -> float:
    folder = samples.directory(size)
    shutil.rmtree(folder / ".dibs", ignore_errors=True)
    with running([samples.command("dibs", folder)]) as (server,):
        started = time.perf_counter()
        claim = server.call("claim_next_task", caller="bench")
        seconds = time.perf_counter() - started
        server.call("release_task", id=claim["task"]["id"], claim_token=claim["claim_token"])
    return seconds


def measure(samples: Samples, options: argparse.Namespace) -> Report:
    seconds = {size: first_claim_seconds(samples, size) for size in sizes_up_to(options.tasks)}
    rows: list[dict[str, Cell]] = [
        {"tasks": size, "first claim, s": found, "ms a file": found * 1000 / size} for size, found in seconds.items()
    ]
    largest = max(seconds)
    check = Check(
        f"index made from nothing, {largest:,} tasks", seconds[largest], MOST_SECONDS * largest / 100_000, unit="s"
    )
    return Report("Cold", rows, [check])


if __name__ == "__main__":
    run(__doc__, measure, "tasks")
