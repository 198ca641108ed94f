"""reap_claims: take back now what the next claim would take back, and what nobody has asked about for long."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from dibs.answers import Request, Result, counted, listed_few
from dibs.reconcile import end_claim, reap, reconcile
from dibs.session import Call, Session
from dibs.store.claims import Claim, stamp
from dibs.store.errors import DibsError, InvalidArguments, TaskNotFound
from dibs.store.ledger import Hold
from dibs.store.truth import Standing, judge


class ReapRequest(Request):
    older_than_hours: Annotated[
        float, Field(ge=0, le=8760, description="Also claims whose caller has not called for so long; at least 1.")
    ] = 0
    project: Annotated[str, Field(max_length=200, description="Only this project.")] = ""
    dry_run: Annotated[bool, Field(description="Only tell.")] = False


class Reaped(BaseModel):
    """``why`` it was taken back, or would be."""

    model_config = ConfigDict(frozen=True)

    id: str
    caller: str
    since: str
    last_call: str
    why: str


class ReapResult(Result):
    """``left`` is how many claims stand after that."""

    reaped: list[Reaped]
    left: int
    message: str


def reap_claims(session: Session, request: ReapRequest, call: Call) -> ReapResult:
    """Take back the claims of dead agents now; each task goes back as it was, one attempt more."""
    store = session.store
    if 0 < request.older_than_hours < 1:
        raise InvalidArguments(
            "older_than_hours is 0 (only what is due anyway) or at least 1: an agent at work may not call for a while. "
            "Nothing was taken back"
        )
    index = store.refresh(after=time.monotonic())
    reaped, warnings = [], []
    for claim in sorted(store.ledger.claims(), key=lambda claim: claim.claimed_at):
        task = index.tasks.get(claim.id.casefold())
        project = task.project if task is not None else ""
        if request.project and project.casefold() != request.project.casefold():
            continue
        call.check()
        try:
            row = store.change(lambda hold, token=claim.token, id=claim.id: _reap(session, request, hold, id, token))  # type: ignore[misc]
        except DibsError as error:
            warnings.append(f"{claim.id} was left alone: {error.message}")
        else:
            reaped += [row] if row is not None else []
    left = len(store.ledger.claims()) - (len(reaped) if request.dry_run else 0)
    verb = "would be taken back" if request.dry_run else "taken back"
    return ReapResult(
        reaped=reaped,
        left=left,
        message=f"{counted(len(reaped), 'claim')} {verb}, {left} left",
        warnings=[*warnings, *_by_hand(session, request)],
    )


def _reap(session: Session, request: ReapRequest, hold: Hold, task_id: str, token: str) -> Reaped | None:
    """Take this claim back, if it still stands and is due; None: it is not."""
    store = session.store
    claim = hold.claim(task_id)
    why = _why(session, request, hold, claim) if claim is not None and claim.token == token else ""
    if claim is None or not why:
        return None
    if not request.dry_run:
        try:
            stored = store.find_claimed(claim)
            if reconcile(store, hold, stored, claim) is None:  # a person ended it meanwhile
                return None
            reap(store, hold, store.again(stored), claim)
        except TaskNotFound:
            end_claim(store, hold, claim, "by_hand", "deleted")
            why += "; its file is gone"
    return Reaped(
        id=claim.id,
        caller=claim.owner.caller,
        since=stamp(claim.claimed_at),
        last_call=stamp(claim.last_call_at),
        why=why,
    )


def _why(session: Session, request: ReapRequest, hold: Hold, claim: Claim) -> str:
    """Why a claim is to be taken back; "" when it is not."""
    now, settings = session.store.now(), session.store.settings.claims
    if claim.lease_passed(now):
        if not hold.is_alive(claim):
            return "its lease has passed, and its server is gone"
        if claim.idle(now, settings.max_idle_seconds):
            return "its lease has passed, and its caller has not called for long"
    silent = now - claim.last_call_at
    if request.older_than_hours and silent >= timedelta(hours=request.older_than_hours):
        return f"its caller has not called for {silent.total_seconds() / 3600:.1f} hours"
    return ""


def _by_hand(session: Session, request: ReapRequest) -> list[str]:
    store = session.store
    ids = [
        task.id
        for task in store.index.in_progress
        if judge(task, None, store.host) is Standing.PERSON
        and (not request.project or task.project.casefold() == request.project.casefold())
    ]
    told = f"in progress by hand, which only a person takes back (`dibs release ID --steal`): {listed_few(ids)}"
    return [told] if ids else []
