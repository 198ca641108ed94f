"""Starting a configured server and asking it, over MCP, what an agent's client would ask first."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from pydantic import ValidationError

from dibs_server.clients.start import Start

ANSWER_SECONDS = 30.0


@dataclass
class Interview:
    """What came back. ``seconds`` is how long the first answer took, None: there was none, and ``failure`` says why.

    ``noise`` is what it wrote to stderr, ``strays`` are the lines on stdout that are no messages.
    """

    seconds: float | None = None
    tools: list[str] = field(default_factory=list)
    stats: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""
    noise: str = ""
    strays: list[str] = field(default_factory=list)

    @property
    def last_words(self) -> str:
        """The last line on stderr, where a program says what it ends of."""
        return self.noise.strip().rpartition("\n")[2].strip()


class StrayLines(logging.Handler):
    """Keeps the lines that the SDK's client logs because they are no messages."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info and record.exc_info[1]
        if isinstance(error, ValidationError):
            self.lines.append(str(error.errors()[0]["input"]))


def interview(start: Start) -> Interview:
    """Start the server, let it answer in the client's time, list its tools and count its tasks; end it again."""
    found = Interview()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors, _kept(found.strays):
        try:
            anyio.run(_ask, start, found, errors)
        except TimeoutError:
            late = found.seconds is None
            found.failure = f"within {start.seconds:g} s" if late else f"a call within {ANSWER_SECONDS:g} s"
        except Exception as exc:  # whatever a program does that is no server of ours, it is told and not ours to raise
            found.failure = f"as a server does ({_innermost(exc)})"
        errors.seek(0)
        found.noise = errors.read()
    return found


@contextmanager
def _kept(strays: list[str]) -> Iterator[None]:
    """What the SDK's client has to say of the server's stdout goes into this list, and not to our stderr."""
    logger, handler = logging.getLogger(stdio_client.__module__), StrayLines(strays)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


async def _ask(start: Start, found: Interview, errors: TextIO) -> None:
    parameters = StdioServerParameters(
        command=start.command, args=start.args, env=start.environment, cwd=str(start.cwd)
    )
    began = time.monotonic()
    with anyio.fail_after(start.seconds) as patience:
        async with Client(stdio_client(parameters, errlog=errors), mode="legacy") as client:
            found.seconds = time.monotonic() - began
            patience.deadline = anyio.current_time() + ANSWER_SECONDS
            found.tools = [tool.name for tool in (await client.list_tools()).tools]
            if "get_index_stats" in found.tools:
                found.stats = (await client.call_tool("get_index_stats", {})).structured_content or {}


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error).strip() or type(error).__name__
