"""Fixtures of the plays of a few actors."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stage import Play, Stage, every_order, every_pair

from dibs.store import steps
from support import MEMORY


@pytest.fixture
def stage_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory in memory where there is one: thousands of performances are cheap there."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # nobody pulls the plug here
    folder = (MEMORY if MEMORY.is_dir() else tmp_path) / f"dibs-actors-{os.getpid()}"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


Perform = Callable[[Callable[[], Play]], int]


def performing(monkeypatch: pytest.MonkeyPatch, ways: Callable[[], Iterator[Any]]) -> Perform:
    """Performs a play once in each of these ways; returns how many there were."""

    def perform(make: Callable[[], Play]) -> int:
        performances = 0
        for choose in ways():
            stage = Stage(make())
            monkeypatch.setattr(steps, "hook", stage.hook)
            stage.perform(choose)
            monkeypatch.setattr(steps, "hook", None)
            performances += 1
        return performances

    return perform


@pytest.fixture
def in_every_order(monkeypatch: pytest.MonkeyPatch) -> Perform:
    """Perform a play in every order its actors can take turns in."""
    return performing(monkeypatch, every_order)


@pytest.fixture
def in_every_pair_of_steps(monkeypatch: pytest.MonkeyPatch) -> Perform:
    """Perform a play of ``one``, ``two`` and a ``hand``: the hand acts at every step of one, and then two goes on to
    every step of its own before one takes over again."""
    return performing(monkeypatch, every_pair)
