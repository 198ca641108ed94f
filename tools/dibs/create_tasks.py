"""create_tasks: many new task files, all or none."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dibs.add_task import AddRequest, add_all
from dibs.answers import Request, Result, as_objects
from dibs.session import Call, Session

MOST_TASKS = 500
IDS_TOLD = 10


class CreateRequest(Request):
    tasks: Annotated[
        list[AddRequest],
        BeforeValidator(as_objects),
        Field(min_length=1, max_length=MOST_TASKS, description="The new tasks, a JSON list."),
    ]


class NewRow(BaseModel):
    """``path`` is relative to the tasks directory."""

    model_config = ConfigDict(frozen=True)

    id: str
    title: str
    path: str


class CreateResult(Result):
    tasks: list[NewRow]
    message: str


def create_tasks(session: Session, request: CreateRequest, call: Call) -> CreateResult:
    """Add many tasks at once, all or none. An own `id` lets them depend on one another."""
    requests = {f"tasks[{number}].": task for number, task in enumerate(request.tasks)}
    tasks, warnings = add_all(session, requests, call)
    told = ", ".join(task.id for task in tasks[:IDS_TOLD]) + (", …" if len(tasks) > IDS_TOLD else "")
    return CreateResult(
        tasks=[NewRow(id=task.id, title=task.title, path=task.path) for task in tasks],
        message=f"Added {len(tasks)} task{'s' * (len(tasks) > 1)} in {session.store.tasks_dir}: {told}",
        warnings=warnings,
    )
