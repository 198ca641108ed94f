"""What a run of agents shows: a row a worker and a bar on a terminal, a line a change elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dibs_server.cli.console import abandon_stdout, cut_middle, out, shown, warn
from dibs_server.cli.result_view import STYLES
from dibs_server.cli.stopping import Stopper
from dibs_server.dispatch.agent_output import last_line
from dibs_server.dispatch.crew import AtWork
from dibs_server.dispatch.records import Order, Progress, RunFolder
from dibs_server.dispatch.run import RunView
from dibs_server.dispatch.run_result import RunResult

ID_WIDTH = 28
WORDS = {"given_back": "given back", "refused": "not claimed", "conflict": "put back"}


class Silent:
    """Shows nothing but warnings."""

    def started(self, order: Order) -> None: ...

    def ended(self, progress: Progress) -> None: ...

    def look(self, result: RunResult, at_work: Mapping[str, AtWork], folder: RunFolder) -> None: ...

    def warned(self, message: str) -> None:
        warn(message)


class Lines(Silent):
    """A line for each start and each end."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def started(self, order: Order) -> None:
        again = f", attempt {order.attempt}" if order.attempt > 1 else ""
        self._print(shown(f"started    {order.task_id} ({order.agent}{again})", "dim"))

    def ended(self, progress: Progress) -> None:
        self._print(_ended_line(progress))

    def _print(self, line: Text) -> None:
        """Print it; the wave goes on though nobody reads any more."""
        try:
            self._console.print(line)
            sys.stdout.flush()
        except (OSError, SystemExit):  # rich would end the program when its reader has gone
            self._console.quiet = True
            abandon_stdout()


class Rows(Silent):
    """A row for each agent at work, with the last line it said, above a bar; a line for each end goes up."""

    def __init__(self, live: Live, stopper: Stopper) -> None:
        self._live = live
        self._stopper = stopper

    def ended(self, progress: Progress) -> None:
        self._live.console.print(_ended_line(progress))

    def look(self, result: RunResult, at_work: Mapping[str, AtWork], folder: RunFolder) -> None:
        if self._stopper.has_to_ask:
            self._live.stop()
            self._stopper.ask()
            self._live.start()
        bar = _bar(result, "; nothing more is started, Ctrl-C ends what runs" if self._stopper.is_stopping else "")
        self._live.update(Group(_table(at_work, folder), bar), refresh=True)


def _table(at_work: Mapping[str, AtWork], folder: RunFolder) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for work in at_work.values():
        progress = folder.progress(work.order)
        said = last_line(folder.path / progress.output) if progress is not None and progress.output else ""
        name = cut_middle(shown(work.order.task_id), ID_WIDTH)
        table.add_row(name, *map(shown, (work.order.agent, _clock(time.monotonic() - work.since), said)))
    return table


def _bar(result: RunResult, more: str) -> Table:
    ended = sum(row.status not in ("running", "waiting") for row in result.tasks.values())
    line = Table.grid(padding=(0, 1))
    line.add_row(ProgressBar(total=max(1, len(result.tasks)), completed=ended, width=30), shown(result.message + more))
    return line


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _ended_line(progress: Progress) -> Text:
    how = progress.how or "failed"
    status = how if how in STYLES else "failed"
    line = shown(f"{WORDS.get(how, how):<10} {progress.task_id} ({progress.agent}, {progress.runtime_seconds:.0f} s)")
    line.stylize(STYLES[status], 0, 10)
    return line + shown(f": {progress.told}", "dim") if progress.told and how != "completed" else line


@contextmanager
def run_view(stopper: Stopper, *, as_json: bool) -> Iterator[RunView]:
    if as_json:
        yield Silent()
    elif not sys.stdout.isatty():
        yield Lines(out())
    else:
        console = Console(highlight=False)
        live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False, transient=True)
        with live:
            yield Rows(live, stopper)
