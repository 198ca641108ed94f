"""Scripted agents, each with a real server of its own, that work a directory off and keep their own records."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from wire import Wire, served

PATIENCE_SECONDS = 270


@dataclass
class Agent:
    """One agent. After as many completions as ``deaths`` says, its server is killed with a task in hand, and it goes on
    with a new one. ``told`` are the errors it got, by code."""

    name: str
    folder: Path
    tasks_dir: Path
    deaths: list[int]
    done: list[str] = field(default_factory=list)
    held_at_death: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def work(self) -> None:
        while not self._work_with_a_server():
            pass

    def _work_with_a_server(self) -> bool:
        """False: the server was killed."""
        with served(self.folder, "--tasks-dir", self.tasks_dir) as wire:
            while (claimed := self._claim(wire)) is not None:
                task_id, token = claimed
                if self.deaths and len(self.done) >= self.deaths[0]:
                    self.deaths.pop(0)
                    wire.process.kill()
                    self.held_at_death.append(task_id)
                    return False
                self._complete(wire, task_id, token)
        return True

    def _claim(self, wire: Wire) -> tuple[str, str] | None:
        """The next task; None when nothing is ready and nothing in progress can still come free."""
        while True:
            answer = wire.call("claim_next_task", caller=self.name, wait_seconds=1)
            if answer.get("status") == "claimed":
                return answer["task"]["id"], answer["claim_token"]
            if "code" in answer:
                self.told.append(answer["code"])
            elif answer["retry_after_seconds"] is None:
                return None

    def _complete(self, wire: Wire, task_id: str, token: str) -> None:
        answer = wire.call("complete_task", id=task_id, claim_token=token, summary=f"report of {self.name}")
        if "code" in answer:
            self.told.append(f"{answer['code']} {task_id}")
        else:
            self.done.append(task_id)


def make_fleet(tmp_path: Path, tasks_dir: Path, size: int, killed: int, latest_death: int) -> list[Agent]:
    """Agents; ``killed`` times in all a server dies, each after at most ``latest_death`` completions of its agent."""
    deaths: list[list[int]] = [[] for _ in range(size)]
    for number in random.sample(range(size * 2), killed):
        deaths[number % size].append(random.randint(0, latest_death))
    agents = []
    for number in range(size):
        folder = tmp_path / f"agent-{number}"
        folder.mkdir()
        agents.append(Agent(f"agent-{number}", folder, tasks_dir, sorted(deaths[number])))
    return agents


def run(agents: list[Agent], meanwhile: Callable[[threading.Event], None] = lambda over: None) -> None:
    """Let all of them work until nothing is left, while something else goes on until it is told that it is over."""
    over = threading.Event()
    with ThreadPoolExecutor(len(agents) + 1) as pool:
        running = [pool.submit(agent.work) for agent in agents]
        other = pool.submit(meanwhile, over)
        try:
            for finished in running:
                finished.result(timeout=PATIENCE_SECONDS)
        finally:
            over.set()
        other.result(timeout=PATIENCE_SECONDS)
