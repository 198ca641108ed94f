"""The ``dibs`` program: one subcommand for each row of the table, derived from it, and the few that are no tools."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from dibs import __version__
from dibs.answers import counted
from dibs.init_tasks_dir import InitResult, init_tasks_dir
from dibs.store.errors import DibsError, StoreFailure
from dibs.store.settings import environment, named_tasks_dir
from dibs.worker_prompt import worker_prompt
from dibs_server.cli.batch_command import also_from_stdin, also_markdown
from dibs_server.cli.console import (
    fail,
    out,
    print_json,
    shown,
    warn,
)
from dibs_server.cli.from_table import TableCommand, add_commands, command_of, finish
from dibs_server.cli.hook_command import hook_command
from dibs_server.cli.run_one_command import run_one_command
from dibs_server.cli.serve_command import serve_command
from dibs_server.cli.wave_command import also_from_file, values_of
from dibs_server.clients.places import CLIENTS, PRINTED, Client, Printed, Scope, find_places
from dibs_server.dispatch.registry import ALL_TOOLS


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dibs")
def program() -> None:
    """Many agents, one directory of Markdown task files, exactly one winner a task.

    Exit codes: 0 done, 2 usage, 3 nothing to claim, 4 refused, 5 not found, 6 invalid file or settings, 7 busy or
    input/output.
    """


@program.command("init")
@click.option("--tasks-dir", metavar="DIR", help="The directory to make; else DIBS_TASKS_DIR, else tasks/.")
@click.option("--adopt", is_flag=True, help="Take over the task files that are in it; none of them is changed.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def init_command(tasks_dir: str | None, adopt: bool, as_json: bool) -> None:
    """Make a tasks directory, or take one over."""
    try:
        result = init_tasks_dir(named_tasks_dir(tasks_dir), Path.cwd(), adopt=adopt)
    except DibsError as error:
        fail(error, as_json)
    except OSError as exc:
        where = str(exc.filename or tasks_dir)
        fail(StoreFailure(f"{where}: {exc.strerror or exc}; nothing was made", path=where), as_json)
    if as_json:
        print_json(_initialised(result))
    else:
        _print_initialised(result)


def _initialised(result: InitResult) -> dict[str, Any]:
    snapshot = result.snapshot
    return {
        "tasks_dir": str(result.tasks_dir),
        "made": result.made,
        "tasks": len(snapshot.tasks),
        "notes": snapshot.notes,
        "invalid": len(snapshot.invalid),
        "learnt": result.learnt,
        "unknown": result.unknown,
    }


def _print_initialised(result: InitResult) -> None:
    console, snapshot = out(), result.snapshot
    console.print(shown(f"{'Made' if result.made else 'Ready:'} {result.tasks_dir}", "bold"))
    if snapshot.tasks or snapshot.invalid:
        counts = (counted(len(snapshot.tasks), "task"), counted(snapshot.notes, "note"))
        console.print(f"{', '.join(counts)}, {len(snapshot.invalid)} invalid")
    for word, status in result.learnt.items():
        console.print(shown(f"status {word!r} is read as {status} (settings.json, `statuses`)"))
    for word, count in result.unknown.items():
        warn(f"status {word!r} ({count} files) is not known; name it under `statuses` in settings.json")
    console.print(shown('Next: dibs add "First task", then dibs claim; for agents: dibs serve', "dim"))


@program.command("demo")
@click.option("--agents", type=click.IntRange(2, 16), default=4, show_default=True, help="How many agents work.")
@click.option("--tasks", type=click.IntRange(12, 500), default=40, show_default=True, help="How many tasks they get.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def demo_command(agents: int, tasks: int, as_json: bool) -> None:
    """Watch real servers drain a directory, one of them killed on the way."""
    from dibs_server.cli.demo import run_demo

    sys.exit(run_demo(agents, tasks, as_json=as_json))


@program.group("bench")
def bench_group() -> None:
    """Try on this machine what Dibs promises."""


@bench_group.command("race")
@click.option("--procs", type=click.IntRange(1, 128), default=8, show_default=True, help="How many servers.")
@click.option("--tasks", type=click.IntRange(10, 100_000), default=400, show_default=True, help="How many tasks.")
@click.option(
    "--kill",
    "kills",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="How many servers are killed in the middle of things.",
)
@click.option(
    "--hand-edits",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="How often a person interferes: edits, git, .dibs deleted.",
)
@click.option("--seconds", type=click.IntRange(1), help="Stop after this long, done or not.")
@click.option("--seed", type=click.IntRange(0), help="Replay a plan; else a new one is made.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def race_command(
    procs: int, tasks: int, kills: int, hand_edits: int, seconds: float | None, seed: int | None, as_json: bool
) -> None:  # fmt: skip
    """Race real servers on one directory, disturb them, and judge what they promise.

    Servers are killed in the middle of calls, files are edited by hand and taken back by git, .dibs is deleted. Then
    the callers' own records and the bytes of the files are judged, with no code of what is judged. Exit code 1: a
    promise was broken, and the directory is kept.

    The seed decides who does what and what disturbs them; in which order the system lets them run is never the same.
    """
    from dibs_server.cli.bench_command import run_bench_race
    from dibs_server.race.plan import Options
    from dibs_server.race.run import new_seed

    seed = new_seed() if seed is None else seed
    sys.exit(run_bench_race(Options(procs, tasks, kills, hand_edits, seconds, seed), as_json=as_json))


@program.group("batch")
def batch_group() -> None:
    """Named lists of work for many agents."""


@batch_group.command("wait")
@click.argument("name")
@click.option("--cursor", default="", help="From an earlier line: tell only what came after it.")
@click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS", help="Give up after so long; the tasks go on.")
@click.option("--tasks-dir", metavar="DIR", help="The tasks directory; else it is looked for upwards.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def batch_wait_command(name: str, cursor: str, timeout: float | None, tasks_dir: str | None, as_json: bool) -> None:
    """Wait until all of a batch has ended, and tell each ending as it comes; see `dibs wait`."""
    from dibs_server.cli.wait_command import run_wait

    sys.exit(run_wait(tasks_dir, {"ids": [], "batch": name, "cursor": cursor}, timeout, as_json=as_json))


@program.group("wave")
def wave_group() -> None:
    """Tasks for which Dibs starts the agents itself."""


@wave_group.command("run")
@click.argument("file", type=click.Path(allow_dash=True))
@click.option(
    "--rounds",
    type=click.Choice(["refill", "strict"]),
    default="refill",
    show_default=True,
    help="Fill a freed place at once, or end each round before the next.",
)
@click.option("--maxParallel", "maxParallel", type=int, help="So many agents at once, instead of what FILE says.")
@click.option("--tasks-dir", metavar="DIR", help="The tasks directory; else it is looked for upwards.")
@click.option("--json", "as_json", is_flag=True, help="Print what it came to as one JSON object.")
def wave_run_command(
    file: str, rounds: str, maxParallel: int | None, tasks_dir: str | None, as_json: bool
) -> None:  # fmt: skip
    """Run the wave in FILE (- is standard input): an agent for each task, files kept apart, one result.

    Run it again after a crash, or beside another one: the same wave is the same run, and each task is done once.
    Ctrl-C starts nothing more and asks whether to end what runs. Exit codes: 0 all is completed, 4 not all.
    """
    from dibs_server.cli.run_command import run_wave

    given = {"maxParallel": maxParallel}
    sys.exit(run_wave(tasks_dir, lambda: values_of(file, given), strict=rounds == "strict", as_json=as_json))


@program.command("run")
@click.option(
    "--agents", required=True, metavar="NAME:N,…", help="Which agents, and how many of each: claude:3,gemini:2."
)
@click.option("--batch", default="", help="Only from this batch.")
@click.option("--project", default="", help="Only this project.")
@click.option("--complexity", default="", help="Only this complexity.")
@click.option("--parent", default="", help="Only below this task.")
@click.option("--max-tasks", type=click.IntRange(1), help="Stop after so many tasks.")
@click.option("--tasks-dir", metavar="DIR", help="The tasks directory; else it is looked for upwards.")
@click.option("--json", "as_json", is_flag=True, help="Print what it came to as one JSON object.")
def run_command(
    agents: str, batch: str, project: str, complexity: str, parent: str, max_tasks: int, tasks_dir: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Start agents, one for each task, until nothing is ready.

    Each task is claimed for its agent before that starts. Ctrl-C starts nothing more and asks whether to end what runs.
    Exit codes: 0 all is completed, 4 not all.
    """
    from dibs.matching import Wanted
    from dibs_server.cli.run_command import run_agents

    wanted = Wanted(project=project, complexity=complexity, parent=parent)
    sys.exit(run_agents(tasks_dir, agents, batch, wanted, max_tasks or 0, as_json=as_json))


@program.command("work")
@click.option("--batch", default="", help="Only from this batch.")
@click.option("--caller", default="", help="A name of your own.")
@click.option("--project", default="", help="Only this project.")
@click.option("--complexity", default="", help="Only this complexity.")
@click.option("--type", "type_", default="", help="Only this type.")
@click.option("--tags", multiple=True, help="Has all of these.")
@click.option("--max", "most", type=click.IntRange(0), default=0, metavar="N", help="At most so many tasks; 0: all.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="How many at once.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="End a program after this.")
@click.option("--tasks-dir", metavar="DIR", help="The tasks directory; else it is looked for upwards.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.argument("command", nargs=-1, required=True, metavar="-- COMMAND {path}")
def work_command(
    batch: str, caller: str, project: str, complexity: str, type_: str, tags: tuple[str, ...], most: int, jobs: int,
    timeout: float | None, tasks_dir: str | None, as_json: bool, command: tuple[str, ...],
) -> None:  # fmt: skip
    """Run a program on each task, one after another: xargs that does no item twice.

    Claims a task, runs COMMAND with {path} {id} {title} {file} filled in, completes the task when it ends with 0, else
    blocks it with the end of its output, and takes the next. Start it as often as you like, at the same time. In a
    batch it waits for what others hold, which comes back if they die.

    {path} is the file that a batch's task was made for, else the task file, which {file} always is; without any of them
    the path comes last. Exit codes: 0 all that was run is done, 4 some was not. Ctrl-C finishes what runs, a second one
    gives it back.
    """
    from dibs_server.cli.work_command import run_work

    claim = {"batch": batch, "caller": caller, "project": project, "complexity": complexity, "type": type_}
    options = {"command": command, "most": most, "jobs": jobs, "timeout": timeout}
    sys.exit(run_work(tasks_dir, {**claim, "tags": list(tags)}, options, as_json=as_json))


@program.command("logs")
@click.argument("id", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on as long as the task is being worked on.")
@click.option("--tasks-dir", metavar="DIR", help="The tasks directory; else it is looked for upwards.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the last megabyte of it.")
def logs_command(id: str, follow: bool, tasks_dir: str | None, as_json: bool) -> None:
    """Print what the last program wrote that worked on a task."""
    from dibs_server.cli.logs_command import run_logs

    sys.exit(run_logs(tasks_dir, id, follow=follow, as_json=as_json))


@program.command("watch")
@click.option("--tasks-dir", metavar="DIR", help="The tasks directory; else it is looked for upwards.")
@click.option(
    "--interval", metavar="SECONDS", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True,
    help="How often to look.",
)  # fmt: skip
@click.option("--batch", default="", metavar="NAME", help="Only this batch: how far it is, and how long it will take.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, also on a terminal.")
@click.option("--once", is_flag=True, help="Look once, print that, and end.")
def watch_command(tasks_dir: str | None, interval: float, batch: str, as_json: bool, once: bool) -> None:
    """See who works on what, until Ctrl-C. Reads only.

    On a terminal: a live view. Elsewhere: one JSON object a line, the first at once, then one whenever something
    happened; what the clock alone moves (renewals, the rate) makes no line. What cannot be read meanwhile is told,
    as {"error": …} in a line, and watching goes on.
    """
    from dibs_server.cli.watch_command import run_watch

    sys.exit(run_watch(tasks_dir, interval, batch=batch, as_json=as_json, once=once))


@program.command("prompt")
@click.option("--caller", default="", metavar="NAME", help="The name to claim by; else the server takes the client's.")
def prompt_command(caller: str) -> None:
    """Print what a worker is told, to give to any agent: dibs prompt --caller gemini > worker.md."""
    print(worker_prompt(caller=caller), end="")


@program.command("setup")
@click.argument("client", type=click.Choice([*CLIENTS, *PRINTED]))
@click.option(
    "--scope", type=click.Choice(["user", "project"]), default="user", show_default=True,
    help="The client's configuration of this user, or of this project.",
)  # fmt: skip
@click.option("--write", is_flag=True, help="Do it; else it is only shown.")
@click.option("--remove", is_flag=True, help="Take dibs out of the configuration again.")
@click.option("--print", "print_only", is_flag=True, help="Print a snippet to paste, and touch nothing.")
@click.option("--tasks-dir", metavar="DIR", help="Tie the server to this directory; else it finds each project's own.")
@click.option("--key", default="dibs", show_default=True, help="The server's name in the configuration.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def setup_command(
    client: Client | Printed, scope: Scope, write: bool, remove: bool, print_only: bool,
    tasks_dir: str | None, key: str, as_json: bool,
) -> None:  # fmt: skip
    """Put dibs into an agent's configuration, or take it out again.

    Shows the change as a diff; with --write does it. Everything else in the files stays as it is, what was there
    before is kept beside each as NAME.dibs-backup, and --remove puts it back. For cursor, vscode and inspector it
    only prints.
    """
    from dibs_server.cli.setup_command import run_setup
    from dibs_server.clients.set_up import SetupRequest

    if (write or remove) and (print_only or client in PRINTED):
        raise click.UsageError(f"for {client} there is only printing here: leave out --write and --remove")
    known = None if print_only else next((each for each in CLIENTS if each == client), None)
    request = known and SetupRequest(known, scope, key, write=write, remove=remove)
    run_setup(client, request or None, key, tasks_dir, as_json=as_json)


def _also_until_all_ended(wait: TableCommand) -> None:
    """Make ``wait`` go on until everything has ended; with --wait-seconds it answers once, as it does agents."""

    def run(timeout: float | None, wait_seconds: int | None, **given: Any) -> None:
        if wait_seconds is not None:
            wait.run(wait_seconds=wait_seconds, **given)
            return
        from dibs_server.cli.wait_command import run_wait

        values = {"ids": list(given["ids"]), "batch": given["batch"] or "", "cursor": given["cursor"] or ""}
        sys.exit(run_wait(given["tasks_dir"], values, timeout, as_json=given["as_json"]))

    told = "Give up after so long; the tasks go on. Without it and --wait-seconds it waits until all have ended."
    wait.more.append(click.Option(["--timeout"], type=click.FloatRange(0), metavar="SECONDS", help=told))
    wait.callback = run
    wait.help = (
        "Wait until tasks have ended (done, blocked, failed, cancelled), and tell each ending as it comes.\n\n"
        "Exit codes: 0 all are done, 4 some are blocked or failed, 7 the time was up. With --json one object a "
        "line; its cursor, given to the next call, tells only what came after it. With --wait-seconds it answers once, "
        "as agents are answered."
    )


def _also_of_clients(doctor: TableCommand) -> None:
    """Give the doctor --client: it then examines not a tasks directory but how a client starts the server."""

    def run(client: Client | None, **given: Any) -> None:
        if client is None:
            doctor.run(**given)
        else:
            from dibs_server.clients.examine_client import examine_client

            if given["fix"] or given["tasks_dir"]:
                raise click.UsageError(
                    "--client looks at the client's own configuration: leave out --fix and --tasks-dir"
                )
            around = environment()
            places = find_places(around, Path.cwd())
            finish(
                "examine_tasks_dir", given["as_json"], lambda call: examine_client(client, places, around, Path.cwd())
            )

    told = "Start the server as this client would, here, and say what stands in its way."
    doctor.more.append(click.Option(["--client"], type=click.Choice(CLIENTS), help=told))
    doctor.callback = run


program.add_command(serve_command)
program.add_command(hook_command)
program.add_command(run_one_command)
add_commands(program, ALL_TOOLS)
also_from_stdin(command_of(batch_group, "create"))
also_markdown(command_of(batch_group, "summary"))
also_from_file(command_of(wave_group, "plan"))
also_from_file(command_of(wave_group, "start"))
_also_until_all_ended(command_of(program, "wait"))
_also_of_clients(command_of(program, "doctor"))
