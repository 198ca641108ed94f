"""Claim and complete pairs: how many a second, how long one waits, what they cost, and whether any went wrong.

    python bench/pairs.py [--rounds 5] [--pairs 150] [--tasks 10000]

One run has 1, 4 and 16 agents, each with a server of its own, on 1,000 tasks, and 1 and 4 on larger directories; beside
each the floors: `bare`, an SDK server that answers at once, and `o_excl`, the same with an O_EXCL lockfile and the task
file rewritten. All servers live through the whole run and take turns, round by round; 64 agents come last, alone. Rates
are medians over the rounds, waits are of all claims of a setting. Between claim and completion nothing is done.

A directory of 100,000 (`--tasks 100000`) takes minutes to make and to look at; it is worked on by one agent.
"""

from __future__ import annotations

import argparse

from drain import Setting, Team, take_turns, teams
from judge import duplicates, inversions, lost
from report import Cell, Check, Report, median, percentile, run
from sample import Kind, Samples, sizes_up_to

KINDS: tuple[Kind, ...] = ("dibs", "bare", "o_excl")
CROWD = Setting("dibs", 1_000, 64)


def settings_up_to(largest: int) -> list[Setting]:
    found = [Setting(kind, 1_000, agents) for agents in (1, 4, 16) for kind in KINDS]
    for size in sizes_up_to(largest)[1:]:
        found += [Setting("dibs", size, agents) for agents in ((1, 4) if size < 100_000 else (1,))]
    return found


def measure(samples: Samples, options: argparse.Namespace) -> Report:
    with teams(samples, settings_up_to(options.tasks)) as made:
        take_turns(made, options.rounds, options.pairs)
    with teams(samples, [CROWD]) as crowd:
        take_turns(crowd, 1, options.rounds * options.pairs)
    found = {team.setting: row(team) for team in [*made, *crowd]}
    title = f"Pairs ({options.rounds} rounds of {options.pairs}, in turns)"
    return Report(title, list(found.values()), checks(found))


def row(team: Team) -> dict[str, Cell]:
    kind, waits = team.setting.kind, [pair.claim_seconds * 1000 for pair in team.pairs]
    has_files = kind != "bare"
    return {
        "server": kind,
        "tasks": team.setting.tasks if has_files else "",
        "agents": team.setting.agents,
        "pairs/s": median(team.rates),
        "claim p50, ms": median(waits),
        "p99": percentile(waits, 99),
        "longest": max(waits),
        "CPU ms a pair": team.cpu_seconds * 1000 / len(team.pairs),
        "duplicates": duplicates(team.pairs) if has_files else "",
        "lost": lost(team.pairs, team.folder) if has_files else "",
        "inversions": inversions(team.pairs, team.setting.tasks) if kind == "dibs" else "",
        "refused": len(team.refused),
    }


def checks(found: dict[Setting, dict[str, Cell]]) -> list[Check]:
    def of(column: str, agents: int = 1, kind: Kind = "dibs", tasks: int = 1_000) -> float:
        return float(found[Setting(kind, tasks, agents)][column])

    ours = [row for setting, row in found.items() if setting.kind == "dibs"]
    wrong = sum(int(row[column]) for row in ours for column in ("duplicates", "lost", "inversions"))
    rate, p50, cpu = "pairs/s", "claim p50, ms", "CPU ms a pair"
    made = [
        Check("duplicates, lost, inversions", wrong, 0),
        Check("calls refused, 64 agents and less", sum(int(row["refused"]) for row in ours), 0),
        Check("pairs/s, 1 agent, × the bare server's two calls", of(rate) / of(rate, kind="bare"), 0.25, ">="),
        Check("pairs/s, 4 agents, × 1 agent", of(rate, 4) / of(rate), 1.3, ">="),
        Check("pairs/s, 16 agents, × 1 agent", of(rate, 16) / of(rate), 1, ">="),
        Check("claim p99, 16 agents, × p50", of("p99", 16) / of(p50, 16), 4),
        Check("longest wait, 64 agents, × p50", of("longest", 64) / of(p50, 64), 20),
        Check("CPU a pair, × the bare server's two calls", of(cpu) / of(cpu, kind="bare"), 3.5),
    ]
    for setting in found:
        if setting.kind == "dibs" and setting.tasks == 10_000:
            ratio = of(rate, setting.agents, tasks=10_000) / of(rate, setting.agents)
            made.append(Check(f"pairs/s, 10,000 tasks, {setting.agents} agents, × 1,000", ratio, 0.9, ">="))
        elif setting.tasks == 100_000:
            made.append(Check("claim p50, 100,000 tasks, × 1,000", of(p50, tasks=100_000) / of(p50), 2))
    return made


if __name__ == "__main__":
    run(__doc__, measure, "rounds", "pairs", "tasks")
