"""A server that lives through the renewals of eight hours, and hundreds of calls: nothing grows but the journal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.processes, pytest.mark.long]

LONG_LIFE = Path(__file__).parents[2] / "bench" / "long_life.py"
RENEWALS = 8 * 60 * 60 // 40
PATIENCE_SECONDS = 110


def test_eight_hours_of_one_server_leave_nothing_behind_but_the_journal(memory_dir: Path) -> None:
    command = [sys.executable, str(LONG_LIFE), "--renewals", str(RENEWALS), "--laps", "10", "--json"]
    environment = {**os.environ, "TMPDIR": str(memory_dir)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)
    assert len(report["checks"]) == 10
    assert [check for check in report["checks"] if not check["ok"]] == [], report["rows"]
