"""get_batch: where a batch stands, and the summary of what became of it."""

from __future__ import annotations

import time
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from dibs.answers import Request, Result
from dibs.batch_state import AtWork, BatchCounts, BatchState, seconds_between, state_of_batch
from dibs.create_batch import BatchName, SkippedRow
from dibs.outcomes import Outcome
from dibs.session import Call, Session
from dibs.store.claims import stamp

WORKERS_TOLD = 100


class GetBatchRequest(Request):
    name: BatchName
    summary: Annotated[bool, Field(description="Also what became of each task.")] = False
    offset: Annotated[int, Field(ge=0, description="Where in the summary to go on.")] = 0


class Summary(BaseModel):
    """``workers`` has one row a task with an outcome, in the order of the batch. ``runtime_seconds`` runs from the
    making of the batch to the last outcome, or to now. ``total_tokens`` is what the callers said they used."""

    model_config = ConfigDict(frozen=True)

    workers: list[Outcome]
    runtime_seconds: float
    total_tokens: int
    skipped: list[SkippedRow]


class GetBatchResult(Result):
    name: str
    created_at: str
    created_by: str
    cancelled_at: str | None
    total: int
    counts: BatchCounts
    finished: bool
    in_progress: list[AtWork]
    summary: Summary | None
    message: str


def get_batch(session: Session, request: GetBatchRequest, call: Call) -> GetBatchResult:
    """See where a batch stands and who works on what; with summary, what became of each task. Reads only."""
    state = read_state(session, request.name)
    batch, counts = state.batch, state.counts
    summary = summary_of(session, state) if request.summary else None
    warnings = []
    if summary is not None:
        end = request.offset + WORKERS_TOLD
        if len(summary.workers) > end:
            warnings.append(f"the summary goes on: get_batch with summary and offset={end}")
        summary = summary.model_copy(update={"workers": summary.workers[request.offset : end]})
    return GetBatchResult(
        name=batch.name,
        created_at=stamp(batch.created_at),
        created_by=batch.created_by,
        cancelled_at=stamp(batch.cancelled_at) if batch.cancelled_at else None,
        total=len(batch.items),
        counts=counts,
        finished=not counts.left,
        in_progress=state.at_work,
        summary=summary,
        message=state.told(),
        warnings=warnings,
    )


def read_state(session: Session, name: str) -> BatchState:
    batch = session.store.batches.get(name)
    return state_of_batch(session, batch, session.store.snapshot(after=time.monotonic()))


def summary_of(session: Session, state: BatchState) -> Summary:
    endings = state.endings(session, state.with_outcome)
    last = max((end.at for end in endings if end.at is not None), default=None)
    until = session.store.now() if state.counts.left or last is None else last
    return Summary(
        workers=[end.outcome for end in endings],
        runtime_seconds=seconds_between(state.batch.created_at, until),
        total_tokens=sum(end.outcome.tokens for end in endings),
        skipped=[SkippedRow(task_id=row.task_id, why=row.why) for row in state.batch.skipped],
    )
