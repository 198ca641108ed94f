"""update_task: change what a task's header says, or its status, while nobody works on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field

from dibs import reports
from dibs.add_task import unknown_dependencies
from dibs.answers import LONG_TEXT, Id, Request, Result, TaskView, Texts, as_list, view
from dibs.reopen_task import find_unheld, record_reopening, reopening, reserved_told
from dibs.session import Call, Session
from dibs.store.body import append_section
from dibs.store.claims import stamp
from dibs.store.errors import InvalidArguments, MalformedTask, NotReady
from dibs.store.header import Change, Raw, TaskFile
from dibs.store.ledger import Hold
from dibs.store.readiness import find_cycle
from dibs.store.reading import StoredTask
from dibs.store.settings import StatusWord
from dibs.store.snapshot import Around
from dibs.store.task import DEFAULT_PRIORITY, ENDED, Task, list_key
from dibs.store.task_file import edit_header, flow_list
from dibs.store.truth import Standing, judge

LISTS = ("tags", "depends_on", "files")
AS_IT_IS = -1
TOLD_CHARACTERS = 120

Field_ = Literal["priority", "tags", "assignee", "depends_on", "files"]
Action = Literal["unblock", "reopen", "cancel", "activate"]
FOR: Mapping[Action, tuple[StatusWord, ...]] = {
    "unblock": ("blocked",),
    "reopen": ("blocked", "review", "done", "cancelled", "failed"),
    "cancel": ("inbox", "active", "blocked", "review", "on_hold"),
    "activate": ("inbox", "on_hold"),
}


class UpdateRequest(Request):
    id: Id
    priority: Annotated[int, Field(ge=AS_IT_IS, le=4, description="0 (now) to 4 (some day); -1: as it is.")] = AS_IT_IS
    tags: Annotated[Texts, Field(description="Instead of its tags.")] = []
    assignee: Annotated[str, Field(max_length=200, description="Reserve it for this caller.")] = ""
    depends_on: Annotated[Texts, Field(description="Instead of the ids it depends on.")] = []
    files: Annotated[Texts, Field(description="Instead of its files.")] = []
    clear: Annotated[
        list[Field_],
        BeforeValidator(as_list),
        Field(max_length=10, description=f"Empty these: {', '.join(get_args(Field_))}."),
    ] = []
    action: Annotated[
        Literal["unblock", "reopen", "cancel", "activate", ""],
        Field(description="New status: cancelled, or active; activate is from inbox or on_hold."),
    ] = ""
    reason: Annotated[str, Field(max_length=LONG_TEXT, description="Why it is cancelled.")] = ""


class UpdateResult(Result):
    task: TaskView
    message: str


@dataclass(frozen=True)
class _Edit:
    """One change of a field: what it said, what it will say, and the keys that change for it."""

    field: str
    old: str
    new: str
    changes: Mapping[str, Change]

    def __str__(self) -> str:
        return f"{self.field} {_told(self.old or 'none')} → {_told(self.new or 'none')}"


def update_task(session: Session, request: UpdateRequest, call: Call) -> UpdateResult:
    """Change a task that nobody works on: fields of its header, its status, or both. Only these bytes change."""
    _require_sense(request)
    session.store.refresh(behind=session.alive_name is not None)
    return session.store.change(lambda hold: _update(session, request, hold, call))


def _require_sense(request: UpdateRequest) -> None:
    given = {field for field in LISTS if _items(getattr(request, field))}
    given |= {"assignee"} if request.assignee.strip() else set()
    given |= {"priority"} if request.priority != AS_IT_IS else set()
    both = sorted(given & set(request.clear))
    if not (given or request.clear or request.action):
        problem = f"there is nothing to change; give {', '.join(get_args(Field_))}, clear or action"
    elif both:
        problem = f"{', '.join(both)}: either a new value or clear, not both"
    elif request.action == "cancel" and not request.reason.strip():
        problem = "reason: say why it is cancelled"
    elif request.reason.strip() and request.action != "cancel":
        problem = 'reason goes with action "cancel" only'
    else:
        return
    raise InvalidArguments(f"{problem}. Nothing was changed", task_id=request.id)


def _update(session: Session, request: UpdateRequest, hold: Hold, call: Call) -> UpdateResult:
    call.check()
    store = session.store
    stored = find_unheld(session, hold, request.id)
    task = stored.task
    _require_idle(session, task)
    last = hold.endings(task.id).last
    status = _status_edit(request, stored, reopening(stored, last))
    edits = [*([status] if status else []), *_field_edits(request, stored)]
    if not edits:
        return UpdateResult(
            task=view(session, stored, with_body=False), message=f"{task.id} is like that already; nothing was changed"
        )
    _refuse_circle(request, task, store.index)
    try:
        written = store.write(hold, stored, _edited(session, request, stored.file, edits))
    except MalformedTask as error:
        raise error.at(task.path, task_id=task.id) from None
    if status and request.action in ("unblock", "reopen"):
        record_reopening(session, hold, written, task.status, last)
    event = "cancelled" if status and request.action == "cancel" else "updated"
    fields = ", ".join(edit.field for edit in edits)
    hold.note(store.now(), event, id=task.id, fields=fields, caller=session.caller(""))
    reserved = reserved_told(written.task, store.settings) if status and written.task.status == "active" else ""
    warnings = unknown_dependencies([written.task], store.index) if _items(request.depends_on) else []
    warnings += _left_waiting(task, store.index) if event == "cancelled" else []
    return UpdateResult(
        task=view(session, written, with_body=False),
        message=f"{task.id}: {'; '.join(map(str, edits))}{reserved}",
        warnings=warnings,
    )


def _require_idle(session: Session, task: Task) -> None:
    if task.status != "in_progress":
        return
    where = "" if judge(task, None, session.store.host) is Standing.PERSON else " on another machine"
    who = f" by {', '.join(task.assignees)}" if task.assignees else ""
    raise NotReady(
        f"{task.id} is in progress{where}{who}, without a claim of this directory; leave it alone until that work is "
        "done. Nothing was changed",
        task_id=task.id,
        owner=", ".join(task.assignees),
    )


def _status_edit(request: UpdateRequest, stored: StoredTask, reopened: Mapping[str, Change]) -> _Edit | None:
    """The new status; None: none is wanted, or it is that already."""
    status, action = stored.task.status, request.action
    new: StatusWord = "cancelled" if action == "cancel" else "active"
    if not action or status == new:
        return None
    if status not in FOR[action]:
        raise NotReady(
            f"{stored.task.id} is {status}, and {action} is for tasks that are {' or '.join(FOR[action])}. "
            "Nothing was changed",
            task_id=stored.task.id,
        )
    return _Edit("status", status, new, reopened if action in ("unblock", "reopen") else {"status": new})


def _field_edits(request: UpdateRequest, stored: StoredTask) -> Iterator[_Edit]:
    task, file = stored.task, stored.file
    for field in LISTS:
        items, known = _items(getattr(request, field)), getattr(task, field)
        if (items or field in request.clear) and items != known:
            key = list_key(file, field)
            yield _Edit(field, ", ".join(known), ", ".join(items), {key: _in_place(file, key, flow_list(items))})
    if request.assignee.strip() and task.assignees != (request.assignee.strip(),):
        yield _Edit(
            "assignee", ", ".join(task.assignees), request.assignee.strip(), {"assignee": request.assignee.strip()}
        )
    elif "assignee" in request.clear and task.assignees:
        yield _Edit("assignee", ", ".join(task.assignees), "", {"assignee": None})
    priority = DEFAULT_PRIORITY if "priority" in request.clear else request.priority
    if priority not in (AS_IT_IS, task.priority):
        new = None if "priority" in request.clear else _in_place(file, "priority", Raw(f" {priority}"))
        yield _Edit("priority", str(task.priority), str(priority), {"priority": new})


def _in_place(file: TaskFile, key: str, value: Raw) -> Raw:
    """The value with as much space before it as there is before the one it replaces."""
    entry = file.entries.get(key)
    old = entry.raw.lstrip(" \t") if entry is not None and "\n" not in entry.raw else ""
    return Raw(entry.raw.removesuffix(old) + value.text.lstrip(" ")) if entry is not None and old else value


def _edited(session: Session, request: UpdateRequest, file: TaskFile, edits: Iterable[_Edit]) -> TaskFile:
    changes: dict[str, Change] = {}
    for edit in edits:
        changes |= edit.changes
    if "assignee" in changes:
        file = reports.without_left_over(file)  # beside that an assignee would reserve nothing
    file = edit_header(file, changes)
    if request.action != "cancel" or "status" not in changes:
        return file
    by = f"**By:** {session.caller('')}, {stamp(session.store.now())}"
    return append_section(file, "Cancelled", "\n\n".join([by, *reports.labelled("Reason", request.reason)]))


def _refuse_circle(request: UpdateRequest, task: Task, around: Around) -> None:
    wanted = _items(request.depends_on)
    circle = find_cycle(replace(task, depends_on=wanted), around.tasks.get) if wanted != task.depends_on else ()
    if circle:
        raise InvalidArguments(
            f"depends_on: {task.id} would wait for itself: {' → '.join(circle)}; take one out. Nothing was changed",
            task_id=task.id,
        )


def _left_waiting(task: Task, around: Around) -> Iterator[str]:
    """What will not become ready because this task was cancelled."""
    for what, others in (("depend on", around.dependents), ("belong to", around.children)):
        ids = [other.id for other in others.get(task.key, ()) if other.status not in ENDED]
        if ids:
            yield f"these {what} {task.id}, and will not become ready: {_told(', '.join(ids))}"


def _items(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(text for item in given if (text := item.strip()))


def _told(text: str) -> str:
    return text if len(text) <= TOLD_CHARACTERS else f"{text[:TOLD_CHARACTERS]}…"
