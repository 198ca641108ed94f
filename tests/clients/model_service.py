"""A stand-in for a model's service, on loopback: answers a client's requests as a script says, and keeps them."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

from scripts import Reply, Said, Script, Turn

Body: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Dialect:
    """How one model's API says things: what is in a request, and the events that answer it."""

    path: str
    read: Callable[[Body], Turn]
    write: Callable[[Turn, Reply], Sequence[Mapping[str, Any]]]


@dataclass
class ModelService:
    """``turns`` is all that was asked, in order; ``faults`` what went wrong in a script."""

    dialect: Dialect
    script: Script
    turns: list[Turn] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)
    url: str = ""
    _said: dict[str, Said] = field(default_factory=dict)
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, body: Body) -> Sequence[Mapping[str, Any]]:
        turn = self.dialect.read(body)
        self.turns.append(turn)
        try:
            reply = self._reply(turn)
        except Exception as exc:
            self.faults.append(exc)
            reply = "The script failed."
        return self.dialect.write(turn, reply)

    def _reply(self, turn: Turn) -> Reply:
        with self._changing:
            said = self._said.get(turn.prompt)
            if said is None:
                begun = self._said[turn.prompt] = self.script(turn)
        try:
            return next(begun) if said is None else said.send(turn)
        except StopIteration as end:
            assert end.value is not None, f"asked again after the script's end: {turn.results}"
            return str(end.value)

    def check(self) -> None:
        """Raise what went wrong in a script."""
        if self.faults:
            raise self.faults[0]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    service: ModelService

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle of an answer is no fault."""
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.service.faults.append(error)


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.path.partition("?")[0].endswith(self.server.service.dialect.path):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        # the headers go before the script has made up its mind: Gemini CLI asks again after a minute without them
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for event in self.server.service.answer(json.loads(body)):
            self.wfile.write(_streamed(event).encode())

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


def _streamed(event: Mapping[str, Any]) -> str:
    kind = f"event: {event['type']}\n" if "type" in event else ""
    return f"{kind}data: {json.dumps(event)}\n\n"


@contextmanager
def serving(dialect: Dialect, script: Script) -> Iterator[ModelService]:
    """A model's service for one client, gone when the block ends."""
    service = ModelService(dialect, script)
    with _Server(("127.0.0.1", 0), _Request) as server:
        server.service = service
        service.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
