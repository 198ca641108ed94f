"""Fixtures of the tests with real clients. What their objects can do is told in ``client.py`` and ``scripts.py``.

``gemini`` and ``claude`` are configured for one project, ``client`` is each of them in turn, and ``make_client`` makes
more: ``make_client(Claude)`` has another home in the same project, ``make_client(Gemini, configured=False)`` knows no
server yet. Their tasks are in ``tasks_dir``. Where the programs are not installed the tests are skipped, or fail where
the environment has ``DIBS_CLIENTS=required``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from claude_code import Claude
from client import Client
from gemini_cli import Gemini
from installed import ADVICE, missing, required


def pytest_runtest_setup() -> None:
    """In a hook and not in a fixture: so pytest's summary tells it in one line for all tests."""
    if missing() and required():
        pytest.fail(f"{ADVICE} (missing: {', '.join(missing())})", pytrace=False)
    if missing():
        pytest.skip(ADVICE)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder in which the clients are started."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def tasks_dir(project: Path) -> Path:
    folder = project / "tasks"
    folder.mkdir()
    return folder


@pytest.fixture
def make_client(tmp_path: Path, project: Path, tasks_dir: Path) -> Callable[..., Client]:
    """Makes clients, each with a home of its own."""
    numbers = itertools.count(1)

    def make(kind: type[Client], *, configured: bool = True) -> Client:
        made = kind(tmp_path / f"home-{next(numbers)}", project)
        made.home.mkdir()
        made.prepare_home()
        if configured:
            made.configure()
        return made

    return make


@pytest.fixture
def gemini(make_client: Callable[..., Client]) -> Client:
    return make_client(Gemini)


@pytest.fixture
def claude(make_client: Callable[..., Client]) -> Client:
    return make_client(Claude)


@pytest.fixture(params=[Gemini, Claude], ids=["gemini", "claude"])
def client(make_client: Callable[..., Client], request: pytest.FixtureRequest) -> Client:
    return make_client(request.param)
