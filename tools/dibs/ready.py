"""What is ready now for somebody, best first: a look, for whoever plans; a claim decides anew."""

from __future__ import annotations

import time
from collections.abc import Iterator

from dibs.holding import held_now
from dibs.matching import Wanted, is_below
from dibs.store.readiness import obstacles
from dibs.store.task import Task
from dibs.store.task_store import TaskStore


def ready_for(store: TaskStore, wanted: Wanted, caller: str) -> Iterator[Task]:
    """The tasks that this caller could claim now."""
    settings, index = store.settings, store.refresh(after=time.monotonic())
    held = held_now(store, index, store.ledger.standing())
    for task in index.handed_out(wanted.asked(settings.caller_name(caller))):
        ready = next(obstacles(task, index, settings, caller=caller, held=held), None) is None
        if ready and is_below(task, wanted.parent, index):
            yield task
