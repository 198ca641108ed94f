"""What completing, blocking and releasing have in common: the fence, the order of the steps, and no report lost."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dibs.answers import EndResult, as_answer, near_ending, ready_among, view
from dibs.fence import Admitted, admit, adopt
from dibs.holding import held_now
from dibs.notifying import post_if_wanted
from dibs.reconcile import end_claim
from dibs.session import Session
from dibs.store.claims import Claim, Ending, How, stamp
from dibs.store.errors import ClaimError, DibsError, MalformedTask, TaskChanged, TaskNotFound
from dibs.store.header import TaskFile
from dibs.store.ledger import Hold
from dibs.store.mutex import MutexGone
from dibs.store.notices import Notice
from dibs.store.reading import StoredTask
from dibs.store.steps import reached

SAVING_SECONDS = (0.05, 0.1, 0.2)


@dataclass(frozen=True)
class EndCall:
    """A call that ends a claim: which, how, with what to write, and what to tell about it.

    ``edit`` gives the new file from the old one and the claim; it may refuse by raising. ``report`` is what must not be
    lost when the file cannot take it.
    """

    session: Session
    task_id: str
    token: str
    how: How
    edit: Callable[[Admitted], TaskFile]
    message: Callable[[StoredTask, Claim | None], str]
    report: str = ""
    warnings: Callable[[StoredTask, Claim | None], list[str]] = lambda stored, claim: []


def end(call: EndCall) -> EndResult:
    """End a claim: task file, journal, claim file, in this order.

    Raises:
        TaskNotFound, MalformedTask, TaskChanged, ClaimLost, NotClaimed, TokenRequired: the report, if there is one, is
            kept in ``.dibs/orphans/`` where it comes from a holder, present or past; the message says where.
    """
    call.session.named(call.task_id, call.token)
    call.session.store.refresh(behind=call.session.alive_name is not None)
    ours = bool(call.token) or call.session.once_held(call.task_id)
    try:
        return _patiently(call)
    except (ClaimError, MalformedTask, TaskChanged, TaskNotFound) as error:
        if ours and call.report:
            _keep_report(call, error)
        raise


def _patiently(call: EndCall) -> EndResult:
    """An editor that saves may leave no file, or half of one, for a moment: look again before saying so."""
    for pause_seconds in SAVING_SECONDS:
        try:
            return call.session.store.change(lambda hold: _end(call, hold))
        except (MalformedTask, TaskNotFound):
            if not call.session.store.ledger.claim(call.task_id):
                raise
            time.sleep(pause_seconds)
    return call.session.store.change(lambda hold: _end(call, hold))


def _end(call: EndCall, hold: Hold) -> EndResult:
    store = call.session.store
    admitted = admit(call.session, hold, call.task_id, call.token, call.how)
    if isinstance(admitted, Ending):
        return _again(call, admitted)
    stored, claim = admitted.stored, admitted.claim
    was_held = held_now(store, store.index, hold.standing())
    near = near_ending(call.session, stored.task, was_held)
    were_ready = ready_among(call.session, near, was_held)
    try:
        file = call.edit(admitted)
    except DibsError as error:
        adopt(call.session, hold, admitted)  # the work goes on, and whoever has the token goes on with it
        if isinstance(error, MalformedTask):
            raise error.at(stored.task.path, task_id=stored.task.id) from None
        raise
    reached("end.read")
    written = store.write(hold, stored, file)
    reached("end.task_file")
    are_ready = ready_among(call.session, near, was_held.without(stored.task))
    result = EndResult(
        task=view(call.session, written, with_body=False),
        newly_ready=[are_ready[key] for key in sorted(are_ready.keys() - were_ready.keys())],
        message=call.message(written, claim),
        warnings=call.warnings(written, claim),
    )
    if claim is not None:
        # the file has it by now: a ledger that went away between the steps has no claim to end any more
        with suppress(MutexGone, FileNotFoundError):
            answer, report = as_answer(result), _digest(call.report)
            end_claim(store, hold, claim, call.how, written.task.status, answer=answer, report=report)
        call.session.let_go(claim)
    else:
        task, caller, now = written.task, call.session.caller(""), store.now()
        hold.note(now, call.how, id=task.id, status=task.status, caller=call.session.client)
        notice = Notice(id=task.id, path=task.path, status=task.status, caller=caller, at=now)
        post_if_wanted(store, hold, notice, f"{now:%Y%m%dT%H%M%S%f}")
    return result


def _again(call: EndCall, past: Ending) -> EndResult:
    """The same token after the same ending: the same answer. A crash may have cost the answer, never the ending.

    A report that is another one than the first is not written into the file any more, but kept.
    """
    if past.answer is not None:
        result = EndResult.model_validate(past.answer)
    else:
        stored = call.session.store.find(past.claim.id)
        task = view(call.session, stored, with_body=False)
        result = EndResult(task=task, newly_ready=[], message=call.message(stored, past.claim), warnings=[])
    if not call.report or _digest(call.report) == past.report:
        return result
    kept = _keep(call)
    told = (
        f"{past.claim.id} had ended before this call, and its file has the report of then; this one was kept in {kept}"
    )
    return result.model_copy(update={"warnings": [*result.warnings, told]})


def _digest(report: str) -> str:
    return hashlib.sha256(report.encode("utf-8", "replace")).hexdigest() if report else ""


def _keep(call: EndCall) -> Path:
    """Keep a report that does not go into its task file."""
    now = call.session.store.now()
    text = f"# {call.task_id}, {call.how} at {stamp(now)}\n\n{call.report}\n"
    return call.session.store.ledger.keep_orphan(call.task_id, now, text)


def _keep_report(call: EndCall, error: DibsError) -> None:
    try:
        path = _keep(call)
    except (OSError, DibsError):
        return
    error.message = f"{error.message.rstrip('.')}. Your report was kept in {path}"
    error.args = (error.message,)
    error.facts = {**error.facts, "report": str(path)}
