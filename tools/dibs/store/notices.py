"""Notices that are to be given: each one a file in ``.dibs/notices``, from the moment it is due until it is given.

Posted before the ending's last step, so that a crash repeats it and never loses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import AwareDatetime, ValidationError

from dibs.store.claims import Record, slug
from dibs.store.ledger import Hold
from dibs.store.publish import publish

TURN_SECONDS = 5.0


class Notice(Record):
    """A task that came to a status somebody wants to be told of. ``path`` is below the tasks directory."""

    id: str
    path: str
    status: str
    caller: str
    at: AwareDatetime


def post(hold: Hold, folder: Path, notice: Notice, mark: str) -> None:
    """Have the notice given; ``mark`` tells this ending of the task from its others, so that it is posted once."""
    hold.check()
    publish(folder / f"{slug(notice.id)}.{mark}.json", notice.model_dump_json().encode("utf-8", "replace"), hold.tmp)


def any_posted(folder: Path) -> bool:
    """Whether a notice waits; no, where that cannot be seen: the next call looks again."""
    with suppress(OSError):
        return next(folder.glob("*.json"), None) is not None
    return False


@contextmanager
def to_be_given(folder: Path) -> Iterator[Iterator[Notice]]:
    """The notices that wait, for one process at a time; each goes when the next is asked for."""
    try:
        with FileLock(folder / "lock", timeout=TURN_SECONDS, fallback_to_soft=False):
            yield _taken_one_by_one(folder)
    except Timeout:  # whoever gives them now finds ours too, or the next call does
        yield iter(())


def _taken_one_by_one(folder: Path) -> Iterator[Notice]:
    for path in sorted(folder.glob("*.json")):
        with suppress(OSError, ValidationError):
            yield Notice.model_validate_json(path.read_bytes())
        path.unlink(missing_ok=True)
