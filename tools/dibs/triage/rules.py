"""The rules of triage: what should be changed about one task, and why. Pure.

What the file says wins: only what is missing is proposed. The rules have nothing to add to what they made themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from dibs.store.body import prose, put_in_front
from dibs.store.header import Change, TaskFile
from dibs.store.phrases import begins, equals, fold, found_in
from dibs.store.readiness import is_claimable
from dibs.store.settings import Settings
from dibs.store.task import ENDED, Task
from dibs.store.task_file import edit_header
from dibs.store.triage_settings import Complexity, Triage

BODY = "body"
"""The field of a proposal to put a line into the body; every other field is a key of the header."""
CAUTIOUS_FIRST: tuple[Complexity, ...] = (
    "blocked-human", "needs-decomposition", "requires-judgment", "multi-step", "mechanical",
)  # fmt: skip
AUTOMATABLE: frozenset[str] = frozenset({"mechanical", "multi-step"})
_LINK = re.compile(r"\[\[([^\[\]\n]+)\]\]")
_LINK_LINE = re.compile(r"^[ \t]*Project:[ \t]*\[\[[^\[\]\n]+\]\][ \t\r]*$", re.MULTILINE)


@dataclass(frozen=True)
class Proposal:
    """One thing to change: a key of the header, or a line to put into the body. ``old`` is "" where nothing was."""

    field: str
    old: str
    new: str
    why: str


def propose(task: Task, file: TaskFile, settings: Settings, *, activate: bool = False) -> tuple[Proposal, ...]:
    """What is to be changed about a task. One that has ended, or is in progress, is left as it is.

    ``activate``: what is in the inbox, and not done, is to become active.
    """
    if task.status in ENDED or task.status == "in_progress":
        return ()
    text = prose(file.body)
    closed = list(_closed(file, text, settings.triage))
    found = [*closed, *_linked(task, text, settings.triage)]
    if not closed:
        if activate and task.status == "inbox":
            found.insert(0, Proposal("status", file.text("status") or "", "active", "it is in the inbox"))
        if is_claimable(task, settings):
            found += _classified(task, text, settings.triage)
    return tuple(found)


def triaged(file: TaskFile, proposals: Sequence[Proposal]) -> TaskFile:
    """The file with what was proposed, and every other byte as it was.

    Raises:
        MalformedTask: that cannot be done without damage.
    """
    changes: Mapping[str, Change] = {one.field: one.new for one in proposals if one.field != BODY}
    file = edit_header(file, changes)
    for one in proposals:
        if one.field == BODY:
            file = put_in_front(file, one.new)
    return file


def _closed(file: TaskFile, text: str, triage: Triage) -> Iterator[Proposal]:
    heading = _headings(triage.closed_headings).search(text) if triage.closed_headings else None
    key = next((key for key in triage.closed_keys if key in file.entries and file.entries[key].value), None)
    if heading is None and key is None:
        return
    why = f"its body has the heading {heading['name']!r}" if heading else f"its header has `{key}`"
    yield Proposal("status", file.text("status") or "", "done", why)
    if heading and heading["date"] and "completed_at" not in file.entries:
        yield Proposal("completed_at", "", heading["date"], f"the heading {heading['name']!r} says when")


@lru_cache(maxsize=32)
def _headings(names: tuple[str, ...]) -> re.Pattern[str]:
    """A heading below the title's level that is one of these names, perhaps with a date: ``## Closed 2026-01-22``."""
    any_name = "|".join(r"[ \t]+".join(map(re.escape, name.split())) for name in names)
    date = r"[ \t:(]+(?P<date>\d{4}-\d{2}-\d{2})\b[^\n]*"
    return re.compile(
        rf"^ {{0,3}}#{{2,6}}[ \t]+(?P<name>{any_name})(?:{date}|[ \t:#]*)\r?$", re.IGNORECASE | re.MULTILINE
    )


def _linked(task: Task, text: str, triage: Triage) -> Iterator[Proposal]:
    """A link to the project's page, unless there is one to it, or to what has the project's name."""
    page = triage.page_of(task.project) if triage.wikilinks and task.project else ""
    if not page:
        return
    pages = {page.casefold(), task.project.casefold()}
    for link in _LINK.finditer(text) if "[[" in text else ():
        target = re.split(r"[|#]", link[1])[0].strip().casefold()
        if target in pages or target.rpartition("/")[2] in pages:
            return
    yield Proposal(BODY, "", f"Project: [[{page}]]", "no link leads to its project")


def _classified(task: Task, text: str, triage: Triage) -> Iterator[Proposal]:
    complexity = task.complexity
    if not complexity and (sign := _sign(task, text, triage)) is not None:
        complexity, why = sign
        yield Proposal("complexity", "", complexity, why)
    assignee = triage.automatable_assignee if complexity in AUTOMATABLE else triage.judgment_assignee
    if assignee and complexity in CAUTIOUS_FIRST and not task.assignees:
        yield Proposal("assignee", "", assignee, f"{complexity} goes to {assignee}")


def _sign(task: Task, text: str, triage: Triage) -> tuple[Complexity, str] | None:
    """The complexity that something tells, and what: a tag before how the title begins, and that before a phrase."""
    tags = [fold(tag) for tag in task.tags]
    title = fold(task.title)
    starts = [title, *(part.lstrip() for part in title.split(":")[1:])]
    # our own line is no text of the task's: what it says must not tell anything the next time
    anywhere = f"{title}\n|\n{fold(_LINK_LINE.sub('', text))}"
    for word in CAUTIOUS_FIRST:
        for tag in tags:
            if equals(tag, triage.tags[word]):
                return word, f"tag {tag}"
    for word in CAUTIOUS_FIRST:
        for start in starts:
            if found := begins(start, triage.beginnings[word]):
                return word, f"its title begins with {found!r}"
    for word in CAUTIOUS_FIRST:
        if found := found_in(anywhere, triage.phrases[word]):
            return word, f"its text has {found!r}"
    return None
