"""The truth table: what each pair of a task file and a claim file means."""

from __future__ import annotations

import pytest

from dibs.store.claims import Claim, Owner, host_mark
from dibs.store.settings import STATUS_WORDS
from dibs.store.truth import Standing, judge
from support import NOON, make

X, Y = f"{host_mark('h1')}-xxxxxxxxxxx", f"{host_mark('h1')}-yyyyyyyyyyy"
ELSEWHERE = f"{host_mark('h2')}-xxxxxxxxxxx"


def held_by(token: str) -> Claim:
    return Claim(
        id="t-1",
        path="t-1.md",
        token=token,
        owner=Owner(caller="gemini"),
        claimed_at=NOON,
        lease_until=NOON,
        lease_seconds=120,
        last_call_at=NOON,
    )


@pytest.mark.parametrize(
    ("status", "in_file", "claim", "means"),
    [
        ("active", "", X, Standing.UNWRITTEN),
        ("active", X, X, Standing.UNWRITTEN),
        ("in_progress", X, X, Standing.HELD),
        ("in_progress", X, Y, Standing.HELD),
        ("in_progress", "", X, Standing.HELD),
        ("in_progress", "", None, Standing.PERSON),
        ("in_progress", "mine", None, Standing.PERSON),
        ("in_progress", X, None, Standing.LOST_RECORD),
        ("in_progress", ELSEWHERE, None, Standing.ELSEWHERE),
        ("done", X, X, Standing.ENDED_BY_HAND),
        ("blocked", X, X, Standing.ENDED_BY_HAND),
        ("done", "", X, Standing.ENDED_BY_HAND),
        ("on_hold", X, X, Standing.ENDED_BY_HAND),
    ],
)
def test_each_pair_of_records_has_one_meaning(status: str, in_file: str, claim: str | None, means: Standing) -> None:
    task = make(f"status: {status}" + (f"\nclaim: {in_file}" if in_file else ""))
    assert judge(task, held_by(claim) if claim else None, "h1") is means


@pytest.mark.parametrize("status", [word for word in STATUS_WORDS if word != "in_progress"])
def test_nobody_holds_a_task_without_a_claim_file_that_is_not_in_progress(status: str) -> None:
    assert judge(make(f"status: {status}\nclaim: {X}"), None, "h1") is Standing.FREE
