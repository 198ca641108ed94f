"""list_tasks: short rows of many tasks."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from dibs.answers import Request, Result, Texts
from dibs.holding import held_now
from dibs.matching import statuses_of
from dibs.session import Call, Session
from dibs.store.readiness import obstacles, reserved_for
from dibs.store.settings import Settings
from dibs.store.task import Task


class ListRequest(Request):
    status: Annotated[Texts, Field(description="Only these statuses.")] = []
    project: Annotated[str, Field(max_length=200, description="Only this project.")] = ""
    type: Annotated[str, Field(max_length=100, description="Only this type.")] = ""
    tags: Annotated[Texts, Field(description="Has all of these.")] = []
    assignee: Annotated[str, Field(max_length=200, description="Only what is reserved for this caller.")] = ""
    ready: Annotated[bool, Field(description="Only what is ready.")] = False
    limit: Annotated[int, Field(ge=0, le=100_000, description="At most so many; 0: all.")] = 0


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
    total: int
    tasks: list[TaskRow]


def list_tasks(session: Session, request: ListRequest, call: Call) -> ListResult:
    """List tasks in the order in which they would be handed out. Reads only."""
    store = session.store
    snapshot, settings = store.snapshot(), store.settings
    held = held_now(store, snapshot, store.ledger.standing())
    statuses = statuses_of(request.status, settings)
    rows = []
    for task in sorted(snapshot.tasks.values(), key=Task.sort_key):
        if not _matches(task, request, statuses, settings):
            continue
        ready = next(obstacles(task, snapshot, settings, caller=request.assignee or None, held=held), None) is None
        if ready or not request.ready:
            rows.append(
                TaskRow(
                    id=task.id,
                    title=task.title,
                    status=task.status,
                    ready=ready,
                    priority=task.priority,
                    project=task.project,
                    assignee=", ".join(task.assignees),
                    path=task.path,
                )
            )
    warnings = [f"invalid and not listed: {error.message}" for error in snapshot.invalid]
    return ListResult(total=len(rows), tasks=rows[: request.limit] if request.limit else rows, warnings=warnings)


def _matches(task: Task, request: ListRequest, statuses: frozenset[str], settings: Settings) -> bool:
    wanted = settings.caller_name(request.assignee).casefold()
    return (
        (not statuses or task.status in statuses)
        and (not request.project or task.project.casefold() == request.project.casefold())
        and (not request.type or task.type == request.type.casefold())
        and {t.casefold() for t in request.tags} <= {t.casefold() for t in task.tags}
        and (not wanted or wanted in {name.casefold() for name in reserved_for(task, settings)})
    )
