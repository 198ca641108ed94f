"""The truth table: the claim file says who holds a task, the task file says what state it is in.

Pure. Every verb first makes the two agree; this module only says what each pair of records means.
"""

from __future__ import annotations

from enum import Enum

from dibs.store.claims import Claim, host_mark, is_token
from dibs.store.task import Task


class Standing(Enum):
    """What a task file and a claim file mean together."""

    FREE = "nobody holds it"
    HELD = "held by the claim; a passed lease alone revokes nothing"
    UNWRITTEN = "held by the claim, the task file does not say so: a crash between two steps, or git took it back"
    PERSON = "in progress by hand: a person's work, never reaped"
    LOST_RECORD = "held, but the claim file is lost: plant one for the token in the task file"
    ELSEWHERE = "held by a claim of another host whose record is not here: only reported"
    ENDED_BY_HAND = "ended, blocked or put aside by hand: the person has the last word"


def judge(task: Task, claim: Claim | None, host: str) -> Standing:
    if claim is not None:
        if task.status == "active":
            return Standing.UNWRITTEN
        return Standing.HELD if task.status == "in_progress" else Standing.ENDED_BY_HAND
    if task.status != "in_progress":
        return Standing.FREE
    if not is_token(task.token):
        return Standing.PERSON
    return Standing.LOST_RECORD if task.token.startswith(f"{host_mark(host)}-") else Standing.ELSEWHERE
