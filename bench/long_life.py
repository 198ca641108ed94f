"""One server through what eight hours bring: renewals and calls in minutes, and what has grown by then.

    python bench/long_life.py [--renewals 720] [--laps 200]

One task is held and renewed all the while; eight hours of a claim are 720 renewals at the usual 40 seconds, here they
follow one another at once. Meanwhile the other tasks are worked off lap by lap: each is claimed, given back, claimed
again and completed or blocked, read and asked for wrongly in between; then somebody puts the files back as they were.
So every lap ends where it began, and whatever grows from lap to lap is growth. The first laps, which fill what is
bounded (the last sixteen endings of a task are kept), are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from report import Cell, Check, Report, run
from sample import LONG_AGO, Samples, task_id
from wire import Answer, Server

TASKS = 6
HELD = task_id(0)
CHANGES_A_TASK = 4
LAPS_TO_FILL = 8
PATIENCE_SECONDS = 90
LOOKS = 50
LEASES = {"claims": {"lease_seconds": 60, "renew_seconds": 0.005}}
MOST_KILOBYTES = 4_000
MOST_LEDGER_BYTES = 2_000
MOST_BYTES_A_LINE = 300


@dataclass(frozen=True)
class Vitals:
    """What one moment of a server's life costs. The ledger is counted without the journal and the log."""

    memory_kilobytes: int
    open_files: int
    threads: int
    ledger_files: int
    ledger_bytes: int
    journal_lines: int
    journal_bytes: int
    log_bytes: int
    stderr_bytes: int


def vitals(server: Server, folder: Path, errors: Path) -> Vitals:
    """To be taken while nothing is held: what is being renewed has files open."""
    ledger = folder / ".dibs"
    journal = b"".join(path.read_bytes() for path in (ledger / "journal").iterdir())
    apart = (ledger / "journal", ledger / "log")
    rest = [path for path in ledger.rglob("*") if path.is_file() and path.parent not in apart]
    return Vitals(
        memory_kilobytes=server.process.memory_info().rss // 1024,
        open_files=open_files_at_rest(server),
        threads=server.process.num_threads(),
        ledger_files=len(rest),
        ledger_bytes=sum(path.stat().st_size for path in rest),
        journal_lines=journal.count(b"\n"),
        journal_bytes=len(journal),
        log_bytes=sum(path.stat().st_size for path in (ledger / "log").iterdir()),
        stderr_bytes=errors.stat().st_size,
    )


def open_files_at_rest(server: Server) -> int:
    """The fewest of many looks: the last renewal may still be under way, and whatever is left open stays open."""

    def look() -> int:
        time.sleep(0.02)
        return int(server.process.num_fds())

    return min(look() for _ in range(LOOKS))


class Renewals:
    """Counts the renewals of a claim by its claim file, which each replaces; one that is not seen is not counted."""

    def __init__(self, folder: Path) -> None:
        (self._claim_file,) = (folder / ".dibs" / "claims").iterdir()
        self.over = threading.Event()
        self._enough = threading.Condition()
        self.seen = 0

    def watch(self) -> None:
        """On a thread of its own."""
        last = self._claim_file.stat().st_mtime_ns
        while not self.over.wait(0.002):
            now = self._claim_file.stat().st_mtime_ns
            with self._enough:
                self.seen += now != last
                self._enough.notify_all()
            last = now

    def wait_for(self, count: int) -> None:
        with self._enough:
            self._enough.wait_for(lambda: self.seen >= count, PATIENCE_SECONDS)


def work_a_lap(server: Server) -> None:
    """Every task but the one that is held: given back once, then completed, or each fourth blocked."""
    given_back: set[str] = set()
    while (claim := server.call("claim_next_task", caller="bench"))["status"] == "claimed":
        name, token = claim["task"]["id"], claim["claim_token"]
        server.call("get_task", id=name)
        refused = server.call("release_task", id=name, claim_token="nobody's")
        assert "code" in refused, refused
        if name not in given_back:
            given_back.add(name)
            expect_ok(server.call("release_task", id=name, claim_token=token, note="for the next"))
        elif int(name[-1]) % 4 == 3:
            expect_ok(server.call("block_task", id=name, claim_token=token, reason="a reason"))
        else:
            expect_ok(server.call("complete_task", id=name, claim_token=token, summary="done"))
    assert len(given_back) == TASKS - 1, given_back


def expect_ok(answer: Answer) -> None:
    assert "code" not in answer, answer


def put_back(contents: dict[Path, bytes]) -> None:
    for path, content in contents.items():
        beside = path.with_name(f".{path.name}")
        beside.write_bytes(content)
        os.utime(beside, (LONG_AGO, LONG_AGO))
        beside.replace(path)


def live(server: Server, folder: Path, laps: int, renewals: int) -> int:
    """So many laps and at least so many renewals; returns how many were seen."""
    claim = server.call("claim_next_task", caller="bench", id=HELD)
    contents = {path: path.read_bytes() for path in folder.glob("*.md") if path.stem != HELD}
    counted = Renewals(folder)
    watching = threading.Thread(target=counted.watch)
    watching.start()
    try:
        for _ in range(laps):
            work_a_lap(server)
            put_back(contents)
        counted.wait_for(renewals)
    finally:
        counted.over.set()
        watching.join()
    expect_ok(server.call("release_task", id=HELD, claim_token=claim["claim_token"]))
    return counted.seen


@contextmanager
def served(samples: Samples, folder: Path, errors: Path) -> Iterator[Server]:
    server = Server(samples.command("dibs", folder), errors)
    try:
        server.initialize()
        yield server
    finally:
        server.end()


def measure(samples: Samples, options: argparse.Namespace) -> Report:
    folder = samples.directory(TASKS)
    (folder / "settings.json").write_text(json.dumps(LEASES), encoding="utf-8")
    errors = folder.with_name("stderr")
    with served(samples, folder, errors) as server:
        live(server, folder, LAPS_TO_FILL, 1)
        before, started = vitals(server, folder, errors), time.monotonic()
        seen = live(server, folder, options.laps, options.renewals)
        minutes, after = (time.monotonic() - started) / 60, vitals(server, folder, errors)
    changes = options.laps * (TASKS - 1) * CHANGES_A_TASK + 2
    rows: list[dict[str, Cell]] = [{"": "before", **vars(before)}, {"": "after", **vars(after)}]
    title = f"Long life ({seen} renewals, {changes} changes in {minutes:.1f} minutes)"
    return Report(title, rows, checks(before, after, options.renewals - seen, changes))


def checks(before: Vitals, after: Vitals, missed: int, changes: int) -> list[Check]:
    lines = after.journal_lines - before.journal_lines
    return [
        Check("renewals not seen", max(0, missed), 0),
        Check("memory, growth", after.memory_kilobytes - before.memory_kilobytes, MOST_KILOBYTES, unit="kB"),
        Check("open files, growth", after.open_files - before.open_files, 0),
        Check("threads, growth", after.threads - before.threads, 0),
        Check("files of the ledger, growth", after.ledger_files - before.ledger_files, 0),
        Check("bytes of the ledger, growth", after.ledger_bytes - before.ledger_bytes, MOST_LEDGER_BYTES, unit="B"),
        Check("lines of the journal but one a change", lines - changes, 0),
        Check("bytes of the journal a line", after.journal_bytes / after.journal_lines, MOST_BYTES_A_LINE, unit="B"),
        Check("log", after.log_bytes, 0, unit="B"),
        Check("stderr", after.stderr_bytes, 0, unit="B"),
    ]


if __name__ == "__main__":
    run(__doc__, measure, "renewals", "laps")
