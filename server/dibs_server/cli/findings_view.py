"""What the doctor found, as people read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.text import Text

from dibs_server.cli.console import shown

Finding = Mapping[str, Any]
MOST_OF_A_KIND = 10
STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan", "mended": "green"}
INDENT = 9


def print_findings(console: Console, answer: Mapping[str, Any]) -> None:
    """The findings, worst first, each with its mend, and what it comes to in one line."""
    for _, group in groupby(answer["findings"], key=lambda f: (f["severity"], f["kind"], f["fixed"])):
        _print_kind(console, list(group))
    console.print(shown(answer["message"], "bold"))


def _print_kind(console: Console, findings: Sequence[Finding]) -> None:
    """The first few of one kind; a mend that is good for several in a row once, below them."""
    first = findings[:MOST_OF_A_KIND]
    for finding, following in zip(first, [*first[1:], None], strict=True):
        word = "mended" if finding["fixed"] else finding["severity"]
        console.print(Text(f"{word:<{INDENT}}", style=STYLES[word]) + shown(f"{_place(finding)}{finding['text']}"))
        if finding["mend"] and (following is None or following["mend"] != finding["mend"]):
            console.print(Text(" " * INDENT) + shown(finding["mend"], "dim"))
    if len(findings) > len(first):
        more = len(findings) - len(first)
        console.print(Text(f"{' ' * INDENT}… and {more} more of this kind; --json has them all", style="dim"))


def _place(finding: Finding) -> str:
    if not finding["path"]:
        return ""
    return f"{finding['path']}:{finding['line']}: " if finding["line"] else f"{finding['path']}: "
