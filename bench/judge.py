"""What went wrong in a drain, by the callers' own records and by the bytes of the files; nothing of Dibs is asked."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from pathlib import Path

from drain import Pair
from sample import dependency, priority, task_id


def duplicates(pairs: Sequence[Pair]) -> int:
    """How often a task was handed out that had been handed out already."""
    return len(pairs) - len({pair.task_id for pair in pairs})


def lost(pairs: Sequence[Pair], folder: Path) -> int:
    """Tasks whose completion was answered ok and whose file does not say so."""
    texts = ((folder / f"{pair.task_id}.md").read_text(encoding="utf-8") for pair in pairs)
    return sum("\nstatus: done\n" not in text for text in texts)


def inversions(pairs: Sequence[Pair], tasks: int) -> int:
    """How many claims gave a task although a better one was there for the taking all the while.

    There all the while: it existed before the run, what it depends on had been completed before the claim was called,
    and it was itself claimed only by a call made after that claim was answered, or never. All others may have changed
    hands while the claim was under way, and prove nothing.
    """
    ended = {pair.task_id: pair.ended for pair in pairs}
    called = {pair.task_id: pair.called for pair in pairs}
    free: dict[tuple[int, float], float] = {}
    for number in range(tasks):
        before = dependency(number)
        ready_at = -inf if before is None else ended.get(task_id(before), inf)
        best = (priority(number), ready_at)
        # of those that are alike, the one that stayed free for longest speaks for all
        free[best] = max(free.get(best, -inf), called.get(task_id(number), inf))
    found = 0
    for pair in pairs:
        mine = priority(int(pair.task_id.removeprefix("t-")))
        found += any(
            theirs < mine and ready_at < pair.called and until > pair.claimed
            for (theirs, ready_at), until in free.items()
        )
    return found
