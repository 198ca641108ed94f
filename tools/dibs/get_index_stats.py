"""get_index_stats: what there is, in numbers."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from dibs.answers import Request, Result, WaitingOn, count_waiting
from dibs.holding import held_now
from dibs.session import Call, Session
from dibs.store.claims import Claim, stamp
from dibs.store.readiness import obstacles
from dibs.store.reservations import Held
from dibs.store.snapshot import Snapshot
from dibs.store.task import ENDED, Task
from dibs.store.truth import Standing, judge

INVALID_SHOWN = 10


class StatsRequest(Request):
    include_projects: Annotated[bool, Field(description="Also the completion rate of each project.")] = False


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True)


class InProgress(_Row):
    """``since`` and ``lease_until`` are null for work that is in progress by hand."""

    id: str
    caller: str
    since: str | None
    lease_until: str | None


class InvalidTask(_Row):
    """``path`` is relative to the tasks directory; ``line`` null when no line is to blame."""

    path: str
    line: int | None
    cause: str


class Invalid(_Row):
    count: int
    first: list[InvalidTask]


class Project(_Row):
    """``completion_rate`` is done / (total − cancelled), 0 to 1."""

    project: str
    total: int
    done: int
    ready: int
    in_progress: int
    completion_rate: float


class IndexFacts(_Row):
    kind: str
    files: int
    scan_seconds: float


class StatsResult(Result):
    total: int
    notes: int
    ready: int
    waiting_on: WaitingOn
    by_status: dict[str, int]
    by_type: dict[str, int]
    in_progress: list[InProgress]
    invalid: Invalid
    stale: int
    projects: list[Project] | None
    index: IndexFacts


def get_index_stats(session: Session, request: StatsRequest, call: Call) -> StatsResult:
    """Count the tasks: ready, waiting and for what, in progress and by whom, by status. Reads only."""
    store = session.store
    snapshot, claims = store.snapshot(), store.ledger.claims()
    held = held_now(store, snapshot, store.ledger.standing())
    first = {
        key: next(obstacles(task, snapshot, store.settings, caller=None, held=held), None)
        for key, task in snapshot.tasks.items()
        if task.status not in ENDED and task.status != "in_progress" and not held.has(task)
    }
    ready = {key for key, obstacle in first.items() if obstacle is None}
    tasks = snapshot.tasks.values()
    return StatsResult(
        total=len(snapshot.tasks) + len(snapshot.invalid),
        notes=snapshot.notes,
        ready=len(ready),
        waiting_on=count_waiting([obstacle.kind for obstacle in first.values() if obstacle is not None]),
        by_status=_counts([task.status for task in tasks]),
        by_type=_counts([task.type for task in tasks]),
        in_progress=_in_progress(snapshot, claims, held),
        invalid=Invalid(
            count=len(snapshot.invalid),
            first=[InvalidTask(path=e.path, line=e.line, cause=e.cause) for e in snapshot.invalid[:INVALID_SHOWN]],
        ),
        stale=_stale(session, snapshot, claims, held),
        projects=_projects(snapshot, ready, held) if request.include_projects else None,
        index=IndexFacts(
            kind="shared" if store.index.is_shared else "memory",
            files=len(snapshot.tasks) + len(snapshot.invalid) + snapshot.notes,
            scan_seconds=round(store.index.scan_seconds, 4),
        ),
    )


def _counts(words: list[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items(), key=lambda pair: (-pair[1], pair[0])))


def _in_progress(snapshot: Snapshot, claims: list[Claim], held: Held) -> list[InProgress]:
    rows = [
        InProgress(id=c.id, caller=c.owner.caller, since=stamp(c.claimed_at), lease_until=stamp(c.lease_until))
        for c in sorted(claims, key=lambda claim: claim.claimed_at)
    ]
    by_hand = [task for task in snapshot.in_progress if task.key not in held.keys]
    return rows + [InProgress(id=t.id, caller=", ".join(t.assignees), since=None, lease_until=None) for t in by_hand]


def _stale(session: Session, snapshot: Snapshot, claims: list[Claim], held: Held) -> int:
    """Claims past their lease, claims whose record is lost or elsewhere, and claim files that cannot be read."""
    store = session.store
    lost = (Standing.LOST_RECORD, Standing.ELSEWHERE)
    unrecorded = sum(not held.has(task) and judge(task, None, store.host) in lost for task in snapshot.in_progress)
    passed = sum(claim.lease_passed(store.now()) for claim in claims)
    return passed + unrecorded + len(store.ledger.damaged())


def _projects(snapshot: Snapshot, ready: set[str], held: Held) -> list[Project]:
    groups: dict[str, list[Task]] = {}
    for task in snapshot.tasks.values():
        groups.setdefault(task.project, []).append(task)
    rows = []
    for name, tasks in sorted(groups.items()):
        done = sum(task.status == "done" for task in tasks)
        counted = sum(task.status != "cancelled" for task in tasks)
        rows.append(
            Project(
                project=name,
                total=len(tasks),
                done=done,
                ready=sum(task.key in ready for task in tasks),
                in_progress=sum(task.status == "in_progress" or held.has(task) for task in tasks),
                completion_rate=round(done / counted, 4) if counted else 0.0,
            )
        )
    return rows
