"""One wave, one dispatcher: whoever holds the lock of its run. A second one watches, and takes over when that dies."""

from __future__ import annotations

import threading
from pathlib import Path

from filelock import Timeout
from pydantic import AwareDatetime

from dibs.planning import WavePlan, planned
from dibs.session import Session
from dibs.store.alive import AliveLock
from dibs.store.ledger import Hold
from dibs.store.runs import DISPATCHER, sweep_runs
from dibs.store.task_store import TaskStore
from dibs.waves.shape import Wave
from dibs_server.dispatch.crew import Crew
from dibs_server.dispatch.records import Record, RunFolder, read
from dibs_server.dispatch.run import RESULT, Run, RunView
from dibs_server.dispatch.run_result import RunResult
from dibs_server.dispatch.wave_source import WaveSource

LOOK_SECONDS = 0.5
BEGUN = "begun.json"


class Begun(Record):
    """When a run was begun, by whichever dispatcher was first."""

    at: AwareDatetime


class WaveRun:
    """A wave run by this process, or watched by it."""

    def __init__(self, session: Session, plan: WavePlan, view: RunView, *, strict: bool = False) -> None:
        self._session = session
        self._plan = plan
        self._view = view
        self._strict = strict
        self._run: Run | None = None
        self._stopping = threading.Event()
        self.folder = folder_of(session.store, plan.wave)

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    @property
    def running(self) -> int:
        """How many agents of ours are at work."""
        return len(self._run.crew.at_work) if self._run is not None else 0

    def stop(self, *, now: bool = False) -> None:
        """Start nothing more; ``now``: end what runs too, and have its tasks put back. Who watches only stops that."""
        self._stopping.set()
        if self._run is not None:
            self._run.stop(now=now)

    def go(self) -> RunResult | None:
        """Run the wave to its end, if need be when another dispatcher has died over it; None: stopped while watching.

        Raises DibsError where the wave has become impossible, or the directory cannot be used.
        """
        lock = self._taken()
        if lock is None:
            return None
        try:
            return self._dispatch()
        finally:
            lock.drop()

    def _taken(self) -> AliveLock | None:
        """The lock, once it is free; None: told to stop before."""
        store, lock, told = self._session.store, AliveLock(self.folder.path, DISPATCHER), False
        while not self._stopping.is_set():
            if store.change(lambda hold: self._take(hold, lock)):
                return lock
            if not told:
                self._view.warned(
                    f"{self.folder.run_id} is being run by another dispatcher already; watching it, and taking over if "
                    "that one ends before the wave"
                )
                told = True
            if (result := read(self.folder.path / RESULT, RunResult)) is not None:
                self._view.look(result, {}, self.folder)
            self._stopping.wait(LOOK_SECONDS)
        return None

    def _take(self, hold: Hold, lock: AliveLock) -> bool:
        """Whether the lock was free, and is ours now."""
        hold.check()
        self.folder.path.mkdir(parents=True, exist_ok=True)
        try:
            lock.keep()
        except Timeout:
            return False
        sweep_runs(self.folder.path.parent, self._session.store.settings.keep_output_days)
        return True

    def _dispatch(self) -> RunResult:
        crew = Crew(self._session, self.folder)
        ended, begun = crew.adopt(), read(self.folder.path / BEGUN, Begun)
        if begun is None:
            begun = Begun(at=self._session.store.now())
            self.folder.write(BEGUN, begun)
        else:  # others were here before, and the plan may be older than what they did
            self._plan = planned(self._session, self._plan.wave, crew.at_work)
        source = WaveSource(self._session, self.folder, self._plan, begun.at, strict=self._strict)
        source.taken_over(ended, crew.at_work)
        source.make_missing()
        self._run = Run(self._session, self.folder, crew, source, self._view)
        if self._stopping.is_set():
            self._run.stop()
        return self._run.go()


def folder_of(store: TaskStore, wave: Wave) -> RunFolder:
    return RunFolder(store.ledger.folder / "runs" / wave.run_id)


def is_run(store: TaskStore, path: Path) -> bool:
    """Whether a dispatcher is at work on the run of this folder."""
    return store.change(lambda hold: RunFolder(path).is_held(DISPATCHER))
