"""cancel_batch: nothing more of a batch is handed out."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dibs.answers import SHORT_TEXT, Request, Result, counted, listed_few
from dibs.create_batch import BatchName
from dibs.session import Call, Session
from dibs.store.batches import Batch, BatchItem
from dibs.store.body import append_section
from dibs.store.claims import stamp
from dibs.store.errors import DibsError
from dibs.store.ledger import Hold
from dibs.store.task import ENDED
from dibs.store.task_file import edit_header


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
    store.refresh()
    cancelled, in_progress, warnings = 0, [], []
    for item in batch.items:
        if item.id.casefold() in {claim.id.casefold() for claim in store.ledger.claims()}:
            in_progress.append(item.id)
        elif item.path:
            try:
                cancelled += store.change(lambda hold, item=item: _cancel(session, hold, item, request.reason))  # type: ignore[misc]
            except DibsError as error:
                warnings.append(f"{item.id} was not cancelled: {error.message}")
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


def _cancel(session: Session, hold: Hold, item: BatchItem, reason: str) -> int:
    """Cancel one task that was made for the batch, if nobody has it and it has not ended; 1 when that was done."""
    store = session.store
    if hold.claim(item.id) is not None:
        return 0
    stored = store.find(item.id)
    if stored.task.status in ENDED or stored.task.status == "in_progress":
        return 0
    said = [f"**By:** {session.caller('')}, {stamp(store.now())}", *([f"**Reason:** {reason}"] if reason else [])]
    file = edit_header(stored.file, {"status": "cancelled"})
    store.write(hold, stored, append_section(file, "Cancelled", "\n\n".join(said)))
    hold.note(store.now(), "cancelled", id=item.id, status="cancelled")
    return 1
