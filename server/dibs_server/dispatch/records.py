"""What a run of agents writes down, in ``.dibs/runs/<run>/``: an order for each start, and what came of it.

An order is written by the dispatcher, its progress by the process that carries it out; so either may die, and whoever
comes next knows what was begun.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from dibs.store.alive import is_alive
from dibs.store.claims import slug
from dibs.store.dispatch_settings import Agent
from dibs.store.processes import ProcessMark
from dibs.store.publish import write_temporary

How = Literal["completed", "blocked", "conflict", "failed", "given_back", "refused", "interrupted"]
ATTEMPT = re.compile(r"(.+)\.(\d{1,6})\.progress\.json")

Some = TypeVar("Some", bound=BaseModel)


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Order(Record):
    """One start of an agent on one task.

    ``setup`` is how it is started, with the variables that all agents inherit: as the settings were when that was
    shown, for an agent at work may change them. ``last``: when it fails the task is blocked, else it is put back for
    another attempt; ``again_after_conflict``: one conflict is put back as well.
    """

    task_id: str
    agent: str
    setup: Agent
    inherits: tuple[str, ...] = ()
    model: str = ""
    attempt: Annotated[int, Field(ge=1)] = 1
    last: bool = True
    again_after_conflict: bool = False
    timeout_seconds: float
    files: tuple[str, ...] = ()
    batch: str = ""
    context: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{slug(self.task_id)}.{self.attempt}"


class Progress(Record):
    """How far an order is; ``how`` is None while it is being carried out. ``alive`` names the alive lock of the process
    that claims by it, ``scratch`` is the folder of what its agent is given, ``told`` why it ended so, ``files`` are
    those in conflict."""

    task_id: str
    agent: str
    attempt: int
    process: ProcessMark | None = None
    alive: str = ""
    token: str = ""
    output: str = ""
    scratch: str = ""
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    how: How | None = None
    told: str = ""
    code: str = ""
    files: tuple[str, ...] = ()
    tokens: int = 0
    cost_usd: float | None = None

    @property
    def key(self) -> str:
        return self.task_id.casefold()

    @property
    def claim_file(self) -> Path:
        """Where its agent finds its claim; outside ``.dibs``, which may be taken away before it has."""
        return Path(self.scratch) / "claim.json"

    @property
    def runtime_seconds(self) -> float:
        return 0.0 if self.ended_at is None else max(0.0, (self.ended_at - self.started_at).total_seconds())


class RunFolder:
    """The folder of one run. It may be taken away at any moment, and is made again when something is written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def run_id(self) -> str:
        return self.path.name

    def lock_path(self, name: str) -> Path:
        return self.path / f"{name}.lock"

    def beside(self, order: Order, what: str) -> Path:
        """A further file of an order."""
        return self.path / f"{order.name}.{what}"

    def is_held(self, name: str) -> bool:
        """Whether somebody holds the lock of that name; under the mutex."""
        return self.path.is_dir() and is_alive(self.path, name)

    def write(self, name: str, record: BaseModel) -> Path:
        """Write a record in one step, without what is at its default; the path of it."""
        self.path.mkdir(parents=True, exist_ok=True)
        path = self.path / name
        content = record.model_dump_json(indent=1, exclude_defaults=True).encode("utf-8", "replace")
        write_temporary(self.path, content).replace(path)
        return path

    def give(self, order: Order) -> Path:
        return self.write(f"{order.name}.order.json", order)

    def note(self, progress: Progress) -> None:
        """Write down how far an order is, if the disk takes it: no agent is ended because that is full."""
        with suppress(OSError):
            self.write(f"{slug(progress.task_id)}.{progress.attempt}.progress.json", progress)

    def progress(self, order: Order) -> Progress | None:
        return read(self.beside(order, "progress.json"), Progress)

    def order(self, progress: Progress) -> Order | None:
        return read(self.path / f"{slug(progress.task_id)}.{progress.attempt}.order.json", Order)

    def all_progress(self) -> Iterator[Progress]:
        """What came of each order so far, those of one task in the order of its attempts."""
        with suppress(FileNotFoundError):
            found = [
                (match[1], int(match[2]), name) for name in os.listdir(self.path) if (match := ATTEMPT.match(name))
            ]
            for _, _, name in sorted(found):
                if (progress := read(self.path / name, Progress)) is not None:
                    yield progress


def read(path: Path, kind: type[Some]) -> Some | None:
    """A record; None: there is none, or it is damaged."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
