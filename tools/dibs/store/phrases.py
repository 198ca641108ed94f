"""Phrases: words to look for in a text, without regard to case. ``*`` is any part of a word, ``?`` one letter of it.

Matched without going back, and a phrase begins and ends where a word does, so that no phrase takes long in any text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

LETTER = r"[\w-]"
BLANKS = r"\s++"


@dataclass(frozen=True)
class Phrase:
    """A phrase, ready to be looked for in folded text. ``part`` stands in every text that it is found in."""

    pattern: re.Pattern[str]
    part: str


@lru_cache(maxsize=2048)
def compile_phrase(text: str) -> Phrase:
    """The phrase of a text.

    Raises:
        ValueError: it has no letter, and would be found everywhere.
    """
    words = text.casefold().split()
    part = max(re.split(r"[*?\s]", text.casefold()), key=len, default="")
    if not re.search(r"\w", part):
        raise ValueError(f"{text!r} is not a phrase, it has no letter; name the words to look for")
    return Phrase(re.compile(f"(?<!{LETTER}){BLANKS.join(map(_word, words))}(?!{LETTER})"), part)


def _word(word: str) -> str:
    first, *others = (re.escape(part).replace(r"\?", LETTER) for part in word.split("*"))
    if not others:
        return first
    middle = "".join(f"(?>{LETTER}*?{part})" for part in others[:-1])
    # the last part ends the word: taken from behind, which tries each letter of the word once
    return f"{first}{middle}{LETTER}*{others[-1]}"


def fold(text: str) -> str:
    """The text as phrases are looked for in it."""
    return text.casefold()


def found_in(text: str, phrases: Sequence[str]) -> str:
    """The first of the phrases that stands anywhere in folded ``text``; "" when none does."""
    compiled = ((phrase, compile_phrase(phrase)) for phrase in phrases)
    return next((phrase for phrase, c in compiled if c.part in text and c.pattern.search(text)), "")


def begins(text: str, phrases: Sequence[str]) -> str:
    """The first of the phrases that folded ``text`` begins with."""
    return next((phrase for phrase in phrases if compile_phrase(phrase).pattern.match(text)), "")


def equals(text: str, phrases: Sequence[str]) -> str:
    """The first of the phrases that folded ``text`` is, as a whole."""
    return next((phrase for phrase in phrases if compile_phrase(phrase).pattern.fullmatch(text)), "")
