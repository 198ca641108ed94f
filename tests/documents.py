"""What the project's documents show."""

from __future__ import annotations

import re
from pathlib import Path


def fenced(document: Path, language: str) -> list[str]:
    """The document's code blocks in a language."""
    pattern = rf"^```{language}\n(.*?)^```"
    return re.findall(pattern, document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
