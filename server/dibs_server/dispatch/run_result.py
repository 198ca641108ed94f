"""What a wave, or another run of agents, came to: one object, in the shape of the skill ``task-dispatcher``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from dibs.answers import Result, listed_few
from dibs.outcomes import Outcome, OutcomeStatus, ended, one_line, read_report
from dibs.session import Session
from dibs.store.errors import DibsError
from dibs.store.reading import StoredTask
from dibs_server.dispatch.judging import COMPLETION, bullets_of
from dibs_server.dispatch.records import Progress, RunFolder

RowStatus = Literal["completed", "failed", "blocked", "skipped", "running", "waiting"]
OF_OUTCOME: Mapping[RowStatus, OutcomeStatus] = {"completed": "success", "blocked": "blocked", "failed": "failed"}


class ReviewRow(BaseModel):
    """A review: the task it is, and what it said: approved, or changes_requested, for which ``fix_task`` was made."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    status: RowStatus
    outcome: str = ""
    fix_task: str = ""


class TaskRow(BaseModel):
    """``runtime_seconds``, ``tokens`` and ``cost_usd`` are of all attempts together; 0: nobody said. ``log`` is the
    output of the last one."""

    model_config = ConfigDict(frozen=True)

    status: RowStatus
    summary: str = ""
    files_changed: list[str] = []
    commit: str = ""
    review: ReviewRow | None = None
    agent: str = ""
    attempts: int = 0
    runtime_seconds: float = 0
    tokens: int = 0
    cost_usd: float = 0
    log: str = ""


class Fault(BaseModel):
    model_config = ConfigDict(frozen=True)

    task_id: str
    message: str


class RunResult(Result):
    """``status`` is stopped where nobody runs it any more, though it has not ended; ``skipped`` were complete before;
    ``workers`` has the same outcomes in the shape that batches give them."""

    run_id: str
    wave: int
    status: Literal["running", "completed", "partial", "failed", "stopped"]
    tasks: dict[str, TaskRow]
    errors: list[Fault]
    workers: list[Outcome]
    runtime_seconds: float
    total_tokens: int
    total_cost_usd: float
    skipped: list[str]
    message: str


class Book:
    """What became of each task of a run; a row is written when the task has ended, from its file and the records."""

    def __init__(self, session: Session, folder: RunFolder) -> None:
        self.rows: dict[str, TaskRow] = {}
        self.faults: dict[str, Fault] = {}
        self._session = session
        self._folder = folder
        self._outcomes: dict[str, Outcome] = {}
        self._progress: dict[str, list[Progress]] = {}

    def note(self, progress: Progress) -> None:
        self._progress.setdefault(progress.key, []).append(progress)

    def attempts(self, task_id: str) -> int:
        """The number of the last attempt; 0: there was none."""
        return max((progress.attempt for progress in self._progress.get(task_id.casefold(), ())), default=0)

    def token(self, task_id: str) -> str:
        """The token of its last attempt."""
        return next((one.token for one in reversed(self._progress.get(task_id.casefold(), ())) if one.token), "")

    def close(self, task_id: str, status: RowStatus, told: str = "") -> None:
        """Write a task's row. What was not completed is an error, and ``told`` says why."""
        store, tries = self._session.store, self._progress.get(task_id.casefold(), [])
        stored = self._stored(task_id)
        report = read_report(stored.file.body, COMPLETION) if stored is not None and status == "completed" else {}
        outcome = Outcome(
            task_id=task_id,
            status=OF_OUTCOME.get(status, "failed"),
            title=one_line(stored.task.title) if stored is not None else "",
            reason=one_line(told),
            caller=tries[-1].agent if tries else "",
        )
        if stored is not None and status == "completed":
            outcome = ended(store, stored.task.id, stored.task.path, "done").outcome
        tokens = sum(one.tokens for one in tries) or outcome.tokens
        if status in OF_OUTCOME:
            self._outcomes[task_id] = outcome.model_copy(update={"tokens": tokens})
        self.rows[task_id] = TaskRow(
            status=status,
            summary=outcome.summary if status == "completed" else one_line(told),
            files_changed=list(bullets_of(report, "Files changed")),
            commit=outcome.commit,
            agent=tries[-1].agent if tries else "",
            attempts=sum(bool(one.token) for one in tries),
            runtime_seconds=round(sum(one.runtime_seconds for one in tries), 1),
            tokens=tokens,
            cost_usd=round(sum(one.cost_usd or 0 for one in tries), 6),
            log=str(self._folder.path / tries[-1].output) if tries and tries[-1].output else "",
        )
        self.faults.pop(task_id, None)
        if status != "completed":
            self.faults[task_id] = Fault(task_id=task_id, message=f"{status}: {one_line(told)}")

    def review(self, task_id: str, review: ReviewRow) -> None:
        """Add what a review said to the row of what it reviewed."""
        self.rows[task_id] = self.rows[task_id].model_copy(update={"review": review})

    def _tokens_beside(self, rows: Mapping[str, TaskRow]) -> int:
        """Those of what has no row of its own: reviews."""
        keys = {task_id.casefold() for task_id in rows}
        return sum(one.tokens for key, tries in self._progress.items() if key not in keys for one in tries)

    def _stored(self, task_id: str) -> StoredTask | None:
        try:
            return self._session.store.find(task_id)
        except DibsError:
            return None

    def result(
        self, wave: int, rows: Mapping[str, TaskRow], begun_at: datetime, skipped: Sequence[str],
        *, finished: bool, warnings: Sequence[str],
    ) -> RunResult:  # fmt: skip
        """All of it; ``rows`` in the order of the run, those of what has not ended among them."""
        done = sum(row.status == "completed" for row in rows.values())
        all_is_well = done == len(rows) and not self.faults
        ended_as: Literal["completed", "partial", "failed"]
        failed = any(row.status in ("failed", "blocked") for row in rows.values())
        ended_as = "completed" if all_is_well else "partial" if done or not failed else "failed"
        tries = [progress for every in self._progress.values() for progress in every]
        last = max((one.ended_at for one in tries if one.ended_at is not None), default=begun_at)
        seconds = max(0.0, ((last if finished else self._session.store.now()) - begun_at).total_seconds())
        return RunResult(
            run_id=self._folder.run_id,
            wave=wave,
            status=ended_as if finished else "running",
            tasks=dict(rows),
            errors=[self.faults[task_id] for task_id in rows if task_id in self.faults],
            workers=[self._outcomes[task_id] for task_id in rows if task_id in self._outcomes],
            runtime_seconds=round(seconds, 1),
            total_tokens=sum(row.tokens for row in rows.values()) + self._tokens_beside(rows),
            total_cost_usd=round(sum(one.cost_usd or 0 for one in tries), 6),
            skipped=list(skipped),
            message=_told(rows, self.faults),
            warnings=list(warnings),
        )


def _told(rows: Mapping[str, TaskRow], faults: Mapping[str, Fault]) -> str:
    words = ("completed", "failed", "blocked", "skipped", "running", "waiting")
    counts = {word: sum(row.status == word for row in rows.values()) for word in words}
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "nothing was to be done"
    unreviewed = [task_id for task_id in faults if task_id in rows and rows[task_id].status == "completed"]
    told += f"; not reviewed: {listed_few(unreviewed)}" if unreviewed else ""
    return f"{told}; `dibs reopen` what is mended, and run it again" if counts["failed"] + counts["blocked"] else told
