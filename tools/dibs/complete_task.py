"""complete_task: the work is done."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dibs import reports
from dibs.answers import LONG_TEXT, SHORT_TEXT, EndResult, Id, Request, Texts, Token
from dibs.ending import EndCall, end
from dibs.fence import Admitted, require_open
from dibs.session import Call, Session
from dibs.store.body import unticked_items
from dibs.store.claims import Claim, stamp
from dibs.store.errors import ChecklistOpen
from dibs.store.header import TaskFile
from dibs.store.reading import StoredTask

ITEMS_SHOWN = 20


class CompleteRequest(Request):
    id: Id
    claim_token: Token = ""
    summary: Annotated[str, Field(max_length=LONG_TEXT, description="What you did.")] = ""
    outcome: Annotated[str, Field(max_length=SHORT_TEXT, description="A few words, such as approved.")] = ""
    files_changed: Annotated[Texts, Field(description="Paths you changed.")] = []
    commit: Annotated[str, Field(max_length=100, description="Commit id, if any.")] = ""
    evidence: Annotated[str, Field(max_length=LONG_TEXT, description="How you checked it.")] = ""
    tokens_used: Annotated[int, Field(ge=0, description="Tokens it took you.")] = 0
    ignore_checklist: Annotated[bool, Field(description="Complete despite unticked items.")] = False


def complete_task(session: Session, request: CompleteRequest, call: Call) -> EndResult:
    """Finish a task you claimed, once it is done and checked. Unticked "- [ ]" items in its file refuse."""
    lines = _lines(request)
    return end(
        EndCall(
            session=session,
            task_id=request.id,
            token=request.claim_token,
            how="completed",
            edit=lambda admitted: _edit(session, request, admitted),
            message=lambda stored, claim: f"{stored.task.id} is done. Claim the next task, or stop",
            report="\n\n".join(lines),
            warnings=lambda stored, claim: _unpromised(request, claim),
        )
    )


def _edit(session: Session, request: CompleteRequest, admitted: Admitted) -> TaskFile:
    stored, claim = admitted.stored, admitted.claim
    require_open(admitted)
    _require_ticked(session, request, stored)
    now = session.store.now()
    who = claim.owner.caller if claim else session.caller("")
    since = f", claimed {stamp(claim.claimed_at)}" if claim and not claim.planted else ""
    head = f"**By:** {who}, {stamp(now)}{since}"
    one_line = " ".join(request.outcome.split())
    return reports.completed(
        stored.file, claim, now, outcome=one_line, commit=request.commit.strip(), lines=[head, *_lines(request)]
    )


def _lines(request: CompleteRequest) -> list[str]:
    return [
        *([request.summary.strip()] if request.summary.strip() else []),
        *reports.labelled("Outcome", request.outcome),
        *reports.bullets("Files changed", request.files_changed),
        *reports.labelled("Commit", request.commit),
        *reports.labelled("Evidence", request.evidence),
        *(reports.labelled("Tokens used", str(request.tokens_used)) if request.tokens_used else []),
    ]


def _require_ticked(session: Session, request: CompleteRequest, stored: StoredTask) -> None:
    items = unticked_items(stored.file.body)
    if not items or request.ignore_checklist:
        return
    more = f" (and {len(items) - ITEMS_SHOWN} more)" if len(items) > ITEMS_SHOWN else ""
    listed = "".join(f"\n- [ ] {item}" for item in items[:ITEMS_SHOWN])
    raise ChecklistOpen(
        f"{stored.task.id} is not completed, {len(items)} checklist items are not ticked. Do them and tick them in "
        f"{session.store.tasks_dir / stored.task.path}, or call again with ignore_checklist if they do not apply:"
        f"{listed}{more}",
        task_id=stored.task.id,
        items=items,
    )


def _unpromised(request: CompleteRequest, claim: Claim | None) -> list[str]:
    if claim is None or not claim.files or request.files_changed:
        return []
    return [f"no changed files were named, though {', '.join(claim.files)} were to be changed"]
