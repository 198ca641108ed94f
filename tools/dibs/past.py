"""What the journal tells of the last weeks: how the claims of each caller ended, and how long they took."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import get_args

from dibs.store.claims import How
from dibs.store.journal import Fact, moment_of, newest_events

PERIOD = timedelta(days=30)
EVENTS_READ = 50_000
ENDINGS = frozenset(get_args(How)) - {"reopened"}
ENDS = ("completed", "blocked")
"""Endings that a claim comes to when its holder is through with the task."""


@dataclass(frozen=True)
class Past:
    """``endings``: how often something ended how, by caller. ``seconds``: from each claim that was completed or blocked
    to that, in ascending order."""

    endings: Mapping[str, Counter[str]]
    seconds: tuple[float, ...]


def read_past(folder: Path, now: datetime) -> Past:
    """The last 30 days of a journal, as far as 50,000 events reach back."""
    since = now - PERIOD
    endings: dict[str, Counter[str]] = defaultdict(Counter)
    seconds: list[float] = []
    ended_at: dict[str, datetime] = {}
    told: set[tuple[str, str]] = set()
    for event in _newest(folder, since):
        what, token = event.get("event"), event.get("token")
        if what == "claimed":
            end = ended_at.pop(token, None) if isinstance(token, str) else None
            at = moment_of(event) if end is not None else None
            if end is not None and at is not None:
                seconds.append(max(0.0, (end - at).total_seconds()))
            continue
        at = moment_of(event) if isinstance(what, str) and what in ENDINGS else None
        if not isinstance(what, str) or at is None or at < since:
            continue
        if isinstance(token, str):
            if (token, what) in told:
                continue  # a crash after writing it down makes the next caller write it down again
            told.add((token, what))
            if what in ENDS:
                ended_at[token] = at
        caller = event.get("caller")
        endings[caller if isinstance(caller, str) else ""][what] += 1
    return Past(endings, tuple(sorted(seconds)))


def _newest(folder: Path, since: datetime) -> Iterator[Mapping[str, Fact]]:
    with suppress(OSError):  # history must not stop whoever looks at it
        yield from islice(newest_events(folder, since.date()), EVENTS_READ)


def percentile(ordered: tuple[float, ...], percent: int) -> float:
    """The smallest of the values that so many percent are not above."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
