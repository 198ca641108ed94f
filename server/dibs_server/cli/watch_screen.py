"""A terminal's other screen, with one view on it that is drawn anew; the first screen is back when that ends."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.live import Live


class Screen:
    """Shows views as long as the block lasts, however it ends.

    A new size is followed at once; while the program is stopped (Ctrl-Z) the terminal is the shell's.
    """

    def __init__(self, console: Console) -> None:
        self._live = Live(
            console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._before: dict[int, Any] = {}
        self._resting = False
        self._pending: int | None = None

    def __enter__(self) -> Self:
        for name in ("SIGTSTP", "SIGWINCH"):
            if (number := getattr(signal, name, None)) is not None:
                self._before[number] = signal.signal(number, self._told)
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def show(self, view: RenderableType) -> None:
        self._live.update(view, refresh=True)

    def rest(self, seconds: float) -> bool:
        self._resting = True
        try:
            if self._pending is not None:
                self._act(self._pending)
            time.sleep(seconds)
        finally:
            self._resting = False
        return True

    def _told(self, number: int, frame: FrameType | None) -> None:
        """Nothing may be drawn in the middle of drawing: what comes then waits for the rest."""
        if self._resting:
            self._act(number)
        else:
            self._pending = number

    def _act(self, number: int) -> None:
        self._pending = None
        if number == getattr(signal, "SIGWINCH", None):
            self._live.refresh()
            return
        self._live.stop()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._live.start(refresh=True)
