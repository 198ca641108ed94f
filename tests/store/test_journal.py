"""The journal: history for people, readable whatever a crash left in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dibs.store import journal
from dibs.store.journal import append_event, newest_events, read_events
from support import NOON


def names(folder: Path) -> list[object]:
    """All events, read from both ends."""
    forwards = [event.get("event") for event in read_events(folder)]
    assert [event.get("event") for event in newest_events(folder)] == forwards[::-1]
    return forwards


def test_events_come_back_in_order_over_days(tmp_path: Path) -> None:
    append_event(tmp_path, NOON, "first", id="t-1", pid=None)
    append_event(tmp_path, NOON, "second", id="Größe\n")
    append_event(tmp_path, NOON + timedelta(days=1), "third")
    assert list(read_events(tmp_path)) == [
        {"at": "2026-01-22T12:00:00+00:00", "event": "first", "id": "t-1", "pid": None},
        {"at": "2026-01-22T12:00:00+00:00", "event": "second", "id": "Größe\n"},
        {"at": "2026-01-23T12:00:00+00:00", "event": "third"},
    ]


def test_a_torn_last_line_costs_only_itself(tmp_path: Path) -> None:
    append_event(tmp_path, NOON, "first")
    append_event(tmp_path, NOON, "torn")
    (day,) = tmp_path.iterdir()
    day.write_bytes(day.read_bytes()[:-5])
    append_event(tmp_path, NOON, "third")
    assert names(tmp_path) == ["first", "third"]


def test_lines_that_are_no_events_are_passed_over(tmp_path: Path) -> None:
    append_event(tmp_path, NOON, "first")
    (day,) = tmp_path.iterdir()
    day.write_bytes(day.read_bytes() + b'7\n"x"\n\n\xff\xfe\n[]\n' + b"[" * 100_000 + b"\n")
    append_event(tmp_path, NOON, "second")
    assert names(tmp_path) == ["first", "second"]


def test_no_folder_is_no_history(tmp_path: Path) -> None:
    assert names(tmp_path / "nowhere") == []


def test_the_newest_come_first_and_only_as_many_as_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(300):
        append_event(tmp_path, NOON + timedelta(hours=number), f"event {number}")
    opened = []
    whole = journal._lines_from_the_end

    def counted(path: Path) -> Iterator[bytes]:
        opened.append(path.name)
        return whole(path)

    monkeypatch.setattr(journal, "_lines_from_the_end", counted)
    found = [event["event"] for event in islice(newest_events(tmp_path), 3)]
    assert found == ["event 299", "event 298", "event 297"]
    assert opened == [f"{NOON + timedelta(hours=299):%Y-%m-%d}.jsonl"]


@pytest.mark.parametrize("block_bytes", [1, 2, 7, 60, 65_536])
def test_lines_are_put_together_from_blocks(block_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "BLOCK_BYTES", block_bytes)
    for number in range(9):
        append_event(tmp_path, NOON, f"{number}" * number, id="Größe\n")
    assert names(tmp_path) == [f"{number}" * number for number in range(9)]


def test_a_line_longer_than_a_block_is_read_whole(tmp_path: Path) -> None:
    append_event(tmp_path, NOON, "first")
    append_event(tmp_path, NOON, "x" * 300_000)
    append_event(tmp_path, NOON, "third")
    assert [len(str(name)) for name in names(tmp_path)] == [5, 300_000, 5]


def test_what_is_no_day_s_file_is_no_history(tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text('{"event": "x"}\n', encoding="utf-8")
    (tmp_path / "2026-01-23.jsonl").mkdir()
    append_event(tmp_path, NOON, "first")
    assert [event["event"] for event in newest_events(tmp_path)] == ["first"]


@given(cut=st.integers(0, 2_000), block_bytes=st.integers(1, 200), more=st.binary(max_size=80))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_torn_anywhere_loses_only_the_line_that_was_torn(
    tmp_path: Path, cut: int, block_bytes: int, more: bytes
) -> None:
    day = tmp_path / "2026-01-22.jsonl"
    day.unlink(missing_ok=True)
    for number in range(8):
        append_event(tmp_path, NOON, "whole", number=number, id="t-1", caller="Größe")
    content = day.read_bytes()[:cut]
    day.write_bytes(content + more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "BLOCK_BYTES", block_bytes)
        found = [event["number"] for event in newest_events(tmp_path) if event.get("event") == "whole"]
        append_event(tmp_path, NOON, "after")
        assert next(newest_events(tmp_path))["event"] == "after"
    whole = list(range(content.count(b"\n")))[::-1]
    assert found in (whole, [len(whole), *whole])
