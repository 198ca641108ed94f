"""Standard input, line by line, with escaped halves of characters mended.

A client in JavaScript that cuts a text in the middle of an emoji sends ``\\ud83d`` alone. That is no character, the SDK
drops the whole line without a word, and the report in it would be lost.
"""

from __future__ import annotations

import io
import re
from typing import BinaryIO

ESCAPES = re.compile(
    r"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)


def mended(line: str) -> str:
    """The line with each lone surrogate escape replaced by U+FFFD; escaped backslashes and whole pairs stay."""
    if "\\ud" not in line and "\\uD" not in line:
        return line
    return ESCAPES.sub(lambda found: found[1] or r"\ufffd", line)


class MendedInput(io.TextIOWrapper):
    """UTF-8 text; bytes that are not become U+FFFD too."""

    def __init__(self, buffer: BinaryIO) -> None:
        super().__init__(buffer, encoding="utf-8", errors="replace")

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        return mended(super().readline(size))
