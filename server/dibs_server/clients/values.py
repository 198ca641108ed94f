"""What configurations are made of, whatever format they are written in."""

from __future__ import annotations

from collections.abc import Mapping

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]
Path = tuple[str, ...]
"""Keys from the root of a document down to a member of it."""


class BrokenText(ValueError):
    """A text that its format does not allow, or that cannot be edited without damage. ``line`` counts from 1."""

    def __init__(self, cause: str, line: int | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.line = line


def value_at(document: Mapping[str, Value], path: Path) -> Value:
    """The member at a path; None where there is none."""
    found: Value = dict(document)
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def table_at(document: Mapping[str, Value], path: Path) -> dict[str, Value]:
    """The table at a path; an empty one where there is none."""
    found = value_at(document, path)
    return found if isinstance(found, dict) else {}
