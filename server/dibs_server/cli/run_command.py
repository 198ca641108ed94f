"""`dibs wave run` and `dibs run` on the command line: what is to be run, what is told before, and what it came to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from dibs.arguments import validate
from dibs.matching import Wanted
from dibs.plan_wave import AgentRow, agent_rows, told_before
from dibs.planning import planned
from dibs.ready import ready_for
from dibs.session import Session
from dibs.store.errors import DibsError, InvalidArguments
from dibs.waves.shape import Wave
from dibs_server.cli.console import EXIT_CODES, GIVEN_UP, abandon_stdout, complain, fail, out, print_json, shown, warn
from dibs_server.cli.from_table import open_session
from dibs_server.cli.result_view import print_run
from dibs_server.cli.run_view import run_view
from dibs_server.cli.stopping import Stoppable, Stopper
from dibs_server.cli.wave_view import NO_PERMISSIONS
from dibs_server.dispatch.pull_run import PullOptions, PullRun, agents_told, refuse
from dibs_server.dispatch.registry import DISPATCH_TOOLS
from dibs_server.dispatch.run import RunView
from dibs_server.dispatch.run_result import RunResult
from dibs_server.dispatch.wave_run import WaveRun

RUN_WAVE = next(tool for tool in DISPATCH_TOOLS if tool.name == "run_wave")
NOT_ALL_DONE = 4


class Runnable(Stoppable, Protocol):
    def go(self) -> RunResult | None: ...


def run_wave(tasks_dir: str | None, values: Callable[[], Mapping[str, Any]], *, strict: bool, as_json: bool) -> int:
    """Run a wave, show it, and return the exit code."""

    def prepare(session: Session) -> Callable[[RunView], Runnable]:
        wave = validate(RUN_WAVE, values(), called="wave run")
        assert isinstance(wave, Wave)
        plan = planned(session, wave)
        _tell([told_before(plan)], agent_rows(plan), plan.warnings, as_json=as_json)
        return lambda view: WaveRun(session, plan, view, strict=strict)

    return _run(tasks_dir, prepare, as_json=as_json)


def run_agents(tasks_dir: str | None, agents: str, batch: str, wanted: Wanted, most: int, *, as_json: bool) -> int:
    """Have agents pull tasks until nothing is ready, show it, and return the exit code."""

    def prepare(session: Session) -> Callable[[RunView], Runnable]:
        store = session.store
        among = replace(wanted, batch=store.batches.get(batch)) if batch else wanted
        options = PullOptions(read_agents(agents), among, most)
        refuse(options, store)
        ready = {name: sum(1 for _ in ready_for(store, among, name)) for name in options.agents}
        told = ", ".join(f"{count} ready for {name}" for name, count in ready.items())
        _tell([told], agents_told(options, store.settings), (), as_json=as_json)
        return lambda view: PullRun(session, options, view)

    return _run(tasks_dir, prepare, as_json=as_json)


def read_agents(text: str) -> dict[str, int]:
    """``claude:3,gemini:2`` as numbers of agents; a name alone is one.

    Raises:
        InvalidArguments: a part of it is not that.
    """
    found: dict[str, int] = {}
    for part in text.split(","):
        name, _, count = part.strip().partition(":")
        if not name or not (count or "1").isdecimal() or not 1 <= int(count or 1) <= 100 or name in found:
            raise InvalidArguments(
                f"run: --agents {text!r} is not a list like claude:3,gemini:2, each agent once, from 1 to 100; nothing "
                "was started"
            )
        found[name] = int(count or 1)
    return found


def _tell(lines: Sequence[str], agents: Sequence[AgentRow], warnings: Sequence[str], *, as_json: bool) -> None:
    """What is to be known before the first start."""
    for line in () if as_json else lines:
        out().print(shown(line))
    for row in agents:
        may = " ".join(row.permissions) or NO_PERMISSIONS
        warn(f"{row.agent} will be started as `{row.program}`, and may do: {may}")
    for warning in warnings:
        warn(warning)
    sys.stdout.flush()


def _run(tasks_dir: str | None, prepare: Callable[[Session], Callable[[RunView], Runnable]], *, as_json: bool) -> int:
    try:
        session = open_session(tasks_dir)
        make = prepare(session)
        stopper = Stopper(asks=not as_json and sys.stdin.isatty() and sys.stdout.isatty())
        with run_view(stopper, as_json=as_json) as view:
            run = make(view)
            with stopper.over(run):
                result = run.go()
        return _conclude(result, as_json=as_json)
    except DibsError as error:
        fail(error, as_json)
    except OSError as exc:
        abandon_stdout()
        if not isinstance(exc, BrokenPipeError):
            complain(f"what happens could not be printed ({exc.strerror}); the agents at work go on by themselves")
        return EXIT_CODES["io"]


def _conclude(result: RunResult | None, *, as_json: bool) -> int:
    if result is None:
        complain("not watched any more; the run goes on")
        return GIVEN_UP
    answer = result.model_dump(mode="json")
    if as_json:
        print_json(answer)
    else:
        print_run(out(), answer)
    return 0 if result.status == "completed" else NOT_ALL_DONE
