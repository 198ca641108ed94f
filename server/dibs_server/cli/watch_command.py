"""``dibs watch``: the overview again and again. Live on a terminal, one JSON object a line elsewhere; it only looks."""

from __future__ import annotations

import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from rich.console import Console

from dibs.overview import Lookout, Overview
from dibs.session import Session
from dibs.store.errors import DibsError
from dibs.store.settings import find_tasks_dir
from dibs.store.task_store import TaskStore
from dibs_server.cli.console import EXIT_CODES, GIVEN_UP, abandon_stdout, complain, fail, print_json_line
from dibs_server.cli.watch_screen import Screen
from dibs_server.cli.watch_view import WatchView

TERMINATED = 128 + signal.SIGTERM
REST_TIMES_COST = 9
Rest = Callable[[float], bool]
Seen = Overview | DibsError


def run_watch(tasks_dir: str | None, interval: float, *, batch: str, as_json: bool, once: bool) -> int:
    """Watch until Ctrl-C, or until nobody reads any more; the exit code. Only what stops the first look is fatal."""
    try:
        with _ended_in_order():
            lookout = Lookout(Session(TaskStore(find_tasks_dir(tasks_dir))), batch)
            first = lookout.look()
            _watch(lookout, first, interval, as_json=as_json, once=once)
    except DibsError as error:
        if not as_json:
            fail(error, as_json)
        print_json_line({"error": error.to_json()})
        return EXIT_CODES[error.code]
    except KeyboardInterrupt:
        return GIVEN_UP
    except OSError as exc:
        abandon_stdout()
        if isinstance(exc, BrokenPipeError):
            return 0
        with suppress(OSError):
            complain(f"the view could not be printed ({exc.strerror})")
        return EXIT_CODES["io"]
    return 0


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Being told to end leaves the terminal as orderly as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _watch(lookout: Lookout, first: Overview, interval: float, *, as_json: bool, once: bool) -> None:
    console = None if as_json or not sys.stdout.isatty() else Console(highlight=False)
    if once:
        _print_one(console, first)
        return
    with suppress(KeyboardInterrupt):
        if console is None:
            _print_lines(_looks(lookout, first, interval, _rest_while_read))
        elif console.is_interactive:
            with Screen(console) as screen:
                for view in _views(_looks(lookout, first, interval, screen.rest), first):
                    screen.show(view)
        else:
            _print_views(console, _views(_news(_looks(lookout, first, interval, _rest)), first))


def _looks(lookout: Lookout, first: Overview, interval: float, rest: Rest) -> Iterator[Seen]:
    """What is seen every ``interval`` seconds; less often where looking and showing would cost a tenth of the time."""
    yield first
    cost = 0.0
    while rest(max(interval, REST_TIMES_COST * cost)):
        started = time.process_time()
        try:
            seen: Seen = lookout.look()
        except DibsError as error:
            seen = error
        yield seen
        cost = time.process_time() - started


def _news(looks: Iterator[Seen]) -> Iterator[Seen]:
    """Only those looks that saw something else than the one before."""
    shown: Overview | None = None
    told = ""
    for seen in looks:
        if isinstance(seen, DibsError):
            if seen.message != told:
                yield seen
            shown, told = None, seen.message
        elif seen.differs_from(shown):
            yield seen
            shown, told = seen, ""


def _print_lines(looks: Iterator[Seen]) -> None:
    for seen in _news(looks):
        if isinstance(seen, DibsError):
            print_json_line({"error": seen.to_json()})
        else:
            print_json_line(seen.model_dump(mode="json"))


def _views(looks: Iterator[Seen], last: Overview) -> Iterator[WatchView]:
    """Views of what is seen; an error stands above what was seen last."""
    for seen in looks:
        if isinstance(seen, DibsError):
            yield WatchView(last, seen.message)
        else:
            yield WatchView(last := seen)


def _print_views(console: Console, views: Iterator[WatchView]) -> None:
    """One below the other, for a terminal that cannot be written over."""
    for view in views:
        console.print(replace(view, whole=True))
        console.print()


def _print_one(console: Console | None, seen: Overview) -> None:
    if console is None:
        print_json_line(seen.model_dump(mode="json"))
    else:
        console.print(WatchView(seen, whole=True))


def _rest(seconds: float) -> bool:
    time.sleep(seconds)
    return True


def _rest_while_read(seconds: float) -> bool:
    """Rest; False, at once, when whoever read our lines has gone."""
    if not hasattr(select, "poll"):
        return _rest(seconds)
    readers = select.poll()
    readers.register(sys.stdout.fileno(), 0)
    return not readers.poll(seconds * 1000)
