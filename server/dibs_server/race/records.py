"""What everybody in a race wrote down about what they did themselves: the evidence that the judge reads.

All times are of one monotonic clock. A call was made between ``started`` and ``ended``; nothing finer is known.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

OK = "ok"
EMPTY = "empty"
UNKNOWN = "unknown"
"""The outcome of a call whose server died before it answered."""
ENDINGS = ("complete_task", "block_task", "release_task")
CLAIM = "claim_next_task"


@dataclass(frozen=True)
class CallRecord:
    """One call. ``outcome`` is one of the words above or an error's code; ``answer`` all that was answered, as text.

    ``resume``: the call asked for an interrupted claim. ``kept``: the report of a refused ending was where the answer
    said; None: the answer named no place.
    """

    caller: str
    server: int
    tool: str
    task_id: str
    token: str
    report: str
    started: float
    ended: float
    outcome: str
    answer: str = ""
    resume: bool = False
    kept: bool | None = None


@dataclass(frozen=True)
class Death:
    """A server's end, somewhere between its last sign of life and when it was found dead. ``planned``: we killed it."""

    server: int
    caller: str
    last_alive: float
    found: float
    planned: bool


@dataclass(frozen=True)
class Write:
    """Something else than Dibs wrote a task's file: a person's save or git, with ``content`` as the outcome.

    ``ends``: the person set it to done; ``slow``: a save in place that took longer than any editor may.
    """

    task_id: str
    by: Literal["hand", "git"]
    started: float
    ended: float
    content: bytes
    ends: bool = False
    slow: bool = False


@dataclass(frozen=True)
class LedgerLoss:
    """``.dibs`` was deleted."""

    started: float
    ended: float


@dataclass(frozen=True)
class Fault:
    """A reader found a task file that was not whole, or none."""

    task_id: str
    started: float
    ended: float
    what: str


@dataclass
class Records:
    """Everybody's records, written by all threads of a race."""

    calls: list[CallRecord] = field(default_factory=list)
    deaths: list[Death] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    losses: list[LedgerLoss] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    reads: int = 0
    edits: Counter[str] = field(default_factory=Counter)
    progress_at: float = field(default_factory=time.monotonic)
    claims: int = 0
    endings: int = 0
    _last_token: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, call: CallRecord) -> None:
        with self._lock:
            self.calls.append(call)
            if call.outcome != OK:
                return
            self.progress_at = call.ended
            if call.tool == CLAIM:
                self.claims += 1
                self._last_token[call.task_id] = call.token
            elif call.tool != "release_task":
                self.endings += 1

    def was_claimed_after(self, task_id: str, token: str) -> bool:
        """Whether the last claim of a task that anybody heard of is another one than this."""
        with self._lock:
            return self._last_token.get(task_id, token) != token


@dataclass(frozen=True)
class Left:
    """What was found at the end, when nobody was at work any more."""

    files: dict[str, bytes]
    bystanders: dict[str, bytes]
    claim_files: tuple[str, ...]


def look(tasks_dir: Path, paths: dict[str, Path], bystanders: tuple[str, ...]) -> Left:
    """Read what is left; a file that is missing counts as empty."""
    claims = tasks_dir / ".dibs" / "claims"
    return Left(
        {task_id: _bytes(path) for task_id, path in paths.items()},
        {name: _bytes(tasks_dir / name) for name in bystanders},
        tuple(sorted(path.name for path in claims.iterdir())) if claims.is_dir() else (),
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
