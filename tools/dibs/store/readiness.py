"""The one readiness rule. Ready is derived, never stored: active, and nothing stands in the way.

Pure: the same rule proposes candidates from the index, decides on the bytes of the files, counts, and explains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dibs.store.claims import is_token
from dibs.store.reservations import NOTHING_HELD, Held
from dibs.store.settings import Settings, StatusWord
from dibs.store.snapshot import Around, ancestors
from dibs.store.task import ENDED, Task

WaitingKind = Literal["dependencies", "files", "reserved", "human", "inbox", "on_hold", "other"]
KIND_OF_STATUS: Mapping[StatusWord, WaitingKind] = {
    "inbox": "inbox",
    "on_hold": "on_hold",
    "blocked": "human",
    "review": "human",
}
WHAT_TO_DO: Mapping[StatusWord, str] = {
    "inbox": "it is in the inbox; set its status to active when it is to be done",
    "on_hold": "it is on hold; set its status to active when it is to be done",
    "blocked": "it is blocked; settle the reason in its file, then `dibs reopen` it",
    "review": "it waits for review",
    "in_progress": "it is in progress",
}


@dataclass(frozen=True)
class Obstacle:
    """One thing in a task's way: where it is counted, what it is in words, the tasks it is about, and who holds them.

    ``until`` is when it may be out of the way by itself, where that is known.
    """

    kind: WaitingKind
    text: str
    task_ids: tuple[str, ...] = ()
    owner: str = ""
    until: datetime | None = None


def is_claimable(task: Task, settings: Settings) -> bool:
    """Whether tasks of this type are ever handed out: containers and learn are not, every other word is."""
    return task.type not in settings.container_types and task.type not in settings.unclaimable_types


def is_handed_out(task: Task, settings: Settings) -> bool:
    """Whether it could be handed out to anybody at all, whatever becomes of other tasks, files and people."""
    return is_claimable(task, settings) and next(_decisions(task, settings), None) is None


def reserved_for(task: Task, settings: Settings) -> tuple[str, ...]:
    """The callers a task is reserved for; none: anybody may take it.

    An active task with a claim's token was set to active by hand: its assignee is who had that claim.
    """
    if task.status == "active" and is_token(task.token):
        return ()
    anyone = {name.casefold() for name in settings.assignees.anyone}
    names = (settings.caller_name(name) for name in task.assignees)
    return tuple(name for name in names if name and name.casefold() not in anyone)


def obstacles(
    task: Task, around: Around, settings: Settings, *, caller: str | None, held: Held = NOTHING_HELD
) -> Iterator[Obstacle]:
    """All that stands in the way of ``caller`` taking the task, in the order in which it is counted; none: ready.

    ``caller`` None is somebody nothing is reserved for. Files come last: a task waits for them only when nothing else
    is in its way.
    """
    if task.status != "active":
        kind = KIND_OF_STATUS.get(task.status, "other")
        yield Obstacle(kind, WHAT_TO_DO.get(task.status, f"it is {task.status}"))
        return
    if held.has(task):
        yield Obstacle("other", "it is claimed")
    if not is_claimable(task, settings):
        yield Obstacle("other", f"tasks of type {task.type} are never claimed")
    yield from _people(task, settings, caller)
    yield from _dependencies(task, around)
    yield from _relatives(task, around)
    if (found := held.in_the_way(task)) is not None:
        reservation, files = found
        yield Obstacle("files", reservation.told(files), (reservation.task_id,), reservation.owner, reservation.until)


def waits_only_for_files(task: Task, around: Around, settings: Settings, held: Held) -> bool:
    """Whether those the task is meant for could take it, were it not for its files."""
    kinds = {obstacle.kind for obstacle in obstacles(task, around, settings, caller=None, held=held)}
    return kinds - {"reserved"} == {"files"}


def _decisions(task: Task, settings: Settings) -> Iterator[Obstacle]:
    if task.complexity == "blocked-human":
        yield Obstacle("human", "its complexity is blocked-human: a person must act first")
    if task.complexity == "needs-decomposition":
        yield Obstacle("human", "its complexity is needs-decomposition: somebody must split it first")
    skipped = {tag.casefold() for tag in settings.claims.skip_tags} & {tag.casefold() for tag in task.tags}
    if skipped:
        yield Obstacle("human", f"tasks tagged {', '.join(sorted(skipped))} are not handed out")


def _people(task: Task, settings: Settings, caller: str | None) -> Iterator[Obstacle]:
    yield from _decisions(task, settings)
    names = reserved_for(task, settings)
    if not names or (caller is not None and settings.caller_name(caller).casefold() in {n.casefold() for n in names}):
        return
    humans = {name.casefold() for name in settings.assignees.humans}
    if all(name.casefold() in humans for name in names):
        yield Obstacle("human", f"it is assigned to {', '.join(names)}")
    else:
        yield Obstacle("reserved", f"it is reserved for {', '.join(names)}")


def _dependencies(task: Task, around: Around) -> Iterator[Obstacle]:
    unmet = {dep: state for dep in task.depends_on if (state := dependency_state(dep, around)) != "done"}
    if unmet:
        listed = ", ".join(f"{dep} ({state})" for dep, state in unmet.items())
        yield Obstacle("dependencies", f"it depends on {listed}", tuple(unmet))


def dependency_state(task_id: str, around: Around) -> str:
    """The status of a dependency, or ``missing`` or ``invalid``. Only ``done`` meets it: cancelled does not."""
    key = task_id.casefold()
    if (task := around.tasks.get(key)) is not None:
        return task.status
    return "invalid" if key in around.invalid_keys else "missing"


def _relatives(task: Task, around: Around) -> Iterator[Obstacle]:
    open_children = tuple(c.id for c in around.children.get(task.key, ()) if c.status not in ENDED)
    if open_children:
        yield Obstacle("other", f"its children are still open: {', '.join(open_children)}", open_children)
    cancelled = next((a.id for a in ancestors(task, around) if a.status == "cancelled"), None)
    if cancelled is not None:
        yield Obstacle("other", f"{cancelled}, which it belongs to, is cancelled", (cancelled,))


def find_cycle(task: Task, find: Callable[[str], Task | None]) -> tuple[str, ...]:
    """The ids of a dependency cycle through this task, first one repeated at the end; empty when there is none.

    ``find`` gives the task of a key, if there is one.
    """
    reached_from: dict[str, Task] = {}
    steps = [task]
    for step in steps:
        for dep in step.depends_on:
            key = dep.casefold()
            if key == task.key:
                return (*_way(task, step, reached_from), task.id)
            found = find(key)
            if found is not None and key not in reached_from:
                reached_from[key] = step
                steps.append(found)
    return ()


def _way(first: Task, last: Task, reached_from: Mapping[str, Task]) -> tuple[str, ...]:
    ids = [last.id]
    while last is not first:
        last = reached_from[last.key]
        ids.append(last.id)
    return tuple(reversed(ids))
