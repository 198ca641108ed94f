"""Planning a wave: what is wrong with it, where each of its tasks stands, and in which rounds they can be done."""

from __future__ import annotations

import difflib
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from dibs.add_task import AddRequest
from dibs.answers import SHORT_TEXT
from dibs.holding import held_now
from dibs.session import Session
from dibs.store.claims import Claim
from dibs.store.dispatch_settings import Agent
from dibs.store.errors import InvalidArguments
from dibs.store.overlap import overlap
from dibs.store.readiness import Obstacle, obstacles
from dibs.store.reservations import Held
from dibs.store.settings import Settings
from dibs.store.snapshot import Snapshot
from dibs.store.task import Task
from dibs.store.task_store import TaskStore
from dibs.waves.outside import is_outside
from dibs.waves.plan import Limits, Overlap, Round, Unit, rounds_of
from dibs.waves.prompt import context_body
from dibs.waves.shape import Wave, WaveTask

State = Literal["ready", "new", "done", "held", "waiting", "invalid"]
PROBLEMS_TOLD = 10


@dataclass(frozen=True)
class PlannedTask:
    """A task of the wave, as it stands now; ``task`` is None while it has no file, ``review`` says whether what is done
    will be reviewed."""

    asked: WaveTask
    unit: Unit
    state: State
    why: str = ""
    task: Task | None = None
    review: bool = False

    @property
    def title(self) -> str:
        if self.task is not None:
            return self.task.title
        described = self.asked.told("description").splitlines()
        return (self.asked.title.strip() or (described[0] if described else "") or self.asked.taskId)[:SHORT_TEXT]

    @property
    def stands(self) -> str:
        """Where it stands in a word: its status, where that is what it waits for."""
        waits = self.state == "waiting" and self.task is not None and self.task.status != "active"
        return self.task.status.replace("_", " ") if waits and self.task is not None else self.state

    @property
    def is_told_of(self) -> bool:
        """Whether the wave says what it is."""
        return bool(self.asked.title.strip() or self.asked.told("description"))

    @property
    def may_start(self) -> bool:
        return self.state in ("ready", "new")

    def new_file(self) -> AddRequest:
        """The file that is made for it, where it has none. Raises ValidationError where that cannot be."""
        return AddRequest(
            id=self.unit.id,
            title=self.title,
            body=context_body(self.asked.context),
            files=list(self.asked.all_files),
            depends_on=list(self.asked.dependsOn),
        )


@dataclass(frozen=True)
class WavePlan:
    wave: Wave
    tasks: tuple[PlannedTask, ...]
    limits: Limits
    rounds: tuple[Round, ...]
    agents: dict[str, Agent]
    warnings: tuple[str, ...]
    overlaps: Overlap


def planned(session: Session, wave: Wave, ours: Collection[str] = ()) -> WavePlan:
    """The plan of a wave, on the directory as it is now. ``ours`` are the keys of tasks that its agents work on
    already: they are counted as ready.

    Raises:
        InvalidArguments: with every fault of the wave, and the field it is in; nothing was started.
    """
    store = session.store
    settings, index = store.settings, store.refresh(after=time.monotonic())
    snapshot, standing = index.load(), store.ledger.standing()
    held = held_now(store, snapshot, standing)
    claims = {claim.id.casefold(): claim for claim in standing.claims}
    _refuse(list(_faults(wave, snapshot, settings, store)))
    found = [_planned_task(task, wave, snapshot, settings, held, claims) for task in wave.tasks]
    found = [replace(task, state="ready", why="") if task.unit.key in ours else task for task in found]
    _refuse([fault for number, task in enumerate(found) if task.task is None for fault in _unmakeable(number, task)])
    tasks = _with_those_behind(found)
    overlaps = partial(overlap, roots=store.roots, fold=store.ledger.folds_case())
    limits, warnings = _limits(wave, settings)
    rounds, circle = rounds_of(_inside([task.unit for task in tasks if task.may_start]), limits, overlaps=overlaps)
    if circle:
        _refuse([f"tasks: {' → '.join(_circle(circle))} wait for each other; leave one dependsOn out"])
    postponed = {late.unit.key: late for round in reversed(rounds) for late in round.postponed}
    warnings += [postponed[task.unit.key].told() for task in tasks if task.unit.key in postponed]
    warnings += [_unknown(task) for task in tasks if task.state == "new" and not task.is_told_of]
    used = dict.fromkeys([task.unit.agent for task in tasks if task.state != "done"])
    reviewer = settings.dispatch.reviewer
    if reviewer in settings.dispatch.agents and any(task.review for task in tasks):
        used[reviewer] = None  # what is done may still have to be reviewed
    agents = {name: settings.dispatch.agents[name] for name in used}
    return WavePlan(wave, tasks, limits, tuple(rounds), agents, tuple(dict.fromkeys(warnings)), overlaps)


def _inside(units: Sequence[Unit]) -> list[Unit]:
    """The units, waiting only for each other: what is done or cannot start is no part of a round."""
    keys = {unit.key for unit in units}
    return [replace(unit, after=unit.after & keys) for unit in units]


def _circle(stuck: Sequence[Unit]) -> list[str]:
    """The ids of a circle among units that all wait for others of them, the first one repeated at the end."""
    units, way = {unit.key: unit for unit in stuck}, [stuck[0]]
    while True:
        following = units[min(way[-1].after & units.keys())]
        if following in way:
            return [unit.id for unit in (*way[way.index(following) :], following)]
        way.append(following)


def _limits(wave: Wave, settings: Settings) -> tuple[Limits, list[str]]:
    limits = settings.parallelism
    kinds = {kind: limits.of(kind) for kind in ("research", "planning", "implementation", "review")}
    most = min(wave.maxParallel or limits.maxParallelTasks, limits.maxParallelTasks)
    told = f"maxParallel {wave.maxParallel} is more than parallelism.maxParallelTasks in the settings allows: {most}"
    return Limits(most, kinds), [told] if wave.maxParallel > most else []


def _unknown(task: PlannedTask) -> str:
    return f"{task.asked.taskId} has no file, and the wave gives it no title: its file is made with its id as title"


def _planned_task(
    asked: WaveTask, wave: Wave, snapshot: Snapshot, settings: Settings, held: Held, claims: dict[str, Claim]
) -> PlannedTask:
    task, mine = snapshot.tasks.get(asked.key), {other.key for other in wave.tasks}
    to_be = _as_it_will_be(asked, task)
    agent = asked.agent or settings.dispatch.agent
    found = list(obstacles(to_be, snapshot, settings, caller=agent, held=held))
    awaited = {*to_be.depends_on, *(task_id for obstacle in found for task_id in obstacle.task_ids)}
    unit = Unit(
        id=to_be.id,
        agent=agent,
        model=asked.model or settings.dispatch.effort(to_be.complexity).model,
        kind=asked.kind,
        files=to_be.files,
        after=frozenset(task_id.casefold() for task_id in awaited) & mine,
        timeout_seconds=asked.timeoutSeconds or settings.dispatch.timeout_seconds,
    )
    state, why = _standing(asked, task, snapshot, claims)
    if state in ("ready", "new") and (whys := [obstacle.text for obstacle in found if not _is_among(obstacle, mine)]):
        state, why = "waiting", "; ".join(whys)
    return PlannedTask(asked, unit, state, why, task, _is_reviewed(asked, task, settings))


def _standing(asked: WaveTask, task: Task | None, snapshot: Snapshot, claims: Mapping[str, Claim]) -> tuple[State, str]:
    """Where a task stands, and why, but for what it waits for."""
    if (error := snapshot.invalid_keys.get(asked.key)) is not None:
        return "invalid", error.message
    if task is not None and task.status == "done":
        return "done", "already complete"
    if asked.key in claims:
        return "held", f"claimed by {claims[asked.key].owner.caller or 'somebody'}"
    return ("new" if task is None else "ready"), ""


def _is_reviewed(asked: WaveTask, task: Task | None, settings: Settings) -> bool:
    """As the wave says; where it does not, as the settings say of the task's complexity."""
    if "needsCodexReview" in asked.model_fields_set or task is None:
        return asked.needsCodexReview
    return settings.dispatch.effort(task.complexity).review


def _as_it_will_be(asked: WaveTask, task: Task | None) -> Task:
    """The task with what the wave adds to it; the one that is made of the wave, where there is no file yet."""
    known = task or Task(id=asked.taskId, title=asked.title, status="active", path="")
    files, depends_on = (*asked.all_files, *known.files), (*asked.dependsOn, *known.depends_on)
    return replace(known, files=tuple(dict.fromkeys(files)), depends_on=tuple(dict.fromkeys(depends_on)))


def _is_among(obstacle: Obstacle, mine: set[str]) -> bool:
    """Whether the tasks of the wave are all that this waits for."""
    return bool(obstacle.task_ids) and {task_id.casefold() for task_id in obstacle.task_ids} <= mine


def _with_those_behind(tasks: Sequence[PlannedTask]) -> tuple[PlannedTask, ...]:
    """The tasks, where also those wait that come after one of their wave which does not start."""
    found = {task.unit.key: task for task in tasks}
    while behind := [(task, other) for task in found.values() if (other := _stuck_before(task, found)) is not None]:
        for task, other in behind:
            why = f"it comes after {other.unit.id} ({other.stands})"
            found[task.unit.key] = replace(task, state="waiting", why=why)
    return tuple(found.values())


def _stuck_before(task: PlannedTask, found: Mapping[str, PlannedTask]) -> PlannedTask | None:
    if not task.may_start:
        return None
    before = (found[key] for key in sorted(task.unit.after))
    return next((other for other in before if not other.may_start and other.state != "done"), None)


def _faults(wave: Wave, snapshot: Snapshot, settings: Settings, store: TaskStore) -> Iterator[str]:
    roots, cwd = store.roots, store.repository
    numbers, needed = dict[str, int](), dict[str, str]()
    known_keys = {*snapshot.tasks, *snapshot.invalid_keys, *(task.key for task in wave.tasks)}
    for number, task in enumerate(wave.tasks):
        where = f"tasks[{number}]"
        if numbers.setdefault(task.key, number) != number:
            yield f"{where}.taskId: {task.taskId} is that of tasks[{numbers[task.key]}] as well"
        if not task.taskId.isprintable():
            yield f"{where}.taskId: {task.taskId!r} is not printable"
        if task.key in {dep.casefold() for dep in task.dependsOn}:
            yield f"{where}.dependsOn: {task.taskId} cannot wait for itself"
        for dep in task.dependsOn:
            if dep.casefold() not in known_keys:
                yield f"{where}.dependsOn: there is no task {dep}, in this wave or in the directory"
        for file in task.all_files:
            if is_outside(file, roots):
                yield f"{where}.files: {file} is outside the repository; name what lies in it"
        known = snapshot.tasks.get(task.key)
        if known is not None and known.status == "done":
            continue
        needed.setdefault(task.agent or settings.dispatch.agent, f"{where}.agent")
        if _is_reviewed(task, known, settings):
            asked = "needsCodexReview" if task.needsCodexReview else "needsCodexReview (by dispatch.by_complexity)"
            needed.setdefault(settings.dispatch.reviewer, f"{where}.{asked}")
    for name, where in needed.items():
        yield from (f"{where}: {fault}" for fault in agent_faults(name, settings, cwd))


def _unmakeable(number: int, task: PlannedTask) -> Iterator[str]:
    """Why no file can be made for a task."""
    try:
        task.new_file()
    except ValidationError as exc:
        for error in exc.errors(include_url=False, include_context=False):
            field = {"body": "context"}.get(str(error["loc"][0]), str(error["loc"][0]))
            yield f"tasks[{number}].{field}: no file can be made of it ({error['msg']}); make the task's file yourself"


def agent_faults(name: str, settings: Settings, cwd: Path) -> Iterator[str]:
    """Why an agent cannot be started in this folder: nobody knows it, or its program is not there."""
    agents = settings.dispatch.agents
    if name not in agents:
        near = difflib.get_close_matches(name, agents, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(agents)}"
        yield f"no agent {name!r} is known, {hint} (settings.json, dispatch.agents)"
        return
    program = agents[name].command[0]
    there = cwd / program if "/" in program else Path(program)
    if shutil.which(there) is None:
        what = "cannot be executed; make it executable" if there.is_file() else "is not there; install it"
        yield (
            f"there is no program {program} to start agent {name} with: {there} {what}, or set "
            f"dispatch.agents.{name}.command in settings.json"
        )


def _refuse(faults: Sequence[str]) -> None:
    if faults:
        told = list(dict.fromkeys(faults))
        more = f"; and {len(told) - PROBLEMS_TOLD} more" if len(told) > PROBLEMS_TOLD else ""
        raise InvalidArguments(
            f"the wave cannot be run: {'; '.join(told[:PROBLEMS_TOLD])}{more}. Nothing was started; mend that and call "
            "again"
        )
