"""Taking a task, taking it up again, and taking a claim back: the steps of a claim, in their order.

Claim file, task file, journal. A crash between two of them leaves records that say what happened: see the truth table.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from dibs import reports
from dibs.session import Call, CallCancelled, Session
from dibs.store.claims import Claim, new_token
from dibs.store.errors import MalformedTask, TaskNotFound
from dibs.store.header import TaskFile
from dibs.store.ledger import Hold
from dibs.store.mutex import StartOver
from dibs.store.reading import StoredTask
from dibs.store.steps import reached
from dibs.store.task import Task
from dibs.store.task_file import edit_header

EARLIER_KEPT = 8


@dataclass(frozen=True)
class Taker:
    """Who takes a task, in which call, for how long, and from which batch, if from one; ``files`` are reserved besides
    the task's own."""

    caller: str
    call: Call
    lease_seconds: float
    batch: str | None = None
    files: tuple[str, ...] = ()


def take(session: Session, hold: Hold, stored: StoredTask, by: Taker) -> tuple[Claim, StoredTask]:
    """Claim a task that was found ready on these bytes.

    Raises:
        MalformedTask: its header cannot be edited safely; nothing was written.
        FileChanged, MutexGone: start over; nothing is left behind.
        CallCancelled: the caller gave up; the claim was taken back.
    """
    store, task, now = session.store, stored.task, session.store.now()
    try:
        before = reports.without_left_over(stored.file)
        claim = _claim_of(session, task, by, reports.former_of(before))
        file = reports.take(before, by.caller, claim.token)
        _rehearse(file, before, claim)
    except MalformedTask as error:
        raise error.at(task.path, task_id=task.id) from None
    store.require_settled(stored)
    reached("claim.read")
    session.keep_alive(hold)
    by.call.check()
    hold.create(claim)
    reached("claim.claim_file")
    taken = _write(session, hold, stored, file, claim)
    reached("claim.task_file")
    hold.note(now, "claimed", id=claim.id, token=claim.token, caller=by.caller, client=session.client)
    reached("claim.journal")
    if by.call.cancelled:
        undo(session, hold, claim)
        raise CallCancelled
    session.took(claim)
    return claim, taken


def with_files(task: Task, files: tuple[str, ...]) -> Task:
    """The task, as if its work changed these files too."""
    return replace(task, files=tuple(dict.fromkeys((*task.files, *files)))) if files else task


def _claim_of(session: Session, task: Task, by: Taker, former: dict[str, str | None]) -> Claim:
    now = session.store.now()
    return Claim(
        id=task.id,
        path=task.path,
        token=new_token(session.store.host),
        owner=session.owner(by.caller),
        claimed_at=now,
        lease_until=now,
        lease_seconds=by.lease_seconds,
        last_call_at=now,
        files=with_files(task, by.files).files,
        batch=by.batch,
        former=former,
    ).renewed(now)


def _write(
    session: Session, hold: Hold, stored: StoredTask, file: TaskFile, claim: Claim, before: Claim | None = None
) -> StoredTask:
    """Write a claim into its task file. Where that fails the claim file is again as it was ``before``."""
    try:
        return session.store.write(hold, stored, file)
    except BaseException:
        try:
            hold.drop(claim) if before is None else hold.replace(before)
        except OSError:
            session.leave(claim, before)
        raise


def _rehearse(file: TaskFile, before: TaskFile, claim: Claim) -> None:
    """Try every later edit now: a header found uneditable after the work is done would cost the report."""
    edit_header(
        file, {"status": "done", "claim": None, "completed_at": "x", "outcome": "x", "commit": "x", "attempts": "1"}
    )
    if reports.put_back(file, claim).data != before.data:
        raise MalformedTask("its header would not come back as it was; write one plain `key: value` a line")


def undo(session: Session, hold: Hold, claim: Claim, before: Claim | None = None) -> None:
    """Take a claim back as if it had never been: no attempt is counted, no ending recorded.

    ``before`` is the claim that was taken up under this new token; it stands again.
    """
    store = session.store
    present = hold.claim(claim.id)
    if present is None or present.token != claim.token:
        return
    try:
        stored = store.find_claimed(claim)
        if stored.task.token == claim.token and stored.task.status == "in_progress":
            store.write(hold, stored, _undone(stored.file, claim, before))
    except (TaskNotFound, MalformedTask):
        pass  # the claim goes all the same; the file is its user's to mend
    if before is None:
        hold.drop(claim)
    else:
        hold.replace(before)
    hold.note(store.now(), "rolled_back", id=claim.id, token=claim.token, caller=claim.owner.caller)


def _undone(file: TaskFile, claim: Claim, before: Claim | None) -> TaskFile:
    return reports.put_back(file, claim) if before is None else reports.take(file, before.owner.caller, before.token)


def roll_back(session: Session, claim: Claim, before: Claim | None = None) -> None:
    """Undo a claim whose answer nobody waits for any more. What fails now is tried again at every renewal."""
    session.leave(claim, before)
    take_back(session, claim, before)


def take_back(session: Session, claim: Claim, before: Claim | None) -> None:
    """Undo a claim that was left: nobody was told of it, and its server would keep it for hours."""
    session.store.change(lambda hold: undo(session, hold, claim, before))
    _is_back(session, claim, before)


def give_up(session: Session, hold: Hold, claim: Claim, before: Claim | None) -> None:
    """Undo, under the mutex, a claim that its caller cannot be told of. What fails is tried again at every renewal."""
    session.leave(claim, before)
    with suppress(OSError, StartOver):
        undo(session, hold, claim, before)
        _is_back(session, claim, before)


def _is_back(session: Session, claim: Claim, before: Claim | None) -> None:
    session.cleared(claim)
    if before is not None and session.is_ours(before):
        session.took(before)


def take_up(
    session: Session, hold: Hold, stored: StoredTask, before: Claim, caller: str, call: Call, lease_seconds: float
) -> tuple[Claim, StoredTask]:
    """Give a claim to this session under a new token: whoever still has the old one is fenced off.

    Raises:
        FileChanged, MutexGone: start over; the claim is as it was.
        CallCancelled: the caller gave up; the claim is as it was.
    """
    store, now = session.store, session.store.now()
    store.require_settled(stored)
    session.keep_alive(hold)
    update = {"token": new_token(store.host), "owner": session.owner(caller), "path": stored.task.path}
    update["earlier"] = (*before.earlier, before.token)[-EARLIER_KEPT:]
    claim = before.model_copy(update=update).renewed(now, lease_seconds=lease_seconds)
    file = reports.take(stored.file, caller, claim.token)
    reached("resume.read")
    call.check()
    hold.replace(claim)
    reached("resume.claim_file")
    taken = _write(session, hold, stored, file, claim, before)
    reached("resume.task_file")
    hold.note(now, "resumed", id=claim.id, token=claim.token, caller=caller, client=session.client)
    if call.cancelled:
        undo(session, hold, claim, before)
        raise CallCancelled
    session.let_go(before)
    session.took(claim)
    return claim, taken
