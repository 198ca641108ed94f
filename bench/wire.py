"""A server process spoken to over raw stdio: one request, one line, one answer."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

Answer = dict[str, Any]
PATIENCE_SECONDS = 60
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}


class Server:
    """A server process. Requests go out one at a time; two threads must not share one."""

    def __init__(self, command: Sequence[str], errors: Path | None = None) -> None:
        self.started = time.perf_counter()
        stderr = errors.open("wb") if errors else None
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
        if stderr:
            stderr.close()
        self.process = psutil.Process(self._process.pid)
        self._id = 0

    def ask(self, method: str, **params: Any) -> Answer:
        self._id += 1
        self._send({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        assert self._process.stdout is not None
        reply = json.loads(self._process.stdout.readline())
        assert reply["id"] == self._id, reply
        return dict(reply["result"])

    def initialize(self) -> None:
        self.ask("initialize", **INITIALIZE)
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def call(self, name: str, **arguments: Any) -> Answer:
        """What the tool answered: its result, or an error, which has a ``code``."""
        return dict(self.ask("tools/call", name=name, arguments=arguments)["structuredContent"])

    def cpu_seconds(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def _send(self, message: Answer) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Close its stdin, as a client does that is through; one that does not end then is killed."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def running(commands: Sequence[Sequence[str]]) -> Iterator[list[Server]]:
    """Servers that have answered ``initialize``, started side by side; ended when the block ends."""
    servers = [Server(command) for command in commands]
    try:
        with ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(Server.initialize, servers))
        yield servers
    finally:
        with ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(Server.end, servers))
