"""add_task: a new task file."""

from __future__ import annotations

import re
import secrets
from typing import Annotated, Literal

from pydantic import Field

from dibs.answers import LONG_TEXT, SHORT_TEXT, Request, Result, TaskView, Texts, view
from dibs.new_task_file import new_task_file
from dibs.session import Call, Session
from dibs.store.errors import InvalidArguments
from dibs.store.header import TaskFile
from dibs.store.ledger import Hold
from dibs.store.task import ComplexityOrNone


class AddRequest(Request):
    title: Annotated[str, Field(min_length=1, max_length=SHORT_TEXT)]
    body: Annotated[str, Field(max_length=LONG_TEXT, description="What is to be done, in Markdown.")] = ""
    project: Annotated[str, Field(max_length=200, description="Its project; ids begin with it.")] = ""
    type: Annotated[str, Field(max_length=100, description="task, bug, feature, epic, …")] = ""
    priority: Annotated[int, Field(ge=0, le=4, description="0 (now) to 4 (some day).")] = 2
    complexity: Annotated[ComplexityOrNone, Field(description="How hard it is, and for whom.")] = ""
    tags: Annotated[Texts, Field(description="Its tags.")] = []
    depends_on: Annotated[Texts, Field(description="Ids that must be done first.")] = []
    files: Annotated[Texts, Field(description="Files the work will change.")] = []
    parent: Annotated[str, Field(max_length=128, description="The id of the task it is part of.")] = ""
    assignee: Annotated[str, Field(max_length=200, description="Reserve it for this caller.")] = ""
    due: Annotated[str, Field(max_length=40, description="A date, such as 2027-01-31.")] = ""
    status: Annotated[Literal["active", "inbox", "on_hold"], Field(description="Its status.")] = "active"


class AddResult(Result):
    task: TaskView
    message: str


def add_task(session: Session, request: AddRequest, call: Call) -> AddResult:
    """Add a task: one new Markdown file."""
    return session.store.change(lambda hold: _add(session, request, hold))


def _add(session: Session, request: AddRequest, hold: Hold) -> AddResult:
    store = session.store
    prefix = re.sub(r"[^a-z0-9]+", "-", request.project.casefold()).strip("-")[:40] or "task"
    task_id = f"{prefix}-{secrets.token_hex(4)}"
    name = re.sub(r"[^\w]+", "-", request.title.casefold()).strip("-")[:50].strip("-")
    path = f"{task_id}-{name}.md" if name else f"{task_id}.md"
    store.create(hold, path, _file(request, task_id))
    hold.note(store.now(), "added", id=task_id, path=path)
    stored = store.find(task_id)
    unknown = [dep for dep in request.depends_on if dep.casefold() not in store.index.tasks]
    warnings = [f"it depends on {', '.join(unknown)}, which does not exist (yet)"] if unknown else []
    return AddResult(task=view(session, stored), message=f"Added {task_id} in {path}", warnings=warnings)


def _file(request: AddRequest, task_id: str) -> TaskFile:
    if not request.title.strip():
        raise InvalidArguments("title must not be blank")
    keys = request.model_dump(exclude={"title", "body"})
    return new_task_file(request.title, request.body, {"id": task_id, **keys})
