"""Results as people read them. Each function prints one kind of result; ``--json`` goes past all of them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dibs.answers import counted
from dibs_server.cli.batch_view import print_batch, print_batches, print_created, print_summary
from dibs_server.cli.console import plain, shown, warn
from dibs_server.cli.findings_view import print_findings
from dibs_server.cli.result_view import print_run
from dibs_server.cli.triage_view import print_triaged
from dibs_server.cli.wave_view import print_plan

Answer = Mapping[str, Any]
MAX_ID_WIDTH = 40
MIN_TITLE_WIDTH = 12
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
    console.print()
    finish = f"dibs complete {shlex.quote(task['id'])} --claim-token {answer['claim_token']} --summary '…'"
    console.print(Text("when done    ", style="dim") + shown(finish))


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
    rows = answer["tasks"]
    if not rows:
        console.print(Text("no such task; `dibs add` makes one", style="dim"))
        return
    columns = {"id": MAX_ID_WIDTH, "status": len("in_progress"), "P": 1, "project": 16, "assignee": 16}
    shown_rows = [_row(row) for row in rows]
    widths = {
        name: max(len(name), min(most, max(row[name].cell_len for row in shown_rows)))
        for name, most in columns.items()
        if name not in ("project", "assignee") or any(row[name] for row in shown_rows)
    }

    # rich would shrink every column for a long title; only the title may give way, and then what matters least
    def left() -> int:
        return console.width - sum(widths.values()) - 2 * len(widths)

    for name in ("assignee", "project"):
        if left() < MIN_TITLE_WIDTH:
            widths.pop(name, None)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, width in widths.items():
        table.add_column(name, width=width, no_wrap=name != "id", overflow="fold" if name == "id" else "ellipsis")
    table.add_column("title", max_width=max(MIN_TITLE_WIDTH, left()), no_wrap=True, overflow="ellipsis")
    for row in shown_rows:
        table.add_row(*(row[name] for name in widths), row["title"])
    console.print(table)
    if len(rows) < answer["total"]:
        console.print(Text(f"… {answer['total'] - len(rows)} more", style="dim"))


def _row(row: Answer) -> dict[str, Text]:
    word = "ready" if row["ready"] else row["status"]
    style = "bold cyan" if row["ready"] else STYLES.get(row["status"], "")
    cells = {name: shown(row[name]) for name in ("id", "project", "assignee", "title")}
    return {**cells, "status": shown(word, style), "P": Text(str(row["priority"]))}


def _stats(console: Console, answer: Answer) -> None:
    waiting = sum(answer["waiting_on"].values())
    console.print(
        Text(counted(answer["total"], "task"), style="bold")
        + Text(f", {counted(answer['notes'], 'note')}    ")
        + Text(f"{answer['ready']} ready", style="bold cyan")
        + Text(f"    {len(answer['in_progress'])} in progress", style="yellow")
        + Text(f"    {waiting} waiting")
    )
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim")
    table.add_column()
    waiting_on = {kind: n for kind, n in answer["waiting_on"].items() if n}
    for label, counts in (
        ("by status", answer["by_status"]),
        ("by type", answer["by_type"]),
        ("waiting on", waiting_on),
    ):
        if counts:
            table.add_row(label, counts_line(counts))
    for row in answer["in_progress"]:
        until = f" until {row['lease_until']}" if row["lease_until"] else " by hand"
        table.add_row("in progress", shown(f"{row['id']}  {row['caller']}{until}"))
    for row in answer["by_caller"]:
        endings = counts_line({word: row[word] for word in ("completed", "blocked", "released", "lost") if row[word]})
        table.add_row("30 days", shown(f"{row['caller'] or 'a person'}  ") + endings)
    if answer["seconds_to_end"]:
        took = answer["seconds_to_end"]
        half, most = _duration(took["p50"]), _duration(took["p95"])
        table.add_row("to the end", f"half within {half}, 95 % within {most} ({took['count']} claims)")
    for row in answer["projects"] or []:
        rate = f"{row['done']}/{row['total']} done, {row['completion_rate']:.0%}"
        table.add_row("project", shown(f"{row['project'] or '(none)'}  {rate}, {row['ready']} ready"))
    for row in answer["invalid"]["first"]:
        line = f":{row['line']}" if row["line"] else ""
        table.add_row(Text("invalid", style="red"), shown(f"{row['path']}{line}: {row['cause']}"))
    if answer["invalid"]["count"] > len(answer["invalid"]["first"]):
        table.add_row(
            "", f"… {answer['invalid']['count'] - len(answer['invalid']['first'])} more; `dibs list` names all"
        )
    if answer["stale"]:
        told = f"{counted(answer['stale'], 'claim')} past the lease or without a record; the next claim settles that"
        table.add_row(Text("stale", style="red"), told)
    if answer["orphans"]:
        told = f"{counted(answer['orphans'], 'file')} in .dibs/orphans: what came too late for its task, or was damaged"
        table.add_row(Text("orphans", style="red"), told)
    console.print(table)


def _reaped(console: Console, answer: Answer) -> None:
    for row in answer["reaped"]:
        console.print(shown(row["id"], "bold") + shown(f"  {row['caller']} since {row['since']}: {row['why']}"))
    _message(console, answer)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def counts_line(counts: Mapping[str, int]) -> Text:
    return Text("  ").join(Text(f"{count} ") + shown(word, STYLES.get(word, "")) for word, count in counts.items())


RENDERERS: Mapping[str, Callable[[Console, Answer], None]] = {
    "claim_next_task": _claimed,
    "complete_task": _ended,
    "block_task": _ended,
    "release_task": _ended,
    "get_task": _task,
    "get_index_stats": _stats,
    "list_tasks": _listed,
    "reap_claims": _reaped,
    "examine_tasks_dir": print_findings,
    "create_batch": print_created,
    "get_batch": print_batch,
    "list_batches": print_batches,
    "summarize_batch": print_summary,
    "triage_tasks": print_triaged,
    "get_wave": print_run,
    "plan_wave": print_plan,
}
