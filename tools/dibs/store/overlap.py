"""Which paths a task's work may change, and whether two such sets have a path in common. Pure.

A pattern is relative to the repository. A plain path covers itself and what is named below it, so that a directory may
be named with or without a slash at its end. ``*``, ``?`` and ``[ab]`` stay within a folder, ``**`` crosses folders; a
pattern with them and without a slash counts in any folder. In doubt two patterns overlap: too much waiting is seen.
Only a name with a suffix (``api.py``) is not taken for a folder in which anything could lie.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import PurePosixPath

_WILD = re.compile(r"[*?\[]")
_BRACES = re.compile(r"\{[^{}]*\}")
_TOKEN = re.compile(r"\[!?[^/\]]+\]|.", re.DOTALL)
MAX_PARTS = 64


@lru_cache(maxsize=65_536)
def overlap(one: str, other: str, *, root: str = "", fold: bool = False) -> bool:
    """Whether some path fits both patterns. ``root``: the repository, for patterns that name it; ``fold``: its file
    system takes names that differ only in case for the same."""
    a, b = _parts(one, root, fold), _parts(other, root, fold)
    return b[: len(a)] == a or a[: len(b)] == b or _meet(a, b, "**", _names_meet)


@lru_cache(maxsize=65_536)
def _parts(pattern: str, root: str, fold: bool) -> tuple[str, ...]:
    """The pattern as names from the repository's root, ``**`` standing for any number of them."""
    text = unicodedata.normalize("NFC", pattern.strip()).replace("\\", "/")
    if root and (text == root or text.startswith(f"{root}/")):
        text = text[len(root) :]
    while (plainer := _BRACES.sub(lambda found: "**" if "/" in found[0] else "*", text)) != text:
        text = plainer
    if fold:
        text = text.casefold()
    parts: list[str] = []
    for part in text.split("/"):
        if part == ".." and parts and parts[-1] not in ("..", "**"):
            parts.pop()
        elif part not in ("", ".") and (part, parts[-1:]) != ("**", ["**"]):
            parts.append("**" if "**" in part else part)
    if len(parts) > MAX_PARTS:
        return (*parts[:MAX_PARTS], "**")
    if len(parts) == 1 and "/" not in text and _WILD.search(parts[0]):
        return ("**", *parts)
    is_folder = not parts or text.endswith("/") or not (_WILD.search(parts[-1]) or PurePosixPath(parts[-1]).suffix)
    return (*parts, "**") if is_folder else tuple(parts)


@lru_cache(maxsize=65_536)
def _names_meet(one: str, other: str) -> bool:
    if not _WILD.search(one + other):
        return one == other
    return _meet(_TOKEN.findall(one), _TOKEN.findall(other), "*", _characters_meet)


def _characters_meet(one: str, other: str) -> bool:
    if len(other) > 1 or other == "?":
        one, other = other, one
    return one == "?" or len(other) > 1 or other == "?" or (fnmatchcase(other, one) if len(one) > 1 else one == other)


def _meet(one: Sequence[str], other: Sequence[str], star: str, alike: Callable[[str, str], bool]) -> bool:
    """Whether some sequence fits both, where ``star`` stands for any number of elements."""
    reached, seen = [(0, 0)], {(0, 0)}
    while reached:
        i, j = reached.pop()
        if i == len(one) and j == len(other):
            return True
        a, b = one[i] if i < len(one) else None, other[j] if j < len(other) else None
        after = []
        if a == star:
            after += [(i + 1, j)] + ([(i, j + 1)] if b is not None else [])
        if b == star:
            after += [(i, j + 1)] + ([(i + 1, j)] if a is not None else [])
        if a is not None and b is not None and star not in (a, b) and alike(a, b):
            after.append((i + 1, j + 1))
        for place in after:
            if place not in seen:
                seen.add(place)
                reached.append(place)
    return False
