"""list_batches: which batches there are, and where each stands."""

from __future__ import annotations

import time

from pydantic import BaseModel, ConfigDict

from dibs.answers import Request, Result
from dibs.batch_state import BatchCounts, state_of_batch
from dibs.session import Call, Session
from dibs.store.claims import stamp


class ListBatchesRequest(Request):
    pass


class BatchRow(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    created_at: str
    total: int
    counts: BatchCounts
    cancelled: bool


class ListBatchesResult(Result):
    batches: list[BatchRow]


def list_batches(session: Session, request: ListBatchesRequest, call: Call) -> ListBatchesResult:
    """List the batches and where each stands. Reads only."""
    snapshot = session.store.snapshot(after=time.monotonic())
    states = [state_of_batch(session, batch, snapshot) for batch in session.store.batches.all()]
    return ListBatchesResult(
        batches=[
            BatchRow(
                name=state.batch.name,
                created_at=stamp(state.batch.created_at),
                total=len(state.items),
                counts=state.counts,
                cancelled=state.batch.cancelled_at is not None,
            )
            for state in states
        ]
    )
