"""The points between steps are for tests alone."""

from __future__ import annotations

from dibs.store import steps


def test_nothing_happens_between_steps_by_default() -> None:
    assert steps.hook is None
    steps.reached("claim.claim_file")
