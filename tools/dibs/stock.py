"""The stock: what there is now, counted. What was before is told by the journal (``past``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict

from dibs.answers import Result, WaitingOn, count_waiting
from dibs.counting import Counted, count, first_invalid, read
from dibs.holding import held_now
from dibs.session import Session
from dibs.store.claims import Claim, stamp
from dibs.store.index import Index
from dibs.store.ledger import Standing as Claims
from dibs.store.questions import Outline
from dibs.store.reservations import Held
from dibs.store.task import Task
from dibs.store.task_store import TaskStore
from dibs.store.truth import Standing, judge

INVALID_SHOWN = 10


class StatsRow(BaseModel):
    model_config = ConfigDict(frozen=True)


class InProgress(StatsRow):
    """``since`` and ``lease_until`` are null for work that is in progress by hand."""

    id: str
    caller: str
    since: str | None
    lease_until: str | None


class InvalidTask(StatsRow):
    """``path`` is relative to the tasks directory; ``line`` null when no line is to blame."""

    path: str
    line: int | None
    cause: str


class Invalid(StatsRow):
    count: int
    first: list[InvalidTask]


class Project(StatsRow):
    """``completion_rate`` is done / (total − cancelled), 0 to 1."""

    project: str
    total: int
    done: int
    ready: int
    in_progress: int
    completion_rate: float


class IndexFacts(StatsRow):
    kind: str
    files: int
    scan_seconds: float


class Stock(Result):
    """What there is now. ``stale``: claims past their lease, or whose record is lost, elsewhere or damaged."""

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


def take_stock(session: Session, *, projects: bool = False) -> Stock:
    """What there is now, without what was."""
    store = session.store
    index, settings = store.refresh(), store.settings
    standing = store.ledger.standing()
    held = held_now(store, index, standing)
    counted = count(index, settings, held)
    unclaimed = [task for task in index.in_progress if task.key not in held.keys]
    return Stock(
        total=len(counted.tasks) + len(counted.invalid),
        notes=counted.notes,
        ready=len(counted.ready),
        waiting_on=count_waiting(list(counted.waiting.elements())),
        by_status=_by_count(Counter(outline.status for outline in counted.tasks)),
        by_type=_by_count({_text(key): n for key, n in Counter(o.type for o in counted.tasks).items()}),
        in_progress=_in_progress(standing.claims, unclaimed),
        invalid=Invalid(
            count=len(counted.invalid),
            first=[
                InvalidTask(path=error.path, line=error.line, cause=error.cause)
                for error in first_invalid(index, counted, INVALID_SHOWN)
            ],
        ),
        stale=_stale(store, standing, [task for task in unclaimed if not held.has(task)]),
        projects=_projects(index, counted, held) if projects else None,
        index=IndexFacts(
            kind="shared" if index.is_shared else "memory",
            files=len(counted.tasks) + len(counted.invalid) + counted.notes,
            scan_seconds=round(index.scan_seconds, 4),
        ),
    )


def _by_count(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _text(blob: bytes) -> str:
    return blob.decode("utf-8", "surrogatepass")


def _in_progress(claims: Iterable[Claim], unclaimed: Iterable[Task]) -> list[InProgress]:
    rows = [
        InProgress(id=c.id, caller=c.owner.caller, since=stamp(c.claimed_at), lease_until=stamp(c.lease_until))
        for c in sorted(claims, key=lambda claim: claim.claimed_at)
    ]
    return rows + [InProgress(id=t.id, caller=", ".join(t.assignees), since=None, lease_until=None) for t in unclaimed]


def _stale(store: TaskStore, standing: Claims, unclaimed: Iterable[Task]) -> int:
    """Claims past their lease, claims whose record is lost or elsewhere, and claim files that cannot be read."""
    lost = (Standing.LOST_RECORD, Standing.ELSEWHERE)
    unrecorded = sum(judge(task, None, store.host) in lost for task in unclaimed)
    passed = sum(claim.lease_passed(store.now()) for claim in standing.claims)
    return passed + unrecorded + len(standing.damaged)


def _projects(index: Index, counted: Counted, held: Held) -> list[Project]:
    """Projects are the same whose names differ only in case, as for a claim; the first spelling is shown."""
    groups: dict[bytes, list[Outline]] = {}
    for outline in sorted(counted.tasks):
        groups.setdefault(outline.project, []).append(outline)
    ready = Counter(outline.project for outline in counted.ready)
    rows = []
    for key, outlines in groups.items():
        done = sum(outline.status == "done" for outline in outlines)
        counts = sum(outline.status != "cancelled" for outline in outlines)
        first = next((task for outline in outlines if (task := read(index, outline)) is not None), None)
        rows.append(
            Project(
                project=first.project if first is not None else _text(key),
                total=len(outlines),
                done=done,
                ready=ready[key],
                in_progress=sum(o.status == "in_progress" or _text(o.key) in held.keys for o in outlines),
                completion_rate=round(done / counts, 4) if counts else 0.0,
            )
        )
    return sorted(rows, key=lambda row: row.project)
