"""add_task: a new task file. The one maker of new task files: what adds tasks comes through here."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from dibs.answers import LONG_TEXT, SHORT_TEXT, Request, Result, TaskView, Texts, view
from dibs.new_task_file import new_task_file
from dibs.session import Call, Session
from dibs.store.claims import stamp
from dibs.store.errors import InvalidArguments, MalformedTask
from dibs.store.header import TaskFile
from dibs.store.ledger import Hold
from dibs.store.readiness import dependency_state, find_cycle
from dibs.store.snapshot import Around
from dibs.store.task import MAX_ID_CHARACTERS, ComplexityOrNone, Task, make_task
from dibs.store.task_store import TaskStore

NAME_CHARACTERS = 60

OwnId = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_ID_CHARACTERS)]


class AddRequest(Request):
    title: Annotated[str, Field(min_length=1, max_length=SHORT_TEXT)]
    id: Annotated[OwnId, Field(description="An id of your own; else it gets one.")] = ""
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


@dataclass(frozen=True)
class NewTask:
    """A task file to be made. ``where`` is how errors name the request it comes from."""

    where: str
    task: Task
    file: TaskFile


def add_task(session: Session, request: AddRequest, call: Call) -> AddResult:
    """Add a task: one new Markdown file."""
    (task,), warnings = add_all(session, {"": request}, call)
    return AddResult(
        task=view(session, session.store.find(task.id)), message=f"Added {task.id} in {task.path}", warnings=warnings
    )


def add_all(session: Session, requests: Mapping[str, AddRequest], call: Call) -> tuple[list[Task], list[str]]:
    """Make a task file for each request, by the prefix that errors give its fields, in one hold of the mutex: all of
    them or, unless this process is killed on the way, none. Returns the tasks, and what is odd about them.

    Raises:
        InvalidArguments: an id is there already, or dependencies would run in a circle; nothing was made.
    """
    store = session.store
    # an id of somebody's own may be in a file that was written a moment ago
    store.refresh(after=time.monotonic() if any(request.id for request in requests.values()) else None)
    return store.change(lambda hold: _add_all(store, hold, requests, call))


def _add_all(
    store: TaskStore, hold: Hold, requests: Mapping[str, AddRequest], call: Call
) -> tuple[list[Task], list[str]]:
    call.check()
    plan = _Plan(store, hold)
    for where, request in requests.items():
        plan.add(where, request)
    plan.refuse_circles()
    try:
        for new in plan.new.values():
            store.create(hold, new.task.path, new.file)
    except BaseException:
        for new in plan.new.values():
            store.unmake(new.task.path, new.file)
        raise
    tasks = [new.task for new in plan.new.values()]
    for task in tasks:
        hold.note(store.now(), "added", id=task.id, path=task.path)
    return tasks, unknown_dependencies(tasks, store.index)


class _Plan:
    """New tasks by key, each with an id and a path that neither the directory has nor another one of them."""

    def __init__(self, store: TaskStore, hold: Hold) -> None:
        self.new: dict[str, NewTask] = {}
        self._store = store
        self._hold = hold
        self._paths: set[str] = set()

    def add(self, where: str, request: AddRequest) -> None:
        title = " ".join(request.title.split())
        if not title:
            raise InvalidArguments(f"{where}title: this must not be blank. Nothing was made")
        if request.id:
            self._require_free(where, request.id)
        task_id = request.id or self._new_id(request.project)
        path = self._free_path(task_id, title)
        try:
            file = _file(request, task_id, title, stamp(self._store.now()))
            task = make_task(file, path, self._store.settings)
        except MalformedTask as error:
            named = where.rstrip(".") or "this task"
            raise InvalidArguments(f"{named} cannot be written: {error.cause}. Nothing was made") from error
        self.new[task.key] = NewTask(where, task, file)
        self._paths.add(path.casefold())

    def _require_free(self, where: str, task_id: str) -> None:
        key, index = task_id.casefold(), self._store.index
        there = index.tasks.get(key) or index.invalid_keys.get(key)
        if not task_id.isprintable():
            problem = f"an id is 1 to {MAX_ID_CHARACTERS} printable characters, not {task_id!r}"
        elif key in self.new:
            problem = f"{task_id} is the id of {self.new[key].where.rstrip('.')} as well"
        elif there is not None:
            problem = f"there is a task {task_id} already, in {there.path}"
        elif self._hold.claim(task_id) is not None:
            problem = f"{task_id} is still held by a claim, though its file is gone"
        else:
            return
        raise InvalidArguments(f"{where}id: {problem}; give it another one. Nothing was made", task_id=task_id)

    def _new_id(self, project: str) -> str:
        prefix = re.sub(r"[^a-z0-9]+", "-", project.casefold()).strip("-")[:40] or "task"
        while True:
            task_id = f"{prefix}-{secrets.token_hex(4)}"
            if task_id not in self._store.index.tasks and task_id not in self.new:
                return task_id

    def _free_path(self, task_id: str, title: str) -> str:
        """A file name that tells id and title, as far as every file system takes them."""
        told = re.sub(r"[^A-Za-z0-9._]+", "-", task_id)[:NAME_CHARACTERS].strip("-.")
        name = re.sub(r"[^\w]+", "-", title.casefold()).strip("-")[:50].strip("-")
        stem = "-".join(part for part in (told, name) if part) or "task"
        names = (f"{stem}-{number}.md" if number > 1 else f"{stem}.md" for number in count(1))
        return next(
            name
            for name in names
            if name.casefold() not in self._paths and not os.path.lexists(self._store.tasks_dir / name)
        )

    def refuse_circles(self) -> None:
        """Raise InvalidArguments where a new task would wait for itself, by way of others."""
        index, left = self._store.index, {key: new.task for key, new in self.new.items()}
        # a task that is there can be part of a circle only if one waits for an id that did not exist so far
        awaited = any(index.dependents.get(key) for key in left)
        known = index.load().tasks if awaited else {}
        for new in self.new.values():
            circle = find_cycle(new.task, lambda key: left.get(key) or known.get(key))
            if circle:
                raise InvalidArguments(
                    f"{new.where}depends_on: the dependencies would run in a circle: {' → '.join(circle)}; "
                    "take one out. Nothing was made",
                    task_id=new.task.id,
                )
            del left[new.task.key]  # no other circle leads through it


def _file(request: AddRequest, task_id: str, title: str, created: str) -> TaskFile:
    keys = request.model_dump(exclude={"id", "title", "body", "status"})
    return new_task_file(title, request.body, {"id": task_id, **keys, "created": created, "status": request.status})


def unknown_dependencies(tasks: Iterable[Task], around: Around) -> list[str]:
    """A warning for each task that depends on what does not exist."""
    warnings = []
    for task in tasks:
        unknown = [dep for dep in task.depends_on if dependency_state(dep, around) == "missing"]
        if unknown:
            verb = "does" if len(unknown) == 1 else "do"
            warnings.append(f"{task.id} depends on {', '.join(unknown)}, which {verb} not exist (yet)")
    return warnings
