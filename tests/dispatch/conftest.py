"""A project whose agents are scripted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from waves import Project


@pytest.fixture
def make_project(tmp_path: Path, tasks_dir: Path) -> Callable[..., Project]:
    """Makes the project, with these settings of `dispatch`."""
    return lambda **dispatch: Project(tmp_path, tasks_dir, **dispatch)


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project()
