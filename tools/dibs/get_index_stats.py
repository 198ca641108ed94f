"""get_index_stats: what there is, in numbers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dibs.answers import Request
from dibs.past import Past, percentile, read_past
from dibs.session import Call, Session
from dibs.stock import StatsRow, Stock, take_stock
from dibs.store.claims import stamp

CALLERS_SHOWN = 20


class StatsRequest(Request):
    include_projects: Annotated[bool, Field(description="Also the completion rate of each project.")] = False


class ByCaller(StatsRow):
    """How the claims of a caller ended; ``lost`` ones were taken back, their holder was not heard of again."""

    caller: str
    completed: int
    blocked: int
    released: int
    lost: int


class OldestClaim(StatsRow):
    id: str
    caller: str
    since: str


class SecondsToEnd(StatsRow):
    """From the claim of a task to its completion or block."""

    p50: float
    p95: float
    count: int


class StatsResult(Stock):
    """``by_caller`` and ``seconds_to_end`` are of the last 30 days; ``orphans`` counts the reports and damaged claim
    files that are kept in ``.dibs/orphans/``."""

    by_caller: list[ByCaller]
    oldest_claim: OldestClaim | None
    seconds_to_end: SecondsToEnd | None
    orphans: int


def get_index_stats(session: Session, request: StatsRequest, call: Call) -> StatsResult:
    """Count the tasks: ready, waiting and for what, in progress and by whom, by status. Reads only."""
    store = session.store
    stock = take_stock(session, projects=request.include_projects)
    past = read_past(store.ledger.folder / "journal", store.now())
    oldest = min(store.ledger.claims(), key=lambda claim: claim.claimed_at, default=None)
    return StatsResult(
        **{name: getattr(stock, name) for name in Stock.model_fields},
        by_caller=_by_caller(past),
        oldest_claim=oldest and OldestClaim(id=oldest.id, caller=oldest.owner.caller, since=stamp(oldest.claimed_at)),
        seconds_to_end=_seconds_to_end(past),
        orphans=store.ledger.orphans(),
    )


def _by_caller(past: Past) -> list[ByCaller]:
    rows = [
        ByCaller(
            caller=caller,
            completed=endings["completed"],
            blocked=endings["blocked"],
            released=endings["released"],
            lost=endings["reaped"],
        )
        for caller, endings in past.endings.items()
    ]
    return sorted(rows, key=lambda row: (-row.completed, -row.blocked, row.caller))[:CALLERS_SHOWN]


def _seconds_to_end(past: Past) -> SecondsToEnd | None:
    if not past.seconds:
        return None
    p50, p95 = (round(percentile(past.seconds, percent), 1) for percent in (50, 95))
    return SecondsToEnd(p50=p50, p95=p95, count=len(past.seconds))
