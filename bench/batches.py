"""What batches cost: making one, hearing what ended, and claiming from one among many tasks.

    python bench/batches.py [--tasks 10000]

Over raw stdio, but for the making, which is the program from its start to its end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from report import Cell, Check, Report, median, run
from sample import DIBS, Samples, sizes_up_to, task_id
from wire import Server, running

CREATED_IN_SECONDS = 3.0
FILES = 1_000
CLAIMED_FROM = 50
CLAIMS = 40
SLOWER = 1.5


def created(folder: Path, name: str, words: Sequence[str]) -> float:
    """The seconds from the start of the program to its end; ``words`` come in on standard input."""
    command = [DIBS, "batch", "create", name, "-", "--json", "--tasks-dir", str(folder)]
    started = time.perf_counter()
    done = subprocess.run(command, input="\n".join(words).encode(), stdout=subprocess.PIPE, check=False)
    seconds = time.perf_counter() - started
    answer = json.loads(done.stdout)
    if answer.get("total") != len(words):
        raise SystemExit(f"a batch of {len(words)} was to be made: {answer}")
    return seconds


def made_for_files(samples: Samples) -> float:
    folder = samples.directory(0, "batches")
    files = folder.with_name("files")
    files.mkdir()
    for number in range(FILES):
        (files / f"{number}.txt").write_text("text\n", encoding="utf-8")
    return created(folder, "made", [str(path) for path in files.iterdir()])


def waited(server: Server, batch: str) -> float:
    """The seconds until a waiter who knows all there is to know has its answer."""
    cursor = server.call("wait_for_tasks", batch=batch, wait_seconds=0)["cursor"]
    started = time.perf_counter()
    server.call("wait_for_tasks", batch=batch, wait_seconds=0, cursor=cursor)
    return time.perf_counter() - started


def claimed(server: Server, **narrowed: str) -> float:
    started = time.perf_counter()
    claim = server.call("claim_next_task", caller="bench", **narrowed)
    seconds = time.perf_counter() - started
    server.call("release_task", id=claim["task"]["id"], claim_token=claim["claim_token"])
    return seconds


def measure(samples: Samples, options: argparse.Namespace) -> Report:
    rows: list[dict[str, Cell]] = []
    for size in sizes_up_to(options.tasks):
        folder = samples.directory(size, "batches")
        (folder / "settings.json").write_text('{"profile": "coordinator"}', encoding="utf-8")
        with running([samples.command("dibs", folder)]) as (server,):
            claimed(server)  # the index is there from now on
            every = created(folder, "every", [task_id(number) for number in range(size)])
            created(folder, "few", [task_id(number) for number in range(0, size, size // CLAIMED_FROM)][:CLAIMED_FROM])
            answered = median(waited(server, "every") for _ in range(CLAIMS))
            pairs = [(claimed(server), claimed(server, batch="few")) for _ in range(CLAIMS)]
        plain, narrowed = median(one for one, _ in pairs), median(other for _, other in pairs)
        rows.append(
            {
                "tasks": size,
                "batch of all, s": every,
                "wait_for_tasks over all, ms": answered * 1000,
                "claim p50, ms": plain * 1000,
                f"from a batch of {CLAIMED_FROM}, ms": narrowed * 1000,
                "×": narrowed / plain,
            }
        )
    made = made_for_files(samples)
    rows.append({**dict.fromkeys(rows[0], ""), "tasks": f"made for {FILES:,} files", "batch of all, s": made})
    largest = rows[-2]
    size = int(largest["tasks"])
    bound = CREATED_IN_SECONDS * max(1, size / 10_000)
    checks = [
        Check(f"batch of {size:,} tasks made", float(largest["batch of all, s"]), bound, unit="s"),
        Check(f"claim from a batch among {size:,}, × any claim", float(largest["×"]), SLOWER),
    ]
    return Report("Batches", rows, checks)


if __name__ == "__main__":
    run(__doc__, measure, "tasks")
