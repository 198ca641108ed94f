"""What the judge says of one promise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """``tested``: how often the promise was put to the test; each breach in a sentence."""

    promise: str
    tested: int
    breaches: list[str]
