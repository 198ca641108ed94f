"""Leases that renew themselves: a server renews its claims every ``renew_seconds``, without a call from a model."""

from __future__ import annotations

from contextlib import suppress

from dibs.reconcile import reconcile
from dibs.session import Session
from dibs.store.claims import Claim
from dibs.store.errors import DibsError, MalformedTask, TaskNotFound
from dibs.store.ledger import Hold
from dibs.store.steps import reached
from dibs.taking import take_back


def renew_claims(session: Session) -> None:
    """Renew every claim of this session whose caller has called within ``max_idle_seconds``, and take back those that
    nobody was told of.

    Re-reads each token under the mutex and stops for good where it is no longer there. What cannot be renewed now (a
    busy mutex, a full disk) is tried again at the next turn.
    """
    for left, before in session.left():
        with suppress(DibsError):
            take_back(session, left, before)
    limit = session.store.settings.claims.max_idle_seconds
    for claim in session.held():
        last_call = session.last_call(claim)
        if (session.store.now() - last_call).total_seconds() >= limit:
            continue
        fresh = claim.model_copy(update={"last_call_at": last_call})
        try:
            session.store.change(lambda hold, fresh=fresh: _renew(session, hold, fresh))  # type: ignore[misc]
        except DibsError:
            continue


def _renew(session: Session, hold: Hold, claim: Claim) -> None:
    present = hold.claim(claim.id)
    if present is None and hold.endings(claim.id).of(claim.token) is not None:
        session.let_go(claim)
        return
    if present is not None and (
        present.token != claim.token or present.owner.alive not in (None, claim.owner.alive)
    ):  # another claim, or adopted by the server that its caller speaks through by now
        session.let_go(claim)
        return
    session.keep_alive(hold)
    try:
        path = _still_ours(session, hold, claim, present)
    except TaskNotFound:
        return  # deleted, or gone for a moment: if it stays away, the lease passes and frees its files
    except MalformedTask:
        # a file in the middle of a merge: the claim file alone says that we hold it
        path = claim.path if present is not None else None
    if path is None:
        session.let_go(claim)
        return
    renewed = claim.model_copy(update={"path": path}).renewed(session.store.now(), last_call_at=claim.last_call_at)
    reached("renew.read")
    hold.replace(renewed)
    session.renewed(renewed)


def _still_ours(session: Session, hold: Hold, claim: Claim, present: Claim | None) -> str | None:
    """Where the task's file is, if the claim still stands; None: somebody ended it, or both records are gone."""
    store = session.store
    stored = store.find_claimed(claim)
    if present is None:
        # .dibs was lost in mid-work: the task file alone can say that the claim is ours
        says_so = stored.task.status == "in_progress" and stored.task.token == claim.token
        return stored.task.path if says_so else None
    return stored.task.path if reconcile(store, hold, stored, present) is not None else None
