"""What is held now, and whose turn it is: ledger and tasks put together, as the readiness rule wants them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from dibs.store.ledger import Hold
from dibs.store.mutex import StartOver
from dibs.store.readiness import waits_only_for_files
from dibs.store.reservations import Held, Turns, all_held
from dibs.store.snapshot import Snapshot
from dibs.store.task_store import TaskStore


def held_now(store: TaskStore, snapshot: Snapshot) -> Held:
    """All that is held at this moment."""
    return held_and_turns(store, snapshot)[0]


def held_and_turns(store: TaskStore, snapshot: Snapshot) -> tuple[Held, Turns]:
    """All that is held, and the tasks passed over for their files that still wait for nothing else."""
    ledger = store.ledger
    claims, newer, fold = ledger.claims(), ledger.newer(), ledger.folds_case()

    def held(turns: Turns) -> Held:
        return all_held(claims, snapshot, turns, unreadable=newer, root=str(store.repository), fold=fold)

    without = held(Turns())
    kept = ledger.turns()
    if not kept.since:
        return without, kept
    waiting = [
        key
        for key in kept.since
        if (task := snapshot.tasks.get(key)) and waits_only_for_files(task, snapshot, store.settings, without)
    ]
    turns = kept.after(store.now(), (), waiting).at(store.now())
    return held(turns), turns


def keep_turns(store: TaskStore, hold: Hold, turns: Turns, passed_over: Iterable[str], taken: str = "") -> None:
    """Remember whom this call passed over for their files, if that can be written; ``taken`` is the task it took."""
    waiting = {*turns.since, *passed_over} - {taken}
    after = turns.after(store.now(), passed_over, waiting)
    if after != store.ledger.turns():
        with suppress(OSError, StartOver):  # the claim stands; who waits will be passed over once more
            hold.set_turns(after)
