"""The race's own git repository: the sample in it, and a second branch that has some of the tasks differently."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dibs_server.race.sample import Sample
from dibs_server.race.wire import PATIENCE_SECONDS, clean_environment

HERE = "here"
ELSEWHERE = "elsewhere"


def is_there() -> bool:
    """Whether git is on this machine."""
    return shutil.which("git") is not None


@dataclass
class Repository:
    """A repository; ``branch`` is the one that is checked out."""

    folder: Path
    branch: str = HERE

    def git(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run git, whatever it says; nobody's configuration is used."""
        environment = {key: value for key, value in clean_environment().items() if not key.startswith("GIT_")}
        quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_OPTIONAL_LOCKS": "0"}
        who = ["-c", "user.name=race", "-c", "user.email=race@example.org", "-c", "core.autocrlf=false"]
        return subprocess.run(
            ["git", *who, *words],
            cwd=self.folder,
            env=environment | quiet,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def switch(self) -> bool:
        """Go to the other branch; False: git refused, and nothing is changed."""
        other = HERE if self.branch == ELSEWHERE else ELSEWHERE
        if self.git("switch", "--quiet", other).returncode != 0:
            return False
        self.branch = other
        return True


def make_repository(sample: Sample) -> Repository:
    """Put the sample under git, on two branches."""
    made = Repository(sample.folder)
    made.git("init", "--quiet", "--initial-branch", HERE)
    made.git("add", "--all", "tasks")
    made.git("commit", "--quiet", "--message", "the sample")
    made.git("switch", "--quiet", "--create", ELSEWHERE)
    elsewhere = sample.elsewhere()
    for task in sample.tasks:
        if task.id in elsewhere:
            task.path.write_bytes(elsewhere[task.id])
    made.git("commit", "--quiet", "--all", "--message", "some of it differently")
    made.git("switch", "--quiet", HERE)
    return made
