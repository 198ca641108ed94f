"""Every error Dibs raises on purpose.

::

    DibsError
    ├── TaskNotFound        not_found          no task has this id
    ├── BatchNotFound       not_found          no batch has this name
    ├── RunNotFound         not_found          no run of agents has this id
    ├── OutputNotFound      not_found          no output of this task is kept
    ├── MalformedTask       invalid_task       the file cannot be read, or not edited safely
    ├── TaskChanged         task_changed       somebody keeps changing the file
    ├── ChecklistOpen       checklist          unticked items are left
    ├── ClaimError
    │   ├── NotReady        not_ready          something stands in the task's way
    │   ├── NotClaimed      not_claimed        nobody holds the task
    │   ├── ClaimLost       claim_lost         the token is no longer the task's
    │   ├── TokenRequired   token_required     only the token can say whose call this is
    │   └── FileConflict    file_conflict      its files are reserved by another claim
    ├── InvalidArguments    invalid_arguments  the call itself is wrong
    ├── SettingsError       settings           settings.json or the tasks directory is wrong
    ├── StoreBusy           busy               the mutex did not come free in time
    └── StoreFailure        io                 the file system said no

``code`` is stable and travels to every door; the attributes are the facts. Each message says what happened, to which
task, and what to do next. Any other exception is a bug.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

JsonFact = str | int | float | bool | None | Sequence[str]


class DibsError(Exception):
    """The root: ``code``, ``message``, ``task_id`` ("" when no task is concerned) and further facts."""

    code: ClassVar[str] = "io"

    def __init__(self, message: str, *, task_id: str = "", **facts: JsonFact) -> None:
        super().__init__(message)
        self.message = message
        self.task_id = task_id
        self.facts = facts

    def to_json(self) -> dict[str, JsonFact]:
        """The error as every door reports it: code, message, task_id, then the facts."""
        return {"code": self.code, "message": self.message, "task_id": self.task_id, **self.facts}


class TaskNotFound(DibsError):
    code = "not_found"


class BatchNotFound(DibsError):
    code = "not_found"


class RunNotFound(DibsError):
    code = "not_found"


class OutputNotFound(DibsError):
    code = "not_found"


class MalformedTask(DibsError):
    """A file that looks like a task and cannot be read, or whose header cannot be edited without damage.

    ``cause`` says what is wrong; ``line`` counts from 1 in the file, None when no line is to blame;
    ``path`` is "" until whoever knows the file adds it with :meth:`at`.
    """

    code = "invalid_task"

    def __init__(self, cause: str, *, line: int | None = None, path: str = "", task_id: str = "") -> None:
        where = f"{path}:{line}" if path and line else path or (f"line {line}" if line else "")
        super().__init__(f"{where}: {cause}" if where else cause, task_id=task_id, path=path, line=line)
        self.cause = cause
        self.line = line
        self.path = path

    def at(self, path: str, *, task_id: str = "") -> MalformedTask:
        return MalformedTask(self.cause, line=self.line, path=path, task_id=task_id or self.task_id)


class TaskChanged(DibsError):
    code = "task_changed"


class ChecklistOpen(DibsError):
    code = "checklist"


class ClaimError(DibsError):
    """Who holds a task stands in the way of the call."""


class NotReady(ClaimError):
    code = "not_ready"


class NotClaimed(ClaimError):
    code = "not_claimed"


class ClaimLost(ClaimError):
    code = "claim_lost"


class TokenRequired(ClaimError):
    code = "token_required"


class FileConflict(ClaimError):
    code = "file_conflict"


class InvalidArguments(DibsError):
    code = "invalid_arguments"


class SettingsError(DibsError):
    code = "settings"


class StoreBusy(DibsError):
    code = "busy"


class StoreFailure(DibsError):
    code = "io"
