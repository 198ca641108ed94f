"""A real server process, and its protocol line by line. Every wait is bounded, and no process outlives its test."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from doors import PATIENCE_SECONDS, Answer

DIBS = Path(sys.executable).with_name("dibs")
OURS = ("DIBS_TASKS_DIR", "CLAUDE_PROJECT_DIR", "PYTHONPATH")
INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "gemini-cli-mcp-client", "version": "1"},
}


@dataclass
class Wire:
    """A server process. ``lines`` is all it ever wrote on stdout, ``errors`` the file its stderr goes to; None: it goes
    into a pipe that nobody reads while the server lives."""

    process: subprocess.Popen[bytes]
    errors: Path | None = None
    lines: list[bytes] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _arrived: queue.Queue[Answer] = field(default_factory=queue.Queue)
    _replies: dict[object, Answer] = field(default_factory=dict)

    def read(self) -> None:
        """On a thread of its own: take what the server writes, as it comes."""
        for line in pipe(self.process.stdout):
            self.lines.append(line)
            with contextlib.suppress(ValueError):
                self._arrived.put(json.loads(line))

    def send(self, line: bytes) -> None:
        stdin = pipe(self.process.stdin)
        stdin.write(line + b"\n")
        stdin.flush()

    def request(self, method: str, params: Answer) -> int:
        """Send a request; returns its id."""
        number = next(self._ids)
        self.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode())
        return number

    def reply(self, number: int) -> Answer:
        while number not in self._replies:
            arrived = self._arrived.get(timeout=PATIENCE_SECONDS)
            self._replies[arrived.get("id")] = arrived
        return self._replies.pop(number)

    def first_reply(self, numbers: list[int]) -> tuple[int, Answer]:
        """Wait for a reply to any of several requests; returns its id with it."""
        while True:
            for number in numbers:
                if number in self._replies:
                    return number, self._replies.pop(number)
            arrived = self._arrived.get(timeout=PATIENCE_SECONDS)
            self._replies[arrived.get("id")] = arrived

    def ask(self, method: str, **params: Any) -> Answer:
        return self.reply(self.request(method, params))

    def initialize(self) -> Answer:
        answer = self.ask("initialize", **INITIALIZE)
        self.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
        return answer

    def start_call(self, name: str, **arguments: Any) -> int:
        return self.request("tools/call", {"name": name, "arguments": arguments})

    def call(self, name: str, **arguments: Any) -> Answer:
        answer = self.reply(self.start_call(name, **arguments))["result"]["structuredContent"]
        assert isinstance(answer, dict)
        return answer

    def close_stdin(self) -> None:
        pipe(self.process.stdin).close()

    def ended(self) -> int:
        """Wait for the end of the process; returns its exit status."""
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def complaints(self) -> bytes:
        return pipe(self.process.stderr).read() if self.errors is None else self.errors.read_bytes()


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def start(
    cwd: Path,
    *arguments: str | Path,
    stdout: int = subprocess.PIPE,
    errors: Path | None,
    python_path: Path | None = None,
) -> subprocess.Popen[bytes]:
    """``dibs serve`` as a client starts it: the installed command, from the user's directory."""
    environment = {key: value for key, value in os.environ.items() if key not in OURS}
    environment |= {"PYTHONPATH": str(python_path)} if python_path else {}
    words = [str(DIBS), "serve", *map(str, arguments)]
    with errors.open("wb") if errors else contextlib.nullcontext(subprocess.PIPE) as stderr:
        return subprocess.Popen(words, cwd=cwd, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, env=environment)


@contextlib.contextmanager
def served(
    cwd: Path, *arguments: str | Path, unread_stderr: bool = False, python_path: Path | None = None
) -> Iterator[Wire]:
    """A server that has answered ``initialize``; killed when the block ends, if it still lives."""
    errors = None if unread_stderr else cwd / "stderr.txt"
    wire = Wire(start(cwd, *arguments, errors=errors, python_path=python_path), errors)
    reader = threading.Thread(target=wire.read, daemon=True)
    reader.start()
    try:
        wire.initialize()
        yield wire
    finally:
        finish(wire.process)
        reader.join(PATIENCE_SECONDS)
        for stream in (wire.process.stdout, wire.process.stderr):
            if stream is not None:
                stream.close()


def finish(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(timeout=PATIENCE_SECONDS)
    with contextlib.suppress(BrokenPipeError):
        pipe(process.stdin).close()
