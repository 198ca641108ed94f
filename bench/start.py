"""How long a server takes from its start to `initialize`, and on to its first claim, beside a bare server.

    python bench/start.py [--runs 15] [--tasks 10000]

Each is started again and again, in turns; the medians and their ratios count, not the milliseconds of this machine. The
directories have been looked at before, so that whatever is kept between two starts is there.
"""

from __future__ import annotations

import argparse
import time

from report import Cell, Check, Report, median, run
from sample import Samples, sizes_up_to
from wire import Server

Laps = dict[str, float]
FIRST_CLAIM_MS = {1_000: 40.0, 100_000: 100.0}


def one_start(command: list[str]) -> Laps:
    """Milliseconds from the spawn to each first answer. The claim is given back."""
    server = Server(command)
    laps: Laps = {}

    def lap(name: str) -> None:
        laps[name] = (time.perf_counter() - server.started) * 1000

    server.initialize()
    lap("initialize")
    server.ask("tools/list")
    lap("tools/list")
    claim = server.call("claim_next_task", caller="bench")
    lap("first claim")
    server.call("release_task", id=claim["task"]["id"], claim_token=claim["claim_token"])
    server.end()
    return laps | {"claim after initialize": laps["first claim"] - laps["initialize"]}


def measure(samples: Samples, options: argparse.Namespace) -> Report:
    sizes = sizes_up_to(options.tasks)
    commands = {f"dibs, {size:,} tasks": samples.command("dibs", samples.directory(size)) for size in sizes}
    commands["bare"] = samples.command("bare", samples.directory(0))
    laps: dict[str, list[Laps]] = {name: [] for name in commands}
    for command in commands.values():
        one_start(command)
    for _ in range(options.runs):
        for name, command in commands.items():
            laps[name].append(one_start(command))
    medians = {name: {lap: median(one[lap] for one in several) for lap in several[0]} for name, several in laps.items()}
    rows: list[dict[str, Cell]] = [{"ms (medians)": name, **times} for name, times in medians.items()]
    ratio = medians[f"dibs, {sizes[0]:,} tasks"]["initialize"] / medians["bare"]["initialize"]
    checks = [Check("start to `initialize`, × the bare server", ratio, 1.0)]
    for size in sizes:
        if size in FIRST_CLAIM_MS:
            after = medians[f"dibs, {size:,} tasks"]["claim after initialize"]
            checks.append(
                Check(f"first claim after `initialize`, {size:,} tasks", after, FIRST_CLAIM_MS[size], unit="ms")
            )
    return Report(f"Start ({options.runs} of each, in turns)", rows, checks)


if __name__ == "__main__":
    run(__doc__, measure, "runs", "tasks")
