"""triage_tasks: go through many tasks, and enter in each what its text and its tags tell."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from dibs.answers import Request, Result, Texts
from dibs.matching import statuses_of
from dibs.session import Call, Session
from dibs.store.claims import slug
from dibs.store.errors import DibsError, MalformedTask, TaskChanged
from dibs.store.header import TaskFile
from dibs.store.ledger import Hold, Standing
from dibs.store.reading import StoredTask, read_again, read_stored
from dibs.store.steps import reached
from dibs.store.task import ENDED, Task
from dibs.triage.rules import Proposal, propose, triaged

LOT = 16
"""How many tasks are worked out before the mutex is taken for them."""
TOLD_TO_AGENTS = 50
"""An answer of several hundred would fill a model's context."""
HOLD_SECONDS = 0.04


class TriageRequest(Request):
    ids: Annotated[Texts, Field(description="Only these tasks.")] = []
    status: Annotated[Texts, Field(description="Only these statuses; else all that are not ended.")] = []
    project: Annotated[str, Field(max_length=200, description="Only this project.")] = ""
    max: Annotated[int, Field(ge=0, description="Change at most so many, 300 if left out; 0: all.")] = 300
    activate: Annotated[bool, Field(description="Make inbox tasks active.")] = False
    dry_run: Annotated[bool, Field(description="Only tell what would change.")] = False


class ChangeView(BaseModel):
    model_config = ConfigDict(frozen=True)

    field: str
    old: str
    new: str
    why: str


class TriagedTask(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    path: str
    changes: list[ChangeView]


class SkippedTask(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    why: str


class TriageResult(Result):
    """``examined`` tasks were looked at: ``changed``, ``unchanged`` and ``skipped`` ones. ``more`` were not."""

    changed: int
    examined: int
    unchanged: int
    skipped: list[SkippedTask]
    more: int
    tasks: list[TriagedTask]
    message: str


def triage_tasks(session: Session, request: TriageRequest, call: Call) -> TriageResult:
    """Sort the inbox: sets tasks with a close reason to done, adds complexity, assignee and a project link where they
    are missing, and says why. Leaves alone what anybody works on. Look with dry_run first."""
    run = _Run(session, request, call)
    run.choose()
    run.go_through()
    return run.result()


@dataclass(frozen=True)
class _Plan:
    """What is to become of a task, worked out from the bytes that were read. ``file`` is as it is to be."""

    stored: StoredTask
    proposals: tuple[Proposal, ...]
    file: TaskFile


class _LeftAlone(Exception):
    """A task that is not to be touched; the text says why."""

    def __init__(self, why: str, task_id: str) -> None:
        super().__init__(why)
        self.task_id = task_id


@dataclass
class _Run:
    """One call: its tasks, and what became of them. ``chosen`` are all it is to go through, path and id, in the order
    of handing out; ``told`` what was, or would be, changed, by path."""

    session: Session
    request: TriageRequest
    call: Call
    chosen: dict[str, str] = field(default_factory=dict)
    examined: int = 0
    more: int = 0
    told: dict[str, TriagedTask] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = self.session.store.settings

    def choose(self) -> None:
        """Find the tasks that were asked for."""
        statuses = statuses_of(self.request.status, self.settings)
        snapshot = self.session.store.snapshot(after=time.monotonic())
        wanted = {task_id.strip().casefold(): task_id for task_id in self.request.ids}
        for key, task_id in wanted.items():
            if key not in snapshot.tasks:
                invalid = snapshot.invalid_keys.get(key)
                self.skipped[task_id] = invalid.message if invalid else "there is no such task"
                self.examined += 1
        project = self.request.project.casefold()
        tasks = (
            task
            for task in snapshot.tasks.values()
            if (not wanted or task.key in wanted)
            and (task.status in statuses if statuses else wanted or task.status not in ENDED)
            and (not project or task.project.casefold() == project)
        )
        self.chosen = {task.path: task.id for task in sorted(tasks, key=Task.sort_key)}

    def go_through(self) -> None:
        """Look at the tasks, and change those that need it, some in each hold of the mutex.

        Where two do this at once, each begins somewhere else, and finds nothing to do where the other was. Wherever it
        begins, the first ``max`` that need a change get it.
        """
        left = deque(_rotated(list(self.chosen), self.request.max))
        while left and not self.call.cancelled and (room := self._room()):
            lot = deque(left.popleft() for _ in range(min(room, len(left))))
            try:
                self._go_through(lot)
            except DibsError as error:
                if not self.told:
                    raise
                self.warnings.append(f"stopped before the end: {error.message}")
                left.extend(lot)
                break
            self.call.on_progress("tasks gone through", len(self.chosen) - len(left), len(self.chosen))
        if left and self.call.cancelled:
            self.warnings.append("given up; call again for the rest")
        self.more = len(left)
        self.examined += len(self.chosen) - len(left)

    def _room(self) -> int:
        """How many tasks may be changed next."""
        return min(LOT, self.request.max - len(self.told)) if self.request.max else LOT

    def _go_through(self, lot: deque[str]) -> None:
        """Look at these tasks, and change what needs it; takes from ``lot`` what is through."""
        standing = self.session.store.ledger.standing()
        plans: dict[str, _Plan] = {}
        for path in list(lot):
            try:
                plan = self._plan(path, standing)
            except _LeftAlone as why:
                self.skipped[why.task_id] = str(why)
                lot.remove(path)
                continue
            if not plan.proposals:
                lot.remove(path)
            elif self.request.dry_run:
                self.told[path] = _told(plan)
            plans[path] = plan
        while lot and not self.request.dry_run:
            try:
                self.session.store.change(lambda hold: self._change_some(hold, lot, plans))
            except TaskChanged as error:
                self.skipped[plans[lot.popleft()].stored.task.id] = error.message

    def _plan(self, path: str, standing: Standing) -> _Plan:
        """What is to become of the task in a file as that is now.

        Raises:
            _LeftAlone
        """
        try:
            stored = read_stored(self.session.store.tasks_dir, path, self.settings)
        except FileNotFoundError:
            stored = None
        except MalformedTask as error:
            raise _LeftAlone(error.message, error.task_id) from error
        if stored is None:
            raise _LeftAlone(f"{path} is no longer there, or is no task", self.chosen[path])
        _require_free(stored.task, standing)
        if stored.task.status in ENDED and self.request.ids:
            raise _LeftAlone(f"it is {stored.task.status}", stored.task.id)
        proposals = propose(stored.task, stored.file, self.settings, activate=self.request.activate)
        try:
            return _Plan(stored, proposals, triaged(stored.file, proposals))
        except MalformedTask as error:
            raise _LeftAlone(error.at(path).message, stored.task.id) from error

    def _plan_again(self, path: str, standing: Standing, plan: _Plan) -> _Plan:
        """The plan, which still holds if the bytes of the file are the same; else a new one."""
        stored = read_again(self.session.store.tasks_dir, plan.stored)
        if stored is None:
            return self._plan(path, standing)
        _require_free(stored.task, standing)
        return replace(plan, stored=stored)

    def _change_some(self, hold: Hold, lot: deque[str], plans: Mapping[str, _Plan]) -> None:
        """Change the first of these, and then more of them as long as others need not wait long for the mutex."""
        until = time.monotonic() + HOLD_SECONDS
        while lot:
            try:
                self._change(hold, self._plan_again(lot[0], hold.standing(), plans[lot[0]]))
            except _LeftAlone as why:
                self.skipped[why.task_id] = str(why)
            lot.popleft()
            if time.monotonic() > until:
                return

    def _change(self, hold: Hold, plan: _Plan) -> None:
        if not plan.proposals:  # somebody was here before us
            return
        store, task = self.session.store, plan.stored.task
        alone = store.index.tasks.get(task.key)
        if alone is None or alone.path != task.path:
            raise _LeftAlone(f"the id {task.id} is also in another file; give each its own", task.id)
        reached("triage.read")
        try:
            written = store.write(hold, plan.stored, plan.file)
        except PermissionError as exc:
            raise _LeftAlone(store.failure(exc).message, task.id) from exc
        reached("triage.task_file")
        self.told[task.path] = _told(plan)
        fields = ", ".join(one.field for one in plan.proposals)
        hold.note(store.now(), "triaged", id=task.id, changed=fields, status=written.task.status)

    # telling

    def result(self) -> TriageResult:
        tasks = [self.told[path] for path in self.chosen if path in self.told]
        unchanged = self.examined - len(tasks) - len(self.skipped)
        return TriageResult(
            changed=len(tasks),
            examined=self.examined,
            unchanged=unchanged,
            skipped=[SkippedTask(id=task_id, why=why) for task_id, why in self.skipped.items()],
            more=self.more,
            tasks=tasks if self.session.person else tasks[:TOLD_TO_AGENTS],
            message=self._message(len(tasks), unchanged),
            warnings=[*self.warnings, *self._cut(len(tasks))],
        )

    def _cut(self, changed: int) -> list[str]:
        if self.session.person or changed <= TOLD_TO_AGENTS:
            return []
        return [f"only the first {TOLD_TO_AGENTS} of {changed} are told here; `dibs triage` tells all"]

    def _message(self, changed: int, unchanged: int) -> str:
        changed_tasks = "1 task" if changed == 1 else f"{changed} tasks"
        verb = "would be changed" if self.request.dry_run else "was changed" if changed == 1 else "were changed"
        told = f"{changed_tasks} {verb}, {unchanged} need nothing, {len(self.skipped)} were left alone"
        if self.request.dry_run:
            told += ". Nothing was written"
        if self.more:
            again = "a larger max shows them" if self.request.dry_run else "call again for them"
            told += f". {self.more} more were not looked at: {again}"
        return told


def _rotated(paths: Sequence[str], most: int) -> list[str]:
    """The paths from anywhere among the first ``most`` (0: all) on, those before it next, then the others."""
    first = paths[: most or None]
    start = secrets.randbelow(len(first)) if first else 0
    return [*first[start:], *first[:start], *paths[len(first) :]]


def _require_free(task: Task, standing: Standing) -> None:
    """Raise _LeftAlone when a task must not be touched, whatever the rules say of it."""
    claim = next((c for c in standing.claims if c.id.casefold() == task.key or c.token == task.token), None)
    if claim is not None:
        raise _LeftAlone(f"it is held by {claim.owner.caller or 'somebody'}", task.id)
    if standing.newer and slug(task.id) in standing.newer:
        raise _LeftAlone("it is held by a claim of a newer Dibs", task.id)
    if task.status == "in_progress":
        raise _LeftAlone("it is in progress", task.id)


def _told(plan: _Plan) -> TriagedTask:
    changes = [ChangeView(field=one.field, old=one.old, new=one.new, why=one.why) for one in plan.proposals]
    return TriagedTask(id=plan.stored.task.id, path=plan.stored.task.path, changes=changes)
