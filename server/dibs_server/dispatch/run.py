"""The dispatcher: has orders carried out as their source gives them, until there are none, or until told to stop."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from dibs.session import Session
from dibs_server.dispatch.crew import AtWork, Crew
from dibs_server.dispatch.records import Order, Progress, RunFolder
from dibs_server.dispatch.run_result import RunResult, TaskRow

LOOK_SECONDS = 0.5
RESULT = "result.json"


class Source(Protocol):
    """Where orders come from, and who is told what came of them."""

    def next_orders(self, at_work: Mapping[str, AtWork]) -> Sequence[Order]:
        """What may be started now, beside what is at work."""

    def ended(self, progress: Progress) -> None: ...

    def goes_on(self) -> bool:
        """Nothing is at work, and nothing may be started: whether there will be something after all."""

    def result(self, at_work: Mapping[str, AtWork], *, finished: bool) -> RunResult: ...


class RunView(Protocol):
    """Whoever shows what happens."""

    def started(self, order: Order) -> None: ...
    def ended(self, progress: Progress) -> None: ...
    def look(self, result: RunResult, at_work: Mapping[str, AtWork], folder: RunFolder) -> None: ...
    def warned(self, message: str) -> None: ...


class Run:
    """One run of agents."""

    def __init__(self, session: Session, folder: RunFolder, crew: Crew, source: Source, view: RunView) -> None:
        self.crew = crew
        self._session = session
        self._folder = folder
        self._source = source
        self._view = view
        self._stopping = threading.Event()
        self._told: Mapping[str, TaskRow] = {}

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self, *, now: bool = False) -> None:
        """Start nothing more; ``now``: end what runs too, and have its tasks put back."""
        self._stopping.set()
        if now:
            self.crew.stop()

    def go(self) -> RunResult:
        """Dispatch until nothing is left. Raises DibsError when the directory cannot be used."""
        while True:
            self._start()
            self._publish(finished=False)
            if not self.crew.at_work:
                if self.stopping or not self._source.goes_on():
                    return self._publish(finished=True)
                continue
            for progress in self.crew.wait(LOOK_SECONDS):
                self._ended(progress)

    def _start(self) -> None:
        if self.stopping:
            return
        for order in self._source.next_orders(self.crew.at_work):
            try:
                self.crew.start(order)
            except OSError as exc:
                self._ended(self._not_started(order, exc))
            else:
                self._view.started(order)

    def _not_started(self, order: Order, exc: OSError) -> Progress:
        now, told = self._session.store.now(), f"no process could be started for it: {exc.strerror}"
        return Progress(
            task_id=order.task_id, agent=order.agent, attempt=order.attempt, started_at=now, ended_at=now, how="failed",
            told=told,
        )  # fmt: skip

    def _ended(self, progress: Progress) -> None:
        self._source.ended(progress)
        self._view.ended(progress)

    def _publish(self, *, finished: bool) -> RunResult:
        """Write the result down for whoever asks, if there is news, and show it."""
        result = self._source.result(self.crew.at_work, finished=finished)
        if finished or result.tasks != self._told:
            with suppress(OSError):  # a full disk ends no run; the next one may be written
                self._folder.write(RESULT, result)
                self._told = result.tasks
        self._view.look(result, self.crew.at_work, self._folder)
        return result
