"""The journal: history for people, readable whatever a crash left in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from dibs.store.journal import append_event, read_events
from support import NOON


def names(folder: Path) -> list[object]:
    return [event["event"] for event in read_events(folder)]


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
    day.write_bytes(day.read_bytes() + b'7\n"x"\n\n\xff\xfe\n')
    append_event(tmp_path, NOON, "second")
    assert names(tmp_path) == ["first", "second"]


def test_no_folder_is_no_history(tmp_path: Path) -> None:
    assert names(tmp_path / "nowhere") == []
