"""Whether a path, as a wave names it, leads out of the repository. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ABSOLUTE = re.compile(r"[/~]|[A-Za-z]:/")


def is_outside(path: str, roots: Sequence[str]) -> bool:
    """Whether the path or pattern is not in the repository, whose own paths are ``roots``."""
    text = path.strip().replace("\\", "/")
    if _ABSOLUTE.match(text):
        root = next((root for root in roots if f"{text}/".startswith(f"{root.rstrip('/')}/")), None)
        if root is None:
            return True
        text = text[len(root) :]
    depth = 0
    for name in text.split("/"):
        depth += -1 if name == ".." else name not in ("", ".")
        if depth < 0:
            return True
    return False
