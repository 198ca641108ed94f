"""``dibs serve``: one MCP server on stdin and stdout, until stdin ends or a signal comes."""

from __future__ import annotations

import gc
import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

import anyio
from mcp.server.stdio import stdio_server

from dibs_server.mcp_server.door import Door
from dibs_server.mcp_server.log_file import log_to_file
from dibs_server.mcp_server.mended_input import MendedInput

if TYPE_CHECKING:
    from pathlib import Path

    from dibs.registry import Profile


def serve(tasks_dir: str | None, profile: Profile | None = None) -> None:
    """Serve until the client is gone. Needs no clean end: a kill at any moment leaves nothing torn and nobody stuck."""
    door = Door(partial(_find, tasks_dir), profile)
    log_to_file(door.log_folder)
    # Python's own Ctrl-C would wait for stdin to close; the default ends the process at once
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.freeze()
    gc.enable()
    try:
        anyio.run(_serve, door)
    except* BrokenPipeError:
        # the client is gone and reads no more; waiting for its stdin, or telling stderr, would help nobody
        os._exit(0)


def _find(tasks_dir: str | None) -> Path:
    from dibs.store.settings import find_tasks_dir

    return find_tasks_dir(tasks_dir)


async def _serve(door: Door) -> None:
    server = door.server()
    async with stdio_server(stdin=anyio.wrap_file(MendedInput(sys.stdin.buffer))) as (read, write):
        try:
            await server.run(read, write, server.create_initialization_options())
        except anyio.get_cancelled_exc_class():
            # nothing can be written any more, and leaving this block would wait for a line that may never come: a
            # process that lives on keeps its alive lock, and its claims would not be taken back
            os._exit(0)
