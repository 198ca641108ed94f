"""Which claim a caller may take up again after an interruption: never a living sibling's."""

from __future__ import annotations

from dibs.reconcile import reconcile
from dibs.session import Session
from dibs.store.claims import Claim
from dibs.store.errors import InvalidArguments, MalformedTask, TaskNotFound
from dibs.store.ledger import Hold
from dibs.store.reading import StoredTask


def resumable(session: Session, hold: Hold, caller: str, named: bool, task_id: str) -> tuple[StoredTask, Claim] | None:
    """The caller's claim whose server is gone, or one of this process that no call has named since; with its task.

    ``named``: the caller gave its name itself. ``task_id``: only the claim on this task; "" means any.

    Raises:
        InvalidArguments: there are several; the message lists them.
    """
    mine = [
        claim
        for claim in hold.claims()
        if claim.owner.caller.casefold() == caller.casefold()
        and task_id.strip().casefold() in ("", claim.id.casefold())
        and (session.is_unnamed(claim) if session.is_ours(claim) else _is_abandoned(hold, claim, named))
    ]
    found = [pair for claim in mine if (pair := _still_held(session, hold, claim)) is not None]
    if len(found) > 1:
        ids = ", ".join(sorted(claim.id for _, claim in found))
        raise InvalidArguments(
            f"{caller} has {len(found)} interrupted claims: {ids}. Call again with resume and the id of one"
        )
    return found[0] if found else None


def _is_abandoned(hold: Hold, claim: Claim, named: bool) -> bool:
    """Its server is gone. A shell's claim never had one: only a caller who gives its name counts as its owner."""
    if claim.owner.alive is None:
        return named
    return not hold.is_alive(claim)


def _still_held(session: Session, hold: Hold, claim: Claim) -> tuple[StoredTask, Claim] | None:
    try:
        stored = session.store.find_claimed(claim)
    except (TaskNotFound, MalformedTask):
        return None
    standing = reconcile(session.store, hold, stored, claim)
    return (stored, standing) if standing is not None else None
