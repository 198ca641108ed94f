"""The wire of the race for tests of the protocol: what a server wrote is kept, and every wait is bounded."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dibs_server.race import wire
from dibs_server.race.wire import clean_environment, pipe, reading
from doors import PATIENCE_SECONDS, Answer

DIBS = Path(sys.executable).with_name("dibs")
CLIENT = "gemini-cli-mcp-client"


@dataclass(eq=False)
class Wire(wire.Wire):
    """A server process. ``lines`` is all it ever wrote on stdout, ``errors`` the file its stderr goes to; None: it goes
    into a pipe that nobody reads while the server lives."""

    errors: Path | None = None
    lines: list[bytes] = field(default_factory=list)

    def take(self, line: bytes) -> None:
        self.lines.append(line)
        super().take(line)

    def ask(self, method: str, **params: Any) -> Answer:
        return self.reply(self.request(method, params))

    def close_stdin(self) -> None:
        pipe(self.process.stdin).close()

    def ended(self) -> int:
        """Wait for the end of the process; returns its exit status."""
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def complaints(self) -> bytes:
        return pipe(self.process.stderr).read() if self.errors is None else self.errors.read_bytes()


def start(
    cwd: Path,
    *arguments: str | Path,
    stdout: int = subprocess.PIPE,
    errors: Path | None,
    python_path: Path | None = None,
) -> subprocess.Popen[bytes]:
    """``dibs serve`` as a client starts it: the installed command, from the user's directory."""
    environment = clean_environment() | ({"PYTHONPATH": str(python_path)} if python_path else {})
    words = [str(DIBS), "serve", *map(str, arguments)]
    with errors.open("wb") if errors else contextlib.nullcontext(subprocess.PIPE) as stderr:
        return subprocess.Popen(words, cwd=cwd, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, env=environment)


@contextlib.contextmanager
def served(
    cwd: Path, *arguments: str | Path, unread_stderr: bool = False, python_path: Path | None = None
) -> Iterator[Wire]:
    """A server that has answered ``initialize``; killed when the block ends, if it still lives."""
    errors = None if unread_stderr else cwd / "stderr.txt"
    made = Wire(start(cwd, *arguments, errors=errors, python_path=python_path), errors=errors)
    with reading(made):
        made.initialize(CLIENT)
        yield made
