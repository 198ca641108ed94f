"""Named points between the steps of a change, so that a test can stop or kill a process exactly there.

Free when off: ``hook`` is None in every shipped program.
"""

from __future__ import annotations

from collections.abc import Callable

hook: Callable[[str], None] | None = None


def reached(name: str) -> None:
    if hook is not None:
        hook(name)
