"""What ``.ci/run`` runs, in which order, when a step fails or there is no npm. Stand-ins for make and npm note it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from tree import REPO

PATIENCE_SECONDS = 30
MAKE = """#!/bin/sh
echo "$1" >> "{log}"
! grep -qx "$1" "{failing}"
"""


@dataclass(frozen=True)
class Place:
    """A copy of the script, with programs of its own."""

    folder: Path

    def run(self, *failing: str, npm: bool = True) -> tuple[int, list[str], str]:
        """Run it where these targets fail; returns its exit status, the targets made, and what it complained of."""
        (self.folder / "failing").write_text("".join(f"{target}\n" for target in failing), encoding="utf-8")
        (self.folder / "log").write_text("", encoding="utf-8")
        if npm:
            (self.folder / "bin" / "npm").symlink_to("/bin/sh")
        done = subprocess.run(
            [self.folder / ".ci" / "run"],
            env={"PATH": str(self.folder / "bin")},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return done.returncode, (self.folder / "log").read_text(encoding="utf-8").split(), done.stderr


@pytest.fixture
def place(tmp_path: Path) -> Place:
    programs = tmp_path / "bin"
    for folder in (programs, tmp_path / ".ci"):
        folder.mkdir()
    shutil.copy(REPO / ".ci" / "run", tmp_path / ".ci" / "run")
    for name in ("bash", "dirname", "grep"):
        (programs / name).symlink_to(shutil.which(name) or "")
    make = programs / "make"
    make.write_text(MAKE.format(log=tmp_path / "log", failing=tmp_path / "failing"), encoding="utf-8")
    make.chmod(0o755)
    return Place(tmp_path)


def test_lint_then_the_real_clients_then_the_suite(place: Place) -> None:
    assert place.run() == (0, ["lint", "clients", "test"], "")


def test_without_npm_the_real_clients_are_left_out(place: Place) -> None:
    assert place.run(npm=False) == (0, ["lint", "test"], "")


def test_clients_that_cannot_be_installed_are_tried_twice_and_named(place: Place) -> None:
    status, made, complaint = place.run("clients")
    assert (status, made) == (0, ["lint", "clients", "clients", "test"])
    assert complaint.count("\n") == 1
    assert "could not be installed" in complaint


@pytest.mark.parametrize(("target", "made"), [("lint", ["lint"]), ("test", ["lint", "clients", "test"])])
def test_a_failure_of_lint_or_suite_is_a_failure(place: Place, target: str, made: list[str]) -> None:
    status, found, _ = place.run(target)
    assert status != 0
    assert found == made
