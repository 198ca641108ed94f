"""The promises of docs/claims.md, held against random histories of calls, deaths, hands, git and lost records."""

from __future__ import annotations

import os

import pytest
from claim_machine import ClaimMachine
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

HISTORIES = 120 * int(os.environ.get("DIBS_FUZZ", "1"))
"""New ones in every run; ``DIBS_FUZZ=10`` tries ten times as many."""
STEPS = 20


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(4))
def test_no_history_breaks_a_promise(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # nobody pulls the plug here, and histories stay cheap
    run_state_machine_as_test(
        ClaimMachine,
        settings=settings(
            max_examples=HISTORIES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize=False,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # shrinking takes minutes; add Phase.shrink to look into a failure
        ),
    )
