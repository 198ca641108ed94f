"""Fixtures of the core's tests: a directory of tasks, a clock, and sessions that stand for servers and shells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dibs.session import Session
from dibs.store import places, steps
from dibs.store.task_store import TaskStore
from support import MEMORY, Clock

GEMINI = "gemini-cli-mcp-client"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture
def tasks_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "tasks"
    folder.mkdir()
    return folder


@pytest.fixture
def memory_dir(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one, for tests that wait for a disk and would prove no more by that: whoever
    is killed there leaves behind what it would leave on a disk."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with TemporaryDirectory(prefix="dibs-test-", dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def clock(tasks_dir: Path) -> Clock:
    return Clock(tasks_dir)


@pytest.fixture
def make_session(tasks_dir: Path, clock: Clock) -> Iterator[Callable[..., Session]]:
    """Makes sessions, each over a store of its own: they know of one another only through the directory."""
    made: list[Session] = []

    def make(client: str = GEMINI, *, server: bool = True, person: bool = False, host: str = "h1") -> Session:
        store = TaskStore(tasks_dir, now=clock, host=host)
        made.append(Session(store, client=client, server=server, person=person))
        return made[-1]

    yield make
    for session in made:
        session.close()


@pytest.fixture
def session(make_session: Callable[..., Session]) -> Session:
    """A server with one agent, gemini."""
    return make_session()


@pytest.fixture
def other(make_session: Callable[..., Session]) -> Session:
    """A second server, with claude behind it."""
    return make_session("claude-code")


@pytest.fixture
def person(make_session: Callable[..., Session]) -> Session:
    """A person at a shell."""
    return make_session("", server=False, person=True)


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], None]], None]:
    """Runs something once when the named point between two steps is reached."""

    def arm(name: str, act: Callable[[], None]) -> None:
        armed = [True]

        def hook(reached: str) -> None:
            if reached == name and armed:
                armed.clear()
                act()

        monkeypatch.setattr(steps, "hook", hook)

    return arm


@pytest.fixture
def far_away(tasks_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel says that the tasks directory is on NFS."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"1 0 0:1 / / rw - ext4 d rw\n2 1 0:2 / {tasks_dir.resolve()} rw - nfs4 s:/x rw\n", encoding="utf-8"
    )
    monkeypatch.setattr(places, "MOUNTS", mounts)
