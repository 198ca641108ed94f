"""What `dibs setup` writes, as the real clients read it: in a fresh home one command is enough."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from client import ASKED_AGAIN, Program

from support import write_task
from wire import DIBS

pytestmark = pytest.mark.clients

PATIENCE_SECONDS = 60
CONNECTED = {"claude": "✔ Connected", "gemini": "Connected", "codex": "enabled"}


class Fresh(Program):
    """A client in a home where nobody has done anything yet."""

    def environment(self) -> dict[str, str]:
        quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
        return {**super().environment(), **quiet, "GEMINI_CLI_NO_RELAUNCH": "true"}

    def servers(self) -> list[str]:
        """The lines about dibs in the client's own list."""
        listed = self.call("mcp", "list")
        return [line.strip() for line in (listed.stdout + listed.stderr).splitlines() if str(DIBS) in line]

    def dibs(self, *words: str) -> str:
        done = self.tried(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def tried(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(DIBS), *words], cwd=self.project, env=self.environment(), capture_output=True, text=True,
            encoding="utf-8", timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip


class Claude(Fresh):
    name = "claude"


class Gemini(Fresh):
    name = "gemini"


class Codex(Fresh):
    name = "codex"


@pytest.fixture(params=[Claude, Gemini, Codex], ids=lambda kind: kind.name)
def fresh(request: pytest.FixtureRequest, tmp_path: Path, project: Path, tasks_dir: Path) -> Fresh:
    home = tmp_path / "home"
    home.mkdir()
    write_task(tasks_dir, "t-1")
    made: Fresh = request.param(home, project)
    return made


def test_after_one_command_the_client_connects_and_after_another_it_knows_nothing(fresh: Fresh) -> None:
    for scope in ("user", "project"):
        fresh.dibs("setup", fresh.name, "--scope", scope, "--write")
        if (fresh.name, scope) == ("claude", "project"):
            trust_as_a_person_does(fresh)
        # five seconds, all that Gemini gives a server, can be too few on a busy machine: asked again
        answers = (fresh.servers() for _ in range(ASKED_AGAIN))
        assert any(CONNECTED[fresh.name] in line for (line,) in answers)
        if scope == "project":
            assert "has it already" in fresh.dibs("setup", fresh.name, "--scope", scope, "--write")
            examined = (fresh.tried("doctor", "--client", fresh.name).stdout for _ in range(ASKED_AGAIN))
            assert any("All is well" in answer for answer in examined)
        fresh.dibs("setup", fresh.name, "--scope", scope, "--remove", "--write")
    assert fresh.servers() == [], "of neither scope"


def trust_as_a_person_does(fresh: Fresh) -> None:
    """Say yes when Claude Code asks whether this folder is trusted, the one step that is left to a person."""
    path = fresh.home / ".claude.json"
    document = json.loads(path.read_bytes()) if path.exists() else {}
    document.setdefault("projects", {})[os.fspath(fresh.project)] = {"hasTrustDialogAccepted": True}
    path.write_text(json.dumps(document), encoding="utf-8")
