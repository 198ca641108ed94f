"""Telling somebody of tasks that became blocked or failed: by the program that the settings name, without a shell."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

from dibs.outcomes import STATUSES, ended
from dibs.store.claims import stamp
from dibs.store.errors import DibsError
from dibs.store.ledger import Hold
from dibs.store.notices import Notice, any_posted, post, to_be_given
from dibs.store.task_store import TaskStore

LOG_BYTES = 1_000_000


def post_if_wanted(store: TaskStore, hold: Hold, notice: Notice, mark: str) -> None:
    """Post a notice for a task that has just come to its status, if the settings ask for it. Under the mutex."""
    notify = store.settings.notify
    if notify.command and notice.status in notify.on:
        post(hold, _folder(store), notice, mark)


def give_notices(store: TaskStore) -> list[str]:
    """Start the program once for each notice that waits; returns what went wrong with it, for whoever called.

    It is not waited for, and where it cannot be started the notices wait. A crash between its start and the next line
    of ours gives the notice again.
    """
    folder = _folder(store)
    if not any_posted(folder):
        return []
    warnings = []
    try:
        command = store.settings.notify.command
        with to_be_given(folder) as notices:
            for notice in notices:
                if command and (wrong := _give(store, command, notice)):
                    warnings.append(wrong)
                    break  # it waits, and so do the others, until the settings are mended
    except (DibsError, OSError) as exc:
        warnings.append(f"notices wait in {folder}: {exc}")
    return warnings


def _folder(store: TaskStore) -> Path:
    return store.ledger.folder / "notices"


def _give(store: TaskStore, command: tuple[str, ...], notice: Notice) -> str:
    """Start the program; returns what went wrong."""
    words = [_filled(word, _facts(store, notice)) for word in command]
    log = store.ledger.folder / "log" / "notify.log"
    try:
        mode = "wb" if log.exists() and log.stat().st_size > LOG_BYTES else "ab"
        with log.open(mode) as output:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=store.repository,
                start_new_session=True,
            )
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        return (
            f"the notify command {command[0]!r} could not be started ({why}) to tell that {notice.id} is "
            f"{notice.status}; the notice waits until settings.json is mended"
        )
    threading.Thread(target=process.wait, name="dibs-notify", daemon=True).start()
    return ""


def _facts(store: TaskStore, notice: Notice) -> dict[str, str]:
    path = store.tasks_dir / notice.path
    status = notice.status if notice.status in STATUSES else "gone"
    told = ended(store, notice.id, notice.path, status).outcome
    task = store.index.tasks.get(notice.id.casefold())
    return {
        "id": notice.id,
        "status": notice.status,
        "title": task.title if task is not None else "",
        "reason": told.reason,
        "caller": notice.caller,
        "path": str(path),
        "at": stamp(notice.at),
    }


def _filled(word: str, facts: dict[str, str]) -> str:
    """The word with what it names in braces; in one pass, so that no text of a task is filled in again."""
    parts = word.split("{")
    filled = parts[0]
    for part in parts[1:]:
        name, brace, rest = part.partition("}")
        filled += facts[name] + rest if brace and name in facts else "{" + part
    return filled.replace("\0", "")
