"""`dibs run`: so many of each agent, a new one for each task, until nothing is ready."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dibs.batch_items import open_batch
from dibs.matching import Wanted
from dibs.plan_wave import AgentRow
from dibs.planning import agent_faults
from dibs.session import Session
from dibs.store.alive import AliveLock
from dibs.store.errors import InvalidArguments
from dibs.store.ledger import Hold
from dibs.store.runs import DISPATCHER, new_run
from dibs.store.settings import Settings
from dibs.store.task_store import TaskStore
from dibs_server.dispatch.crew import Crew
from dibs_server.dispatch.pull_source import PullSource
from dibs_server.dispatch.records import RunFolder
from dibs_server.dispatch.run import Run, RunView
from dibs_server.dispatch.run_result import RunResult


@dataclass(frozen=True)
class PullOptions:
    """``agents`` says how many of each there are, ``wanted`` which tasks they take, ``most`` how many (0: all)."""

    agents: Mapping[str, int]
    wanted: Wanted
    most: int = 0


class PullRun:
    """A run of agents that pull tasks. Raises InvalidArguments where it cannot be done; nothing was started then."""

    def __init__(self, session: Session, options: PullOptions, view: RunView) -> None:
        store = session.store
        refuse(options, store)
        self._lock: AliveLock
        self.folder = store.change(lambda hold: self._begin(session, hold, options))
        self._crew = Crew(session, self.folder)
        source = PullSource(session, self.folder, options.agents, options.wanted, options.most, store.now())
        self._run = Run(session, self.folder, self._crew, source, view)

    def _begin(self, session: Session, hold: Hold, options: PullOptions) -> RunFolder:
        store = session.store
        if options.wanted.batch is not None:
            open_batch(store, hold, options.wanted.batch)
        path = new_run(store.ledger.folder / "runs", "run", store.now(), store.settings.keep_output_days)
        self._lock = AliveLock(path, DISPATCHER)
        self._lock.keep()
        return RunFolder(path)

    @property
    def stopping(self) -> bool:
        return self._run.stopping

    @property
    def running(self) -> int:
        return len(self._crew.at_work)

    def stop(self, *, now: bool = False) -> None:
        self._run.stop(now=now)

    def go(self) -> RunResult:
        """Run until nothing is ready. Raises DibsError when the directory cannot be used."""
        try:
            return self._run.go()
        finally:
            self._lock.drop()


def refuse(options: PullOptions, store: TaskStore) -> None:
    """Raise InvalidArguments for what cannot be run."""
    if faults := list(_faults(options, store.settings, store.repository)):
        raise InvalidArguments(f"run: {'; '.join(faults)}. Nothing was started; mend that and call again")


def _faults(options: PullOptions, settings: Settings, cwd: Path) -> Iterator[str]:
    for name in options.agents:
        yield from agent_faults(name, settings, cwd)
    together, most = sum(options.agents.values()), settings.parallelism.maxParallelTasks
    if together > most:
        yield f"{together} agents are more than parallelism.maxParallelTasks in the settings allows: {most}"


def agents_told(options: PullOptions, settings: Settings) -> list[AgentRow]:
    """The agents and what they may do."""
    return [
        AgentRow(agent=name, program=agent.command[0], permissions=list(agent.permissions))
        for name in options.agents
        if (agent := settings.dispatch.agents[name])
    ]
