"""What the tests of the core share: task files, a clock that stands still, and one way to call a verb."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dibs.registry import TOOLS
from dibs.session import Call, Session
from dibs.store.claims import Claim, Ending, Endings
from dibs.store.journal import read_events
from dibs.store.settings import Settings
from dibs.store.task import Task, make_task
from dibs.store.task_file import read_task_file

MEMORY = Path("/dev/shm")
NOON = datetime(2026, 1, 22, 12, 0, tzinfo=UTC)
LONG_AGO_SECONDS = 60


@dataclass
class Clock:
    """A clock that moves only when told to. Then the files in ``folder`` grow old as well, as they would."""

    folder: Path | None = None
    at: datetime = NOON

    def __call__(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        for path in self.folder.rglob("*.md") if self.folder else ():
            age(path)


def write_file(path: Path, content: str | bytes) -> Path:
    """Write a file as an editor would have, long enough ago that nobody waits for it to settle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return age(path)


def age(path: Path) -> Path:
    then = time.time() - LONG_AGO_SECONDS
    os.utime(path, (then, then))
    return path


def write_task(
    folder: Path, task_id: str, status: str = "active", *, body: str = "", name: str = "", **keys: object
) -> Path:
    """Write one task file; ``keys`` go into the header as they are, lists in flow style."""
    lines = [f"id: {task_id}", f"status: {status}"]
    for key, value in keys.items():
        lines.append(f"{key}: [{', '.join(value)}]" if isinstance(value, list) else f"{key}: {value}")
    return write_file(folder / (name or f"{task_id}.md"), "\n".join(["---", *lines, "---", body]))


def edit(path: Path, old: str, new: str) -> Path:
    """Edit a file by hand, long enough ago."""
    text = path.read_bytes().decode()
    assert old in text
    return write_file(path, text.replace(old, new))


def make(header: str, path: str = "t-1.md", *, body: str = "", settings: Settings | None = None) -> Task:
    """The task of a header."""
    file = read_task_file(f"---\n{header}\n---\n{body}".encode())
    assert file is not None
    return make_task(file, path, settings or Settings())


def call(session: Session, name: str, on: Call | None = None, /, **arguments: Any) -> Any:
    """Call a verb through the table of tools."""
    tool = next(tool for tool in TOOLS if tool.name == name)
    result = tool.run(session, tool.request(**arguments), on or Call())
    assert isinstance(result, tool.result)
    return result


def claim(session: Session, task_id: str = "", **arguments: Any) -> Any:
    """Claim a task, and be sure to have got it."""
    result = call(session, "claim_next_task", id=task_id, **arguments)
    assert result.status == "claimed"
    assert task_id in ("", result.task.id)
    return result


def header(path: Path) -> Mapping[str, str | None]:
    """The scalars of a task file's header."""
    file = read_task_file(path.read_bytes())
    assert file is not None
    return {key: entry.value for key, entry in file.entries.items() if not isinstance(entry.value, tuple)}  # type: ignore[misc]


def orphans(tasks_dir: Path) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in (tasks_dir / ".dibs" / "orphans").glob("*.md")]


def held_ids(session: Session) -> list[str]:
    return sorted(claim.id for claim in session.store.ledger.claims())


def endings(session: Session, task_id: str) -> list[Ending]:
    found: Endings = session.store.ledger.endings(task_id)
    return list(found.endings)


def events(session: Session, event: str = "") -> list[dict[str, Any]]:
    every = read_events(session.store.ledger.folder / "journal")
    return [dict(one) for one in every if event in ("", one["event"])]


def the_claim(session: Session, task_id: str) -> Claim:
    found = session.store.ledger.claim(task_id)
    assert found is not None
    return found
