"""The orders of `dibs run`: so many of each agent, which pull what is ready until nothing is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice

from dibs.matching import Wanted
from dibs.ready import ready_for
from dibs.session import Session
from dibs.waves.plan import Limits, Unit, choose
from dibs_server.dispatch.crew import AtWork
from dibs_server.dispatch.records import Order, Progress, RunFolder
from dibs_server.dispatch.run_result import Book, RowStatus, RunResult, TaskRow

LOOKED_AT = 100
REFUSALS = 2
"""So often a claim may be refused before its task is left alone."""


class PullSource:
    """Ready tasks, each to the first agent that is free; ``agents`` says how many there are of each, ``most`` how many
    tasks at most (0: all). What was refused is passed over until something has ended."""

    def __init__(
        self, session: Session, folder: RunFolder, agents: Mapping[str, int], wanted: Wanted, most: int, at: datetime
    ) -> None:
        self._session = session
        self._dispatch = session.store.settings.dispatch
        self._agents = agents
        self._wanted = wanted
        self._most = most
        self._begun_at = at
        self._book = Book(session, folder)
        self._begun: set[str] = set()
        self._over: set[str] = set()
        self._refused: set[str] = set()
        self._refusals: Counter[str] = Counter()
        self._ids: dict[str, str] = {}

    def next_orders(self, at_work: Mapping[str, AtWork]) -> list[Order]:
        orders: list[Order] = []
        running = [_unit(work.order) for work in at_work.values()]
        for agent, count in self._agents.items():
            free = count - sum(unit.agent == agent for unit in running)
            for unit in self._chosen(agent, free, running) if free > 0 else ():
                running.append(unit)
                orders.append(self._order(unit))
        return orders

    def _chosen(self, agent: str, free: int, running: Sequence[Unit]) -> Sequence[Unit]:
        left = self._most - len(self._begun) if self._most else free
        taken = {unit.key for unit in running} | self._over | self._refused
        ready = (task for task in ready_for(self._session.store, self._wanted, agent) if task.key not in taken)
        waiting = [
            Unit(
                task.id,
                agent,
                model=self._dispatch.effort(task.complexity).model,
                files=task.files,
                timeout_seconds=self._dispatch.timeout_seconds,
            )
            for task in islice(ready, LOOKED_AT)
        ]
        again = [unit for unit in waiting if unit.key in self._begun]
        new = [unit for unit in waiting if unit.key not in self._begun][: max(0, left)]
        limits = Limits(len(running) + min(free, len(again) + len(new)), {})
        return choose([*again, *new], running, limits, ()).start

    def _order(self, unit: Unit) -> Order:
        self._begun.add(unit.key)
        self._ids[unit.key] = unit.id
        attempt = self._book.attempts(unit.id) + 1
        return Order(
            task_id=unit.id,
            agent=unit.agent,
            setup=self._dispatch.agents[unit.agent],
            inherits=self._dispatch.inherits,
            model=unit.model,
            attempt=attempt,
            last=attempt > self._dispatch.retries,
            again_after_conflict=False,
            timeout_seconds=unit.timeout_seconds,
            files=unit.files,
            batch=self._wanted.batch.name if self._wanted.batch is not None else "",
        )

    def ended(self, progress: Progress) -> None:
        key = progress.key
        if progress.how == "refused":  # somebody else was first
            self._begun.discard(key)
            self._refused.add(key)
            self._refusals[key] += 1
            if self._refusals[key] >= REFUSALS:
                self._over.add(key)
                self._book.close(self._ids[key], "skipped", progress.told)
            return
        self._refused.clear()
        self._book.note(progress)
        if progress.how == "failed" and progress.attempt <= self._dispatch.retries:
            return
        self._over.add(key)
        status: dict[str, RowStatus] = {"completed": "completed", "blocked": "blocked", "interrupted": "skipped"}
        self._book.close(self._ids[key], status.get(progress.how or "", "failed"), progress.told)

    def goes_on(self) -> bool:
        refused, self._refused = self._refused - self._over, set()
        return bool(refused)

    def result(self, at_work: Mapping[str, AtWork], *, finished: bool) -> RunResult:
        running = {
            work.order.task_id: TaskRow(status="running", agent=work.order.agent, attempts=work.order.attempt)
            for work in at_work.values()
        }
        rows = {**self._book.rows, **running}
        return self._book.result(0, rows, self._begun_at, (), finished=finished, warnings=())


def _unit(order: Order) -> Unit:
    return Unit(order.task_id, order.agent, files=order.files)
