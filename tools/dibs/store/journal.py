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
    if path.is_symlink():
        return  # it leads to somebody else's file
    with path.open("ab+") as file:
        # a new line first: if a crash tore the last one, only that one is lost
        if file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
            file.write(b"\n")
        file.write(line.encode("utf-8", "replace") + b"\n")


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
