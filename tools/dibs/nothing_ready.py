"""Why there is nothing to claim, in numbers and in words."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dibs.answers import WaitingOn, count_waiting, listed_few
from dibs.matching import Wanted, matching
from dibs.store.claims import Claim
from dibs.store.readiness import Obstacle, obstacles
from dibs.store.reservations import Held
from dibs.store.settings import Settings
from dibs.store.snapshot import Snapshot
from dibs.store.task import ENDED

HOLDERS_TOLD = 3
WORDS = {
    "dependencies": "waiting for other tasks",
    "files": "waiting for files",
    "reserved": "reserved for others",
    "human": "waiting for a person",
    "inbox": "in the inbox",
    "on_hold": "on hold",
    "other": "a container or with open children",
}


@dataclass(frozen=True)
class NothingReady:
    """``free_at`` is when a lease or a file may come free, None when nothing tells; ``invalid`` names files."""

    waiting_on: WaitingOn
    in_progress: int
    free_at: datetime | None
    holders: tuple[str, ...]
    invalid: tuple[str, ...]

    def told(self, caller: str, filters: str, also_held: Sequence[str]) -> str:
        """The message: why, and what to do now."""
        parts = [f"{self.in_progress} in progress"] if self.in_progress else []
        parts += [told_waiting(self.waiting_on)] if told_waiting(self.waiting_on) else []
        parts += ["; ".join(["the " + text for text in self.holders])] if self.holders else []
        parts += [f"{len(self.invalid)} cannot be read ({listed_few(self.invalid)})"] if self.invalid else []
        why = ", ".join(parts) or ("no open task matches" if filters else "no open task is left")
        where = f" with {filters}" if filters else ""
        if also_held:
            return (
                f"Nothing more is ready for {caller}{where}: {why}. "
                f"You still hold {', '.join(also_held)}: finish that, then stop"
            )
        return f"Nothing is ready for {caller}{where}: {why}. Report that the queue is empty and stop; do not poll"


def why_nothing_is_ready(
    wanted: Wanted, snapshot: Snapshot, settings: Settings, held: Held, claims: Sequence[Claim], caller: str
) -> NothingReady:
    """What stands in the way of each open task that is wanted, by the first thing that does.

    Files that cannot be read are told where they might be meant: nobody knows what they would match.
    """
    open_tasks = [task for task in matching(wanted, snapshot) if task.status not in ENDED]
    waiting = [task for task in open_tasks if task.status != "in_progress" and not held.has(task)]
    first = [
        obstacle
        for task in waiting
        for obstacle in itertools.islice(obstacles(task, snapshot, settings, caller=caller, held=held), 1)
    ]
    files = [obstacle for obstacle in first if obstacle.kind == "files"]
    keys = {task.key for task in open_tasks}
    free_at = [claim.lease_until for claim in claims if claim.id.casefold() in keys]
    free_at += [obstacle.until for obstacle in files if obstacle.until is not None]
    return NothingReady(
        waiting_on=count_waiting([obstacle.kind for obstacle in first]),
        in_progress=len(open_tasks) - len(waiting),
        free_at=min(free_at, default=None),
        holders=tuple(dict.fromkeys(_holder(obstacle) for obstacle in files))[:HOLDERS_TOLD],
        invalid=_invalid(wanted, snapshot),
    )


def _holder(obstacle: Obstacle) -> str:
    return obstacle.text.removeprefix("its ")


def _invalid(wanted: Wanted, snapshot: Snapshot) -> tuple[str, ...]:
    if wanted.batch is None:
        return tuple(error.path for error in snapshot.invalid) if not wanted.told() else ()
    return tuple(e.path for e in snapshot.invalid if e.task_id.casefold() in wanted.batch.keys)


def told_waiting(waiting_on: WaitingOn) -> str:
    """What tasks wait for, in words; "" when none does."""
    return ", ".join(f"{count} {WORDS[kind]}" for kind, count in waiting_on.model_dump().items() if count)
