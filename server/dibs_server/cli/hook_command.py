"""``dibs hook``: what the Claude Code plugin's hooks run. Apart from the rest of the CLI, for they must be quick.

A hook never stands in a session's way: where there is no tasks directory it says nothing, and what goes wrong in Dibs
is told to the person, not to the model.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from dibs.session import Session
    from dibs.stock import Stock
    from dibs.store.claims import Claim
    from dibs.store.processes import ProcessMark

IN_PROGRESS_SHOWN = 8
REMINDERS_KEPT = 200


@click.command("hook", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("event", type=click.Choice(["session-start", "stop", "session-end"]))
def hook_command(event: Literal["session-start", "stop", "session-end"]) -> None:
    """Answer a hook of Claude Code: its JSON on stdin, the answer as JSON on stdout.

    session-start tells what is ready and who works on what. stop reminds once of a task that the session still holds.
    session-end gives back what it holds, with a note, in the background.
    """
    from dibs.store.processes import mark_of

    given = _given()
    client = mark_of(os.getppid())
    if event == "session-end" and not _goes_on_in_background():
        return
    from dibs.store.errors import DibsError

    session = _session()
    if session is None:
        return
    try:
        if event == "session-start":
            _answer(_start(session, client))
        elif client is not None and event == "stop":
            _answer(_stop(session, client, given))
        elif client is not None:
            _end(session, client, given)
    except (DibsError, OSError) as exc:
        error = exc if isinstance(exc, DibsError) else session.store.failure(exc)
        _answer({"systemMessage": f"Dibs: {error.message}"})


def _given() -> dict[str, Any]:
    try:
        given = json.loads(sys.stdin.buffer.read() or b"{}")
    except (ValueError, RecursionError, AttributeError):  # of no JSON, of one gone wild, or without any stdin
        return {}
    return given if isinstance(given, dict) else {}


def _answer(answer: dict[str, Any] | None) -> None:
    if answer:
        print(json.dumps(answer))


def _goes_on_in_background() -> bool:
    """True in a process of its own. A client that ends gives its hooks a second or two, on a busy machine too little;
    it is answered at once, by the process it started."""
    if os.fork():
        return False
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    return True


def _session() -> Session | None:
    """A session on the directory that the client's server uses; None where it finds none."""
    from dibs.session import Session
    from dibs.store.errors import DibsError
    from dibs.store.settings import find_tasks_dir
    from dibs.store.task_store import TaskStore

    try:
        return Session(TaskStore(find_tasks_dir(None)), client="claude-code", person=True)
    except (DibsError, OSError):  # also where the session's own folder has gone, a removed worktree say
        return None


def _start(session: Session, client: ProcessMark | None) -> dict[str, Any]:
    from dibs.client_claims import claims_of_client
    from dibs.stock import take_stock

    stats = take_stock(session)
    mine = {claim.id for claim in claims_of_client(session.store, client)} if client else set()
    text = "\n".join(_state(session, stats, mine))
    return {"hookSpecificOutput": {"hookEventName": "SessionStart", "additionalContext": text}}


def _state(session: Session, stats: Stock, mine: set[str]) -> list[str]:
    waiting = sum(stats.waiting_on.model_dump().values())
    lines = [
        f"Dibs hands out the tasks of {session.store.tasks_dir}: {stats.ready} ready, {len(stats.in_progress)} in "
        f"progress, {waiting} waiting, {stats.by_status.get('done', 0)} done."
    ]
    for row in stats.in_progress[:IN_PROGRESS_SHOWN]:
        whose = "this session" if row.id in mine else row.caller or "a person"
        lines.append(f"- {row.id} is in progress: {whose}" + (f", since {row.since}" if row.since else ""))
    if len(stats.in_progress) > IN_PROGRESS_SHOWN:
        lines.append(f"- and {len(stats.in_progress) - IN_PROGRESS_SHOWN} more")
    if stats.invalid.count:
        lines.append(f"{stats.invalid.count} files cannot be used; `dibs doctor` names them.")
    lines.append("When you are asked to work on tasks, take one with claim_next_task; leave alone what others hold.")
    return lines


def _stop(session: Session, client: ProcessMark, given: dict[str, Any]) -> dict[str, Any] | None:
    """The reminder of what is still held, once a claim; none while agents of the session work in the background."""
    from dibs.client_claims import claims_of_client

    if given.get("stop_hook_active") or given.get("background_tasks"):
        return None
    held = _not_yet_reminded(claims_of_client(session.store, client))
    if not held:
        return None
    names = ", ".join(claim.id for claim in held)
    return {
        "decision": "block",
        "reason": f"You still hold {names}. If the work is done, call complete_task; if something stands in its way, "
        "block_task with the reason; if you stop here, release_task gives it back. If you are waiting for the person, "
        "or an agent of yours still works on it, say so and stop: this is told once.",
    }


def _not_yet_reminded(claims: list[Claim]) -> list[Claim]:
    """These claims without those reminded of before; and they count as reminded of from now on."""
    from dibs.store.settings import plugin_data_dir

    folder = plugin_data_dir()
    if folder is None:
        return claims
    path = folder / "reminded.json"
    known = _tokens(path)
    new = [claim for claim in claims if claim.token not in known]
    if new:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([*known, *(claim.token for claim in new)][-REMINDERS_KEPT:]), encoding="utf-8")
    return new


def _tokens(path: Path) -> list[str]:
    try:
        given = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return []
    return [token for token in given if isinstance(token, str)] if isinstance(given, list) else []


def _end(session: Session, client: ProcessMark, given: dict[str, Any]) -> None:
    from dibs.client_claims import release_claims_of_client

    reason = str(given.get("reason") or "no reason given")
    release_claims_of_client(session, client, f"The session that held this task ended ({reason}) before the task did.")
