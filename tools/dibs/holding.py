"""What is held now, and whose turn it is: ledger and tasks put together, as the readiness rule wants them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from dibs.store.ledger import Hold, Standing
from dibs.store.mutex import StartOver
from dibs.store.readiness import waits_only_for_files
from dibs.store.reservations import Held, Reservation, Turns, all_held
from dibs.store.snapshot import Around
from dibs.store.task import Task
from dibs.store.task_store import TaskStore


def held_now(store: TaskStore, around: Around, standing: Standing) -> Held:
    """All that is held at this moment."""
    return held_and_turns(store, around, standing)[0]


def held_and_turns(store: TaskStore, around: Around, standing: Standing) -> tuple[Held, Turns]:
    """All that is held, and the tasks passed over for their files that still wait for nothing else."""
    ledger, now = store.ledger, store.now()
    claims, newer, fold = standing.claims, standing.newer, ledger.folds_case()
    containers = store.settings.container_types

    def held(turns: Turns) -> Held:
        return all_held(claims, around, turns, unreadable=newer, containers=containers, roots=store.roots, fold=fold)

    without = held(Turns())
    kept = ledger.turns()
    if not kept.since:
        return without, kept
    waiting = {
        key: task
        for key in kept.since
        if (task := around.tasks.get(key)) and waits_only_for_files(task, around, store.settings, without)
    }
    overtaken = {key for key, task in waiting.items() if _is_overtaken(task, kept.since[key], without)}
    turns = kept.after(now, (), waiting).at(now, overtaken)
    return held(turns), turns


def _is_overtaken(task: Task, since: datetime, held: Held) -> bool:
    """Whether all that stands in its way are claims that were made after it began to wait."""
    return all(r.began is not None and r.began >= since for r, _ in held.all_in_the_way(task))


def keep_turns(store: TaskStore, hold: Hold, turns: Turns, passed_over: Iterable[Task], taken: Task) -> None:
    """Remember whom this call passed over for a task with overlapping files, if that can be written."""
    new = Held(reservations=(Reservation(taken.id, "", taken.files),), roots=store.roots)
    overtaken = [task.key for task in passed_over if new.in_the_way(task)]
    waiting = {*turns.since, *overtaken} - {taken.key}
    after = turns.after(store.now(), overtaken, waiting)
    if after != store.ledger.turns():
        with suppress(OSError, StartOver):  # the claim stands; who waits will be passed over once more
            hold.set_turns(after)
