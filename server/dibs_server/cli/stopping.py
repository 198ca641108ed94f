"""How a run of agents is told to stop: Ctrl-C starts nothing more and asks once about what runs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

import click

from dibs.answers import counted
from dibs_server.cli.console import complain


class Stoppable(Protocol):
    """A run of agents."""

    @property
    def stopping(self) -> bool: ...
    @property
    def running(self) -> int: ...
    def stop(self, *, now: bool = False) -> None: ...


class Stopper:
    """Ctrl-C: nothing more is started, and on a terminal it is asked whether to end what runs. Once more, or SIGTERM:
    that is ended, and its tasks are put back."""

    def __init__(self, *, asks: bool) -> None:
        self._asks = asks
        self._run: Stoppable | None = None
        self._to_ask = False
        self._asking = False

    @contextmanager
    def over(self, run: Stoppable) -> Iterator[None]:
        """Stop this run when told to, within the block."""
        self._run = run
        before = {number: signal.signal(number, self._told) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _told(self, number: int, frame: FrameType | None) -> None:
        assert self._run is not None
        if self._asking:
            raise KeyboardInterrupt  # the question is answered by it
        at_once = self._run.stopping or number != signal.SIGINT
        self._run.stop(now=at_once)
        self._to_ask = self._asks and not at_once
        if not at_once and not self._asks:
            complain("what runs is finished, nothing more is started; Ctrl-C again ends it and puts its tasks back")

    @property
    def is_stopping(self) -> bool:
        return self._run is not None and self._run.stopping

    @property
    def has_to_ask(self) -> bool:
        return self._to_ask

    def ask(self) -> None:
        """Ask, if that was put off until there is room on the terminal."""
        assert self._run is not None
        self._to_ask = False
        if not self._run.running:
            return
        self._asking = True
        try:
            question = f"{counted(self._run.running, 'agent')} at work. End them now and put their tasks back?"
            now = click.confirm(question, default=True, err=True)
        except (click.Abort, KeyboardInterrupt):
            now = True
        finally:
            self._asking = False
        if now:
            self._run.stop(now=True)
