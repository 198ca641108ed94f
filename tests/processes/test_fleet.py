"""Eight servers, four hundred tasks, three servers killed with a task in hand: every task is done exactly once."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support import header, write_task
from wire import Wire, served

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

SERVERS = 8
KILLED = 3
TASKS = 400
LEASES = {"claims": {"lease_seconds": 2, "renew_seconds": 0.5}}


@dataclass
class Agent:
    """One scripted agent and its own record. ``fatal``: its server is killed holding a task, after so many done."""

    name: str
    folder: Path
    tasks_dir: Path
    fatal: int | None
    done: list[str] = field(default_factory=list)
    held_at_death: str = ""

    def work(self) -> None:
        with served(self.folder, "--tasks-dir", self.tasks_dir) as wire:
            while (claimed := self._claim(wire)) is not None:
                task_id, token = claimed
                if len(self.done) == self.fatal:
                    wire.process.kill()
                    self.held_at_death = task_id
                    return
                answer = wire.call("complete_task", id=task_id, claim_token=token, summary=f"by {self.name}")
                assert "code" not in answer, answer
                self.done.append(task_id)

    def _claim(self, wire: Wire) -> tuple[str, str] | None:
        """The next task; None when nothing is ready and nothing in progress can still come free."""
        while True:
            answer = wire.call("claim_next_task", caller=self.name, wait_seconds=1)
            if answer["status"] == "claimed":
                return answer["task"]["id"], answer["claim_token"]
            if answer["retry_after_seconds"] is None:
                return None


def test_every_task_is_done_once_though_three_servers_are_killed(tasks_dir: Path, tmp_path: Path) -> None:
    (tasks_dir / "settings.json").write_text(json.dumps(LEASES), encoding="utf-8")
    paths = {f"t-{n}": write_task(tasks_dir, f"t-{n}", priority=n % 5) for n in range(TASKS)}
    doomed = set(random.sample(range(SERVERS), KILLED))
    agents = []
    for number in range(SERVERS):
        folder = tmp_path / f"agent-{number}"
        folder.mkdir()
        fatal = random.randint(0, 20) if number in doomed else None
        agents.append(Agent(f"agent-{number}", folder, tasks_dir, fatal))
    with ThreadPoolExecutor(SERVERS) as pool:
        for finished in [pool.submit(agent.work) for agent in agents]:
            finished.result(timeout=200)

    done = [task_id for agent in agents for task_id in agent.done]
    assert sorted(done) == sorted(paths), "lost, or done twice by the agents' own records"
    lost = [agent.held_at_death for agent in agents if agent.fatal is not None]
    assert all(lost), "a server that was to be killed ended before it held a task"
    for task_id, path in paths.items():
        assert header(path)["status"] == "done"
        text = path.read_text(encoding="utf-8")
        assert text.count("## Completion") == 1
        assert ("## Attempt 1" in text) == (task_id in lost)
    assert list((tasks_dir / ".dibs" / "claims").iterdir()) == []
    assert list((tasks_dir / ".dibs" / "orphans").iterdir()) == []
