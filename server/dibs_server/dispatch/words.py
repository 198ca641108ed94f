"""Filling in the words of a command: each place by what belongs there, in one pass."""

from __future__ import annotations

from collections.abc import Mapping


def fill(word: str, values: Mapping[str, str]) -> str:
    """The word with its places filled in; what is filled in is not looked through again, though it may have braces."""
    first = min((place for place in values if place in word), key=word.index, default=None)
    if first is None:
        return word
    before, _, after = word.partition(first)
    return before + values[first] + fill(after, values)
