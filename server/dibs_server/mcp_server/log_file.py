"""The log: warnings and errors, in ``.dibs/log/``, never on stderr.

Some clients pipe stderr and never read it: a few hundred kilobytes there, and the server would block for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

MAX_BYTES = 1_000_000


class LogFile(logging.Handler):
    """Appends to ``dibs.log``; at 1 MB that becomes ``dibs.log.1``. Silent where there is no ledger folder yet."""

    def __init__(self, folder: Callable[[], Path | None]) -> None:
        super().__init__(logging.WARNING)
        self._folder = folder

    def emit(self, record: logging.LogRecord) -> None:
        try:
            folder = self._folder()
            if folder is None or not folder.is_dir():
                return
            path = folder / "dibs.log"
            if path.is_symlink() or folder.is_symlink():
                return  # it leads to somebody else's files
            if path.exists() and path.stat().st_size > MAX_BYTES:
                path.replace(folder / "dibs.log.1")
            with path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(self.format(record) + "\n")
        except Exception:
            return  # a log that cannot be written must not end a call


def log_to_file(folder: Callable[[], Path | None]) -> None:
    """Send everything that is logged, warned or raised in threads to the log file, and nothing to stderr."""
    handler = LogFile(folder)
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
