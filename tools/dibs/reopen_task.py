"""reopen_task: a person makes a blocked or ended task active again."""

from __future__ import annotations

from dibs.answers import Id, Request, Result, TaskView, view
from dibs.fence import locate
from dibs.session import Call, Session
from dibs.store.claims import Ending, stamp
from dibs.store.errors import NotReady
from dibs.store.header import Change, Raw
from dibs.store.ledger import Hold
from dibs.store.readiness import reserved_for
from dibs.store.reading import StoredTask
from dibs.store.settings import Settings, StatusWord
from dibs.store.task import Task
from dibs.store.task_file import edit_header

OURS_WHEN_DONE = ("completed_at", "outcome", "commit")


class ReopenRequest(Request):
    id: Id


class ReopenResult(Result):
    task: TaskView
    message: str


def reopen_task(session: Session, request: ReopenRequest, call: Call) -> ReopenResult:
    """Set a blocked or ended task to active again; lost attempts are forgotten."""
    return session.store.change(lambda hold: _reopen(session, request, hold))


def _reopen(session: Session, request: ReopenRequest, hold: Hold) -> ReopenResult:
    store = session.store
    stored = find_unheld(session, hold, request.id)
    task = stored.task
    if task.status == "active":
        return ReopenResult(
            task=view(session, stored, with_body=False), message=f"{task.id} is active already; nothing was changed"
        )
    last = hold.endings(task.id).last
    written = store.write(hold, stored, edit_header(stored.file, reopening(stored, last)))
    record_reopening(session, hold, written, task.status, last)
    return ReopenResult(
        task=view(session, written, with_body=False),
        message=f"{task.id} was {task.status} and is active again{reserved_told(written.task, store.settings)}",
    )


def find_unheld(session: Session, hold: Hold, task_id: str) -> StoredTask:
    """The task of an id, once nobody holds it.

    Raises:
        NotReady: somebody does. TaskNotFound, MalformedTask
    """
    stored, claim = locate(session, hold, task_id)
    if claim is None:
        return stored
    who, until = claim.owner.caller or "somebody", stamp(claim.lease_until)
    what = f"`dibs release {claim.id} --steal` takes it back" if session.person else "leave it alone until then"
    raise NotReady(
        f"{claim.id} is held by {who} until {until} at least; {what}. Nothing was changed",
        task_id=claim.id,
        owner=claim.owner.caller,
    )


def reopening(stored: StoredTask, last: Ending | None) -> dict[str, Change]:
    """Status and assignee as the user had them before the claim that ended the task, if that is still known; ``last``
    is its last ending."""
    changes: dict[str, Change] = {"status": "active", "attempts": None, "claim": None}
    if stored.task.status == "done" and "completed_at" in stored.file.entries:
        changes |= dict.fromkeys(OURS_WHEN_DONE)
    former = last.claim.former if last is not None and last.left_status == stored.task.status else None
    if former is not None:
        changes |= {key: None if raw is None else Raw(raw) for key, raw in former.items()}
        changes["status"] = Raw(former["status"] or " active")
    return changes


def record_reopening(session: Session, hold: Hold, written: StoredTask, was: StatusWord, last: Ending | None) -> None:
    """What was before counts no more: a token of then gets no answer of then."""
    now = session.store.now()
    hold.note(now, "reopened", id=written.task.id, was=was)
    if last is not None:
        hold.end(Ending(claim=last.claim, how="reopened", at=now, left_status=written.task.status))


def reserved_told(task: Task, settings: Settings) -> str:
    names = ", ".join(reserved_for(task, settings))
    return f"; it is reserved for {names} by its assignee" if names else ""
