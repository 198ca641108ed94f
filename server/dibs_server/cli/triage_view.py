"""What triage changed, or would change, as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dibs_server.cli.console import shown

MAX_ID_WIDTH = 40
MOST_SKIPPED = 10


def print_triaged(console: Console, answer: Mapping[str, Any]) -> None:
    """Each change in a line, each task's id once; then what was left alone and why, and what it comes to."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("id", max_width=MAX_ID_WIDTH, overflow="fold")
    table.add_column("field")
    table.add_column("old → new", overflow="fold")
    table.add_column("why", style="dim", overflow="fold")
    for task in answer["tasks"]:
        for number, change in enumerate(task["changes"]):
            task_id = shown(task["id"]) if number == 0 else Text()
            table.add_row(task_id, shown(change["field"]), _change(change), shown(change["why"]))
    if answer["tasks"]:
        console.print(table)
    for skipped in answer["skipped"][:MOST_SKIPPED]:
        console.print(Text("left alone  ", style="yellow") + shown(f"{skipped['id']}: {skipped['why']}"))
    more = len(answer["skipped"]) - MOST_SKIPPED
    if more > 0:
        console.print(Text(f"… and {more} more left alone; --json has them all", style="dim"))
    console.print(shown(answer["message"], "bold"))


def _change(change: Mapping[str, Any]) -> Text:
    old = shown(change["old"], "red") + Text(" → ", style="dim") if change["old"] else Text("+ ", style="dim")
    return old + shown(change["new"], "green")
