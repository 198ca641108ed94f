"""What the subcommands of batches have beside the table: work named on standard input, summaries for people."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from dibs.answers import counted
from dibs.batch_items import is_text
from dibs.session import Call
from dibs.store.errors import DibsError, InvalidArguments
from dibs_server.cli.console import fail, plain
from dibs_server.cli.from_table import TableCommand, open_session

if TYPE_CHECKING:
    from dibs.summarize_batch import SummaryResult


def also_from_stdin(create: TableCommand) -> None:
    """Give ``batch create`` the item ``-``, for names on standard input, and -0, for names that end in NUL."""

    def run(items: tuple[str, ...], null: bool, **given: Any) -> None:
        named = [item for item in items if item != "-"]
        if len(named) < len(items) or null:
            try:
                named += _read_names(null)
            except DibsError as error:
                fail(error, given["as_json"])
        create.run(items=tuple(named), **given)

    told = "Names on standard input end in NUL, as `find -print0` writes them; else one is a line."
    create.more.append(click.Option(["-0", "--null"], is_flag=True, help=told))
    create.callback = run
    create.more_help = (
        "ITEMS are task ids and file paths; - reads them from standard input: find … | dibs batch create NAME -"
    )


def _read_names(null: bool) -> list[str]:
    content = sys.stdin.buffer.read()
    parts = content.split(b"\0") if null else [line.removesuffix(b"\r") for line in content.split(b"\n")]
    names = [os.fsdecode(part) for part in parts if part]
    for name, part in zip(names, filter(None, parts), strict=True):
        if name.encode("utf-8", "surrogateescape") != part or not is_text(name):
            raise InvalidArguments(f"standard input names {name!a}, which is not UTF-8; rename it. Nothing was made")
    return names


def also_markdown(summary: TableCommand) -> None:
    """Give ``batch summary`` --markdown, for people."""

    def run(markdown: bool, **given: Any) -> None:
        if not markdown:
            summary.run(**given)
            return
        from dibs.summarize_batch import SummaryRequest, summarize_batch

        try:
            found = summarize_batch(open_session(given["tasks_dir"]), SummaryRequest(name=given["name"]), Call())
        except DibsError as error:
            fail(error, given["as_json"])
        sys.stdout.write(plain(as_markdown(found)))

    summary.more.append(click.Option(["--markdown"], is_flag=True, help="Print it as Markdown, for people."))
    summary.callback = run


def as_markdown(found: SummaryResult) -> str:
    """The summary as a page: where it stands, then what needs somebody, then what is done."""
    lines = [f"# Batch {found.name}", "", f"{counted(found.total, 'task')}: {found.counts.told()}."]
    facts = [f"{found.runtime_seconds:g} s"] + ([f"{found.total_tokens:,} tokens"] if found.total_tokens else [])
    lines += [f"Took {', '.join(facts)}{'' if found.finished else ' so far'}.", ""]
    for heading, status in (("Failed", "failed"), ("Blocked", "blocked"), ("Done", "success")):
        rows = [row for row in found.workers if row.status == status]
        if rows:
            lines += [f"## {heading}", ""]
            for row in rows:
                told = " · ".join(
                    text for text in (row.outcome, row.reason, row.summary, row.commit and f"`{row.commit}`") if text
                )
                who = f" ({row.caller})" if row.caller else ""
                title = f" {row.title}" if row.title != row.task_id else ""
                lines.append(f"- `{row.task_id}`{title}{who}{': ' + told if told else ''}")
            lines.append("")
    if found.skipped:
        lines += ["## Skipped", "", *(f"- `{row.task_id}`: {row.why}" for row in found.skipped), ""]
    return "\n".join(lines)
