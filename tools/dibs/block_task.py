"""block_task: the work cannot go on without somebody else."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from dibs import reports
from dibs.answers import LONG_TEXT, EndResult, Id, Request, Texts, Token
from dibs.ending import EndCall, end
from dibs.fence import Admitted, require_open
from dibs.session import Call, Session
from dibs.store.claims import stamp
from dibs.store.header import TaskFile


class BlockRequest(Request):
    id: Id
    reason: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=LONG_TEXT),
        Field(description="What stands in the way."),
    ]
    claim_token: Token = ""
    kind: Annotated[
        Literal["human", "dependency", "agent", "environment", "external", "conflict"],
        Field(description="What it waits for; human if left out."),
    ] = "human"
    evidence: Annotated[str, Field(max_length=LONG_TEXT, description="What you saw.")] = ""
    next_step: Annotated[str, Field(max_length=LONG_TEXT, description="What would unblock it.")] = ""
    files: Annotated[Texts, Field(description="Files in conflict.")] = []


def block_task(session: Session, request: BlockRequest, call: Call) -> EndResult:
    """Give up a task you claimed and cannot finish: say why, and what would help. Do not retry it."""
    lines = [
        *reports.labelled(f"Reason ({request.kind})", request.reason),
        *reports.bullets("Files", request.files),
        *reports.labelled("Evidence", request.evidence),
        *reports.labelled("Next step", request.next_step),
    ]
    return end(
        EndCall(
            session=session,
            task_id=request.id,
            token=request.claim_token,
            how="blocked",
            edit=lambda admitted: _edit(session, admitted, lines),
            message=lambda stored, claim: f"{stored.task.id} is blocked. Do not retry it; claim the next task, or stop",
            report="\n\n".join(lines),
        )
    )


def _edit(session: Session, admitted: Admitted, lines: list[str]) -> TaskFile:
    require_open(admitted)
    who = admitted.claim.owner.caller if admitted.claim else session.caller("")
    head = f"**By:** {who}, {stamp(session.store.now())}"
    return reports.blocked(admitted.stored.file, admitted.claim, [head, *lines])
