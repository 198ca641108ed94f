"""What a command waits for that goes through many tasks: told on a terminal, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from dibs.session import Call
from dibs.store.index import Index

WORTH_TELLING = 500
TASKS_AT_ONCE = 50


@contextmanager
def waiting_told(index: Index, call: Call) -> Iterator[None]:
    """While the block runs, tell how many files a scan has read, once they are many, and how far a verb has come with
    its tasks; the line goes when it is over."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield
        return
    status = console.status("")
    told = ("", 0)

    def tell_read(read: int) -> None:
        if read >= WORTH_TELLING and read % WORTH_TELLING == 0:
            status.update(f"reading the task files for the first time, or those that changed: {read:,}")
            status.start()

    def tell_progress(doing: str, through: int, of: int) -> None:
        nonlocal told
        before, told = told, (doing, through // TASKS_AT_ONCE)
        if through >= TASKS_AT_ONCE and told != before:
            status.update(f"{doing}: {through:,} of {of:,}")
            status.start()

    index.on_read, call.on_progress = tell_read, tell_progress
    try:
        yield
    finally:
        status.stop()
