"""``dibs work`` on the command line: what it is to do, what it shows, and how it is told to stop."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dibs.answers import counted
from dibs.arguments import validate
from dibs.batch_state import BatchCounts, state_of_batch
from dibs.claim_next_task import ClaimRequest
from dibs.nothing_ready import told_waiting
from dibs.outcomes import Outcome
from dibs.registry import TOOLS
from dibs.session import Session
from dibs.store.errors import DibsError, InvalidArguments
from dibs_server.cli.batch_view import outcome_line
from dibs_server.cli.console import EXIT_CODES, abandon_stdout, complain, fail, out, print_json, shown, warn
from dibs_server.cli.from_table import open_session
from dibs_server.dispatch.work import Job, Work, WorkOptions, WorkView

NOT_ALL_DONE = 4
CLAIM = next(tool for tool in TOOLS if tool.name == "claim_next_task")


def run_work(tasks_dir: str | None, claim: Mapping[str, Any], options: Mapping[str, Any], *, as_json: bool) -> int:
    """Work, show it, and return the exit code."""
    try:
        request = validate(CLAIM, claim, called="work")
        assert isinstance(request, ClaimRequest)
        command: tuple[str, ...] = options["command"]
        if shutil.which(command[0]) is None:
            raise InvalidArguments(
                f"there is no program {command[0]} that could be started; nothing was claimed. Name one that is there, "
                "and that you may execute"
            )
        session = open_session(tasks_dir, server=True)
        try:
            return _work(session, WorkOptions(claim=request, **options), as_json)
        finally:
            session.close()
    except DibsError as error:
        fail(error, as_json)
    except OSError as exc:
        abandon_stdout()
        if not isinstance(exc, BrokenPipeError):
            complain(f"what happens could not be printed ({exc.strerror}); nothing more was started")
        return EXIT_CODES["io"]


def _work(session: Session, options: WorkOptions, as_json: bool) -> int:
    started = time.monotonic()
    before = _counts(session, options.claim.batch)
    with _view(session, options, before, as_json) as view:
        work = Work(session, options, view)
        with _stopped_in_order(work):
            work.go()
    _conclude(work, time.monotonic() - started, before, as_json)
    return 0 if all(outcome.status == "success" for outcome in work.outcomes) and not work.stopping else NOT_ALL_DONE


def _counts(session: Session, batch: str) -> BatchCounts | None:
    """Where the batch stands; None without one."""
    if not batch:
        return None
    return state_of_batch(session, session.store.batches.get(batch), session.store.snapshot()).counts


def _conclude(work: Work, seconds: float, before: BatchCounts | None, as_json: bool) -> None:
    done = sum(outcome.status == "success" for outcome in work.outcomes)
    message = f"{done} done, {len(work.outcomes) - done} not, in {seconds:.0f} s"
    if work.stopping:
        message += "; stopped"
    elif work.left is not None:
        message += f"; left: {told_waiting(work.left) or 'nothing'}"
    if as_json:
        print_json(
            {
                "workers": [outcome.model_dump(mode="json") for outcome in work.outcomes],
                "runtime_seconds": round(seconds, 1),
                "total_tokens": 0,
                "skipped": before.done + before.cancelled if before is not None else 0,
                "message": message,
                "warnings": [],
            }
        )
    else:
        out().print(shown(message))


@contextmanager
def _stopped_in_order(work: Work) -> Iterator[None]:
    """Ctrl-C: nothing more is started; once more, or SIGTERM: what runs is ended, and its tasks are given back."""

    def told(number: int, frame: FrameType | None) -> None:
        at_once = work.stopping or number != signal.SIGINT
        work.stop(now=at_once)
        if not at_once:
            complain("what runs is finished, nothing more is started; Ctrl-C again ends it and gives its tasks back")

    before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _view(session: Session, options: WorkOptions, before: BatchCounts | None, as_json: bool) -> Iterator[WorkView]:
    if as_json:
        yield Silent()
        return
    console = out()
    if before is not None:
        ended = before.done + before.cancelled
        skipped = f"{counted(ended, 'task')} skipped (already complete); " if ended else ""
        console.print(shown(f"{skipped}batch {options.claim.batch}: {before.told()}"))
    if not sys.stdout.isatty():
        yield Lines(console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(highlight=False), redirect_stdout=False, redirect_stderr=False) as progress:
        yield Bar(progress, before.left if before is not None else options.most or None)


class Silent:
    def warned(self, message: str) -> None:
        warn(message)

    def started(self, job: Job) -> None: ...

    def ended(self, job: Job, outcome: Outcome) -> None: ...

    def waiting(self) -> None: ...


class Lines(Silent):
    """One line an ending; and once, what is waited for."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._waits = False

    def ended(self, job: Job, outcome: Outcome) -> None:
        self._waits = False
        self._console.print(outcome_line(outcome.model_dump()))
        sys.stdout.flush()

    def waiting(self) -> None:
        if not self._waits:
            self._console.print(shown("waiting for what others hold; it comes back if they die", "dim"))
            self._waits = True


class Bar(Silent):
    """A line an ending, above a bar; the bar names what runs."""

    def __init__(self, progress: Progress, total: int | None) -> None:
        self._progress = progress
        self._running: dict[str, str] = {}
        self._bar = progress.add_task("starting", total=total)

    def started(self, job: Job) -> None:
        self._running[job.token] = job.task_id
        self._describe()

    def ended(self, job: Job, outcome: Outcome) -> None:
        self._running.pop(job.token, None)
        self._progress.console.print(outcome_line(outcome.model_dump()))
        self._progress.advance(self._bar)
        self._describe()

    def waiting(self) -> None:
        self._progress.update(self._bar, description="waiting for what others hold")

    def _describe(self) -> None:
        names = ", ".join(self._running.values()) or "between two tasks"
        self._progress.update(self._bar, description=shown(names[:40]).plain)
