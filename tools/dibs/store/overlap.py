"""Which paths a task's work may change, and whether two such sets have a path in common. Pure.

A pattern is relative to the repository. A plain path covers itself and what is named below it, so that a directory may
be named with or without a slash at its end. ``*``, ``?`` and ``[ab]`` (any one character) stay within a folder, ``**``
crosses folders; a pattern with them and without a slash counts in any folder. In doubt two patterns overlap: too much
waiting is seen. Only a name with a suffix (``api.py``) is not taken for a folder in which anything could lie.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import PurePosixPath

Parts = tuple[str, ...]

_WILD = re.compile(r"[*?\[]")
_BRACES = re.compile(r"\{[^{}]*\}")
_CHOICE = re.compile(r"\[(?:\[:\w+:\]|[^/\]])+\]")
_PLACE_IN_FILE = re.compile(r"(?::\d+(?:-\d+)?|#L\d+(?:-L?\d+)?)$")
MAX_PARTS = 64


@lru_cache(maxsize=65_536)
def parts_of(pattern: str, roots: tuple[str, ...] = (), fold: bool = False) -> Parts:
    """The pattern as names from the repository's root, ``**`` standing for any number of them.

    ``roots`` are the repository's own paths, for patterns that begin with one; ``fold``: its file system takes names
    that differ only in case for the same.
    """
    text = unicodedata.normalize("NFC", pattern.strip()).replace("\\", "/")
    text = _CHOICE.sub("?", _PLACE_IN_FILE.sub("", text))
    while (plainer := _BRACES.sub(lambda found: "**" if "/" in found[0] else "*", text)) != text:
        text = plainer
    parts = _names(text)
    if text.startswith("/"):
        parts = next((parts[len(root) :] for root in map(_names, roots) if parts[: len(root)] == root), parts)
    if fold:
        parts = [part.casefold() for part in parts]
    if len(parts) > MAX_PARTS:
        return (*parts[:MAX_PARTS], "**")
    if len(parts) == 1 and "/" not in text and _WILD.search(parts[0]):
        return ("**", *parts)
    is_folder = not parts or text.endswith("/") or not (_WILD.search(parts[-1]) or PurePosixPath(parts[-1]).suffix)
    return (*parts, "**") if is_folder and parts[-1:] != ["**"] else tuple(parts)


def _names(text: str) -> list[str]:
    names: list[str] = []
    for name in text.split("/"):
        if name == ".." and names and names[-1] not in ("..", "**"):
            names.pop()
        elif name not in ("", ".") and (name, names[-1:]) != ("**", ["**"]):
            names.append("**" if "**" in name else name)
    return names


def plain(parts: Parts) -> Parts | None:
    """The path that the parts name, if they name one and nothing but what is below it; None: they are a pattern."""
    path = parts[:-1] if parts[-1:] == ("**",) else parts
    return None if any(_WILD.search(name) for name in path) else path


def meet(one: Parts, other: Parts) -> bool:
    """Whether some path fits both."""
    for a, b in zip(one, other, strict=False):
        if _WILD.search(a) or _WILD.search(b):
            break
        if a != b:
            return False
    return other[: len(one)] == one or one[: len(other)] == other or _meet(one, other, "**", _names_meet)


def overlap(one: str, other: str, *, roots: tuple[str, ...] = (), fold: bool = False) -> bool:
    """Whether some path fits both patterns; see ``parts_of``."""
    return meet(parts_of(one, roots, fold), parts_of(other, roots, fold))


@lru_cache(maxsize=65_536)
def _names_meet(one: str, other: str) -> bool:
    if not _WILD.search(one + other):
        return one == other
    return _meet(one, other, "*", lambda a, b: a == b or "?" in (a, b))


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
