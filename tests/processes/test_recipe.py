"""What docs/batches.md says to type is typed, block by block, in an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from dibs_server.race.wire import clean_environment
from documents import fenced
from shell import PATIENCE_SECONDS
from wire import DIBS

pytestmark = pytest.mark.processes

PAGE = Path(__file__).parents[2] / "docs" / "batches.md"


def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    environment = clean_environment() | {"PATH": f"{DIBS.parent}{os.pathsep}{os.environ['PATH']}"}
    printed = ""
    for block in fenced(PAGE, "sh"):
        done = subprocess.run(
            ["sh", "-eu", "-c", block],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), block + done.stdout + done.stderr
        printed += done.stdout
    assert printed.count("success review-") == 2 * 9, "each once by those who worked, and once by who waited"
    assert "all 9 ended" in printed
    assert "batch spelling has 9 tasks" in printed
    summary = json.JSONDecoder().raw_decode(printed[printed.index("{\n") :])[0]
    assert (summary["counts"]["done"], summary["finished"], summary["skipped"]) == (9, True, [])
    assert {"workers", "runtime_seconds", "total_tokens", "skipped", "counts"} <= summary.keys()
    assert "9 tasks: 9 done" in (tmp_path / "summary.md").read_text(encoding="utf-8")
