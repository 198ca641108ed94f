"""A task: what one Markdown file says, in the words of the glossary.

Pure. Which key gives which field, and what each may hold, is the contract of ``docs/task-file.md``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Literal

from dibs.store.errors import MalformedTask
from dibs.store.header import Nested, TaskFile
from dibs.store.settings import Settings, StatusWord
from dibs.store.triage_settings import Complexity

ComplexityOrNone = Literal[Complexity, ""]
PRIORITIES = {"critical": 0, "high": 1, "medium": 2, "low": 3}
DEFAULT_PRIORITY = 2
ENDED: frozenset[StatusWord] = frozenset({"done", "cancelled", "failed"})
MAX_ID_CHARACTERS = 128
MAX_HEADING_CHARACTERS = 1000
NaturalKey = tuple[tuple[int, int, str], ...]
SortKey = tuple[int, str, float, str, NaturalKey]

KEYS = {
    "id": ("id", "task_id", "permalink"),
    "tags": ("tags", "labels"),
    "order": ("order", "ordinal"),
    "created": ("created", "created_date"),
    "parent": ("parent", "parent_task_id"),
    "depends_on": ("depends_on", "dependencies", "blocked_by"),
    "files": ("files", "targetFiles"),
}


@dataclass(frozen=True, slots=True)
class Task:
    """One task file, read. ``path`` is relative to the tasks directory, with slashes."""

    id: str
    title: str
    status: StatusWord
    path: str
    priority: int = DEFAULT_PRIORITY
    type: str = "task"
    project: str = ""
    tags: tuple[str, ...] = ()
    order: float | None = None
    due: str = ""
    created: str = ""
    parent: str = ""
    depends_on: tuple[str, ...] = ()
    soft_depends_on: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    complexity: str = ""
    files: tuple[str, ...] = ()
    token: str = ""
    attempts: int = 0

    @property
    def key(self) -> str:
        """What makes two ids the same: they must differ in more than case."""
        return self.id.casefold()

    def sort_key(self) -> SortKey:
        """The order of handing out: priority, due, order, created, id; what is not set comes last."""
        order = float("inf") if self.order is None else self.order
        return (self.priority, self.due or "~", order, self.created or "~", _natural(self.id))


def make_task(file: TaskFile, path: str, settings: Settings) -> Task:
    """Read the fields out of a header.

    Raises:
        MalformedTask: with the line, when the status word is unknown or a field Dibs needs cannot be read.
    """
    word = file.text("status") or ""
    status = settings.status_of(word)
    if status is None:
        known = "inbox, active, in_progress, blocked, review, on_hold, done, cancelled, failed"
        raise MalformedTask(
            f"unknown status {word!r}; use one of {known}, or name it as a synonym in settings.json under `statuses`",
            line=file.entries["status"].line,
        )
    task_id = _task_id(file, path)
    return Task(
        id=task_id,
        title=" ".join(_first_text(file, "title").split()) or _heading(file) or task_id,
        status=status,
        path=path,
        priority=_priority(_text(file, "priority")),
        type=(_text(file, "type") or "task").casefold(),
        project=_text(file, "project"),
        tags=_list(file, "tags"),
        order=_number(_text(file, "order")),
        due=_text(file, "due"),
        created=_text(file, "created"),
        parent=_text(file, "parent"),
        depends_on=_list(file, "depends_on"),
        soft_depends_on=_list(file, "soft_depends_on"),
        assignees=_list(file, "assignee"),
        complexity=_text(file, "complexity").casefold().replace("_", "-"),
        files=_list(file, "files"),
        token=_text(file, "claim"),
        attempts=int(_number(_text(file, "attempts")) or 0),
    )


def _task_id(file: TaskFile, path: str) -> str:
    text = next((t for key in KEYS["id"] if (t := _first_text(file, key))), "") or PurePosixPath(path).stem
    if len(text) > MAX_ID_CHARACTERS or not text.isprintable():
        line = next((file.entries[key].line for key in KEYS["id"] if key in file.entries), None)
        raise MalformedTask(f"an id is 1 to {MAX_ID_CHARACTERS} printable characters, not {text[:40]!r}…", line=line)
    return text


def _first_text(file: TaskFile, key: str) -> str:
    entry = file.entries.get(key)
    return entry.value.strip() if entry and isinstance(entry.value, str) else ""


def _text(file: TaskFile, field: str) -> str:
    """The first of a field's keys that has a value, as one line of text; a list or mapping there is a mistake."""
    for key in KEYS.get(field, (field,)):
        if key in file.entries and (text := file.text(key)):
            return " ".join(text.split())
    return ""


def list_key(file: TaskFile, field: str) -> str:
    """The key that a list is read from, and has to be written to: the first of the field's keys that says something."""
    names = KEYS.get(field, (field,))
    there = [key for key in names if key in file.entries]
    return next((key for key in there if file.entries[key].value is not None), next(iter(there), names[0]))


def _list(file: TaskFile, field: str) -> tuple[str, ...]:
    """A field as a list: a scalar is split at commas, empty items do not count."""
    key = list_key(file, field)
    entry = file.entries.get(key)
    if entry is None or entry.value is None:
        return ()
    if isinstance(entry.value, Nested):
        raise MalformedTask(f"{key} must be a text or a list of texts", line=entry.line)
    parts = entry.value.split(",") if isinstance(entry.value, str) else entry.value
    return tuple(text for part in parts if (text := (part or "").strip()))


def _priority(word: str) -> int:
    """0 (now) to 4 (some day); a word nobody knows counts as no priority."""
    if word.casefold() in PRIORITIES:
        return PRIORITIES[word.casefold()]
    digits = re.fullmatch(r"[pP]?([0-4])(?:\.0+)?", word)
    return int(digits[1]) if digits else DEFAULT_PRIORITY


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e15 else None


def _heading(file: TaskFile) -> str:
    line = next((line for line in file.body.split("\n") if line.startswith("# ")), "")
    return " ".join(line[1:MAX_HEADING_CHARACTERS].rstrip("# \t\r").split())


@lru_cache(maxsize=20_000)
def _natural(text: str) -> NaturalKey:
    """``t-2`` before ``t-10``: digits compare as numbers."""
    parts = re.findall(r"(\d{1,18})|(\D+|\d)", text.casefold())
    return tuple((0, int(digits), "") if digits else (1, 0, other) for digits, other in parts)
