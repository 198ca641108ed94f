"""``dibs bench race``: a race anyone can run; a table says what was promised, how often it was tried, what broke."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from dibs.answers import counted
from dibs_server.cli.console import EXIT_CODES, GIVEN_UP, complain, out, print_json, shown
from dibs_server.race import run
from dibs_server.race.course import RaceFailed
from dibs_server.race.plan import Options
from dibs_server.race.run import SERVER, Outcome, run_race

BREACHED = 1
BREACHES_SHOWN = 20


def run_bench_race(
    options: Options, *, as_json: bool, command: Sequence[str] = SERVER, servers_may_die: bool = False
) -> int:
    """Run a race and print what came of it; the exit code is 1 when a promise was broken."""
    console = out()
    if not as_json:
        console.print(shown(_what(options)))
    try:
        with _told(console, options, silent=as_json) as tell:
            outcome = run_race(options, command=command, tell=tell, servers_may_die=servers_may_die)
    except KeyboardInterrupt:
        complain("given up; all servers were ended, and nothing is left of the race")
        return GIVEN_UP
    except RaceFailed as failed:
        complain(f"the race could not be run: {failed}")
        return EXIT_CODES["io"]
    if as_json:
        print_json(_summary(outcome))
    else:
        _print(console, outcome)
    return BREACHED if outcome.breaches else 0


def _what(options: Options) -> str:
    parts = [counted(options.procs, "server"), counted(options.tasks, "task"), counted(options.kills, "kill")]
    return f"{', '.join(parts)}, {counted(options.hand_edits, 'disturbance')} by hand, seed {options.seed}"


@contextmanager
def _told(console: Console, options: Options, *, silent: bool) -> Iterator[Callable[[run.Progress], None]]:
    """A bar on a terminal, and nothing elsewhere."""
    if silent or not console.is_terminal:
        yield lambda progress: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        line = bar.add_task("the servers are starting", total=options.tasks)

        def tell(now: run.Progress) -> None:
            said = f"{now.ended} of {now.tasks} ended, {counted(now.kills, 'kill')}, {counted(now.edits, 'edit')}"
            bar.update(line, completed=now.ended, description="the servers are starting" if now.at_start else said)

        yield tell


def _summary(outcome: Outcome) -> dict[str, Any]:
    options = outcome.options
    return {
        "ok": outcome.breaches == 0,
        "seed": options.seed,
        "procs": options.procs,
        "tasks": options.tasks,
        "kills": outcome.kills,
        "disturbances": outcome.edits,
        "tasks_ended": outcome.tasks_ended,
        "seconds": round(outcome.seconds, 1),
        "cut_short": outcome.cut_short,
        "promises": [
            {"promise": verdict.promise, "tested": verdict.tested, "breaches": verdict.breaches}
            for verdict in outcome.verdicts
        ],
        "directory": str(outcome.folder) if outcome.breaches else None,
    }


def _print(console: Console, outcome: Outcome) -> None:
    table = Table("promise", "put to the test", "broken", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for verdict in outcome.verdicts:
        number = len(verdict.breaches)
        style = "bold red" if number else "green" if verdict.tested else "dim"
        table.add_row(verdict.promise, str(verdict.tested), Text(str(number), style=style))
    console.print(table)
    for verdict in outcome.verdicts:
        for breach in verdict.breaches[:BREACHES_SHOWN]:
            console.print(shown(f"{verdict.promise}: {breach}", "red"))
    console.print(shown(_in_short(outcome)))
    for line in _notes(outcome):
        console.print(shown(line, "dim"))
    if outcome.breaches:
        console.print(shown(_broken(outcome), "bold red"))
    else:
        console.print(shown("Every promise held.", "bold green"))


def _in_short(outcome: Outcome) -> str:
    edits = ", ".join(f"{name} {count}" for name, count in sorted(outcome.edits.items())) or "none"
    rate = outcome.tasks_ended / outcome.seconds if outcome.seconds else 0.0
    return (
        f"{counted(outcome.tasks_ended, 'ending')} in {outcome.seconds:.1f} s ({rate:.0f} a second), "
        f"{counted(outcome.kills, 'server')} killed, disturbances: {edits}; seed {outcome.options.seed}"
    )


def _notes(outcome: Outcome) -> Iterator[str]:
    if not outcome.git:
        yield "git was not found: nothing was checked out, stashed or switched"
    if outcome.cut_short:
        yield "time was up before all was done: what is left was not counted as stuck"
    if outcome.no_progress:
        yield "nothing happened any more, so the race was ended"
    untried = [verdict.promise for verdict in outcome.verdicts if not verdict.tested]
    if untried:
        yield f"not put to the test this time: {'; '.join(untried)}"


def _broken(outcome: Outcome) -> str:
    return (
        f"Promises were broken {outcome.breaches} times. The directory is kept: {outcome.folder}. Please "
        f"report it with the table above, the seed ({outcome.options.seed}), and project/tasks with its "
        ".dibs/journal and .dibs/log"
    )
