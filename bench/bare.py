"""The floors: a server on the same SDK, with the same tool list, that answers every call at once with one constant.

    python bench/bare.py TOOLS.json [TASKS_DIR]

With a directory its claims and completions cost what files cost and no more: the next name that an O_EXCL lockfile can
be made for, then the task file read, its status changed, written beside it, fsynced and renamed. No index, no order,
no dependencies, no lease, no fence.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp import types
from mcp.server import Server
from mcp.server.stdio import stdio_server

NOTHING = {"status": "claimed", "task": {"id": "none"}, "claim_token": "none"}


class Files:
    """Claims without an index: the names in their order, each tried once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks = folder / ".locks"
        self._locks.mkdir(exist_ok=True)
        self._names = iter(sorted(name for name in os.listdir(folder) if name.endswith(".md")))

    def claim(self) -> dict[str, Any]:
        for name in self._names:
            try:
                os.close(os.open(self._locks / name, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                continue
            self._rewrite(name, b"status: active", b"status: in_progress")
            return {"status": "claimed", "task": {"id": name.removesuffix(".md")}, "claim_token": "none"}
        return {"status": "empty"}

    def complete(self, task_id: str) -> dict[str, Any]:
        self._rewrite(f"{task_id}.md", b"status: in_progress", b"status: done")
        return {"task": {"id": task_id}}

    def _rewrite(self, name: str, old: bytes, new: bytes) -> None:
        path, beside = self._folder / name, self._folder / f".{name}.{os.getpid()}"
        content = path.read_bytes().replace(old, new, 1)
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)


async def main(tools_file: Path, folder: Path | None) -> None:
    tools = [types.Tool.model_validate(tool) for tool in json.loads(tools_file.read_text(encoding="utf-8"))]
    files = Files(folder) if folder else None

    async def list_tools(ctx: Any, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tools)

    async def call_tool(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        answer = NOTHING
        if files is not None:
            is_claim = params.name == "claim_next_task"
            answer = files.claim() if is_claim else files.complete(str((params.arguments or {})["id"]))
        return types.CallToolResult(content=[types.TextContent(type="text", text="{}")], structured_content=answer)

    server = Server("bare", version="1", instructions="x" * 1400, on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
