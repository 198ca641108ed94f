"""renew_task: keep a claim from a shell."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dibs.answers import Id, Request, Result, Token
from dibs.fence import Admitted, admit, adopt
from dibs.session import Call, Session
from dibs.store.claims import stamp
from dibs.store.errors import ClaimLost, NotClaimed
from dibs.store.ledger import Hold


class RenewRequest(Request):
    id: Id
    claim_token: Token = ""
    lease: Annotated[float, Field(ge=0, le=31_536_000, description="Lease in seconds; 0: as it was.")] = 0


class RenewResult(Result):
    id: str
    lease_until: str
    message: str


def renew_task(session: Session, request: RenewRequest, call: Call) -> RenewResult:
    """Renew the lease of a claim, with its token."""
    return session.store.change(lambda hold: _renew(session, request, hold))


def _renew(session: Session, request: RenewRequest, hold: Hold) -> RenewResult:
    admitted = admit(session, hold, request.id, request.claim_token, None)
    if not isinstance(admitted, Admitted) or admitted.late:
        raise ClaimLost(f"your claim on {request.id} is over; claim it again by its id", task_id=request.id)
    if admitted.claim is None:
        raise NotClaimed(
            f"nobody holds {request.id}, so there is no lease to renew; claim it first", task_id=request.id
        )
    claim = adopt(session, hold, admitted) or admitted.claim
    renewed = claim.renewed(session.store.now(), lease_seconds=request.lease or None)
    hold.replace(renewed)
    until = stamp(renewed.lease_until)
    return RenewResult(id=renewed.id, lease_until=until, message=f"{renewed.id} is yours until {until}")
