"""What a run of agents came to, as people read it: a line a task, and the sum of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from dibs_server.cli.console import shown

STYLES = {"completed": "green", "failed": "red", "blocked": "red", "skipped": "yellow"}


def print_run(console: Console, answer: Mapping[str, Any]) -> None:
    for task_id, row in answer["tasks"].items():
        _print_line(console, _row_line(task_id, row))
        if row["review"]:
            review = row["review"]
            fix = f", see {review['fix_task']}" if review["fix_task"] else ""
            _print_line(console, shown(f"           review: {review['outcome'] or review['status']}{fix}"))
    for error in answer["errors"]:
        if answer["tasks"][error["task_id"]]["status"] == "completed":  # the others say it in their own line
            console.print(shown(f"{error['task_id']}: {error['message']}"))
    seconds, tokens = answer["runtime_seconds"], answer["total_tokens"]
    spent = f", {tokens} tokens" if tokens else ""
    console.print(shown(f"{answer['run_id']} {answer['status']}: {answer['message']}; {seconds:.0f} s{spent}", "bold"))


def _row_line(task_id: str, row: Mapping[str, Any]) -> Text:
    line = shown(f"{row['status']:<10} ", STYLES.get(row["status"], "")) + shown(task_id, "bold")
    return line + shown(f"  {row['summary']}") if row["summary"] else line


def _print_line(console: Console, line: Text) -> None:
    line.truncate(console.width, overflow="ellipsis")
    console.print(line)
