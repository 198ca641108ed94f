"""add_task: a new task file."""

from __future__ import annotations

import json
import re
import secrets
from typing import Annotated, Literal

from pydantic import Field

from dibs.answers import LONG_TEXT, SHORT_TEXT, Request, Result, TaskView, Texts, view
from dibs.session import Call, Session
from dibs.store.errors import InvalidArguments
from dibs.store.header import Change, Raw, TaskFile
from dibs.store.ledger import Hold
from dibs.store.task import ComplexityOrNone
from dibs.store.task_file import edit_header, read_task_file

EMPTY = b"---\nid: x\ntitle: x\nstatus: active\n---\n"
TEXTS = ("project", "type", "complexity", "parent", "assignee", "due")


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
    title = " ".join(request.title.split())
    if not title:
        raise InvalidArguments("title must not be blank")
    texts = {name: getattr(request, name).strip() for name in TEXTS}
    lists = {name: getattr(request, name) for name in ("tags", "depends_on", "files")}
    changes: dict[str, Change] = {"id": task_id, "title": title, "priority": Raw(f" {request.priority}")}
    changes |= {name: text for name, text in texts.items() if text}
    changes |= {name: Raw(" " + json.dumps(items, ensure_ascii=False)) for name, items in lists.items() if items}
    empty = read_task_file(EMPTY)
    assert empty is not None
    file = edit_header(empty, {**changes, "status": request.status})
    body = f"\n# {title}\n" + (f"\n{request.body.strip()}\n" if request.body.strip() else "")
    done = read_task_file(file.data + body.encode("utf-8", "replace"))
    assert done is not None
    return done
