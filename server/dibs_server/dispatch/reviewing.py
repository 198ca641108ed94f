"""Reviews are tasks: one for what was completed, and one fix for what a review asks for.

Their ids are derived from the task and the token of the claim that completed it, so that they are made once, however
often a dispatcher comes back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from dibs.add_task import AddRequest, add_all
from dibs.outcomes import read_report
from dibs.session import Call, Session
from dibs.store.errors import InvalidArguments
from dibs.store.reading import StoredTask
from dibs.update_task import UpdateRequest, update_task
from dibs_server.dispatch.judging import COMPLETION

APPROVED, CHANGES_REQUESTED = "approved", "changes_requested"
ID_CHARACTERS = 100

REVIEW = """\
Review what was done for `{id}` ({title}); its task file is `{path}`. Change nothing.

What was reported:

{report}

Look at the work itself, not only at the report: does it do what the task asks for, is it right, is it tested?

Complete this task with the outcome `approved`, or `changes_requested` and a summary of what has to change.
"""
FIX = """\
A review of `{id}` ({title}) asks for changes. Its task file is `{path}`; the review is `{review}`:

{report}
"""


def review_id(task_id: str, token: str) -> str:
    """The id of the task that reviews what was completed by the claim of this token."""
    return _derived(task_id, "review", token)


def review_of(session: Session, task: StoredTask, token: str, reviewer: str) -> str:
    """The id of the task that reviews this one, made now if there is none."""
    report = _report(task)
    body = REVIEW.format(id=task.task.id, title=task.task.title, path=task.task.path, report=report)
    return _made(session, review_id(task.task.id, token), f"Review {task.task.id}", body, reviewer)


def give_to(session: Session, review: StoredTask, reviewer: str, agents: Collection[str]) -> None:
    """Reserve a review that is left for whoever reviews now, where it is another agent's; a person's stays theirs."""
    if set(agents) & set(review.task.assignees) - {reviewer}:
        update_task(session, UpdateRequest(id=review.task.id, assignee=reviewer), Call())


def outcome_of(review: StoredTask) -> str:
    """What a completed review came to; "" where its outcome is neither word."""
    entry = review.file.entries.get("outcome")
    said = entry.value if entry is not None and isinstance(entry.value, str) else ""
    word = "_".join(said.casefold().replace("-", " ").replace("_", " ").split())
    return next((known for known in (APPROVED, CHANGES_REQUESTED) if word.startswith(known)), "")


def fix_of(session: Session, task: StoredTask, review: StoredTask, token: str, bug_fixer: str) -> str:
    """The id of the task that does what a review asks for, made now if there is none."""
    report, known = _report(review), task.task
    body = FIX.format(id=known.id, title=known.title, path=known.path, review=review.task.id, report=report)
    files = list(known.files)
    return _made(session, _derived(known.id, "fix", token), f"Fix {known.id}", body, bug_fixer, files)


def _derived(task_id: str, what: str, token: str) -> str:
    digest = hashlib.sha256(f"{task_id.casefold()} {token}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{task_id[:ID_CHARACTERS]}-{what}-{digest}"


def _report(task: StoredTask) -> str:
    report = read_report(task.file.body, COMPLETION)
    lines = [f"{label}:\n{text}" if label else text for label, text in report.items() if label != "By"]
    return "\n".join(f"> {line}" for line in "\n\n".join(lines).splitlines()) or "> (nothing)"


def _made(session: Session, task_id: str, title: str, body: str, assignee: str, files: list[str] | None = None) -> str:
    request = AddRequest(id=task_id, title=title, body=body, assignee=assignee, files=files or [])
    try:
        add_all(session, {"": request}, Call())
    except InvalidArguments:
        session.store.find(task_id)  # there already: another dispatcher made it
    return task_id
