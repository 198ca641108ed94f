"""create_batch: a named list of work for many agents, all of it or none."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from dibs.answers import LONG_TEXT, Request, Result, Texts, as_list, counted, listed_few
from dibs.batch_items import ALREADY_COMPLETE, MAX_NAME_CHARACTERS, Chooser, Chosen
from dibs.holding import held_now
from dibs.made_tasks import made_tasks
from dibs.matching import Wanted, statuses_of
from dibs.session import Call, Session
from dibs.store.batches import Batch, BatchItem, Skipped, folder_of
from dibs.store.errors import InvalidArguments
from dibs.store.ledger import Hold
from dibs.store.readiness import obstacles
from dibs.store.snapshot import Snapshot
from dibs.store.task import ComplexityOrNone

MAX_ITEMS = 100_000
MAX_ITEM_CHARACTERS = 4096
SKIPPED_TOLD = 100

BatchName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME_CHARACTERS),
    Field(description="Its name."),
]
Items = Annotated[
    list[Annotated[str, Field(max_length=MAX_ITEM_CHARACTERS)]], BeforeValidator(as_list), Field(max_length=MAX_ITEMS)
]


class CreateBatchRequest(Request):
    name: BatchName
    items: Annotated[Items, Field(description="Task ids or file paths.")] = []
    glob: Annotated[Texts, Field(description="Files that match.")] = []
    project: Annotated[str, Field(max_length=200, description="Tasks of this project.")] = ""
    type: Annotated[str, Field(max_length=100, description="Tasks of this type.")] = ""
    complexity: Annotated[ComplexityOrNone, Field(description="Tasks of this complexity.")] = ""
    tags: Annotated[Texts, Field(description="Tasks with all of these.")] = []
    status: Annotated[Texts, Field(description="Tasks of these statuses.")] = []
    parent: Annotated[str, Field(max_length=128, description="Tasks below this one.")] = ""
    instructions: Annotated[
        str, Field(max_length=LONG_TEXT, description="What to do with each file; {path} stands for it.")
    ] = ""
    dry_run: Annotated[bool, Field(description="Only tell what would be in it.")] = False


class SkippedRow(BaseModel):
    model_config = ConfigDict(frozen=True)

    task_id: str
    why: str


class CreateBatchResult(Result):
    """``made`` tasks were made for files. ``ready``, ``claimed`` (held by somebody now) and ``waiting`` are what the
    ``total`` is made of; ``skipped`` is not in the batch, at most 100 of them are named."""

    name: str
    total: int
    made: int
    ready: int
    claimed: int
    waiting: int
    skipped_count: int
    skipped: list[SkippedRow]
    message: str


def create_batch(session: Session, request: CreateBatchRequest, call: Call) -> CreateBatchResult:
    """Put work into a named batch that any number of agents claim from with batch=name. A file that is no task gets
    one."""
    store = session.store
    _require_usable(request)
    _require_free(session, request.name)
    snapshot = store.snapshot()
    chosen = _choose(session, request, snapshot)
    if not chosen.tasks and not chosen.paths:
        raise InvalidArguments(_nothing_chosen(request, chosen))
    if request.dry_run:
        return _result(session, request.name, snapshot, chosen)
    folder = folder_of(request.name) if chosen.paths else ""
    items = [BatchItem(id=task.id) for task in chosen.tasks.values()]
    with made_tasks(session.store, request.name, request.instructions, list(chosen.paths), folder) as (made_in, made):
        batch = Batch(
            name=request.name,
            created_at=store.now(),
            created_by=session.caller(""),
            items=(*items, *made),
            skipped=tuple(chosen.skipped),
            folder=folder,
            made_in=made_in,
        )
        store.change(lambda hold: _add(session, hold, batch, call))
    return _result(session, request.name, store.snapshot(after=time.monotonic()), chosen, batch)


def _require_usable(request: CreateBatchRequest) -> None:
    if not request.name.isprintable():
        raise InvalidArguments(
            f"a batch's name is 1 to {MAX_NAME_CHARACTERS} printable characters, not {request.name!r}; give another one"
        )


def _require_free(session: Session, name: str) -> None:
    if session.store.batches.has(name):
        raise InvalidArguments(
            f"there is a batch {name} already; give another name, or look at it with get_batch "
            f"(`dibs batch show {shlex.quote(name)}`). Nothing was made"
        )


def _choose(session: Session, request: CreateBatchRequest, snapshot: Snapshot) -> Chosen:
    chooser = Chooser(session, snapshot)
    wanted = Wanted(
        project=request.project,
        type=request.type,
        complexity=request.complexity,
        parent=request.parent,
        tags=tuple(request.tags),
        statuses=statuses_of(request.status, session.store.settings),
    )
    chooser.add_named(request.items)
    chooser.add_globs(request.glob)
    if wanted != Wanted():
        if request.parent and request.parent.strip().casefold() not in snapshot.tasks:
            raise InvalidArguments(f"there is no task {request.parent} to take the children of; nothing was made")
        chooser.add_matching(wanted)
    return chooser.chosen


def _nothing_chosen(request: CreateBatchRequest, chosen: Chosen) -> str:
    if chosen.skipped:
        why = listed_few(f"{skipped.task_id} ({skipped.why})" for skipped in chosen.skipped)
        return f"batch {request.name} was not made, there is nothing to do: {len(chosen.skipped)} skipped: {why}"
    given = request.model_dump(exclude={"name", "dry_run", "instructions"}, exclude_defaults=True)
    if given:
        return f"batch {request.name} was not made: no task matches {', '.join(f'{k} {v}' for k, v in given.items())}"
    return (
        f"batch {request.name} was not made: name its work as items (task ids or file paths), glob, parent, "
        "or filters such as project and tags; at a shell also -, for names on standard input"
    )


def _add(session: Session, hold: Hold, batch: Batch, call: Call) -> None:
    store = session.store
    call.check()
    _require_free(session, batch.name)
    if batch.folder and (store.tasks_dir / batch.folder).exists():
        raise InvalidArguments(
            f"{store.tasks_dir / batch.folder} is there already{store.batches.left_of(batch.name)}; for a batch of "
            "other files give another name. Nothing was made"
        )
    store.batches.add(hold, batch)
    hold.note(store.now(), "batch_created", batch=batch.name, total=len(batch.items))


def _result(
    session: Session, name: str, snapshot: Snapshot, chosen: Chosen, batch: Batch | None = None
) -> CreateBatchResult:
    store = session.store
    held = held_now(store, snapshot, store.ledger.standing())
    tasks = [snapshot.tasks.get(key, task) for key, task in chosen.tasks.items()]
    claimed = [task for task in tasks if task.status == "in_progress" or held.has(task)]
    ready = sum(next(obstacles(t, snapshot, store.settings, caller=None, held=held), None) is None for t in tasks)
    total, made = len(tasks) + len(chosen.paths), len(chosen.paths)
    return CreateBatchResult(
        name=name,
        total=total,
        made=made,
        ready=ready + made,
        claimed=len(claimed),
        waiting=total - ready - made - len(claimed),
        skipped_count=len(chosen.skipped),
        skipped=[SkippedRow(task_id=s.task_id, why=s.why) for s in chosen.skipped[:SKIPPED_TOLD]],
        message=_told(name, total, chosen.skipped, len(claimed), total - ready - made - len(claimed), batch),
    )


def _told(name: str, total: int, skipped: Sequence[Skipped], claimed: int, waiting: int, batch: Batch | None) -> str:
    """What to know before any agent is started, first of all what there is no need to do."""
    complete = sum(row.why.startswith(ALREADY_COMPLETE) for row in skipped)
    parts = [f"{counted(complete, 'task')} skipped (already complete)"] if complete else []
    if other := len(skipped) - complete:
        parts.append(f"{other} skipped (invalid)")
    parts += [f"{claimed} claimed by others"] if claimed else []
    parts += [f"{waiting} waiting for something"] if waiting else []
    made = (
        f"batch {name} has {counted(total, 'task')}" if batch else f"batch {name} would have {counted(total, 'task')}"
    )
    then = f"; claim with batch={name}" if batch else "; nothing was made"
    return "; ".join([*parts, made]) + then
