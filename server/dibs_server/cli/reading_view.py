"""What a command waits for when it first looks at many task files: told on a terminal, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from dibs.store.index import Index

WORTH_TELLING = 500


@contextmanager
def reading_told(index: Index) -> Iterator[None]:
    """While the block runs, tell how many files a scan has read, once they are many; the line goes when it is over."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield
        return
    status = console.status("")

    def tell(read: int) -> None:
        if read >= WORTH_TELLING and read % WORTH_TELLING == 0:
            status.update(f"reading the task files for the first time, or those that changed: {read:,}")
            status.start()

    index.on_read = tell
    try:
        yield
    finally:
        status.stop()
