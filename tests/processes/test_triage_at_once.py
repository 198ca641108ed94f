"""Two real `dibs triage` at once: each task is changed at most once, and what somebody holds not at all."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from children import PATIENCE_SECONDS, child, expect
from dibs.session import Session
from dibs.store.task_store import TaskStore
from support import claim, events, write_task

pytestmark = pytest.mark.processes

TASKS = 1000
CLAIMED = 20


def test_two_at_once_change_each_task_once_and_no_claimed_one(tasks_dir: Path) -> None:
    paths = {
        f"t-{n:04}": write_task(tasks_dir, f"t-{n:04}", project="aops", body="## Closed\n" if n % 10 == 5 else "text\n")
        for n in range(TASKS)
    }
    holder = Session(TaskStore(tasks_dir), client="claude-code", server=True)
    held = {f"t-{n:04}" for n in range(0, TASKS, TASKS // CLAIMED)}
    for task_id in held:
        claim(holder, task_id)
    before = {task_id: paths[task_id].read_bytes() for task_id in held}
    command = ("triage", "--max", "0", "--json", "--tasks-dir", tasks_dir)
    with child("on_go.py", *command) as one, child("on_go.py", *command) as two:
        for process in (one, two):
            expect(process, "ready")
        for process in (one, two):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [json.loads(process.communicate(timeout=PATIENCE_SECONDS)[0]) for process in (one, two)]
        assert [one.returncode, two.returncode] == [0, 0]
    changed = Counter(task["id"] for answer in answers for task in answer["tasks"])
    assert changed == dict.fromkeys(paths.keys() - held, 1)
    assert Counter(str(event["id"]) for event in events(holder, "triaged")) == changed
    for answer in answers:
        assert {skipped["id"] for skipped in answer["skipped"]} == held
        assert answer["changed"], "they did not run side by side"
    for task_id, path in paths.items():
        if task_id in held:
            assert path.read_bytes() == before[task_id]
        else:
            assert path.read_text(encoding="utf-8").count("[[aops]]") == 1
    assert list((tasks_dir / ".dibs" / "tmp").iterdir()) == []
    holder.close()
