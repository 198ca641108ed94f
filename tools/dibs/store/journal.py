"""The journal: one line for each change, for people and for history. It is not the source of anything.

Not fsynced, one file a day; a torn last line is passed over by whoever reads, and so is every line that is no object.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from pydantic_core import from_json

BLOCK_BYTES = 65_536

Fact = str | int | float | bool | None


def append_event(folder: Path, at: datetime, event: str, **facts: Fact) -> None:
    line = json.dumps({"at": at.isoformat(), "event": event, **facts}, ensure_ascii=False, separators=(",", ":"))
    path = folder / f"{at:%Y-%m-%d}.jsonl"
    if path.is_symlink():
        return  # it leads to somebody else's file
    with path.open("ab+", buffering=0) as file:
        # a new line first: if a crash tore the last one, only that one is lost
        torn = file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"
        file.write((b"\n" if torn else b"") + line.encode("utf-8", "replace") + b"\n")


def read_events(folder: Path) -> Iterator[dict[str, Fact]]:
    """All events, oldest first."""
    for path in day_files(folder):
        yield from events_of(path)


def events_of(path: Path) -> Iterator[dict[str, Fact]]:
    """The events of one of the journal's files, oldest first."""
    for line in path.read_bytes().splitlines():
        event = _event(line)
        if event is not None:
            yield event


def newest_events(folder: Path, since: date = date.min) -> Iterator[dict[str, Fact]]:
    """All events since that day, newest first: only as much is read, from the end, as the reader goes on asking for.

    Whatever stands in the files comes out as it is; no key and no type is promised.
    """
    for path in reversed([path for path in day_files(folder) if path.stem >= since.isoformat()]):
        for line in _lines_from_the_end(path):
            event = _event(line)
            if event is not None:
                yield event


def moment_of(event: Mapping[str, Fact]) -> datetime | None:
    """When an event was, in UTC; None: it does not say so."""
    at = event.get("at")
    try:
        moment = datetime.fromisoformat(at) if isinstance(at, str) else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def day_files(folder: Path) -> list[Path]:
    """The journal's files, oldest first; none where there is no journal."""
    return sorted(folder.glob("????-??-??.jsonl"))


def _event(line: bytes) -> dict[str, Fact] | None:
    try:
        event = from_json(line)  # json.loads takes three times as long
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _lines_from_the_end(path: Path) -> Iterator[bytes]:
    """A file's lines, the last one first; none when it is no file (any more)."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        cut: list[bytes] = []  # the pieces of a line whose beginning is further in front, last piece first
        while end > 0:
            start = max(0, end - BLOCK_BYTES)
            file.seek(start)
            first, *others = file.read(end - start).split(b"\n")
            for line in reversed(others):
                yield line + b"".join(reversed(cut))
                cut = []
            cut.append(first)
            end = start
        yield b"".join(reversed(cut))
