"""Eight interpreters, one directory: every task is claimed exactly once."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from children import PATIENCE_SECONDS, child, expect
from support import header, write_task

pytestmark = pytest.mark.processes

CLAIMANTS = 8
TASKS = 40


def test_eight_processes_drain_one_directory_and_each_task_is_done_once(tasks_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "markers").mkdir()
    paths = {f"t-{n}": write_task(tasks_dir, f"t-{n}", body=f"body {n}\n") for n in range(TASKS)}
    with ExitStack() as stack:
        claimants = [
            stack.enter_context(child("drain.py", tasks_dir, tmp_path / "markers", f"agent-{number}"))
            for number in range(CLAIMANTS)
        ]
        for process in claimants:
            expect(process, "ready")
        for process in claimants:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=PATIENCE_SECONDS)[0].split() for process in claimants]
    assert [process.returncode for process in claimants] == [0] * CLAIMANTS
    claimed = [task_id for output in outputs for task_id in output]
    assert sorted(claimed) == sorted(paths)
    assert sum(bool(output) for output in outputs) > 1, "they did not run side by side"
    for task_id, path in paths.items():
        text = path.read_text(encoding="utf-8")
        assert header(path)["status"] == "done"
        assert text.count("## Completion") == 1
        owner = next(number for number, output in enumerate(outputs) if task_id in output)
        assert f"by agent-{owner}\n" in text
    assert list((tasks_dir / ".dibs" / "claims").iterdir()) == []
    assert list((tasks_dir / ".dibs" / "tmp").iterdir()) == []
