"""get_task: read one task."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dibs.answers import Id, Request, Result, TaskView, view
from dibs.session import Call, Session


class GetRequest(Request):
    id: Id
    offset: Annotated[int, Field(ge=0, description="Where in the body to go on, in characters.")] = 0


class GetResult(Result):
    task: TaskView


def get_task(session: Session, request: GetRequest, call: Call) -> GetResult:
    """Read one task; nothing changes."""
    session.named(request.id)
    stored = session.store.find(request.id)
    task = view(session, stored, request.offset)
    more = [f"the body goes on: get_task with offset={request.offset + len(task.body)}"] if task.body_truncated else []
    return GetResult(task=task, warnings=more)
