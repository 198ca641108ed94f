"""Teams of scripted agents that work directories off, round by round in turns, and keep their own records."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sample import Kind, Samples
from wire import Answer, Server, running


@dataclass(frozen=True)
class Pair:
    """One task from its claim to its completion, with the moments its caller called and was answered."""

    task_id: str
    called: float
    claimed: float
    ended: float

    @property
    def claim_seconds(self) -> float:
        return self.claimed - self.called


@dataclass(frozen=True)
class Setting:
    """Who works: servers of one kind, one agent each, on a directory of one size."""

    kind: Kind
    tasks: int
    agents: int


@dataclass
class Team:
    """The agents of one setting. ``refused`` is what they were told instead of a task or a thank-you."""

    setting: Setting
    folder: Path
    servers: list[Server]
    pairs: list[Pair] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    cpu_seconds: float = 0.0

    def warm_up(self) -> None:
        """The first call of each server, which looks at the directory; on the record, but not in the times."""
        with ThreadPoolExecutor(len(self.servers)) as pool:
            list(pool.map(lambda server: server.call("get_index_stats"), self.servers))

    def round(self, pairs: int) -> None:
        """So many pairs, by whichever agent comes to them."""
        tickets = threading.BoundedSemaphore(pairs)
        cpu, done, started = self._cpu(), len(self.pairs), time.perf_counter()
        with ThreadPoolExecutor(len(self.servers)) as pool:
            list(pool.map(lambda server: self._work(server, tickets), self.servers))
        self.rates.append((len(self.pairs) - done) / (time.perf_counter() - started))
        self.cpu_seconds += self._cpu() - cpu

    def _work(self, server: Server, tickets: threading.BoundedSemaphore) -> None:
        while tickets.acquire(blocking=False):
            called = time.perf_counter()
            claim = self._insist(server, "claim_next_task", caller="bench")
            claimed = time.perf_counter()
            if claim.get("status") == "empty":
                self.refused.append(str(claim["message"]))
            if claim.get("status") != "claimed":
                continue
            task_id, token = claim["task"]["id"], claim["claim_token"]
            done = self._insist(server, "complete_task", id=task_id, claim_token=token, summary="done")
            if "code" not in done:
                self.pairs.append(Pair(task_id, called, claimed, time.perf_counter()))

    def _insist(self, server: Server, name: str, **arguments: str) -> Answer:
        """Call again for as long as the directory is busy; each refusal is on the record."""
        while True:
            answer = server.call(name, **arguments)
            if "code" in answer:
                self.refused.append(str(answer["message"]))
            if answer.get("code") != "busy":
                return answer

    def _cpu(self) -> float:
        return sum(server.cpu_seconds() for server in self.servers)


@contextmanager
def teams(samples: Samples, settings: Sequence[Setting]) -> Iterator[list[Team]]:
    """All teams on their feet, each with a directory of its own."""
    with ExitStack() as stack:
        made = []
        for setting in settings:
            # the bare server looks at no file
            size = 0 if setting.kind == "bare" else setting.tasks
            folder = samples.directory(size, "any" if size == 100_000 else f"{setting.kind}-{setting.agents}")
            command = samples.command(setting.kind, folder)
            made.append(Team(setting, folder, stack.enter_context(running([command] * setting.agents))))
            if setting.kind == "dibs":
                made[-1].warm_up()
        yield made


def take_turns(made: Sequence[Team], rounds: int, pairs: int) -> None:
    for _ in range(rounds):
        for team in made:
            team.round(pairs)
