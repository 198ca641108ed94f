"""Results about batches as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dibs.answers import counted
from dibs_server.cli.console import shown

Answer = Mapping[str, Any]
BAR_WIDTH = 40
SKIPPED_SHOWN = 10
OUTCOME_STYLES = {"success": "green", "blocked": "red", "failed": "bold red"}
COUNT_STYLES = {"done": "green", "blocked": "red", "failed": "bold red", "in_progress": "yellow", "ready": "bold cyan"}


def counts_of(counts: Mapping[str, int]) -> Text:
    told = [shown(f"{count} {name.replace('_', ' ')}", COUNT_STYLES.get(name, "")) for name, count in counts.items()]
    return Text("  ").join(text for text, count in zip(told, counts.values(), strict=True) if count) or Text("nothing")


def print_created(console: Console, answer: Answer) -> None:
    console.print(shown(answer["message"]))
    for row in answer["skipped"][:SKIPPED_SHOWN]:
        console.print(shown(f"  skipped  {row['task_id']}: {row['why']}", "dim"))
    if answer["skipped_count"] > SKIPPED_SHOWN:
        console.print(shown(f"  … {answer['skipped_count'] - SKIPPED_SHOWN} more", "dim"))


def print_batch(console: Console, answer: Answer) -> None:
    counts, total = answer["counts"], answer["total"]
    console.print(
        shown(answer["name"], "bold")
        + Text(f"  {counted(total, 'task')}, made by ")
        + shown(f"{answer['created_by']} at {answer['created_at']}")
        + (shown(f"  cancelled at {answer['cancelled_at']}", "bold red") if answer["cancelled_at"] else Text())
    )
    with_outcome = total - counts["in_progress"] - counts["ready"] - counts["waiting"]
    if console.is_terminal:
        console.print(ProgressBar(max(1, total), with_outcome, BAR_WIDTH, complete_style="green"))
    console.print(counts_of(counts))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("task", "caller", "since", "file"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for row in answer["in_progress"]:
        table.add_row(
            shown(row["id"]), shown(row["caller"], "bold"), shown(row["since"] or "by hand"), shown(row["path"])
        )
    if answer["in_progress"]:
        console.print(table)
    if answer["summary"] is not None:
        print_workers(console, answer["summary"])


def print_summary(console: Console, answer: Answer) -> None:
    console.print(shown(answer["message"]))
    tokens = f", {answer['total_tokens']:,} tokens" if answer["total_tokens"] else ""
    console.print(shown(f"{answer['runtime_seconds']:g} s{tokens}", "dim"))
    print_workers(console, answer)


def print_workers(console: Console, summary: Answer) -> None:
    for row in summary["workers"]:
        console.print(outcome_line(row))
    for row in summary["skipped"]:
        console.print(shown(f"skipped  {row['task_id']}  {row['why']}", "dim"))


def outcome_line(row: Answer) -> Text:
    """One task's outcome on one line."""
    told = [row[name] for name in ("outcome", "reason", "summary", "commit") if row[name]]
    title = row["title"] if row["title"] != row["task_id"] else ""
    return Text.assemble(
        shown(f"{row['status']:<8}", OUTCOME_STYLES[row["status"]]),
        shown(row["task_id"], "bold"),
        shown(f"  {title}" if title else ""),
        shown(f"  {row['caller']}" if row["caller"] else "", "dim"),
        shown(f"  {' · '.join(told)}" if told else "", "dim"),
    )


def print_batches(console: Console, answer: Answer) -> None:
    if not answer["batches"]:
        console.print(Text("no batches yet; `dibs batch create NAME …` makes one", style="dim"))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("batch", "tasks", "made at", "state"):
        table.add_column(name, justify="right" if name == "tasks" else "left")
    for row in answer["batches"]:
        state = shown("cancelled  ", "bold red") if row["cancelled"] else Text()
        table.add_row(
            shown(row["name"], "bold"), str(row["total"]), row["created_at"], state + counts_of(row["counts"])
        )
    console.print(table)
