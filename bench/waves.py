"""What a wave costs beyond the processes that do its work, and what filling freed places saves.

    python bench/waves.py [--starts 200] [--rounds 5]

The same supervisors, each with an agent that does nothing, are run once by a dispatcher and once by a bare pool of as
many threads, which only starts the next when one has ended: what the dispatcher takes longer is its own. Then tasks of
unequal length are run in strict rounds and with freed places filled at once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dibs.store.dispatch_settings import Agent
from dibs_server.dispatch.records import Order, RunFolder
from report import Cell, Check, Report, median, run
from sample import DIBS, Samples

WORKERS = 8
OWN_MS = 30.0
LENGTHS = (0.2, 6.0, 0.2, 0.2, 6.0, 0.2, 0.2, 0.2, 6.0)
AT_ONCE = 3
RUN_ONE = (sys.executable, "-P", "-m", "dibs_server", "run-one")


def prepared(samples: Samples, name: str, tasks: int, agent: Sequence[str]) -> Path:
    """A directory of so many tasks, and of this agent."""
    folder = samples.directory(0, name)
    for number in range(tasks):
        (folder / f"t-{number}.md").write_text(f"---\nid: t-{number}\nstatus: active\n---\n", encoding="utf-8")
    settings = {
        "parallelism": {"maxParallelTasks": WORKERS},
        "dispatch": {"agent": "idle", "agents": {"idle": {"command": list(agent)}}},
    }
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def dispatched(folder: Path, tasks: Sequence[dict[str, object]], at_once: int, *words: str) -> float:
    """The seconds a wave takes, from the first start to the last end, by its own result."""
    wave = folder.with_name(f"{folder.name}-wave.json")
    wave.write_text(json.dumps({"wave": 1, "maxParallel": at_once, "tasks": tasks}), encoding="utf-8")
    command = [DIBS, "wave", "run", str(wave), "--json", "--tasks-dir", str(folder), *words]
    done = subprocess.run(command, capture_output=True, check=False)
    answer = json.loads(done.stdout)
    if len(answer["tasks"]) != len(tasks) or any(row["attempts"] != 1 for row in answer["tasks"].values()):
        raise SystemExit(f"each task was to be begun once: {answer}")
    return float(answer["runtime_seconds"])


def bare(folder: Path, tasks: int) -> float:
    """The seconds the same supervisors take, started by a pool that does nothing else."""
    idle = Agent(command=("true",))
    runs = RunFolder(folder / ".dibs" / "runs" / "bare")
    orders = [
        runs.give(Order(task_id=f"t-{number}", agent="idle", setup=idle, timeout_seconds=60)) for number in range(tasks)
    ]
    started = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda path: subprocess.run([*RUN_ONE, str(path)], check=True), orders))
    return time.perf_counter() - started


def row(what: str, pool: Cell, dispatcher: Cell, own: Cell = "") -> dict[str, Cell]:
    return {"": what, "pool, s": pool, "dispatcher, s": dispatcher, "own ms a task": own}


def named(tasks: int) -> list[dict[str, object]]:
    return [{"taskId": f"t-{number}"} for number in range(tasks)]


def measure(samples: Samples, options: argparse.Namespace) -> Report:
    rows: list[dict[str, Cell]] = []
    own = []
    for number in range(options.rounds):
        idle = ["true"]
        alone = bare(prepared(samples, f"bare-{number}", options.starts, idle), options.starts)
        folder = prepared(samples, f"dispatched-{number}", options.starts, idle)
        whole = dispatched(folder, named(options.starts), WORKERS)
        own.append((whole - alone) / options.starts * 1000)
        rows.append(row(f"{options.starts} tasks, {WORKERS} at once", alone, whole, own[-1]))
    sleep = ["sh", "-c", f"set -- {' '.join(map(str, LENGTHS))}; shift ${{DIBS_TASK_ID#t-}}; sleep $1"]
    lengths = named(len(LENGTHS))
    strict = dispatched(prepared(samples, "strict", len(LENGTHS), sleep), lengths, AT_ONCE, "--rounds", "strict")
    filled = dispatched(prepared(samples, "filled", len(LENGTHS), sleep), lengths, AT_ONCE)
    rows.append(row(f"{len(LENGTHS)} unequal tasks, strict rounds", "", strict))
    rows.append(row("the same, places filled at once", "", filled))
    checks = [
        Check("dispatcher's own time a task", median(own), OWN_MS, unit="ms"),
        Check("strict rounds against filled places", strict / filled, 1.2, ">=", "×"),
    ]
    return Report("Waves", rows, checks)


if __name__ == "__main__":
    run(__doc__, measure, "starts", "rounds")
