"""Results as people read them. Each function prints one kind of result; ``--json`` goes past all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dibs_server.cli.console import plain, shown, warn

Answer = Mapping[str, Any]
STYLES = {
    "active": "cyan",
    "in_progress": "yellow",
    "blocked": "red",
    "review": "magenta",
    "done": "green",
    "inbox": "dim",
    "on_hold": "dim",
    "cancelled": "dim",
    "failed": "red",
}


def render(name: str, console: Console, answer: Answer) -> None:
    """Print a result the way its tool deserves, then its warnings on stderr."""
    RENDERERS.get(name, _message)(console, answer)
    for warning in answer["warnings"]:
        warn(warning)


def _message(console: Console, answer: Answer) -> None:
    console.print(shown(answer["message"]))


def _claimed(console: Console, answer: Answer) -> None:
    if answer["status"] == "empty":
        _message(console, answer)
        return
    task = answer["task"]
    _head(console, task)
    console.print(Text("claim token  ", style="dim") + shown(answer["claim_token"], "bold yellow"))
    console.print(Text("lease until  ", style="dim") + shown(answer["lease_until"]))
    _body(console, task)


def _head(console: Console, task: Answer) -> None:
    console.print(shown(task["id"], "bold") + Text("  ") + shown(task["title"]))
    facts = [task["status"], f"P{task['priority']}", task["type"], task["project"], task["complexity"]]
    console.print(Text(plain("  ".join(str(fact) for fact in facts if fact)), style=STYLES.get(task["status"], "")))
    rows = {
        "tags": ", ".join(task["tags"]),
        "due": task["due"],
        "depends on": ", ".join(task["depends_on"]),
        "files": ", ".join(task["files"]),
        "attempts": str(task["attempts"] or ""),
        "path": task["path"],
    }
    for label, value in rows.items():
        if value:
            console.print(Text(f"{label:<13}", style="dim") + shown(value))


def _body(console: Console, task: Answer) -> None:
    if task["body"]:
        console.print()
        console.print(shown(task["body"]))


def _task(console: Console, answer: Answer) -> None:
    _head(console, answer["task"])
    _body(console, answer["task"])


def _ended(console: Console, answer: Answer) -> None:
    _message(console, answer)
    if answer["newly_ready"]:
        console.print(Text("now ready: ", style="dim") + shown(", ".join(answer["newly_ready"])))


def _listed(console: Console, answer: Answer) -> None:
    if not answer["tasks"]:
        console.print(Text("no such task", style="dim"))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("id", "status", "P", "project", "assignee"):
        table.add_column(name, no_wrap=True)
    table.add_column("title", overflow="ellipsis", no_wrap=True)
    for row in answer["tasks"]:
        word = "ready" if row["ready"] else row["status"]
        style = "bold cyan" if row["ready"] else STYLES.get(row["status"], "")
        texts = (row["id"], word, str(row["priority"]), row["project"], row["assignee"], row["title"])
        table.add_row(*(shown(text, style if text == word else "") for text in texts))
    console.print(table)
    if len(answer["tasks"]) < answer["total"]:
        console.print(Text(f"… {answer['total'] - len(answer['tasks'])} more", style="dim"))


def _stats(console: Console, answer: Answer) -> None:
    waiting = sum(answer["waiting_on"].values())
    console.print(
        Text(f"{answer['total']} tasks", style="bold")
        + Text(f", {answer['notes']} notes    ")
        + Text(f"{answer['ready']} ready", style="bold cyan")
        + Text(f"    {len(answer['in_progress'])} in progress", style="yellow")
        + Text(f"    {waiting} waiting")
    )
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim")
    table.add_column()
    table.add_row("by status", _counts(answer["by_status"]))
    table.add_row("by type", _counts(answer["by_type"]))
    table.add_row("waiting on", _counts({kind: n for kind, n in answer["waiting_on"].items() if n}))
    for row in answer["in_progress"]:
        until = f" until {row['lease_until']}" if row["lease_until"] else " by hand"
        table.add_row("in progress", shown(f"{row['id']}  {row['caller']}{until}"))
    for row in answer["projects"] or []:
        rate = f"{row['done']}/{row['total']} done, {row['completion_rate']:.0%}"
        table.add_row("project", shown(f"{row['project'] or '(none)'}  {rate}, {row['ready']} ready"))
    for row in answer["invalid"]["first"]:
        line = f":{row['line']}" if row["line"] else ""
        table.add_row(Text("invalid", style="red"), shown(f"{row['path']}{line}: {row['cause']}"))
    if answer["invalid"]["count"] > len(answer["invalid"]["first"]):
        table.add_row("", f"… {answer['invalid']['count'] - len(answer['invalid']['first'])} more invalid")
    if answer["stale"]:
        table.add_row(
            Text("stale", style="red"), f"{answer['stale']} claims past their lease; the next claim settles them"
        )
    console.print(table)


def _counts(counts: Mapping[str, int]) -> Text:
    return Text("  ").join(Text(f"{count} ") + shown(word, STYLES.get(word, "")) for word, count in counts.items())


RENDERERS: Mapping[str, Callable[[Console, Answer], None]] = {
    "claim_next_task": _claimed,
    "complete_task": _ended,
    "block_task": _ended,
    "release_task": _ended,
    "get_task": _task,
    "get_index_stats": _stats,
    "list_tasks": _listed,
}
