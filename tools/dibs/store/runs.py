"""What programs that worked on tasks wrote: one file for each try, in one folder for each run, kept for some days."""

from __future__ import annotations

import secrets
import shutil
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from dibs.store.alive import is_alive
from dibs.store.claims import slug

DAY_SECONDS = 86_400.0
DISPATCHER = "dispatcher"
"""The lock that whoever dispatches a run holds for life, in the folder of the run."""


def new_run(runs: Path, kind: str, at: datetime, keep_days: float) -> Path:
    """Make the folder of a new run, and remove what is older than ``keep_days``; under the mutex."""
    sweep_runs(runs, keep_days)
    run = runs / f"{kind}-{at:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    run.mkdir(parents=True)
    return run


def output_path(run: Path, task_id: str, token: str) -> Path:
    """Where the output of the work under one claim goes."""
    return run / f"{slug(task_id)}.{token}.log"


def outputs_of(runs: Path, task_id: str) -> list[Path]:
    """The outputs of a task that are still kept, the newest first."""
    found: list[tuple[int, Path]] = []
    for path in runs.glob(f"*/{slug(task_id)}.*.log"):
        with suppress(FileNotFoundError):  # swept just now
            found.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(found, reverse=True)]


def token_of(output: Path) -> str:
    """The token of the claim that an output was written under."""
    return output.name.removesuffix(".log").rpartition(".")[2]


def sweep_runs(runs: Path, keep_days: float) -> None:
    limit = time.time() - keep_days * DAY_SECONDS
    for run in runs.glob("*/"):
        with suppress(OSError):  # swept by another just now, or something is left in it
            is_old = run.stat().st_mtime < limit
            if is_alive(run, DISPATCHER):
                continue
            for path in run.iterdir():
                if path.lstat().st_mtime < limit:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            if is_old:
                run.rmdir()
