"""How long the fuzzing of this folder lasts: ``DIBS_FUZZ=100`` tries a hundred times as many examples."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("DIBS_FUZZ", "1"))


def tries(examples: int) -> settings:
    """So many examples of a test, times ``DIBS_FUZZ``."""
    return settings(deadline=None, max_examples=examples * TIMES, suppress_health_check=[HealthCheck.too_slow])
