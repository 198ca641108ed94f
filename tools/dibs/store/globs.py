"""Path patterns: ``*`` and ``?`` stay within a folder, ``**`` crosses folders, ``[ab]`` is a choice.

Matched without going back: a part between two ``**``, or a text between two ``*``, is taken where it fits first, since
whatever follows it has most room there. So no pattern takes long, however many stars it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

Part = tuple[re.Pattern[str], ...]
"""Consecutive folders or names, each as a pattern."""


@lru_cache(maxsize=512)
def compile_glob(pattern: str) -> tuple[Part, ...]:
    """The parts of the pattern between its ``**``; one without a slash matches in any folder."""
    text = pattern.removeprefix("./")
    parts: list[list[re.Pattern[str]]] = [[]]
    for name in (["**"] if "/" not in text else []) + text.split("/"):
        end = name.lstrip("*")
        if name.startswith("**"):
            parts.append([])
        if name and (end or not name.startswith("**")):
            parts[-1].append(_name_pattern(f"*{end}" if name.startswith("**") else name))
    if len(parts) > 1 and not parts[-1]:
        parts[-1].append(_name_pattern("*"))  # `folder/**` is what is in the folder, not the folder
    return tuple(map(tuple, parts))


def _name_pattern(text: str) -> re.Pattern[str]:
    first, *others = ("".join(tokens) for tokens in _between_stars(text))
    if not others:
        return re.compile(first, re.DOTALL)
    return re.compile(first + "".join(f"(?>.*?{each})" for each in others[:-1]) + f".*{others[-1]}", re.DOTALL)


def _between_stars(text: str) -> Iterator[list[str]]:
    tokens: list[str] = []
    i = 0
    while i < len(text):
        if text[i] == "*":
            yield tokens
            tokens, i = [], i + 1
        elif text[i] == "?":
            tokens, i = [*tokens, "."], i + 1
        elif text[i] == "[" and (end := text.find("]", i + 2)) > 0:
            choice = text[i + 1 : end].replace("\\", r"\\").replace("[", r"\[")
            tokens, i = [*tokens, f"[{'^' + choice[1:] if choice[0] == '!' else choice}]"], end + 1
        else:
            tokens, i = [*tokens, re.escape(text[i])], i + 1
    yield tokens


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    names = path.split("/")
    return any(_fits(names, compile_glob(pattern)) for pattern in patterns)


def _fits(names: Sequence[str], parts: Sequence[Part]) -> bool:
    first, *others = parts
    if not _stands_at(0, names, first):
        return False
    if not others:
        return len(names) == len(first)
    *middle, last = others
    at = len(first)
    for part in middle:
        found = next((start for start in range(at, len(names)) if _stands_at(start, names, part)), None)
        if found is None:
            return False
        at = found + len(part)
    return len(names) - len(last) >= at and _stands_at(len(names) - len(last), names, last)


def _stands_at(start: int, names: Sequence[str], part: Part) -> bool:
    there = names[start : start + len(part)]
    return len(there) == len(part) and all(p.fullmatch(name) for p, name in zip(part, there, strict=True))
