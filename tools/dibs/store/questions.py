"""What is asked of an index, and what it answers: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from dibs.store.settings import StatusWord

Place = tuple[bytes, bytes]
"""Where to go on among the best tasks: rank and path of the last one."""


@dataclass(frozen=True)
class Scanned:
    """The last scan of all files: when it began (monotonic clock, seconds), and what it cost without reading."""

    at: float
    seconds: float


@dataclass(frozen=True)
class Changes:
    """Tasks whose status changed, each with its number, id and new status, in the order of the changes; ``gone`` and
    ``invalid`` are states too. ``whole``: the cursor asked with was another index's, so all tasks are told."""

    generation: str
    last: int
    states: tuple[tuple[int, str, str], ...]
    whole: bool

    def cursor(self, after: int | None = None) -> str:
        """Where to go on: after all of it, or after the change of that number."""
        return f"{self.generation}-{self.last if after is None else after}"


class Outline(NamedTuple):
    """What the rows know of one file without reading its task."""

    path: bytes
    kind: int
    key: bytes
    status: StatusWord
    handed_out: int
    unmet: int
    parent: bytes
    project: bytes
    type: bytes
    callers: bytes
    has_files: int


@dataclass(frozen=True)
class Asked:
    """What a claim asks for: folded, "" and empty ask for nothing. ``among`` is a JSON list of the only keys wanted."""

    caller: str = ""
    project: str = ""
    complexity: str = ""
    type: str = ""
    tags: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()
    with_files: bool = False
    among: str = ""
