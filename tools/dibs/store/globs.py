"""Path patterns: ``*`` and ``?`` stay within a folder, ``**`` crosses folders, ``[ab]`` is a choice."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=512)
def compile_glob(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression for whole paths with slashes; one without a slash matches in any folder."""
    text = pattern.removeprefix("./")
    if "/" not in text:
        text = f"**/{text}"
    out, i = "", 0
    while i < len(text):
        if text.startswith("**/", i):
            out, i = out + r"(?:[^/]+/)*", i + 3
        elif text.startswith("**", i):
            out, i = out + r".*", i + 2
        elif text[i] == "*":
            out, i = out + r"[^/]*", i + 1
        elif text[i] == "?":
            out, i = out + r"[^/]", i + 1
        elif text[i] == "[" and (end := text.find("]", i + 2)) > 0:
            choice = text[i + 1 : end].replace("\\", r"\\").replace("[", r"\[")
            out, i = out + f"[{'^' + choice[1:] if choice[0] == '!' else choice}]", end + 1
        else:
            out, i = out + re.escape(text[i]), i + 1
    return re.compile(out, re.DOTALL)


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(compile_glob(pattern).fullmatch(path) for pattern in patterns)
