"""explain_task: what stands in a task's way."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from dibs.answers import Id, Request, Result
from dibs.holding import held_now
from dibs.session import Call, Session
from dibs.store.claims import stamp
from dibs.store.readiness import find_cycle, obstacles
from dibs.store.truth import Standing, judge


class ExplainRequest(Request):
    id: Id
    caller: Annotated[str, Field(max_length=200, description="Who would take it.")] = ""


class InTheWay(BaseModel):
    model_config = ConfigDict(frozen=True)

    kind: str
    text: str
    task_ids: list[str]


class ExplainResult(Result):
    id: str
    ready: bool
    obstacles: list[InTheWay]
    cycle: list[str]
    message: str


def explain_task(session: Session, request: ExplainRequest, call: Call) -> ExplainResult:
    """Say in one line what stands in a task's way. Reads only."""
    store = session.store
    stored = store.find(request.id)
    task, snapshot = stored.task, store.snapshot()
    claim = store.ledger.claim(task.id)
    held = held_now(store, snapshot, store.ledger.standing())
    found = list(obstacles(task, snapshot, store.settings, caller=request.caller or None, held=held))
    cycle = find_cycle(task, snapshot.tasks.get)
    texts = [obstacle.text for obstacle in found]
    if claim is not None:
        texts = [f"it is held by {claim.owner.caller or 'somebody'} until {stamp(claim.lease_until)} at least"]
    elif judge(task, None, store.host) is Standing.PERSON:
        texts = ["it is in progress by hand: a person's work"]
    elif judge(task, None, store.host) is Standing.ELSEWHERE:
        texts = [f"it is in progress on another machine; `dibs release {task.id} --steal` takes it back"]
    if cycle:
        texts.append(f"its dependencies run in a circle: {' → '.join(cycle)}; take one out")
    return ExplainResult(
        id=task.id,
        ready=not texts,
        obstacles=[InTheWay(kind=o.kind, text=o.text, task_ids=list(o.task_ids)) for o in found],
        cycle=list(cycle),
        message=f"{task.id} is {'ready' if not texts else 'not ready: ' + '; '.join(texts)}",
    )
