"""``dibs wait``: every ending as it comes, until all that is waited for has one."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dibs.arguments import validate
from dibs.registry import TOOLS
from dibs.session import Call, Session
from dibs.store.errors import DibsError
from dibs.wait_for_tasks import PAUSE_SECONDS, WaitResult
from dibs_server.cli.batch_view import outcome_line
from dibs_server.cli.console import EXIT_CODES, GIVEN_UP, abandon_stdout, complain, fail, out, print_json_line
from dibs_server.cli.from_table import open_session

NOT_ALL_DONE = 4
TIMED_OUT = 7
TOOL = next(tool for tool in TOOLS if tool.name == "wait_for_tasks")


class View(Protocol):
    def tell(self, result: WaitResult, *, last: bool) -> None: ...


def run_wait(tasks_dir: str | None, values: Mapping[str, Any], timeout: float | None, *, as_json: bool) -> int:
    """Wait, tell, and return the exit code."""
    try:
        session = open_session(tasks_dir)
        with _view(as_json) as view:
            return _wait(session, values, timeout, view)
    except DibsError as error:
        fail(error, as_json)
    except KeyboardInterrupt:
        return GIVEN_UP
    except OSError as exc:
        abandon_stdout()
        if not isinstance(exc, BrokenPipeError):
            with suppress(OSError):
                complain(f"the endings could not be printed ({exc.strerror})")
        return EXIT_CODES["io"]


def _wait(session: Session, values: Mapping[str, Any], timeout: float | None, view: View) -> int:
    deadline = None if timeout is None else time.monotonic() + timeout
    failed, cursor = False, values["cursor"]
    while True:
        request = validate(TOOL, {**values, "cursor": cursor, "wait_seconds": 0}, called="wait")
        result = TOOL.run(session, request, Call())
        assert isinstance(result, WaitResult)
        over = deadline is not None and time.monotonic() >= deadline
        view.tell(result, last=result.finished or over)
        cursor = result.cursor
        failed = failed or any(ending.status != "success" for ending in result.endings)
        if result.finished:
            return NOT_ALL_DONE if failed else 0
        if over:
            complain(f"the time is up: {result.message}")
            return TIMED_OUT
        if not result.endings:
            time.sleep(PAUSE_SECONDS if deadline is None else min(PAUSE_SECONDS, max(0, deadline - time.monotonic())))


@contextmanager
def _view(as_json: bool) -> Iterator[View]:
    if as_json:
        yield JsonLines()
    elif not sys.stdout.isatty():
        yield Lines(out())
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(highlight=False), redirect_stdout=False, redirect_stderr=False) as bar:
            yield Bar(bar)


class JsonLines:
    """One object whenever something has ended, and a last one: its cursor is what to go on from."""

    def tell(self, result: WaitResult, *, last: bool) -> None:
        if result.endings or last:
            print_json_line(result.model_dump(mode="json"))


class Lines:
    """One line an ending."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def tell(self, result: WaitResult, *, last: bool) -> None:
        for ending in result.endings:
            self._console.print(outcome_line(ending.model_dump()))
        if result.finished:
            self._console.print(f"all {result.total} ended")


class Bar:
    """A line an ending, above a bar that says how many are left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("waiting", total=None)

    def tell(self, result: WaitResult, *, last: bool) -> None:
        for ending in result.endings:
            self._progress.console.print(outcome_line(ending.model_dump()))
        self._progress.update(
            self._task, total=result.total, completed=result.total - result.left,
            description="all ended" if result.finished else "waiting",
        )  # fmt: skip
