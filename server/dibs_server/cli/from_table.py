"""Subcommands from the table of tools: flags are the arguments' names, and every answer can be had as JSON."""

from __future__ import annotations

import getpass
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from dibs.answers import Result, listed
from dibs.arguments import input_schema, validate
from dibs.given_claim import given_claim
from dibs.registry import Tool
from dibs.session import Call, CallCancelled, Session
from dibs.store.errors import DibsError
from dibs.store.settings import claim_file, find_tasks_dir
from dibs.store.task_store import TaskStore
from dibs_server.cli.console import (
    EXIT_CODES,
    GIVEN_UP,
    NOTHING_TO_CLAIM,
    abandon_stdout,
    complain,
    fail,
    out,
    print_json,
)
from dibs_server.cli.reading_view import waiting_told
from dibs_server.cli.render import render

POSITIONAL = ("id", "title", "name", "run_id")
SEVERAL = ("items", "ids")
"""Positional too, and any number of them; taken as they are, since names of files may have commas."""
CLICK_TYPES: Mapping[str, type] = {"integer": int, "number": float, "string": str}


def command_of(group: click.Group, name: str) -> TableCommand:
    """The subcommand of a tool in a group."""
    found = group.commands[name]
    assert isinstance(found, TableCommand)
    return found


def add_commands(program: click.Group, tools: Iterable[Tool]) -> None:
    """Add each tool's subcommand; a tool whose subcommand has two words is in the group of the first."""
    for tool in tools:
        group, name = program, tool.command
        if " " in name:
            first, name = name.split()
            found = program.commands.get(first)
            group = found if isinstance(found, click.Group) else program
        group.add_command(TableCommand(tool, name))


class TableCommand(click.Command):
    """A tool's subcommand. Help and parameters are made when they are asked for, so that a command imports only its
    own tool. ``more`` are options of the command line's own, for whoever gives it another callback, and ``more_help``
    tells of them."""

    def __init__(self, tool: Tool, name: str) -> None:
        self.more: list[click.Parameter] = []
        self.more_help = ""
        self._tool = tool
        self._help: str | None = None
        self._params: list[click.Parameter] | None = None
        super().__init__(name, callback=self.run)

    def run(self, tasks_dir: str | None, as_json: bool, **given: Any) -> None:
        """Run the tool with these values of its parameters, and print its result."""
        values = given_values(given)
        self.run_values(tasks_dir, as_json, lambda: values)

    def run_values(self, tasks_dir: str | None, as_json: bool, values: Callable[[], Mapping[str, Any]]) -> None:
        """The same with values that have to be found first, which may raise a DibsError."""
        tool = self._tool
        finish(tool.name, as_json, lambda call: run_tool(tool, tasks_dir, values(), call))

    @property
    def help(self) -> str | None:
        return self._help or "\n\n".join(filter(None, (self._tool.description, self.more_help)))

    @help.setter
    def help(self, text: str | None) -> None:
        self._help = text

    @property
    def params(self) -> list[click.Parameter]:
        if self._params is None:
            self._params = [*_parameters(self._tool), *self.more, *_common_options()]
        return self._params

    @params.setter
    def params(self, params: list[click.Parameter]) -> None:
        assert not params  # what click sets when it makes a command without any


def _parameters(tool: Tool) -> list[click.Parameter]:
    schema = input_schema(tool, shell=True)
    return [_parameter(name, prop, name in schema["required"]) for name, prop in schema["properties"].items()]


def _common_options() -> list[click.Parameter]:
    return [
        click.Option(["--tasks-dir"], metavar="DIR", help="The tasks directory; else it is looked for upwards."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the result as one JSON object."),
    ]


def _parameter(name: str, prop: Mapping[str, Any], required: bool) -> click.Parameter:
    if required and name in POSITIONAL:
        return click.Argument([name])
    if name in SEVERAL:
        return click.Argument([name], nargs=-1)
    flag = f"--{name.replace('_', '-')}"
    described = prop.get("description", "")
    if prop["type"] == "boolean":
        return click.Option([flag, name], is_flag=True, help=described)
    if prop["type"] == "array" and prop["items"]["type"] == "object":
        return click.Option([flag, name], metavar="JSON", help=f"{described} - reads it from stdin.")
    kind: Any = click.Choice(prop["enum"]) if "enum" in prop else CLICK_TYPES.get(prop["type"], str)
    many = prop["type"] == "array"
    return click.Option([flag, name], type=kind, multiple=many, required=required, help=described)


def given_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of those parameters that were given."""
    return {name: _read(name, value) for name, value in given.items() if not _left_out(value)}


def _left_out(value: Any) -> bool:
    return value is None or value is False or value == ()


def _read(name: str, value: Any) -> Any:
    """An option's value; ``-`` stands for standard input, as everywhere."""
    if name in SEVERAL:
        return list(value)
    if value == "-" and name not in POSITIONAL:
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    if isinstance(value, tuple):
        return [part for item in value for part in listed(item)]
    return value


def run_tool(tool: Tool, tasks_dir: str | None, values: Mapping[str, Any], call: Call) -> Result:
    session = open_session(tasks_dir)
    session.given = given_claim(claim_file())
    request = validate(tool, values, called=tool.command)
    started = time.monotonic()
    with _ctrl_c(call), waiting_told(session.store.index, call):
        while True:
            result = tool.run(session, request, call)
            pause = tool.pause(request, result, time.monotonic() - started)
            if pause is None:
                return result
            time.sleep(pause)
            call.check()


def open_session(tasks_dir: str | None, *, server: bool = False) -> Session:
    """The session of a person at a shell. Raises SettingsError where there is no tasks directory."""
    return Session(TaskStore(find_tasks_dir(tasks_dir)), client=_login(), person=True, server=server)


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
