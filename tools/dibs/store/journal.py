"""The journal: one line for each change, for people and for history. It is not the source of anything.

Not fsynced, one file a day; a torn last line is passed over by whoever reads.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

Fact = str | int | float | bool | None


def append_event(folder: Path, at: datetime, event: str, **facts: Fact) -> None:
    line = json.dumps({"at": at.isoformat(), "event": event, **facts}, ensure_ascii=False, separators=(",", ":"))
    path = folder / f"{at:%Y-%m-%d}.jsonl"
    # a new line first: if a crash tore the last one, only that one is lost
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, ("\n" if torn else "").encode() + line.encode("utf-8", "replace") + b"\n")
    finally:
        os.close(descriptor)


def read_events(folder: Path) -> Iterator[dict[str, Fact]]:
    """All events, oldest first."""
    if not folder.is_dir():
        return
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event
