"""Many real servers, many tasks, servers killed with a task in hand: every task is done exactly once."""

from __future__ import annotations

import json
import random
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fleet import Agent, make_fleet, run

from support import header, write_task

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.timeout(300)]

LEASES = {"claims": {"lease_seconds": 3, "renew_seconds": 0.5, "max_idle_seconds": 20}}


def short_leases(tasks_dir: Path) -> None:
    (tasks_dir / "settings.json").write_text(json.dumps(LEASES), encoding="utf-8")


def test_every_task_is_done_once_though_three_servers_are_killed(tasks_dir: Path, tmp_path: Path) -> None:
    short_leases(tasks_dir)
    paths = {f"t-{n}": write_task(tasks_dir, f"t-{n}", priority=n % 5) for n in range(400)}
    agents = make_fleet(tmp_path, tasks_dir, 8, killed=3, latest_death=20)
    run(agents)

    assert sorted(done_by(agents)) == sorted(paths), "lost, or done twice by the agents' own records"
    lost = [task_id for agent in agents for task_id in agent.held_at_death]
    assert len(lost) == 3
    assert [agent.told for agent in agents if agent.told] == []
    for task_id, path in paths.items():
        assert header(path)["status"] == "done"
        text = path.read_text(encoding="utf-8")
        assert text.count("## Completion") == 1
        assert text.count("## Attempt") == lost.count(task_id)
    assert list((tasks_dir / ".dibs" / "claims").iterdir()) == []
    assert list((tasks_dir / ".dibs" / "orphans").iterdir()) == []


def done_by(agents: list[Agent]) -> list[str]:
    return [task_id for agent in agents for task_id in agent.done]


@dataclass
class Person:
    """Edits tasks by hand while the agents work, and takes ``.dibs`` away once. Their last words are kept."""

    tasks_dir: Path
    agents: list[Agent]
    edits: int
    ended: dict[str, str] = field(default_factory=dict)
    edited: set[str] = field(default_factory=set)

    def work(self, over: threading.Event) -> None:
        everything = sorted(self.tasks_dir.glob("*.md"))
        marks = sorted(random.sample(range(30, len(everything) - 300), self.edits))
        ledger_goes_at = random.choice(marks)
        for mark in marks:
            while sum(len(agent.done) for agent in self.agents) < mark:
                if over.wait(0.01):  # paced by the agents' progress; nothing depends on how long
                    return
            self._edit(random.choice(everything))
            if mark == ledger_goes_at:
                shutil.rmtree(self.tasks_dir / ".dibs", ignore_errors=True)

    def _edit(self, path: Path) -> None:
        """As an editor does it: read, change, save under a temporary name, rename."""
        text = path.read_text(encoding="utf-8")
        status = (header(path)["status"] or "").strip()
        word = random.choice(["done", "cancelled", "on_hold", ""])
        if word and status != "done":
            text = text.replace(f"status: {status}", f"status: {word}", 1)
            self.ended[path.stem] = word
        else:
            text = text.replace("a line", "a line edited by hand", 1)
            self.edited.add(path.stem)
        saved = path.with_name(f".{path.name}.swp")
        saved.write_text(text, encoding="utf-8")
        saved.replace(path)


def test_a_week_of_sixteen_agents_in_minutes(tasks_dir: Path, tmp_path: Path) -> None:
    short_leases(tasks_dir)
    paths = {f"t-{n}": write_task(tasks_dir, f"t-{n}", priority=n % 5, body="\na line\n") for n in range(1000)}
    agents = make_fleet(tmp_path, tasks_dir, 16, killed=10, latest_death=15)
    person = Person(tasks_dir, agents, edits=20)
    run(agents, person.work)

    done = done_by(agents)
    assert len(done) == len(set(done)), "done twice by the agents' own records"
    assert sum(len(agent.held_at_death) for agent in agents) == 10
    for task_id, path in paths.items():
        text, status = path.read_text(encoding="utf-8"), header(path)["status"]
        reports = text.count("## Completion")
        if task_id in done:
            assert (status, reports) == ("done", 1), f"{task_id}: its completion was answered ok\n{text}"
        else:
            assert (status, reports) == (person.ended.get(task_id), 0), (
                f"{task_id} is neither done nor a person's\n{text}"
            )
        assert "a line edited by hand\n" in text if task_id in person.edited else "a line\n" in text
    assert [path.name for path in (tasks_dir / ".dibs" / "claims").iterdir()] == [], "a stuck claim"
