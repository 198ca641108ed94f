"""release_task: give a task back as it was."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dibs import reports
from dibs.answers import LONG_TEXT, EndResult, Id, Request, Token
from dibs.ending import EndCall, end
from dibs.fence import Admitted, locate
from dibs.session import Call, Session
from dibs.store.body import append_section
from dibs.store.claims import Claim, stamp
from dibs.store.errors import NotClaimed
from dibs.store.header import TaskFile
from dibs.store.ledger import Hold
from dibs.store.reading import StoredTask
from dibs.store.task_file import edit_header


class ReleaseRequest(Request):
    id: Id
    claim_token: Token = ""
    note: Annotated[str, Field(max_length=LONG_TEXT, description="For whoever takes it next.")] = ""
    steal: Annotated[
        bool, Field(description="Take it from whoever holds it.", json_schema_extra={"shell_only": True})
    ] = False


def release_task(session: Session, request: ReleaseRequest, call: Call) -> EndResult:
    """Give a task you claimed back undone, exactly as it was. Others may take it at once."""
    token = request.claim_token
    if request.steal:
        held = session.store.change(lambda hold: _holder(session, hold, request.id))
        token = held.token if held is not None else ""
    return end(
        EndCall(
            session=session,
            task_id=request.id,
            token=token,
            how="taken_away" if request.steal else "released",
            edit=lambda admitted: _edit(session, request, admitted),
            message=lambda stored, claim: f"{stored.task.id} was given back and is {stored.task.status} again",
            report=request.note.strip(),
        )
    )


def _holder(session: Session, hold: Hold, task_id: str) -> Claim | None:
    """Who holds the task now; a person may speak for any claim."""
    return locate(session, hold, task_id)[1]


def _edit(session: Session, request: ReleaseRequest, admitted: Admitted) -> TaskFile:
    stored, claim = admitted.stored, admitted.claim
    if claim is not None:
        file = reports.put_back(stored.file, claim)
    elif request.steal and stored.task.status == "in_progress":
        file = edit_header(stored.file, {"status": "active", "claim": None})
    else:
        raise NotClaimed(
            f"nobody holds {stored.task.id} (it is {stored.task.status}), so there is nothing to give back"
            + ("; --steal sets work that is in progress by hand to active" if session.person else ""),
            task_id=stored.task.id,
        )
    if not request.note.strip() or _is_noted(stored, claim, request.note.strip()):
        return file
    who = claim.owner.caller if claim else session.caller("")
    head = f"**By:** {who}, {stamp(session.store.now())}"
    return append_section(file, "Note", f"{head}\n\n{request.note.strip()}")


def _is_noted(stored: StoredTask, claim: Claim | None, note: str) -> bool:
    """The file was given back with this note before, and only the claim file was left when the call failed."""
    given_back = claim is not None and stored.task.token != claim.token
    return given_back and stored.file.body.rstrip().endswith(note)
