"""The doors that every scenario of the contract goes through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store.task_store import TaskStore
from doors import DOORS, Entrance


@pytest.fixture(params=list(DOORS))
def door(request: pytest.FixtureRequest, tasks_dir: Path) -> Iterator[Entrance]:
    with DOORS[request.param](tasks_dir) as entrance:
        yield entrance


@pytest.fixture
def stranger(tasks_dir: Path) -> Iterator[Session]:
    """Another server on the same directory, with the real clock, as the doors have it."""
    session = Session(TaskStore(tasks_dir), client="claude-code", server=True)
    yield session
    session.close()


@pytest.fixture
def person(tasks_dir: Path) -> Session:
    """A person at a shell, now."""
    return Session(TaskStore(tasks_dir), person=True)
