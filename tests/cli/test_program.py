"""The program as a process: by both its names, at the end of a pipe, and showing itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from support import write_task

pytestmark = pytest.mark.processes
DIBS = Path(sys.executable).with_name("dibs")
MODULE = [sys.executable, "-m", "dibs_server"]
PATIENCE_SECONDS = 100


def run(*words: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, **(env or {})}
    return subprocess.run(
        list(map(str, words)), capture_output=True, check=False, timeout=PATIENCE_SECONDS, env=environment
    )


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [("--help", 0), ("serve -h", 0), ("show t-9", 5), ("claim --colour", 2), ("serve --colour", 2)],
)
def test_the_module_is_the_same_program(tasks_dir: Path, words: str, exit_code: int) -> None:
    env = {"DIBS_TASKS_DIR": str(tasks_dir)}
    command, module = run(DIBS, *words.split(), env=env), run(*MODULE, *words.split(), env=env)
    assert (command.returncode, command.stdout, command.stderr) == (module.returncode, module.stdout, module.stderr)
    assert command.returncode == exit_code
    assert command.stdout + command.stderr


def test_a_task_is_claimed_and_completed_by_two_processes(tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", title="Käfig 🎨")
    env = {"DIBS_TASKS_DIR": str(tasks_dir), "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    claimed = run(DIBS, "claim", "--caller", "bob", "--json", env=env)
    assert claimed.returncode == 0
    answer = json.loads(claimed.stdout)
    assert answer["task"]["title"] == "Käfig 🎨"
    done = run(DIBS, "complete", "t-1", "--claim-token", answer["claim_token"], "--summary", "Did it.", env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"t-1 is done" in done.stdout
    assert "status: done" in path.read_text(encoding="utf-8")


def test_a_terminal_that_knows_no_umlauts_is_no_reason_to_fail(tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", title="Käfig 🎨")
    env = {"DIBS_TASKS_DIR": str(tasks_dir), "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    result = run(DIBS, "list", env=env)
    assert result.returncode == 0
    assert b"t-1" in result.stdout
    assert b"Traceback" not in result.stderr


def test_a_reader_that_has_seen_enough_is_no_error(tasks_dir: Path) -> None:
    for number in range(1200):
        (tasks_dir / f"t-{number}.md").write_text("---\nstatus: active\n---\n", encoding="utf-8")
    reads, writes = os.pipe()
    with subprocess.Popen(
        [DIBS, "list", "--tasks-dir", tasks_dir], stdout=writes, stderr=subprocess.PIPE
    ) as process:  # fmt: skip
        os.close(writes)
        os.read(reads, 10)
        os.close(reads)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert errors == b""


def test_the_demo_keeps_its_promises(tmp_path: Path) -> None:
    result = run(DIBS, "demo", "--json", "--agents", "2", "--tasks", "12", env={"TMPDIR": str(tmp_path)})
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["ok"] is True
    assert (summary["tasks"], summary["done_exactly_once"], summary["done_twice"], summary["lost"]) == (12, 12, 0, 0)
    assert summary["late_completion"] == "claim_lost"
    assert sum(summary["by_agent"].values()) == 12
    files = [path.read_text(encoding="utf-8") for path in Path(summary["directory"], "tasks").glob("page-*.md")]
    assert len(files) == 12
    assert all(text.count("## Completion") == 1 and "status: done" in text for text in files)
    assert sum("## Attempt 1" in text for text in files) == 1


def test_a_command_does_not_wait_for_what_only_others_need() -> None:
    """Importing the SDK takes a second, and a hook runs at every end of a turn."""
    program = "import sys, dibs_server.cli.program; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    of_others = ("mcp", "starlette", "uvicorn", "psutil", "dibs_server.race", "dibs_server.dispatch")
    found = [name for name in done.stdout.split() if name.startswith(of_others)]
    assert found == ["dibs_server.dispatch", "dibs_server.dispatch.registry"], "the table of tools, without their code"
