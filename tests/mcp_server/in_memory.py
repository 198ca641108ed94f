"""A door in this process and a client on it; and bounded waiting for what happens on other threads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.types import Implementation

from dibs.registry import Profile
from dibs_server.mcp_server.door import Door
from doors import PATIENCE_SECONDS, Answer, answer_of


@asynccontextmanager
async def connected(
    place: Path | Callable[[], Path], era: str, client: str = "probe", *, profile: Profile | None = None
) -> AsyncIterator[Client]:
    """A client of that name, connected to a server of its own on the tasks directory."""
    door = Door((lambda: place) if isinstance(place, Path) else place, profile)
    info = Implementation(name=client, version="1")
    async with Client(door.server(), mode=era, client_info=info, read_timeout_seconds=PATIENCE_SECONDS) as connection:
        yield connection


async def ask(client: Client, name: str, **arguments: Any) -> Answer:
    return answer_of(await client.call_tool(name, arguments))


async def until(happened: Callable[[], bool]) -> None:
    """Wait until it has happened; a test that waits too long fails."""
    with anyio.fail_after(PATIENCE_SECONDS):
        while not happened():
            await anyio.sleep(0.01)
