"""How a task ended, read from its file: the status it has, and the report that was written into it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from dibs.store.errors import DibsError, MalformedTask
from dibs.store.reading import StoredTask
from dibs.store.task_store import TaskStore

OutcomeStatus = Literal["success", "blocked", "failed"]
STATUSES: Mapping[str, OutcomeStatus] = {
    "done": "success",
    "blocked": "blocked",
    "review": "blocked",
    "failed": "failed",
    "cancelled": "failed",
    "invalid": "failed",
    "gone": "failed",
}
"""What each status in which nobody works on a task any more means to whoever waited for it."""
REASONS = {
    "cancelled": "it was cancelled",
    "gone": "its file is gone, or is no task any more",
    "review": "it waits for review",
}
SECTIONS = {"done": "Completion", "blocked": "Blocked", "review": "Blocked", "cancelled": "Cancelled"}
TEXT_CHARACTERS = 300

_LABEL = re.compile(r"\*\*([^*\n]{1,40}):\*\*[ \t]*(.*)", re.DOTALL)
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Outcome(BaseModel):
    """``caller`` is who ended it, as the file says; texts are cut at 300 characters. ``tokens`` is 0 if nobody said."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    status: OutcomeStatus
    title: str = ""
    outcome: str = ""
    reason: str = ""
    commit: str = ""
    summary: str = ""
    caller: str = ""
    tokens: int = 0


@dataclass(frozen=True)
class Ended:
    """An outcome, and when the file says that it came; None: it does not."""

    outcome: Outcome
    at: datetime | None


def ended(store: TaskStore, task_id: str, path: str | None, status: str) -> Ended:
    """The outcome of a task that has this status; ``path`` is where its file was, None where there is none to read."""
    told = STATUSES[status]
    if status == "invalid" and (error := store.index.invalid_keys.get(task_id.casefold())) is not None:
        return Ended(Outcome(task_id=task_id, status=told, reason=one_line(error.message)), None)
    bare = Ended(Outcome(task_id=task_id, status=told, reason=REASONS.get(status, "")), None)
    if path is None:
        return bare
    try:
        stored = store.read(path)
    except MalformedTask as error:
        return Ended(Outcome(task_id=task_id, status=told, reason=one_line(error.message)), None)
    except (DibsError, OSError):
        return bare
    return bare if stored is None else _of_file(stored, told, SECTIONS.get(status, ""), bare.outcome.reason)


def _of_file(stored: StoredTask, told: OutcomeStatus, heading: str, reason: str) -> Ended:
    report = read_report(stored.file.body, heading) if heading else {}
    said = next((text for label, text in report.items() if label.startswith("Reason")), reason)
    who, _, rest = report.get("By", "").partition(", ")
    stamps = _STAMP.findall(rest) or _STAMP.findall(_header(stored, "completed_at"))
    tokens = report.get("Tokens used", "0")
    outcome = Outcome(
        task_id=stored.task.id,
        status=told,
        title=one_line(stored.task.title),
        outcome=one_line(_header(stored, "outcome")) if told == "success" else "",
        reason=one_line(said) if told != "success" else "",
        commit=one_line(_header(stored, "commit")) if told == "success" else "",
        summary=one_line(report.get("", "")),
        caller=who,
        tokens=int(tokens) if len(tokens) < 16 and tokens.isascii() and tokens.isdecimal() else 0,
    )
    return Ended(outcome, datetime.fromisoformat(stamps[0]).astimezone(UTC) if stamps else None)


def _header(stored: StoredTask, key: str) -> str:
    entry = stored.file.entries.get(key)
    return entry.value.strip() if entry is not None and isinstance(entry.value, str) else ""


def read_report(body: str, heading: str) -> Mapping[str, str]:
    """The parts of the last section of that name, by label; under "" what has none, as one text."""
    found = list(re.finditer(rf"^## {re.escape(heading)}[ \t\r]*$", body, re.MULTILINE))
    if not found:
        return {}
    text = body[found[-1].end() :].replace("\r\n", "\n")
    text = re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0]
    parts: dict[str, str] = {}
    last = ""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        labelled = _LABEL.fullmatch(paragraph.strip())
        if labelled:
            last = labelled[1]
        elif last == "By":  # who it was says nothing of what follows
            last = ""
        content = labelled[2] if labelled else paragraph
        parts[last] = "\n\n".join(part for part in (parts.get(last, ""), content.strip()) if part)
    return parts


def one_line(text: str) -> str:
    """The text on one line, and not too much of it."""
    text = " ".join(text.split())
    return text if len(text) <= TEXT_CHARACTERS else f"{text[: TEXT_CHARACTERS - 1]}…"
