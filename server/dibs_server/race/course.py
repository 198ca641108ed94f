"""What all who take part in a race share while it runs: the plan's next kill, the records, and when it is over."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dibs_server.race.plan import Kill, Options, Plan, Will
from dibs_server.race.records import Death, Records
from dibs_server.race.sample import Sample
from dibs_server.race.wire import ServerGone, Wire, reading, start

CLIENT = "dibs-race"
STARTING_AT_ONCE = 2
"""Servers that start side by side, for each processor: more only keep one another from answering in time."""


class RaceFailed(Exception):
    """The race could not be run; that says nothing about any promise."""


@dataclass
class Course:
    """One race while it runs. ``command`` starts a server; ``stop``: all end at once; ``last_lap``: no new claims."""

    options: Options
    sample: Sample
    plan: Plan
    command: Sequence[str]
    records: Records = field(default_factory=Records)
    stop: threading.Event = field(default_factory=threading.Event)
    last_lap: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)
    person_is_done: threading.Event = field(default_factory=threading.Event)
    _servers: set[Wire] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _given_back: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._kills = deque(self.plan.kills)
        self._wills: dict[str, Will] = dict(zip((task.id for task in self.sample.tasks), self.plan.wills, strict=True))
        self._start = threading.Barrier(self.options.procs)
        self._starting = threading.Semaphore(STARTING_AT_ONCE * (os.cpu_count() or 1))

    def number(self) -> int:
        """A number that nobody else gets."""
        with self._lock:
            return next(self._numbers)

    def all_are_here(self) -> None:
        """Wait for the others at the start."""
        with contextlib.suppress(threading.BrokenBarrierError):
            self._start.wait()
        self.started.set()
        self.records.progress_at = time.monotonic()

    def will(self, task_id: str) -> Will | None:
        return self._wills.get(task_id)

    def to_give_back(self, task_id: str) -> bool:
        """Whether a task is to be given back now: the first time only."""
        will = self.will(task_id)
        with self._lock:
            if will is None or not will.given_back_first or task_id in self._given_back:
                return False
            self._given_back.add(task_id)
            return True

    def next_kill(self) -> Kill | None:
        """The kill that is due; whoever gets it carries it out on the own server."""
        with self._lock:
            if self._kills and self.records.claims + 1 >= self._kills[0].at_claim:
                return self._kills.popleft()
            return None

    def hand_on(self, kill: Kill) -> None:
        """An agent ended before it came to this."""
        with self._lock:
            self._kills.appendleft(kill)

    def died(self, death: Death) -> None:
        self.records.deaths.append(death)
        self.records.progress_at = time.monotonic()

    @contextlib.contextmanager
    def server(self, folder: Path) -> Iterator[Wire]:
        """A server that answered ``initialize``."""
        with contextlib.ExitStack() as stack:
            with self._starting:
                wire = Wire(start(self.command, folder, folder / "stderr.txt"), self.options.patience_seconds)
                stack.enter_context(reading(wire))
                stack.callback(self._forget, wire)
                self._meet(wire, folder / "stderr.txt")
            yield wire

    def _meet(self, wire: Wire, errors: Path) -> None:
        with self._lock:
            self._servers.add(wire)
        if self.stop.is_set():
            wire.process.kill()
        try:
            wire.initialize(CLIENT)
        except (ServerGone, OSError):
            if not self.stop.is_set():
                raise RaceFailed(
                    f"a server did not start; it said: {errors.read_text(errors='replace')[-500:]}"
                ) from None
            raise
        self.records.progress_at = time.monotonic()

    def _forget(self, wire: Wire) -> None:
        with self._lock:
            self._servers.discard(wire)

    def end(self) -> None:
        """End all: nobody starts anything more, and every server is killed."""
        self.stop.set()
        self._start.abort()
        with self._lock:
            for wire in self._servers:
                wire.process.kill()
