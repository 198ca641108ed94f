"""A person at a shell, beside the clients."""

from __future__ import annotations

import subprocess
from pathlib import Path

from wire import DIBS

PATIENCE_SECONDS = 60


def dibs(tasks_dir: Path, *words: str) -> str:
    """Run a command of the CLI, which must end well; returns what it printed."""
    command = [str(DIBS), *words, "--tasks-dir", str(tasks_dir)]
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
