"""How long `dibs stats --json` takes, beyond the start of the command itself.

    python bench/stats.py [--runs 15] [--tasks 10000]

The directories are in use: the index is shared and up to date, a few tasks are claimed, and the journal of the last 30
days has claims and endings, one pair for every third task.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from report import Cell, Check, Report, median, run
from sample import DIBS, Samples, sizes_up_to, task_id
from wire import running

CLAIMS = 8
DAYS = 30
CALLERS = ("claude", "gemini", "codex", "maria")
MOST_MS = {1_000: 200.0, 10_000: 200.0}


def write_journal(folder: Path, tasks: int) -> None:
    """One claim and one completion of every third task, spread over the days; one file a day."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    days: dict[str, list[str]] = {}
    for number in range(0, tasks, 3):
        at = now - timedelta(days=DAYS) * (tasks - number) / (tasks + 1)
        facts = {"id": task_id(number), "token": f"h000-{number:011}", "caller": CALLERS[number % len(CALLERS)]}
        for event, moment in (("claimed", at), ("completed", at + timedelta(seconds=60 + number % 600))):
            line = json.dumps({"at": moment.isoformat(), "event": event, **facts}, separators=(",", ":"))
            days.setdefault(f"{at:%Y-%m-%d}", []).append(line)
    for day, lines in days.items():
        (folder / f"{day}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def seconds_of(command: Sequence[str]) -> tuple[float, float]:
    """What a run of a command takes: wall clock, and CPU."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime


def call_ms(samples: Samples, folder: Path, runs: int) -> float:
    """What a call of the tool takes in a server that has answered before; each time a task has changed meanwhile."""
    with running([samples.command("dibs", folder)] * 2) as (server, other):
        took = []
        for _ in range(runs):
            claim = other.call("claim_next_task", caller="bench")
            other.call("release_task", id=claim["task"]["id"], claim_token=claim["claim_token"])
            started = time.perf_counter()
            server.call("get_index_stats")
            took.append(time.perf_counter() - started)
    return median(took[1:]) * 1000


def measure(samples: Samples, options: argparse.Namespace) -> Report:
    rows: list[dict[str, Cell]] = []
    checks = []
    for size in sizes_up_to(options.tasks):
        folder = samples.directory(size, "stats")
        write_journal(folder / ".dibs" / "journal", size)
        for _ in range(CLAIMS):
            subprocess.run(
                [DIBS, "claim", "--caller", "bench", "--tasks-dir", str(folder)], check=True, capture_output=True
            )
        commands = {"start": [DIBS, "--version"], "stats": [DIBS, "stats", "--json", "--tasks-dir", str(folder)]}
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(options.runs):
            for name, command in commands.items():
                took[name].append(seconds_of(command))
        wall = {name: median(one[0] for one in several) * 1000 for name, several in took.items()}
        cpu = {name: median(one[1] for one in several) * 1000 for name, several in took.items()}
        rows.append(
            {
                "tasks": size,
                "dibs --version, ms": wall["start"],
                "dibs stats, ms": wall["stats"],
                "beyond the start, ms": wall["stats"] - wall["start"],
                "of it CPU, ms": cpu["stats"] - cpu["start"],
                "a call of a server, ms": call_ms(samples, folder, options.runs),
            }
        )
        if size in MOST_MS:
            beyond = wall["stats"] - wall["start"]
            checks.append(Check(f"`dibs stats` beyond its start, {size:,} tasks", beyond, MOST_MS[size], unit="ms"))
    return Report(f"Stats ({options.runs} of each, in turns)", rows, checks)


if __name__ == "__main__":
    run(__doc__, measure, "runs", "tasks")
