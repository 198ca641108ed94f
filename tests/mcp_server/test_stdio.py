"""The installed ``dibs serve`` as a process: what is on its streams, how it ends, and what its death leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import anyio
import pytest
from in_memory import ask, connected
from mcp import Client, StdioServerParameters

from dibs.store.ledger import Ledger
from dibs.store.mutex import hold_mutex
from dibs_server.race.wire import finish
from doors import PATIENCE_SECONDS
from support import header, write_file, write_task
from wire import CLIENT, DIBS, Wire, served, start

pytestmark = pytest.mark.processes
HOSTILE = (
    "mcp", "dibs", "dibs_server", "yaml", "click", "rich", "anyio", "pydantic", "filelock", "frontmatter", "json",
    "logging", "signal", "asyncio", "sitecustomize",
)  # fmt: skip
QUIET_BYTES = 10_000
BAD_CALLS = 1_500
AT_ONCE = 100


def every_line_is_json_rpc(wire: Wire) -> bool:
    return bool(wire.lines) and all(json.loads(line)["jsonrpc"] == "2.0" for line in wire.lines)


# what is on its streams


def test_a_hostile_directory_is_not_imported_and_stdout_is_the_protocol_only(tmp_path: Path) -> None:
    for name in HOSTILE:
        (tmp_path / f"{name}.py").write_text("print('hostile')\nraise SystemExit('hostile')\n", encoding="utf-8")
    for name in ("server", "tools", "mcp_server", "store"):
        write_file(tmp_path / name / "__init__.py", "raise SystemExit('hostile')\n")
    trap = subprocess.run([sys.executable, "-c", "import click"], cwd=tmp_path, capture_output=True, check=False)
    assert b"hostile" in trap.stdout
    write_task(tmp_path / "tasks", "t-1")
    with served(tmp_path) as wire:
        assert len(wire.ask("tools/list")["result"]["tools"]) == 6
        claimed = wire.call("claim_next_task")
        assert header(tmp_path / "tasks" / "t-1.md")["assignee"] == "gemini"
        done = wire.call("complete_task", id="t-1", claim_token=claimed["claim_token"], summary="Did it.")
        assert done["task"]["status"] == "done"
        assert wire.call("get_task", id="t-9")["code"] == "not_found"
        wire.close_stdin()
        assert wire.ended() == 0
    assert len(wire.lines) == 5
    assert every_line_is_json_rpc(wire)
    assert wire.complaints() == b""


def test_an_unread_stderr_never_stops_the_server(tmp_path: Path) -> None:
    """Some clients pipe stderr and never read it: once the pipe is full, the next write there would be the last."""
    tasks_dir = tmp_path / "tasks"
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2", "blocked")
    write_task(tasks_dir, "bad", "nearly")
    # what nobody foresaw: every claim ends in an error of our own, with a traceback
    breaks = f"import os\ndef link(*paths, **options): raise ZeroDivisionError({'?' * 500!r})\nos.link = link\n"
    write_file(tmp_path / "faults" / "sitecustomize.py", breaks)
    bad = [
        ("claim_next_task", {}), ("no_such_tool", {}), ("claim_next_task", {"wait_seconds": "x" * 200}),
        ("claim_next_task", {"id": "t-2"}), ("get_task", {"id": "bad"}), ("complete_task", {"id": "t", "sumary": "x"}),
        ("release_task", {"id": "t-9"}), ("get_task", {"id": []}), (7, {}), ("get_task", "t-1"),
    ]  # fmt: skip
    with served(tmp_path, unread_stderr=True, python_path=tmp_path / "faults") as wire:
        for first in range(0, BAD_CALLS, AT_ONCE):
            calls = [bad[number % len(bad)] for number in range(first, first + AT_ONCE)]
            sent = [wire.request("tools/call", {"name": name, "arguments": given}) for name, given in calls]
            for answer in map(wire.reply, sent):
                assert "error" in answer or answer["result"]["isError"]
        assert wire.call("get_index_stats")["total"] == 3
        wire.close_stdin()
        assert wire.ended() == 0
        assert len(wire.complaints()) < QUIET_BYTES
    log = (tasks_dir / ".dibs" / "log" / "dibs.log").read_text(encoding="utf-8")
    assert log.count("ZeroDivisionError") >= BAD_CALLS / len(bad)


def test_lines_that_are_no_requests_are_passed_over(tmp_path: Path) -> None:
    write_task(tmp_path / "tasks", "t-1")
    garbage = [
        b"", b"hello", b"{", b"[]", b"[1]", b"null", b"42", b'"text"', b"\xff\xfe\x00", b'{"jsonrpc":"2.0"}',
        b'{"jsonrpc":"1.0","id":1,"method":"ping"}', b"[" * 5000, b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
        b'{"jsonrpc":"2.0","method":"no/such/notice"}', b'{"id":' + b"9" * 6000 + b"}", b"\x00" * 100, b"x" * 200_000,
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"never sent"}}',
        b'{"jsonrpc":"2.0","id":"s-1","method":"tools/call","params":{"name":"get_task","arguments":{"id":"\\ud800"}}}',
    ]  # fmt: skip
    with served(tmp_path) as wire:
        for line in garbage:
            wire.send(line)
        assert wire.call("get_index_stats")["ready"] == 1
        assert wire.call("claim_next_task")["status"] == "claimed"
        wire.close_stdin()
        assert wire.ended() == 0
    assert every_line_is_json_rpc(wire)
    assert len(wire.complaints()) < QUIET_BYTES


def test_a_report_with_half_a_character_arrives(tmp_path: Path) -> None:
    path = write_task(tmp_path / "tasks", "t-1")
    with served(tmp_path) as wire:
        token = wire.call("claim_next_task")["claim_token"]
        arguments = f'{{"id":"t-1","claim_token":"{token}","summary":"done \\ud83d"}}'
        params = f'{{"name":"complete_task","arguments":{arguments}}}'
        wire.send(f'{{"jsonrpc":"2.0","id":900,"method":"tools/call","params":{params}}}'.encode())
        assert wire.reply(900)["result"]["structuredContent"]["task"]["status"] == "done"
    assert "done \ufffd" in path.read_text(encoding="utf-8")


# how it ends


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_the_end_of_stdin_ends_it_well_and_quietly(tmp_path: Path, busy: bool) -> None:
    (tmp_path / "tasks").mkdir()
    with served(tmp_path, "--tasks-dir", "tasks") as wire:
        make_busy(wire, busy)
        wire.close_stdin()
        assert wire.ended() == 0
    assert every_line_is_json_rpc(wire)
    assert wire.complaints() == b""


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_it_at_once_and_quietly(tmp_path: Path, number: signal.Signals, busy: bool) -> None:
    (tmp_path / "tasks").mkdir()
    with served(tmp_path, "--tasks-dir", "tasks") as wire:
        make_busy(wire, busy)
        wire.process.send_signal(number)
        assert wire.ended() == -number
    assert every_line_is_json_rpc(wire)
    assert wire.complaints() == b""


def make_busy(wire: Wire, busy: bool) -> None:
    """Leave a call waiting; a second one, which is answered, shows that the first has arrived."""
    if busy:
        wire.start_call("claim_next_task", wait_seconds=50)
    assert wire.call("get_index_stats")["total"] == 0


def test_a_client_that_reads_no_more_ends_it_quietly(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    reads, writes = os.pipe()
    errors = tmp_path / "stderr.txt"
    process = start(tmp_path, "--tasks-dir", "tasks", stdout=writes, errors=errors)
    os.close(writes)
    os.close(reads)
    try:
        Wire(process).start_initialize(CLIENT)
        assert process.wait(timeout=PATIENCE_SECONDS) == 0  # though its stdin is still open
    finally:
        finish(process)
    assert errors.read_bytes() == b""


# what its death leaves


@pytest.mark.anyio
async def test_the_claim_of_a_killed_server_is_taken_back_by_another(tmp_path: Path) -> None:
    tasks_dir = tmp_path / "tasks"
    write_file(tasks_dir / "settings.json", '{"claims": {"lease_seconds": 1, "renew_seconds": 0.2}}')
    path = write_task(tasks_dir, "t-1")
    with served(tmp_path) as wire:
        lost = wire.call("claim_next_task", caller="bob")
        os.kill(Ledger(tasks_dir).claims()[0].owner.pid or 0, signal.SIGKILL)
        assert wire.ended() == -signal.SIGKILL
    async with connected(tasks_dir, "auto") as client:
        taken = await ask(client, "claim_next_task", caller="eve", wait_seconds=30)
        assert (taken["task"]["id"], taken["task"]["attempts"]) == ("t-1", 1)
        assert "## Attempt 1" in path.read_text(encoding="utf-8")
        late = await ask(client, "complete_task", id="t-1", claim_token=lost["claim_token"], summary="After all!")
        assert (late["code"], late["owner"]) == ("claim_lost", "eve")
        assert header(path)["claim"] == taken["claim_token"]


@pytest.mark.anyio
async def test_a_claim_cancelled_over_a_real_pipe_takes_nothing(tmp_path: Path, era: str) -> None:
    tasks_dir = tmp_path / "tasks"
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    (tasks_dir / ".dibs").mkdir()
    server = StdioServerParameters(command=str(DIBS), args=["serve", "--tasks-dir", str(tasks_dir)], cwd=tmp_path)
    async with Client(server, mode=era, read_timeout_seconds=PATIENCE_SECONDS) as client:
        with hold_mutex(tasks_dir / ".dibs", 10):
            async with anyio.create_task_group() as group:
                group.start_soon(partial(ask, client, "claim_next_task", caller="bob"))
                await ask(client, "get_index_stats")
                group.cancel_scope.cancel()
            await ask(client, "get_index_stats")
        taken = await ask(client, "claim_next_task", caller="eve")  # stands behind the first in the mutex's queue
        assert (taken["status"], taken["also_held"]) == ("claimed", [])
        await ask(client, "release_task", id="t-1", claim_token=taken["claim_token"])
    assert path.read_bytes() == before
