"""cancel_batch: nothing more of a batch is handed out."""

from __future__ import annotations

import time
from typing import Annotated

from pydantic import Field

from dibs.answers import SHORT_TEXT, Request, Result, counted, listed_few
from dibs.batch_state import state_of_batch
from dibs.create_batch import BatchName
from dibs.session import Call, Session
from dibs.store.batches import Batch
from dibs.store.errors import DibsError
from dibs.store.ledger import Hold
from dibs.update_task import UpdateRequest, update_task

TO_CANCEL = ("ready", "waiting", "blocked", "review")


class CancelBatchRequest(Request):
    name: BatchName
    reason: Annotated[str, Field(max_length=SHORT_TEXT, description="Why; it goes into the tasks made for it.")] = ""


class CancelBatchResult(Result):
    name: str
    cancelled: int
    in_progress: list[str]
    message: str


def cancel_batch(session: Session, request: CancelBatchRequest, call: Call) -> CancelBatchResult:
    """Cancel a batch: nothing of it is handed out any more, and the tasks made for its files are cancelled.

    Tasks that were there before stay as they are, and whoever works on one goes on.
    """
    store = session.store
    batch = store.change(lambda hold: _mark(session, hold, store.batches.get(request.name)))
    reason = request.reason.strip() or f"Batch {batch.name} was cancelled."
    state = state_of_batch(session, batch, store.snapshot(after=time.monotonic()))
    to_cancel = [item.item.id for item in state.items if item.item.path and item.status in TO_CANCEL]
    cancelled, warnings = 0, []
    for task_id in to_cancel:
        try:
            update_task(session, UpdateRequest(id=task_id, action="cancel", reason=reason), call)
            cancelled += 1
        except DibsError as error:  # somebody was quicker, or its file cannot be written
            warnings.append(f"{task_id} was not cancelled: {error.message}")
    in_progress = [row.id for row in state.at_work]
    still = f"; {listed_few(in_progress)} in progress, and may be finished" if in_progress else ""
    return CancelBatchResult(
        name=batch.name,
        cancelled=cancelled,
        in_progress=in_progress,
        message=f"Batch {batch.name} is cancelled: {counted(cancelled, 'task')} made for it cancelled{still}",
        warnings=warnings,
    )


def _mark(session: Session, hold: Hold, batch: Batch) -> Batch:
    session.store.batches.settle(hold, batch)
    if batch.cancelled_at is None:
        batch = batch.model_copy(update={"cancelled_at": session.store.now()})
        session.store.batches.replace(hold, batch)
        hold.note(session.store.now(), "batch_cancelled", batch=batch.name)
    return batch
