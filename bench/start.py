"""How long a server takes to answer `initialize`, beside a bare server on the same SDK with the same tool list.

    make bench            or: python bench/start.py [--runs 15] [--json]

Both are started again and again, in turns, in one run; the medians and their ratio count, not the milliseconds of this
machine. Also timed: the first tools/list and the first claim of each, with a thousand tasks in the directory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BARE = """
import json, sys
import anyio
from mcp import types
from mcp.server import Server
from mcp.server.stdio import stdio_server

TOOLS = [types.Tool.model_validate(tool) for tool in json.loads(open(sys.argv[1], encoding="utf-8").read())]

async def list_tools(ctx, params):
    return types.ListToolsResult(tools=TOOLS)

async def call_tool(ctx, params):
    return types.CallToolResult(content=[types.TextContent(type="text", text="{}")], structured_content={})

async def main():
    server = Server("bare", version="1", instructions="x" * 1400, on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())

anyio.run(main)
"""
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}


class Server:
    """A server process spoken to over raw stdio."""

    def __init__(self, command: list[str]) -> None:
        self.started = time.perf_counter()
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._id = 0

    def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._id += 1
        self._send({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        assert self._process.stdout is not None
        reply = json.loads(self._process.stdout.readline())
        return dict(reply["result"])

    def tell(self, method: str) -> None:
        self._send({"jsonrpc": "2.0", "method": method})

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


def one_start(command: list[str]) -> tuple[dict[str, float], list[Any]]:
    """Milliseconds from the spawn to each first answer, and the tools."""
    server = Server(command)
    times: dict[str, float] = {}

    def lap(name: str) -> None:
        times[name] = (time.perf_counter() - server.started) * 1000

    server.ask("initialize", INITIALIZE)
    lap("initialize")
    server.tell("notifications/initialized")
    tools = server.ask("tools/list", {})["tools"]
    lap("tools/list")
    server.ask("tools/call", {"name": "claim_next_task", "arguments": {"caller": "bench"}})
    lap("first claim")
    server.end()
    return times, tools


def make_tasks(folder: Path, count: int) -> None:
    for number in range(count):
        text = f"---\nid: t-{number}\ntitle: Task {number}\nstatus: active\npriority: {number % 4}\n---\n\nDo it.\n"
        (folder / f"t-{number}.md").write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        tasks = Path(root, "tasks")
        tasks.mkdir()
        make_tasks(tasks, 1000)
        (Path(root) / "bare.py").write_text(BARE, encoding="utf-8")
        dibs = [str(Path(sys.executable).parent / "dibs"), "serve", "--tasks-dir", str(tasks)]
        _, tools = one_start(dibs)
        (Path(root) / "tools.json").write_text(json.dumps(tools), encoding="utf-8")
        commands = {"dibs": dibs, "bare": [sys.executable, str(Path(root) / "bare.py"), str(Path(root) / "tools.json")]}
        samples: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
        for _ in range(options.runs):
            for name, command in commands.items():
                samples[name].append(one_start(command)[0])
    medians = {
        name: {lap: statistics.median(sample[lap] for sample in rows) for lap in rows[0]}
        for name, rows in samples.items()
    }
    ratio = medians["dibs"]["initialize"] / medians["bare"]["initialize"]
    result = {"runs": options.runs, "milliseconds": medians, "initialize_ratio": round(ratio, 3)}
    if options.json:
        print(json.dumps(result))
        return
    for name, laps in medians.items():
        print(f"{name:5}", "   ".join(f"{lap} {value:7.1f} ms" for lap, value in laps.items()))
    print(f"start to initialize: {ratio:.3f} x the bare SDK server (median of {options.runs}, in turns)")


if __name__ == "__main__":
    main()
