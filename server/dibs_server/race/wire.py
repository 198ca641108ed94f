"""A real server process, spoken to line by line over its standard streams, as any client speaks to it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

Answer = dict[str, Any]
PATIENCE_SECONDS = 120
NOT_INHERITED = ("DIBS_TASKS_DIR", "CLAUDE_PROJECT_DIR", "PYTHONPATH")


class ServerGone(Exception):
    """The server's output ended before the reply came."""


@dataclass(eq=False)
class Wire:
    """A server process; ``read`` runs on a thread of its own for as long as the process lives."""

    process: subprocess.Popen[bytes]
    patience_seconds: float = PATIENCE_SECONDS
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _arrived: queue.Queue[Answer | None] = field(default_factory=queue.Queue)
    _replies: dict[object, Answer] = field(default_factory=dict)

    def read(self) -> None:
        """Take what the server writes, as it comes, to the end of its output."""
        for line in pipe(self.process.stdout):
            self.take(line)
        self._arrived.put(None)

    def take(self, line: bytes) -> None:
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
        """Wait for the reply to a request. Raises ServerGone, or queue.Empty where it takes too long."""
        return self.first_reply([number])[1]

    def first_reply(self, numbers: Sequence[int]) -> tuple[int, Answer]:
        """Wait for a reply to any of several requests; returns its id with it."""
        while True:
            for number in numbers:
                if number in self._replies:
                    return number, self._replies.pop(number)
            arrived = self._arrived.get(timeout=self.patience_seconds)
            if arrived is None:
                self._arrived.put(None)
                raise ServerGone
            self._replies[arrived.get("id")] = arrived

    def start_initialize(self, client: str) -> int:
        info = {"name": client, "version": "1"}
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info}
        return self.request("initialize", params)

    def initialize(self, client: str) -> Answer:
        answer = self.reply(self.start_initialize(client))
        self.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
        return answer

    def start_call(self, name: str, **arguments: Any) -> int:
        return self.request("tools/call", {"name": name, "arguments": arguments})

    def result(self, number: int) -> Answer:
        """What the tool answered to a call that was started."""
        answer = self.reply(number)["result"]["structuredContent"]
        assert isinstance(answer, dict)
        return answer

    def call(self, name: str, **arguments: Any) -> Answer:
        return self.result(self.start_call(name, **arguments))


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def clean_environment() -> dict[str, str]:
    """The environment without what would lead a server elsewhere."""
    return {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}


@contextlib.contextmanager
def reading(wire: Wire) -> Iterator[None]:
    """Read what the server writes; when the block ends the process is killed, if it still lives."""
    reader = threading.Thread(target=wire.read, daemon=True)
    reader.start()
    try:
        yield
    finally:
        finish(wire.process)
        reader.join(PATIENCE_SECONDS)
        for stream in (wire.process.stdout, wire.process.stderr):
            if stream is not None:
                stream.close()


def finish(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(timeout=PATIENCE_SECONDS)
    with contextlib.suppress(OSError):
        pipe(process.stdin).close()


def start(command: Sequence[str], cwd: Path, errors: Path) -> subprocess.Popen[bytes]:
    """Start a server in a process group of its own, so that Ctrl-C reaches only who started it."""
    with errors.open("ab") as stderr:
        return subprocess.Popen(
            [*command],
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=clean_environment(),
            process_group=0,
        )
