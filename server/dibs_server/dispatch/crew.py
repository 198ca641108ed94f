"""The agents at work for one run: each under a process of its own (``dibs run-one``), which outlives this one.

Whoever dispatches may die at any moment. The next one finds by their locks which of those processes live, and by the
records what the others came to.
"""

from __future__ import annotations

import fcntl
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from dibs.session import Session
from dibs.store.errors import DibsError
from dibs.store.processes import mark_of
from dibs.store.settings import CLAIM_FILE_VARIABLE, environment
from dibs_server.dispatch.agent_output import last_line
from dibs_server.dispatch.judging import conclude
from dibs_server.dispatch.leftovers import end_leftovers
from dibs_server.dispatch.records import Order, Progress, RunFolder, read

LOOK_SECONDS = 0.5
OVERDUE_SECONDS = 120.0
"""How long after its agent's time-out a supervisor may still be at work: claiming, and reporting, may have to wait."""
KILL_SECONDS = 15.0
"""How long a supervisor may take to end its agent and put the task back; five of them are the agent's."""


@dataclass(frozen=True)
class AtWork:
    """An order that is being carried out; ``process`` is None where an earlier dispatcher started it."""

    order: Order
    since: float
    process: subprocess.Popen[bytes] | None = None


class Crew:
    """The orders of a run that are being carried out, by the keys of their tasks."""

    def __init__(self, session: Session, folder: RunFolder) -> None:
        self.at_work: dict[str, AtWork] = {}
        self._session = session
        self._folder = folder
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stopped = threading.Event()

    def start(self, order: Order) -> None:
        """Have an order carried out. Raises OSError when its process cannot be started."""
        path = self._folder.give(order)
        with self._folder.beside(order, "stderr").open("wb") as log:
            lock = os.open(self._folder.lock_path(order.name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                # taken here and inherited: there is no moment at which it is started and not yet known to live
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "dibs_server", "run-one", str(path)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={name: value for name, value in environment().items() if name != CLAIM_FILE_VARIABLE},
                    start_new_session=True,
                    pass_fds=(lock,),
                )
            finally:
                os.close(lock)
        key = order.task_id.casefold()
        self.at_work[key] = AtWork(order, time.monotonic(), process)
        threading.Thread(target=self._see_end, args=(key, process), daemon=True).start()

    def _see_end(self, key: str, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        self._ended.put(key)

    def adopt(self) -> list[Progress]:
        """Take over what an earlier dispatcher began: those who live are waited for, what the others came to is
        returned, settled first where they died over it."""
        ended = []
        for progress in self._folder.all_progress():
            order = self._folder.order(progress)
            if order is None or progress.how is not None:
                ended.append(progress)
            elif self._lives(order):
                self.at_work[progress.key] = AtWork(order, time.monotonic())
            else:
                ended.append(self._settle(order, progress))
        # begun, and nothing written yet
        for path in sorted(self._folder.path.glob("*.order.json")):
            order = read(path, Order)
            if order is not None and order.task_id.casefold() not in self.at_work and self._lives(order):
                self.at_work[order.task_id.casefold()] = AtWork(order, time.monotonic())
        return ended

    def _lives(self, order: Order) -> bool:
        try:
            return self._session.store.change(lambda hold: self._folder.is_held(order.name))
        except DibsError:
            return True  # nobody can tell just now; asked again soon

    def wait(self, seconds: float) -> list[Progress]:
        """What came of the orders that have ended; waits until one has, at most so long."""
        deadline = time.monotonic() + seconds
        while not (ended := self._ended_since()) and (left := deadline - time.monotonic()) > 0:
            self._kill_overdue()
            with suppress(queue.Empty):
                # put back to be found with the others
                self._ended.put(self._ended.get(timeout=min(left, LOOK_SECONDS)))
        return [self._taken_off(key) for key in ended]

    def _ended_since(self) -> list[str]:
        ended = []
        with suppress(queue.Empty):
            while True:
                ended.append(self._ended.get_nowait())
        found = [key for key, work in self.at_work.items() if work.process is None and not self._lives(work.order)]
        return [*ended, *found]

    def _kill_overdue(self) -> None:
        """A supervisor that does not end its agent in time is stopped itself, or stuck."""
        now = time.monotonic()
        for work in self.at_work.values():
            if now - work.since > work.order.timeout_seconds + OVERDUE_SECONDS:
                self._signal(work, signal.SIGKILL)

    def _taken_off(self, key: str) -> Progress:
        order = self.at_work.pop(key).order
        progress = self._folder.progress(order)
        if progress is None:
            now = self._session.store.now()
            progress = Progress(task_id=order.task_id, agent=order.agent, attempt=order.attempt, started_at=now)
        if progress.how == "interrupted" and not self._stopped.is_set():
            told = "its supervisor was told to end, and not by this dispatcher; the task was put back"
            return progress.model_copy(update={"how": "failed", "told": told})
        return progress if progress.how is not None else self._settle(order, progress)

    def _settle(self, order: Order, progress: Progress) -> Progress:
        """Do for an order what the process that carried it out died over."""
        store = self._session.store
        if progress.scratch:
            end_leftovers(CLAIM_FILE_VARIABLE, str(progress.claim_file))
            shutil.rmtree(progress.scratch, ignore_errors=True)
        claim = store.ledger.claim(order.task_id)
        if not progress.token and claim is not None and progress.alive and claim.owner.alive == progress.alive:
            progress = progress.model_copy(update={"token": claim.token})
        if not progress.token:
            told = "its supervisor ended before it had claimed the task"
            ended = progress.model_copy(update={"how": "refused", "told": told, "ended_at": store.now()})
            self._folder.note(ended)
            return ended
        output = self._folder.path / progress.output if progress.output else self._folder.beside(order, "stderr")
        said = last_line(output)
        told = "the process that kept its claim was killed" + (f"; last it said: {said}" if said else "")
        return conclude(
            self._session, self._folder, order, progress, told, output, interrupted=False, stopped=self._stopped
        )

    def stop(self) -> None:
        """End the agents, and have their tasks put back; who takes too long over it is killed."""
        self._stopped.set()
        self._signal_all(signal.SIGTERM)
        killer = threading.Timer(KILL_SECONDS, self._signal_all, (signal.SIGKILL,))
        killer.daemon = True
        killer.start()

    def _signal_all(self, number: int) -> None:
        for work in list(self.at_work.values()):
            self._signal(work, number)

    def _signal(self, work: AtWork, number: int) -> None:
        progress = self._folder.progress(work.order)
        mark = progress.process if progress is not None else None
        with suppress(ProcessLookupError, PermissionError):
            if work.process is not None:
                work.process.send_signal(number)
            elif mark is not None and mark.is_same(mark_of(mark.pid)):
                os.kill(mark.pid, number)
