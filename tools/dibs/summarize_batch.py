"""summarize_batch: what became of each task of a batch, whole, for programs and people at a shell."""

from __future__ import annotations

from dibs.answers import Request, Result
from dibs.batch_state import BatchCounts
from dibs.create_batch import BatchName, SkippedRow
from dibs.get_batch import read_state, summary_of
from dibs.outcomes import Outcome
from dibs.session import Call, Session


class SummaryRequest(Request):
    name: BatchName


class SummaryResult(Result):
    """The summary whole, with the counts beside it."""

    name: str
    total: int
    counts: BatchCounts
    finished: bool
    workers: list[Outcome]
    runtime_seconds: float
    total_tokens: int
    skipped: list[SkippedRow]
    message: str


def summarize_batch(session: Session, request: SummaryRequest, call: Call) -> SummaryResult:
    """What became of each task of a batch, as one object. Reads only."""
    state = read_state(session, request.name)
    summary = summary_of(session, state)
    return SummaryResult(
        name=state.batch.name,
        total=len(state.batch.items),
        counts=state.counts,
        finished=not state.counts.left,
        workers=summary.workers,
        runtime_seconds=summary.runtime_seconds,
        total_tokens=summary.total_tokens,
        skipped=summary.skipped,
        message=state.told(),
    )
