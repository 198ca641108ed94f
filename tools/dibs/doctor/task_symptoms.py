"""What the doctor finds in the task files alone. Pure: each examination takes what was seen and gives its symptoms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import pairwise

from dibs.doctor.circles import circles
from dibs.doctor.findings import Severity, Symptom
from dibs.store.claims import Claim, NewerClaim, slug
from dibs.store.overlap import overlap
from dibs.store.readiness import dependency_state
from dibs.store.settings import Settings
from dibs.store.snapshot import Snapshot
from dibs.store.task import ENDED, Task

NEVER_MET = {
    "missing": "which does not exist",
    "invalid": "whose file is invalid",
    "cancelled": "which is cancelled",
    "failed": "which has failed",
}
ANY_PATH = "0/0/0.0"
STEPS_SHOWN = 8


@dataclass(frozen=True)
class Seen:
    """All that one look found. ``ended`` maps tokens of ended claims to their tasks' ids, as far as that was asked;
    ``callers`` are those who ever claimed, as far as anything is reserved."""

    now: datetime
    host: str
    settings: Settings
    snapshot: Snapshot
    claims: tuple[Claim, ...] = ()
    newer: Mapping[str, NewerClaim] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()
    ended: Mapping[str, str] = field(default_factory=dict)
    callers: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    fold: bool = False

    @cached_property
    def tasks(self) -> list[Task]:
        """All tasks that can be read, in the order of handing out."""
        return sorted(self.snapshot.tasks.values(), key=Task.sort_key)

    @cached_property
    def by_token(self) -> Mapping[str, Task]:
        return {task.token: task for task in self.snapshot.in_progress if task.token}

    def of_claim(self, claim: Claim) -> Task | None:
        """The task that a claim holds, also under another name."""
        return self.snapshot.tasks.get(claim.id.casefold()) or self.by_token.get(claim.token)

    def is_unreadable(self, claim: Claim) -> bool:
        """Whether the file that a claim is about is there, and cannot be read: then it may not even say its id."""
        invalid = self.snapshot.invalid
        return claim.id.casefold() in self.snapshot.invalid_keys or any(error.path == claim.path for error in invalid)

    def unrecorded(self) -> Iterator[Task]:
        """Tasks in progress that no claim file is about."""
        keys = {claim.id.casefold() for claim in self.claims}
        for task in sorted(self.snapshot.in_progress, key=Task.sort_key):
            if task.key not in keys and not (self.newer and slug(task.id) in self.newer):
                yield task


def invalid_files(seen: Seen) -> Iterator[Symptom]:
    for error in seen.snapshot.invalid:
        what, _, advice = error.cause.rpartition("; ")
        yield Symptom(
            "invalid",
            "error",
            what or advice,
            mend=advice if what else "mend that; until then the task is not handed out",
            task_ids=(error.task_id,) if error.task_id else (),
            path=error.path,
            line=error.line,
        )


def unmet_dependencies(seen: Seen) -> Iterator[Symptom]:
    """Tasks that wait for what will never be done."""
    endings = _by_ending(seen.snapshot)
    for task in seen.tasks:
        if task.status in ENDED or task.status == "in_progress":
            continue
        for dep in dict.fromkeys(task.depends_on):
            state = dependency_state(dep, seen.snapshot)
            if state not in NEVER_MET:
                continue
            on = f"on {dep}, {NEVER_MET[state]}"
            yield Symptom(
                "dependency",
                _weight(task),
                f"{task.id} depends {on}",
                mend=_mend_of_dependency(dep, state, endings),
                many=f"tasks depend {on}",
                task_ids=(task.id,),
            )


def _by_ending(snapshot: Snapshot) -> dict[str, list[str]]:
    """Ids by what stands behind their last dash: what is left when a project's prefix changes."""
    found: dict[str, list[str]] = {}
    for task in snapshot.tasks.values():
        found.setdefault(task.key.rpartition("-")[2], []).append(task.id)
    return found


def _mend_of_dependency(dep: str, state: str, endings: Mapping[str, list[str]]) -> str:
    if state == "invalid":
        return "mend that file"
    if state != "missing":
        return f"take it out of `depends_on`, or `dibs reopen {dep}`"
    near = endings.get(dep.casefold().rpartition("-")[2], [])
    return f"write the right id{f' ({near[0]}?)' if len(near) == 1 else ''}, or take it out of `depends_on`"


def _weight(*tasks: Task) -> Severity:
    """Only what is active is kept from anybody now."""
    return "warning" if any(task.status == "active" for task in tasks) else "note"


def waiting_circles(seen: Seen) -> Iterator[Symptom]:
    """Tasks that wait for one another, by their dependencies or because a task waits for its open children."""
    tasks = seen.snapshot.tasks
    waiting = {key for key, task in tasks.items() if task.status not in ENDED and task.status != "in_progress"}
    deps = {key: [d for dep in tasks[key].depends_on if (d := dep.casefold()) in waiting] for key in waiting}
    children = {key: [c.key for c in seen.snapshot.children.get(key, ()) if c.key in waiting] for key in waiting}
    for circle in circles({key: deps[key] + children[key] for key in waiting}):
        pairs = list(pairwise(circle))
        by_depends_on = all(b in deps[a] for a, b in pairs)
        by_parent = all(b in children[a] for a, b in pairs)
        ids = [tasks[key].id for key in circle]
        shown = ids if len(ids) <= STEPS_SHOWN else [*ids[: STEPS_SHOWN - 2], "…", ids[-1]]
        how = "depend on" if by_depends_on else "belong to" if by_parent else "wait for"
        yield Symptom(
            "circle",
            _weight(*(tasks[key] for key in circle)),
            f"{' → '.join(shown)}: these {how} one another, so none of them is ever ready",
            mend="take one of them out of `depends_on`" if by_depends_on else "take out one `parent`"
            if by_parent else "take out one `depends_on`, or one `parent`: a task waits for its open children",
            task_ids=tuple(ids[:-1]),
        )  # fmt: skip


def missing_parents(seen: Seen) -> Iterator[Symptom]:
    for task in seen.tasks:
        if task.status not in ENDED and task.parent and dependency_state(task.parent, seen.snapshot) == "missing":
            yield Symptom(
                "parent",
                "note",
                f"{task.id} names {task.parent} as its parent, which does not exist",
                mend="write the right id, or take `parent` out; it stops nothing",
                many=f"tasks name {task.parent} as their parent, which does not exist",
                task_ids=(task.id,),
            )


def cancelled_above(seen: Seen) -> Iterator[Symptom]:
    """Tasks that are never ready because what they belong to is cancelled."""
    snapshot = seen.snapshot
    met: set[str] = set()
    for top in [task for task in seen.tasks if task.status == "cancelled"]:
        below = list(snapshot.children.get(top.key, ()))
        while below:
            task = below.pop()
            if task.key in met or task.status == "cancelled":
                continue
            met.add(task.key)
            below += snapshot.children.get(task.key, ())
            if task.status not in ENDED and task.status != "in_progress":
                yield _below_cancelled(task, top)


def _below_cancelled(task: Task, top: Task) -> Symptom:
    return Symptom(
        "parent",
        _weight(task),
        f"{task.id} belongs to {top.id}, which is cancelled, so it is never ready",
        mend=f"cancel it too, take its `parent` out, or `dibs reopen {top.id}`",
        many=f"tasks belong to {top.id}, which is cancelled, so they are never ready",
        task_ids=(task.id,),
    )


def poisoned(seen: Seen) -> Iterator[Symptom]:
    for task in seen.tasks:
        if task.status == "blocked" and task.attempts >= seen.settings.claims.max_attempts:
            yield Symptom(
                "poison",
                "warning",
                f"{task.id} is blocked: {task.attempts} attempts at it were lost",
                mend="see the notes on each attempt in the file, settle the cause, then `dibs reopen {id}`",
                many="tasks are blocked because too many attempts at them were lost",
                task_ids=(task.id,),
            )


def greedy_files(seen: Seen) -> Iterator[Symptom]:
    for task in seen.tasks:
        if task.status not in ("active", "in_progress"):
            continue
        pattern = next((f for f in task.files if overlap(f, ANY_PATH, roots=seen.roots, fold=seen.fold)), None)
        if pattern is not None:
            yield Symptom(
                "files",
                "note",
                f"{task.id} reserves every file ({pattern}): while it is held, no task that names files is handed out",
                mend="name in `files` only what its work will change",
                many="tasks reserve every file: while one is held, no task that names files is handed out",
                task_ids=(task.id,),
            )


EXAMINATIONS = (
    invalid_files,
    unmet_dependencies,
    waiting_circles,
    missing_parents,
    cancelled_above,
    poisoned,
    greedy_files,
)
