"""What came of an agent's work on a task, judged by the task file: never by an exit code or by what the agent says."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dibs import outcomes
from dibs.block_task import BlockRequest, block_task
from dibs.fence import locate
from dibs.outcomes import read_report
from dibs.reconcile import end_claim
from dibs.release_task import ReleaseRequest, release_task
from dibs.reopen_task import ReopenRequest, reopen_task
from dibs.session import Call, Session
from dibs.store.errors import DibsError
from dibs.store.ledger import Hold
from dibs_server.dispatch.attendance import REPORT_SECONDS, patiently
from dibs_server.dispatch.child import tail_of
from dibs_server.dispatch.records import How, Order, Progress, RunFolder
from dibs_server.dispatch.work import quoted

CONFLICT = "Reason (conflict)"
BLOCKED, COMPLETION = "Blocked", "Completion"


def conclude(
    session: Session, folder: RunFolder, order: Order, progress: Progress, told: str, output: Path,
    *, interrupted: bool, stopped: threading.Event,
) -> Progress:  # fmt: skip
    """Judge what an order came to, and write it down; ``output`` is what its program wrote."""
    evidence = quoted(tail_of(output))
    try:
        judged = patiently(
            lambda: judge(session, order, progress, told, evidence, interrupted=interrupted), REPORT_SECONDS, stopped
        )
    except DibsError as error:
        told = f"what became of it could not be reported ({error.message}); its agent: {told}"
        with suppress(DibsError):
            session.store.change(lambda hold: _let_go(session, hold, progress))
        judged = progress.model_copy(update={"how": "failed", "told": told, "ended_at": session.store.now()})
    folder.note(judged)
    return judged


def _let_go(session: Session, hold: Hold, progress: Progress) -> None:
    """End the record of a claim whose task cannot be read or is gone: nobody works on it, and its files are free."""
    claim = hold.claim(progress.task_id)
    if claim is not None and claim.token == progress.token:
        end_claim(session.store, hold, claim, "by_hand", "invalid")


def judge(
    session: Session, order: Order, progress: Progress, told: str, evidence: str, *, interrupted: bool
) -> Progress:
    """What the order came to, now that its program has ended; ``told`` says how that was.

    A task that is still claimed by it is blocked, or put back for another attempt, or because of the interruption.
    Raises DibsError where the directory says no; it may be asked again.
    """
    store = session.store
    # both records are made to agree: a claim that somebody ended by hand is over, one whose record is lost stands again
    stored, claim = store.change(lambda hold: locate(session, hold, order.task_id, progress.token))
    if claim is not None and claim.token == progress.token:
        return _left_in_progress(session, order, progress, told, evidence, interrupted=interrupted)
    task, end = stored.task, {"ended_at": store.now()}
    if task.status == "done":
        return progress.model_copy(update={**end, "how": "completed"})
    if task.status in ("blocked", "review"):
        report = read_report(stored.file.body, BLOCKED)
        if order.again_after_conflict and CONFLICT in report:
            reopen_task(session, ReopenRequest(id=task.id), Call())
            return progress.model_copy(
                update={**end, "how": "conflict", "told": report[CONFLICT], "files": bullets_of(report, "Files")}
            )
        reason = next((text for label, text in report.items() if label.startswith("Reason")), f"it is {task.status}")
        return progress.model_copy(update={**end, "how": "blocked", "told": outcomes.one_line(reason)})
    if task.status in ("cancelled", "failed"):
        return progress.model_copy(update={**end, "how": "failed", "told": f"it is {task.status}"})
    said = "its agent gave it back" if task.status == "active" else "its claim was over before it was done"
    return progress.model_copy(update={**end, "how": "given_back", "told": f"{said}; {told}"})


def _left_in_progress(
    session: Session, order: Order, progress: Progress, told: str, evidence: str, *, interrupted: bool
) -> Progress:
    task_id, token = order.task_id, progress.token
    how: How = "interrupted" if interrupted else "failed"
    told = f"did not finish it: {told}"
    if interrupted:
        release_task(session, ReleaseRequest(id=task_id, claim_token=token), Call())
    elif not order.last:
        note = f"Attempt {order.attempt}: {order.agent} {told}."
        release_task(session, ReleaseRequest(id=task_id, claim_token=token, note=note), Call())
    else:
        request = BlockRequest(
            id=task_id,
            claim_token=token,
            reason=f"{order.agent} {told}",
            kind="agent",
            evidence=evidence,
            next_step=f"See `dibs logs {shlex.quote(task_id)}`; once it is mended, `dibs reopen` the task.",
        )
        block_task(session, request, Call())
    return progress.model_copy(update={"ended_at": session.store.now(), "how": how, "told": told})


def bullets_of(report: Mapping[str, str], label: str) -> tuple[str, ...]:
    """The items of a list in a report."""
    lines = report.get(label, "").splitlines()
    return tuple(line.removeprefix("- ").strip() for line in lines if line.startswith("- "))
