"""Any line on the stdin of a real server is answered or ignored, and the next good one answered; memory is bounded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from fuzzing import tries
from hypothesis import given
from hypothesis import strategies as st

from support import write_task
from wire import Wire, pipe, served

pytestmark = pytest.mark.processes
MEGABYTE = 1_000_000
LARGE = 50 * MEGABYTE
TIMES_THE_LINE = 5
LONGEST_ANSWER = 20_000


def called(arguments: bytes, name: bytes = b"get_task") -> bytes:
    return b'{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"%s","arguments":%s}}' % (name, arguments)


SMALL = {
    "not UTF-8": b"\xff\xfe\xc3(",
    "NUL": b"\x00" * 1000,
    "lone CRs": b"\r\r\r",
    "half a character as id": b'{"jsonrpc":"2.0","id":"\\ud800","method":"tools/list"}',
    "a number of 5000 digits as id": b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"tools/list"}',
    "a number of 5000 digits": called(b'{"id":"t-1","offset":' + b"9" * 5000 + b"}"),
    "not a number": called(b'{"id":NaN}'),
    "infinity": called(b'{"id":"t-1","offset":1e999}'),
    "nested deeply": called(b'{"id":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "nested": called(b'{"id":' + b"[" * 150 + b"]" * 150 + b"}"),
    "brackets": b"[" * MEGABYTE,
    "a batch": b'[{"jsonrpc":"2.0","id":5,"method":"tools/list"}]',
    "a null id": b'{"jsonrpc":"2.0","id":null,"method":"tools/list"}',
    "line ends of Unicode": called('{"id":"t\u2028-1\x85"}'.encode()),
    "a name of a megabyte": called(b'{"id":"t-1","' + b"y" * MEGABYTE + b'":1}'),
    "a tool of a megabyte": called(b"{}", b"z" * MEGABYTE),
    "a prompt of a megabyte": called(b"{}", b"z" * MEGABYTE).replace(b"tools/call", b"prompts/get"),
    "20,000 names": called(b'{"id":"t-1",%s}' % b",".join(b'"k%d":1' % number for number in range(20_000))),
}
HUGE = {
    "junk": b"x" * LARGE,
    "a text": called(b'{"id":"t-1","summary":"' + b"x" * LARGE + b'"}', b"complete_task"),
    "a name": called(b'{"id":"t-1","' + b"y" * LARGE + b'":1}'),
}


def still_answers(wire: Wire) -> bool:
    task = wire.call("get_task", id="t-1")["task"]
    return bool(task["id"] == "t-1")


def test_a_hostile_line_is_answered_or_ignored_and_the_next_is_answered(tmp_path: Path) -> None:
    before = write_task(tmp_path / "tasks", "t-1").read_bytes()
    with served(tmp_path) as wire:
        for line in SMALL.values():
            wire.send(line)
            assert still_answers(wire)
        pipe(wire.process.stdin).write(b'{"jsonrpc":"2.0","id":99,"method":"tools/list"')
        wire.close_stdin()
        assert wire.ended() == 0
    short = [line for line in wire.lines if b'"tools":' not in line]
    assert max(map(len, short)) < LONGEST_ANSWER
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in wire.lines)
    assert wire.complaints() == b""
    assert (tmp_path / "tasks" / "t-1.md").read_bytes() == before


@pytest.mark.parametrize("line", HUGE.values(), ids=HUGE)
def test_a_line_of_fifty_megabytes_costs_a_bounded_multiple_of_its_size(tmp_path: Path, line: bytes) -> None:
    write_task(tmp_path / "tasks", "t-1")
    with served(tmp_path) as wire:
        assert still_answers(wire)
        process = psutil.Process(wire.process.pid)
        before = process.memory_info().rss
        wire.send(line)
        assert still_answers(wire)
        assert peak_of(wire.process.pid) - before < TIMES_THE_LINE * LARGE
        assert max(map(len, wire.lines)) < LONGEST_ANSWER
    assert wire.complaints() == b""


def peak_of(pid: int) -> int:
    """The most memory the process ever had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


PIECES = st.sampled_from(
    [
        *(b'{"jsonrpc":"2.0",', b'"id":1,', b'"id":"x",', b'"method":"tools/call",', b'"method":"tools/list"'),
        *(
            b'"params":',
            b'{"name":"get_task",',
            b'"arguments":',
            b'{"id":"t-1"}',
            b"{}",
            b"[]",
            b"}",
            b"}}",
            b",",
            b":",
        ),
        *(b'"method":"initialize"', b'"method":"notifications/cancelled"', b'{"requestId":1}', b"\xff", b"\x00", b"\r"),
    ]
)


@pytest.fixture(scope="module")
def served_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    folder = tmp_path_factory.mktemp("served")
    write_task(folder / "tasks", "t-1")
    with served(folder) as wire:
        yield wire


@tries(10)
@given(st.lists(st.one_of(st.binary(max_size=20), st.lists(PIECES, max_size=10).map(b"".join)), max_size=20))
def test_any_lines_leave_the_server_answering(served_one: Wire, lines: list[bytes]) -> None:
    for line in lines:
        served_one.send(line)
    assert still_answers(served_one)
