"""reopen_task: a person makes a blocked or ended task active again."""

from __future__ import annotations

from dibs.answers import Id, Request, Result, TaskView, view
from dibs.fence import locate
from dibs.session import Call, Session
from dibs.store.claims import Ending
from dibs.store.errors import NotReady
from dibs.store.header import Change, Raw
from dibs.store.ledger import Hold
from dibs.store.readiness import reserved_for
from dibs.store.reading import StoredTask
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
    stored, claim = locate(session, hold, request.id)
    task = stored.task
    if claim is not None:
        raise NotReady(
            f"{task.id} is held by {claim.owner.caller or 'somebody'}; `dibs release {task.id} --steal` takes it back",
            task_id=task.id,
            owner=claim.owner.caller,
        )
    if task.status == "active":
        return ReopenResult(
            task=view(session, stored, with_body=False), message=f"{task.id} is active already; nothing was changed"
        )
    last = hold.endings(task.id).last
    written = store.write(hold, stored, edit_header(stored.file, _changes(stored, last)))
    hold.note(store.now(), "reopened", id=task.id, was=task.status)
    if last is not None:
        hold.end(Ending(claim=last.claim, how="reopened", at=store.now(), left_status=written.task.status))
    names = ", ".join(reserved_for(written.task, store.settings))
    reserved = f"; it is reserved for {names} by its assignee" if names else ""
    return ReopenResult(
        task=view(session, written, with_body=False),
        message=f"{task.id} was {task.status} and is active again{reserved}",
    )


def _changes(stored: StoredTask, last: Ending | None) -> dict[str, Change]:
    """Status and assignee as the user had them before the claim that ended the task, if that is still known."""
    changes: dict[str, Change] = {"status": "active", "attempts": None, "claim": None}
    if stored.task.status == "done" and "completed_at" in stored.file.entries:
        changes |= dict.fromkeys(OURS_WHEN_DONE)
    former = last.claim.former if last is not None and last.left_status == stored.task.status else None
    if former is not None:
        changes |= {key: None if raw is None else Raw(raw) for key, raw in former.items()}
        changes["status"] = Raw(former["status"] or " active")
    return changes
