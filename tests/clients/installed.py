"""The real client programs: where ``make clients`` puts them, and whether they are there."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

PROGRAMS = Path(__file__).resolve().parents[2] / ".clients" / "node_modules" / ".bin"
NAMES = ("node", "gemini", "claude", "codex", "mcp-inspector")
PATH = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
ADVICE = "real clients are not installed: make clients"


@cache
def missing() -> list[str]:
    """The programs that cannot be started. ``node`` may also be the machine's own."""
    return [name for name in NAMES if not shutil.which(name, path=PATH if name == "node" else str(PROGRAMS))]


def required() -> bool:
    """Whether a missing program is a failure, as it is where DIBS_CLIENTS=required."""
    return os.environ.get("DIBS_CLIENTS") == "required"
