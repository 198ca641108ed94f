"""Fixtures of the tests of setting up clients."""

from __future__ import annotations

from pathlib import Path

import pytest
from homes import Home, make_home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path)
