"""Every row of the table is a subcommand, derived from it."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from dibs import __version__
from dibs.registry import TOOLS, Tool
from dibs_server.cli.console import EXIT_CODES
from dibs_server.cli.from_table import POSITIONAL, SEVERAL
from dibs_server.cli.program import program
from doors import EXIT_CODES as PROMISED_CODES
from doors import run_dibs

BESIDES = {"init", "serve", "demo", "watch", "setup", "prompt", "hook", "bench", "work", "logs", "batch"}
GROUPS = {"bench", "batch", "wave"}
OF_THE_COMMAND_LINE = {
    "doctor": {"client"},
    "wait": {"timeout"},
    "batch create": {"null"},
    "batch summary": {"markdown"},
}
"""Options beside the arguments of the tool."""
FILES_OF_THE_COMMAND_LINE = {"wave plan": ["file"]}
"""Words beside the arguments of the tool."""
FOR_OTHER_PROGRAMS = {"serve", "prompt", "hook"}
every_row = pytest.mark.parametrize("row", TOOLS, ids=lambda row: row.command)


def command_of(row: Tool) -> click.Command:
    group, _, name = row.command.rpartition(" ")
    return commands_of(group)[name]


def commands_of(group: str) -> dict[str, click.Command]:
    """The commands of a group; "" is the program itself."""
    found = program.commands[group] if group else program
    assert isinstance(found, click.Group)
    return found.commands


def test_the_subcommands_are_the_rows_and_few_more() -> None:
    assert program.commands.keys() == {row.command.split()[0] for row in TOOLS} | BESIDES
    for group, besides in (("batch", {"wait"}), ("wave", set())):
        of_rows = {row.command.split()[1] for row in TOOLS if row.command.startswith(f"{group} ")}
        assert commands_of(group).keys() == of_rows | besides


@pytest.mark.parametrize("name", sorted(program.commands))
def test_every_subcommand_has_help_for_itself_and_for_every_flag(name: str) -> None:
    result = run_dibs(name, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")
    assert program.commands[name].help
    for param in program.commands[name].params:
        if isinstance(param, click.Option):
            assert param.help, param.name
            assert param.opts[0] in result.stdout


@every_row
def test_the_flags_are_the_arguments_with_dashes(row: Tool) -> None:
    options = {param.name: param.opts for param in command_of(row).params if isinstance(param, click.Option)}
    positional = [param.name for param in command_of(row).params if isinstance(param, click.Argument)]
    fields = row.request.model_fields
    expected = {name: [f"--{name.replace('_', '-')}"] for name in fields if name not in positional}
    for name in OF_THE_COMMAND_LINE.get(row.command, set()):
        assert f"--{name}" in options.pop(name)
    assert options == {**expected, "tasks_dir": ["--tasks-dir"], "as_json": ["--json"]}
    several = [name for name in SEVERAL if name in fields]
    given = [name for name in POSITIONAL if name in fields and fields[name].is_required()]
    assert positional == [*given, *several, *FILES_OF_THE_COMMAND_LINE.get(row.command, [])]


@every_row
def test_what_is_required_is_asked_for(row: Tool, tasks_dir: Path) -> None:
    required = [name for name, field in row.request.model_fields.items() if field.is_required()]
    required += ["batch"] if row.command == "wait" else []  # that, or ids
    result = run_dibs(*row.command.split(), "--tasks-dir", str(tasks_dir))
    assert (result.exit_code == 2) == bool(required)
    assert all(name.lower() in result.stderr.lower() for name in required[:1])


@every_row
def test_the_id_of_an_existing_task_is_positional(row: Tool) -> None:
    arguments = {param.name for param in command_of(row).params if isinstance(param, click.Argument)}
    required = "id" in row.request.model_fields and row.request.model_fields["id"].is_required()
    assert ("id" in arguments) == required


@pytest.mark.parametrize(
    "name",
    [
        *sorted(program.commands.keys() - FOR_OTHER_PROGRAMS - GROUPS),
        *(f"{group} {name}" for group in sorted(GROUPS) for name in sorted(commands_of(group))),
    ],
)
def test_every_subcommand_for_people_can_answer_in_json(name: str) -> None:
    assert "--json" in run_dibs(*name.split(), "--help").stdout


def test_the_help_lists_every_subcommand_and_the_exit_codes() -> None:
    text = run_dibs("--help").stdout
    for name in program.commands:
        assert f"  {name} " in text
    for told in ("0 done", "2 usage", "3 nothing to claim", "4 refused", "5 not found", "6 invalid", "7 busy"):
        assert told in " ".join(text.split())


def test_the_version_is_the_package_s() -> None:
    assert run_dibs("--version").stdout == f"dibs, version {__version__}\n"


def test_every_error_has_its_promised_exit_code() -> None:
    assert EXIT_CODES == PROMISED_CODES


@pytest.mark.parametrize(
    "words", [["clam"], ["claim", "--colour", "red"], ["complete"], ["list", "--limit", "x"]], ids=str
)
def test_wrong_usage_is_2_with_a_hint(words: list[str]) -> None:
    result = run_dibs(*words)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr
    assert result.stdout == ""
