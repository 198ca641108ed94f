"""Where the CLI prints: answers on stdout, what went wrong on stderr. Colours only on a terminal."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from rich.console import Console
from rich.text import Text

from dibs.store.errors import DibsError

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
EXIT_CODES = {
    "invalid_arguments": 2,
    "not_ready": 4,
    "not_claimed": 4,
    "claim_lost": 4,
    "token_required": 4,
    "file_conflict": 4,
    "checklist": 4,
    "not_found": 5,
    "invalid_task": 6,
    "settings": 6,
    "task_changed": 7,
    "busy": 7,
    "io": 7,
}
NOTHING_TO_CLAIM = 3
GIVEN_UP = 130
UNBOUNDED_WIDTH = 100_000


def plain(text: str) -> str:
    """Text from a file, safe for a terminal: no escape sequences, nothing that turns the reading direction."""
    return CONTROL.sub("\ufffd", text.replace("\r\n", "\n"))


def shown(text: str, style: str = "") -> Text:
    return Text(plain(text), style=style)


def one_line(text: str) -> str:
    return " ".join(text.split())


def cut_middle(task_id: Text, most: int) -> Text:
    """An id that is too long loses its middle: at the end it differs from others of its project."""
    text = task_id.plain
    if task_id.cell_len <= most or task_id.cell_len != len(text):
        return task_id.copy()
    tail = (most - 1) * 2 // 3
    return Text(f"{text[: most - 1 - tail]}…{text[-tail:]}", style=task_id.style)


def out() -> Console:
    """The console of stdout: as wide as the terminal, and as wide as it takes where a program or a file reads."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = UNBOUNDED_WIDTH
    return console


def print_json(answer: Mapping[str, Any]) -> None:
    """One JSON object on stdout, safe for a terminal too; a lone surrogate in a file must not end the program."""
    _print_safe(json.dumps(answer, ensure_ascii=False, indent=2))


def print_json_line(answer: Mapping[str, Any]) -> None:
    """The same on one line, for readers that take them line by line."""
    _print_safe(json.dumps(answer, ensure_ascii=False, separators=(",", ":")))


def _print_safe(text: str) -> None:
    text = CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    sys.stdout.buffer.write(text.encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()


def abandon_stdout() -> None:
    """Nobody reads on: what is still to be written goes nowhere, so that the end of the program does not fail too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(error: DibsError, as_json: bool) -> NoReturn:
    if as_json:
        print_json(error.to_json())
    else:
        complain(error.message)
    sys.exit(EXIT_CODES[error.code])


def complain(message: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text("dibs: ", style="bold red") + shown(message))


def warn(message: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text("note: ", style="yellow") + shown(message))
