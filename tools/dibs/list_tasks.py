"""list_tasks: short rows of many tasks."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from dibs.answers import Request, Result, Texts
from dibs.batch_items import MAX_NAME_CHARACTERS
from dibs.holding import held_now
from dibs.matching import Wanted, matching, statuses_of
from dibs.session import Call, Session
from dibs.store.readiness import obstacles, reserved_for
from dibs.store.settings import Settings
from dibs.store.snapshot import Snapshot
from dibs.store.task import ComplexityOrNone, Task

AGENTS_LIMIT = 50
INVALID_TOLD = 5


class ListRequest(Request):
    status: Annotated[Texts, Field(description="Only these statuses.")] = []
    project: Annotated[str, Field(max_length=200, description="Only this project.")] = ""
    type: Annotated[str, Field(max_length=100, description="Only this type.")] = ""
    tags: Annotated[Texts, Field(description="Has all of these.")] = []
    assignee: Annotated[str, Field(max_length=200, description="Only what is reserved for this caller.")] = ""
    ready: Annotated[bool, Field(description="Only what is ready.")] = False
    complexity: Annotated[ComplexityOrNone, Field(description="Only this complexity.")] = ""
    parent: Annotated[str, Field(max_length=128, description="Only below this task.")] = ""
    batch: Annotated[str, Field(max_length=MAX_NAME_CHARACTERS, description="Only of this batch.")] = ""
    limit: Annotated[int, Field(ge=0, le=100_000, description="At most so many; agents: 50.")] = 0
    offset: Annotated[int, Field(ge=0, description="How many to pass over.")] = 0


class TaskRow(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    title: str
    status: str
    ready: bool
    priority: int
    project: str
    assignee: str
    path: str


class ListResult(Result):
    """``total`` tasks were asked for; ``tasks`` are those from the offset on, as many as the limit allows."""

    total: int
    tasks: list[TaskRow]


def list_tasks(session: Session, request: ListRequest, call: Call) -> ListResult:
    """List tasks in the order in which they would be handed out. Reads only."""
    store = session.store
    snapshot, settings = store.snapshot(), store.settings
    held = held_now(store, snapshot, store.ledger.standing())
    wanted = _wanted(session, request)
    rows = []
    for task in sorted(matching(wanted, snapshot), key=Task.sort_key):
        if not _is_for(task, request.assignee, settings):
            continue
        ready = next(obstacles(task, snapshot, settings, caller=request.assignee or None, held=held), None) is None
        if ready or not request.ready:
            rows.append((task, ready))
    limit = request.limit or (len(rows) if session.person else AGENTS_LIMIT)
    end = request.offset + limit
    warnings = (
        [f"{len(rows) - end} more: call again with offset={end}"] if len(rows) > end and not session.person else []
    )
    return ListResult(
        total=len(rows),
        tasks=[_row(task, ready) for task, ready in rows[request.offset : end]],
        warnings=[*warnings, *_invalid(session, snapshot)],
    )


def _wanted(session: Session, request: ListRequest) -> Wanted:
    return Wanted(
        project=request.project,
        type=request.type,
        complexity=request.complexity,
        parent=request.parent,
        tags=tuple(request.tags),
        statuses=statuses_of(request.status, session.store.settings),
        batch=session.store.batches.get(request.batch) if request.batch else None,
    )


def _is_for(task: Task, assignee: str, settings: Settings) -> bool:
    wanted = settings.caller_name(assignee).casefold()
    return not wanted or wanted in {name.casefold() for name in reserved_for(task, settings)}


def _row(task: Task, ready: bool) -> TaskRow:
    return TaskRow(
        id=task.id,
        title=task.title,
        status=task.status,
        ready=ready,
        priority=task.priority,
        project=task.project,
        assignee=", ".join(task.assignees),
        path=task.path,
    )


def _invalid(session: Session, snapshot: Snapshot) -> list[str]:
    """What is not in the list because it cannot be read; for agents the first few."""
    told = [f"invalid and not listed: {error.message}" for error in snapshot.invalid]
    if session.person or len(told) <= INVALID_TOLD:
        return told
    return [*told[:INVALID_TOLD], f"{len(told) - INVALID_TOLD} more are invalid; get_index_stats counts them"]
