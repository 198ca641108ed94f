"""What the servers of one client process hold: a session of Claude Code, say, with its subagents behind one server."""

from __future__ import annotations

from dibs.release_task import ReleaseRequest, release_task
from dibs.session import Call, Session
from dibs.store.claims import Claim
from dibs.store.errors import DibsError
from dibs.store.processes import ProcessMark
from dibs.store.task_store import TaskStore


def claims_of_client(store: TaskStore, client: ProcessMark) -> list[Claim]:
    """The claims of the servers that this process started on this machine, oldest first. Reads only."""
    mine = [
        claim
        for claim in store.ledger.claims()
        if claim.owner.host == store.host and client.is_same(claim.owner.started_by)
    ]
    return sorted(mine, key=lambda claim: (claim.claimed_at, claim.id))


def release_claims_of_client(session: Session, client: ProcessMark, note: str) -> list[str]:
    """Give back what this process's servers hold, each task with the note in its body; the ids given back.

    A task that cannot be given back (its file cannot be read, say) stays claimed until its lease has passed.
    """
    released = []
    for claim in claims_of_client(session.store, client):
        request = ReleaseRequest(id=claim.id, claim_token=claim.token, note=note)
        try:
            release_task(session, request, Call())
        except DibsError:
            continue
        released.append(claim.id)
    return released
