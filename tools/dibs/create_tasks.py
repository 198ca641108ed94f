"""create_tasks: many new task files, all or none."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dibs.add_task import AddRequest, add_all
from dibs.answers import Request, Result
from dibs.session import Call, Session

MOST_TASKS = 500
IDS_TOLD = 10


def _as_objects(given: object) -> object:
    """A list that came as JSON text, as some clients and every shell send it. Null counts as left out."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError) as exc:
            raise ValueError(f"this is not a JSON list of objects ({exc})") from exc
    if not isinstance(given, list):
        return given
    return [{k: v for k, v in item.items() if v is not None} if isinstance(item, dict) else item for item in given]


class CreateRequest(Request):
    tasks: Annotated[
        list[AddRequest],
        BeforeValidator(_as_objects),
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
