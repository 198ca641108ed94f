"""A fresh home with a project in it, and the program in it as a person there runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dibs_server.clients.places import Places, find_places

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Home:
    folder: Path
    project: Path

    @property
    def places(self) -> Places:
        return find_places({"HOME": str(self.folder)}, self.project)

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.folder), "PATH": os.environ["PATH"]}

    def dibs(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dibs_server", *words],
            cwd=self.project, env=self.environment, capture_output=True, text=True, check=False,
            timeout=PATIENCE_SECONDS,
        )  # fmt: skip

    def files(self) -> dict[str, bytes]:
        """Every file there is, by its path from the home."""
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in self.folder.rglob("*") if path.is_file()
        }  # fmt: skip


def make_home(folder: Path) -> Home:
    project = folder / "home" / "project"
    (project / ".git").mkdir(parents=True)
    return Home(folder / "home", project)
