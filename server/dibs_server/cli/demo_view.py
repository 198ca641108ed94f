"""How the demo is watched: a live table on a terminal, one line an event elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Event:
    """Something an agent did, ``at`` seconds after the start; ``total`` tasks are done by then."""

    at: float
    agent: str
    what: str
    task_id: str
    total: int


@contextmanager
def view_of(console: Console, names: list[str], tasks: int, *, silent: bool) -> Iterator[Callable[[Event], None]]:
    """Show events as they come, in the way that fits the console."""
    if silent:
        yield lambda event: None
    elif console.is_terminal:
        with Live(console=console, refresh_per_second=12) as live:
            table = _Table(names, tasks)
            live.update(table.render())
            yield lambda event: live.update(table.after(event))
    else:
        yield lambda event: console.print(Text(_line(event)))


def _line(event: Event) -> str:
    return f"{event.at:6.2f} s  {event.agent:<8} {event.what} {event.task_id}".rstrip()


class _Table:
    """A row an agent: how much it did, and what it does now."""

    def __init__(self, names: list[str], tasks: int) -> None:
        self._tasks = tasks
        self._done = dict.fromkeys(names, 0)
        self._now = dict.fromkeys(names, "starting its server")
        self._total = 0
        self._notable: list[str] = []

    def after(self, event: Event) -> Group:
        self._total = event.total
        self._now[event.agent] = f"{event.what} {event.task_id}".rstrip()
        if event.what == "completed":
            self._done[event.agent] += 1
        elif event.what != "claimed" and event.task_id:
            self._notable.append(_line(event))
        return self.render()

    def render(self) -> Group:
        table = Table(box=None, header_style="dim", pad_edge=False)
        table.add_column("agent", min_width=10)
        table.add_column("done", justify="right")
        table.add_column("now", min_width=60, no_wrap=True, overflow="ellipsis")
        for name, done in self._done.items():
            table.add_row(Text(name, style="bold"), str(done), Text(self._now[name]))
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(total=self._tasks, completed=self._total, width=40), f"{self._total}/{self._tasks}")
        notable = [Text(line, style="yellow") for line in self._notable]
        return Group("", table, "", bar, *notable)
