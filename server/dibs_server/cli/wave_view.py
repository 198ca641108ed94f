"""What a wave would do, as people read it: its rounds, what does not start and why, and what the agents may do.

Nothing is wider than the terminal. Ids lose their middle, titles and files their end; reasons and permissions are never
cut, they go on in the next line.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from dibs.answers import counted
from dibs_server.cli.console import cut_middle, one_line, shown

Answer = Mapping[str, Any]
Cells = dict[str, Text]
GAP = "  "
INDENT = 2
NO_PERMISSIONS = "whatever its own settings allow"
INDENT_OF_DETAILS = 6
LEFT_OF = {"task": 3, "agent": 4}
"""These columns take at most one part in so many of the width; the title has the rest."""
STATE_STYLES = {"new": "cyan", "done": "green", "held": "yellow", "waiting": "magenta", "invalid": "bold red"}


def print_plan(console: Console, answer: Answer) -> None:
    """The pre-flight first, then the rounds, then what does not start, then the agents."""
    _print_wrapped(console, shown(one_line(answer["message"]), "bold"))
    cells = [_cells(row) for row in answer["tasks"]]
    widths = {
        name: min(console.width // part, max(row[name].cell_len for row in cells)) for name, part in LEFT_OF.items()
    }
    blocks = {number: f"round {number}" for number in range(1, len(answer["rounds"]) + 1)} | {0: "not started"}
    for number, heading in blocks.items():
        rows = [(row, cell) for row, cell in zip(answer["tasks"], cells, strict=True) if row["round"] == number]
        if rows:
            _print_heading(console, f"{heading}: {counted(len(rows), 'task')}")
        for row, cell in rows:
            _print_task(console, row, cell, widths)
    if answer["agents"]:
        _print_heading(console, "agents and what they may do")
    for row in answer["agents"]:
        _print_wrapped(console, _agent(row), INDENT)


def _cells(row: Answer) -> Cells:
    model = f" ({row['model']})" if row["model"] else ""
    return {
        "task": shown(one_line(row["task_id"]), "bold"),
        "agent": shown(one_line(row["agent"] + model)),
        "title": shown(one_line(row["title"]) if row["title"] != row["task_id"] else ""),
    }


def _print_task(console: Console, row: Answer, cells: Cells, widths: Mapping[str, int]) -> None:
    """A line, and below it what else there is to say."""
    parts = [_fitted(cells[name], width, name) for name, width in widths.items() if width]
    line = Text(" " * INDENT) + Text(GAP).join([*parts, cells["title"]])
    line.rstrip()
    _print_cut(console, line)
    if row["round"] == 0:
        state = shown(row["state"], STATE_STYLES.get(row["state"], ""))
        _print_wrapped(console, state + shown(f": {one_line(row['why'])}" if row["why"] else ""), INDENT_OF_DETAILS)
    elif told := list(_details(row)):
        _print_cut(console, Text(" " * INDENT_OF_DETAILS) + Text(GAP).join(told))


def _fitted(text: Text, width: int, name: str) -> Text:
    cell = cut_middle(text, width) if name == "task" else text.copy()
    cell.truncate(width, overflow="ellipsis", pad=True)
    return cell


def _details(row: Answer) -> Iterator[Text]:
    if row["state"] == "new":
        yield shown("new", STATE_STYLES["new"])
    if row["kind"]:
        yield shown(row["kind"])
    if row["review"]:
        yield shown("to be reviewed", "magenta")
    if row["files"]:
        yield shown(one_line(", ".join(row["files"])), "dim")


def _agent(row: Answer) -> Text:
    program = f" ({row['program']})" if row["program"] != row["agent"] else ""
    permissions = shlex.join(row["permissions"]) or NO_PERMISSIONS
    return shown(one_line(row["agent"] + program), "bold") + Text(GAP) + shown(one_line(permissions), "yellow")


def _print_heading(console: Console, heading: str) -> None:
    console.print()
    _print_cut(console, Text(heading, style="dim"))


def _print_cut(console: Console, line: Text) -> None:
    line.truncate(console.width, overflow="ellipsis")
    console.print(line)


def _print_wrapped(console: Console, text: Text, indent: int = 0) -> None:
    for line in text.wrap(console, max(1, console.width - indent)):
        line.rstrip()
        console.print(Text(" " * indent) + line)
