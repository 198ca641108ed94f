"""The shapes of requests and results that several tools share. All keys of a result are always present."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from dibs.session import Session
from dibs.store.questions import Asked
from dibs.store.readiness import WaitingKind, obstacles
from dibs.store.reading import StoredTask
from dibs.store.reservations import Held
from dibs.store.task import Task

LONG_TEXT = 20_000
SHORT_TEXT = 500
WITH_FILES_LOOKED_AT = 100


def listed(text: str) -> list[Any]:
    """A list that came as one text: JSON, as some clients send it, else one item a comma."""
    if text.lstrip().startswith("["):
        try:
            return list(json.loads(text))
        except (ValueError, RecursionError):
            return [text]
    return [part.strip() for part in text.split(",") if part.strip()]


def as_objects(given: object) -> object:
    """A list that came as JSON text, as some clients and every shell send it. Null counts as left out."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError) as exc:
            raise ValueError(f"this is not a JSON list of objects ({exc})") from exc
    if not isinstance(given, list):
        return given
    return [{k: v for k, v in item.items() if v is not None} if isinstance(item, dict) else item for item in given]


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed_few(items: Iterable[str], most: int = 5) -> str:
    """The first of them in words, and how many more there are."""
    every = list(items)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def as_list(given: object) -> object:
    return listed(given) if isinstance(given, str) else given


Texts = Annotated[list[Annotated[str, Field(max_length=SHORT_TEXT)]], BeforeValidator(as_list), Field(max_length=500)]
Id = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128), Field(description="Task id.")
]
Token = Annotated[str, StringConstraints(strip_whitespace=True, max_length=64), Field(description="From your claim.")]


class Request(BaseModel):
    """Arguments of a tool: flat, plain types, a real default for what may be left out; null counts as left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Result(BaseModel):
    model_config = ConfigDict(frozen=True)

    warnings: list[str] = []


class TaskView(BaseModel):
    """A task as results show it. ``path`` is absolute, so that an agent finds it from any working directory."""

    model_config = ConfigDict(frozen=True)

    id: str
    title: str
    status: str
    project: str
    type: str
    priority: int
    complexity: str
    tags: list[str]
    due: str
    path: str
    files: list[str]
    depends_on: list[str]
    attempts: int
    body: str
    body_truncated: bool


class WaitingOn(BaseModel):
    """How many tasks wait, by the first thing in their way."""

    model_config = ConfigDict(frozen=True)

    dependencies: int = 0
    files: int = 0
    reserved: int = 0
    human: int = 0
    inbox: int = 0
    on_hold: int = 0
    other: int = 0


class EndResult(Result):
    """What completing, blocking or releasing did. The task's body is left out: whoever ends a task has read it."""

    task: TaskView
    newly_ready: list[str]
    message: str


def view(session: Session, stored: StoredTask, offset: int = 0, *, with_body: bool = True) -> TaskView:
    """The task as results show it: its body from ``offset`` as far as the settings allow, or left out."""
    task, body = stored.task, stored.file.body.strip("\r\n")
    limit = session.store.settings.body_characters if with_body else 0
    return TaskView(
        id=task.id,
        title=task.title,
        status=task.status,
        project=task.project,
        type=task.type,
        priority=task.priority,
        complexity=task.complexity,
        tags=list(task.tags),
        due=task.due,
        path=str(session.store.tasks_dir / task.path),
        files=list(task.files),
        depends_on=list(task.depends_on),
        attempts=task.attempts,
        body=body[offset : offset + limit],
        body_truncated=with_body and len(body) > offset + limit,
    )


def count_waiting(kinds: list[WaitingKind]) -> WaitingOn:
    counts: dict[str, int] = {}
    for kind in kinds:
        counts[kind] = counts.get(kind, 0) + 1
    return WaitingOn(**counts)


def near_ending(session: Session, ended: Task, was_held: Held) -> list[Task]:
    """The tasks that an ending may make ready: the dependents of the task, its parent, and of those that have files the
    next hundred, where they wait for its own."""
    index = session.store.index
    near = {task.key: task for task in index.dependents.get(ended.key, ())}
    if (parent := index.tasks.get(ended.parent.casefold())) is not None:
        near[parent.key] = parent
    freed = was_held.only(ended)
    if freed.reservations:
        # thousands may have files, and this is asked with the mutex held
        with_files = itertools.islice(index.handed_out(Asked(with_files=True)), WITH_FILES_LOOKED_AT)
        near |= {task.key: task for task in with_files if freed.in_the_way(task) is not None}
    near.pop(ended.key, None)
    return list(near.values())


def ready_among(session: Session, tasks: Iterable[Task], held: Held) -> dict[str, str]:
    """Those that are ready now, key and id."""
    index, settings = session.store.index, session.store.settings
    ready = (task for task in tasks if next(obstacles(task, index, settings, caller=None, held=held), None) is None)
    return {task.key: task.id for task in ready}


def as_answer(result: Result) -> dict[str, Any]:
    return result.model_dump(mode="json")
