"""What a server costs that nobody calls: CPU time, times it woke up, memory; beside a bare server.

    python bench/idle.py [--seconds 60] [--tasks 10000]

Four servers of each kind live side by side and have made a few pairs; then all are watched for the same minute. Memory
is the mean of the four: what is theirs alone (USS), and with a share of what several processes have in common (PSS).
"""

from __future__ import annotations

import argparse
import time

from drain import Setting, Team, take_turns, teams
from report import Cell, Check, Report, run
from sample import Samples, sizes_up_to
from wire import Server

AGENTS = 4
PAIRS = 40
NOTHING_PERCENT = 0.05
MEGABYTE = 1_000_000


def woken(server: Server) -> int:
    switches = server.process.num_ctx_switches()
    return int(switches.voluntary + switches.involuntary)


def measure(samples: Samples, options: argparse.Namespace) -> Report:
    settings = [Setting("dibs", size, AGENTS) for size in sizes_up_to(options.tasks)]
    with teams(samples, [*settings, Setting("bare", 0, AGENTS)]) as made:
        take_turns(made, 1, PAIRS)
        before = [[(server.cpu_seconds(), woken(server)) for server in team.servers] for team in made]
        time.sleep(options.seconds)
        rows = [row(team, old, options.seconds) for team, old in zip(made, before, strict=True)]
    bare = rows[-1]
    checks = []
    for team, ours in zip(made[:-1], rows, strict=False):
        size = f"{team.setting.tasks:,} tasks"
        checks += [
            Check(f"CPU when idle, {size}", float(ours["CPU %"]), NOTHING_PERCENT, unit="%"),
            Check(f"memory (PSS), {size}, × the bare server", float(ours["PSS, MB"]) / float(bare["PSS, MB"]), 1.1),
        ]
    return Report(f"Idle ({options.seconds} s)", rows, checks)


def row(team: Team, before: list[tuple[float, int]], seconds: int) -> dict[str, Cell]:
    count = len(team.servers)
    cpu = sum(server.cpu_seconds() - old[0] for server, old in zip(team.servers, before, strict=True))
    wakes = sum(woken(server) - old[1] for server, old in zip(team.servers, before, strict=True))
    memory = [server.process.memory_full_info() for server in team.servers]
    return {
        "server": team.setting.kind,
        "tasks": team.setting.tasks,
        "CPU %": 100 * cpu / count / seconds,
        "wake-ups": wakes / count,
        "USS, MB": sum(one.uss for one in memory) / count / MEGABYTE,
        "PSS, MB": sum(one.pss for one in memory) / count / MEGABYTE,
    }


if __name__ == "__main__":
    run(__doc__, measure, "seconds", "tasks")
