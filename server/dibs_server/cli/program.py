"""The ``dibs`` program: one subcommand for each row of the table, derived from it, and the few that are no tools."""

from __future__ import annotations

import getpass
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from dibs import __version__
from dibs.answers import Result, listed
from dibs.arguments import input_schema, validate
from dibs.init_tasks_dir import InitResult, init_tasks_dir
from dibs.registry import TOOLS, Tool
from dibs.session import Call, CallCancelled, Session
from dibs.store.errors import DibsError, StoreFailure
from dibs.store.settings import environment, find_tasks_dir, named_tasks_dir
from dibs.store.task_store import TaskStore
from dibs.worker_prompt import worker_prompt
from dibs_server.cli.console import (
    EXIT_CODES,
    GIVEN_UP,
    NOTHING_TO_CLAIM,
    abandon_stdout,
    complain,
    counted,
    fail,
    out,
    print_json,
    shown,
    warn,
)
from dibs_server.cli.hook_command import hook_command
from dibs_server.cli.reading_view import reading_told
from dibs_server.cli.render import render
from dibs_server.cli.serve_command import serve_command
from dibs_server.clients.places import CLIENTS, PRINTED, Client, Printed, Scope, find_places

POSITIONAL = ("id", "title")
CLICK_TYPES: Mapping[str, type] = {"integer": int, "number": float, "string": str}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dibs")
def program() -> None:
    """Many agents, one directory of Markdown task files, exactly one winner a task.

    Exit codes: 0 done, 2 usage, 3 nothing to claim, 4 refused, 5 not found, 6 invalid file or settings, 7 busy or
    input/output.
    """


def _command(tool: Tool) -> click.Command:
    schema = input_schema(tool, shell=True)
    required = schema["required"]
    params: list[click.Parameter] = [
        _parameter(name, prop, name in required) for name, prop in schema["properties"].items()
    ]
    params += [
        click.Option(["--tasks-dir"], metavar="DIR", help="The tasks directory; else it is looked for upwards."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the result as one JSON object."),
    ]

    def run(tasks_dir: str | None, as_json: bool, **given: Any) -> None:
        values = {name: _read(name, value) for name, value in given.items() if not _left_out(value)}
        finish(tool.name, as_json, lambda call: _run(tool, tasks_dir, values, call))

    return click.Command(tool.command, callback=run, params=params, help=tool.description)


def _parameter(name: str, prop: Mapping[str, Any], required: bool) -> click.Parameter:
    if required and name in POSITIONAL:
        return click.Argument([name])
    flag = f"--{name.replace('_', '-')}"
    described = prop.get("description", "")
    if prop["type"] == "boolean":
        return click.Option([flag, name], is_flag=True, help=described)
    kind: Any = click.Choice(prop["enum"]) if "enum" in prop else CLICK_TYPES.get(prop["type"], str)
    many = prop["type"] == "array"
    return click.Option([flag, name], type=kind, multiple=many, required=required, help=described)


def _left_out(value: Any) -> bool:
    return value is None or value is False or value == ()


def _read(name: str, value: Any) -> Any:
    """An option's value; ``-`` stands for standard input, as everywhere."""
    if value == "-" and name not in POSITIONAL:
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    if isinstance(value, tuple):
        return [part for item in value for part in listed(item)]
    return value


def _run(tool: Tool, tasks_dir: str | None, values: Mapping[str, Any], call: Call) -> Result:
    session = Session(TaskStore(find_tasks_dir(tasks_dir)), client=_login(), person=True)
    request = validate(tool, values, called=tool.command)
    started = time.monotonic()
    with _ctrl_c(call), reading_told(session.store.index):
        while True:
            result = tool.run(session, request, call)
            pause = tool.pause(request, result, time.monotonic() - started)
            if pause is None:
                return result
            time.sleep(pause)
            call.check()


@contextmanager
def _ctrl_c(call: Call) -> Iterator[None]:
    """Ctrl-C takes back what the call has claimed so far, instead of leaving a claim whose token nobody saw."""

    def give_up(number: int, frame: object) -> None:
        call.cancelled = True

    before = signal.signal(signal.SIGINT, give_up)
    try:
        yield
    except CallCancelled:
        complain("given up; nothing was claimed")
        sys.exit(GIVEN_UP)
    finally:
        signal.signal(signal.SIGINT, before)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def finish(name: str, as_json: bool, act: Callable[[Call], Result]) -> None:
    """Run, print, and end with the exit code that says how it went."""
    call = Call()
    try:
        answer = act(call).model_dump(mode="json")
    except DibsError as error:
        fail(error, as_json)
    try:
        if as_json:
            print_json(answer)
        else:
            render(name, out(), answer)
        sys.stdout.flush()
    except OSError as exc:
        _not_told(call, exc)
    if answer.get("status") == "empty":
        sys.exit(NOTHING_TO_CLAIM)
    if answer.get("status") == "to_mend":
        sys.exit(EXIT_CODES["invalid_task"])


def _not_told(call: Call, exc: OSError) -> NoReturn:
    """The answer could not be printed: a claim that nobody hears of is taken back."""
    undo = call.cancel()
    if undo is not None:
        undo()
    abandon_stdout()
    if not isinstance(exc, BrokenPipeError) or undo is not None:
        complain(f"the answer could not be printed ({exc.strerror})" + ("; the claim was taken back" if undo else ""))
    sys.exit(EXIT_CODES["io"])


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


@program.command("watch")
@click.option("--tasks-dir", metavar="DIR", help="The tasks directory; else it is looked for upwards.")
@click.option(
    "--interval", metavar="SECONDS", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True,
    help="How often to look.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, also on a terminal.")
@click.option("--once", is_flag=True, help="Look once, print that, and end.")
def watch_command(tasks_dir: str | None, interval: float, as_json: bool, once: bool) -> None:
    """See who works on what, until Ctrl-C. Reads only.

    On a terminal: a live view. Elsewhere: one JSON object a line, the first at once, then one whenever something
    happened; what the clock alone moves (renewals, the rate) makes no line. What cannot be read meanwhile is told,
    as {"error": …} in a line, and watching goes on.
    """
    from dibs_server.cli.watch_command import run_watch

    sys.exit(run_watch(tasks_dir, interval, as_json=as_json, once=once))


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


def _also_of_clients(doctor: click.Command) -> None:
    """Give the doctor --client: it then examines not a tasks directory but how a client starts the server."""
    of_directory = doctor.callback

    def run(client: Client | None, **given: Any) -> None:
        if client is None and of_directory is not None:
            of_directory(**given)
        elif client is not None:
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
    doctor.params.insert(1, click.Option(["--client"], type=click.Choice(CLIENTS), help=told))
    doctor.callback = run


program.add_command(serve_command)
program.add_command(hook_command)
for _tool in TOOLS:
    program.add_command(_command(_tool))
_also_of_clients(program.commands["doctor"])
