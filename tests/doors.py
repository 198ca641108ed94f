"""One way to call a tool through any door: the function, MCP in memory in both eras, and the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio.from_thread import start_blocking_portal
from click.testing import CliRunner, Result
from mcp import Client
from mcp.types import CallToolResult

from dibs.arguments import validate
from dibs.registry import Tool
from dibs.session import Call, Session
from dibs.store.errors import DibsError
from dibs.store.task_store import TaskStore
from dibs_server.cli.from_table import POSITIONAL, SEVERAL
from dibs_server.cli.program import program
from dibs_server.dispatch.registry import ALL_TOOLS
from dibs_server.mcp_server.door import Door

ERAS = ("auto", "legacy")
PATIENCE_SECONDS = 90
EXIT_CODES = {
    "invalid_arguments": 2,
    "not_ready": 4,
    "not_claimed": 4,
    "claim_lost": 4,
    "token_required": 4,
    "file_conflict": 4,
    "checklist": 4,
    "not_found": 5,
    "invalid_task": 6,
    "settings": 6,
    "task_changed": 7,
    "busy": 7,
    "io": 7,
}
Answer = dict[str, Any]


@dataclass(frozen=True)
class Entrance:
    """A door, open. ``person``: what comes through it comes from a person at a shell."""

    call: Callable[..., Answer]
    person: bool = False


def tool_named(name: str) -> Tool:
    return next(tool for tool in ALL_TOOLS if tool.name == name)


@contextmanager
def function_door(tasks_dir: Path) -> Iterator[Entrance]:
    """The verbs themselves, in a session that lives on as a server's does."""
    session = Session(TaskStore(tasks_dir), client="probe", server=True)

    def call(name: str, /, **arguments: Any) -> Answer:
        tool = tool_named(name)
        try:
            return tool.run(session, validate(tool, arguments), Call()).model_dump(mode="json")
        except DibsError as error:
            return dict(error.to_json())

    yield Entrance(call)
    session.close()


def mcp_door(era: str) -> Callable[[Path], AbstractContextManager[Entrance]]:
    """An MCP server in this process, its client speaking the protocol of ``era``."""

    @contextmanager
    def opened(tasks_dir: Path) -> Iterator[Entrance]:
        client = Client(
            Door(lambda: tasks_dir, "coordinator").server(), mode=era, read_timeout_seconds=PATIENCE_SECONDS
        )
        with start_blocking_portal("asyncio") as portal, portal.wrap_async_context_manager(client):

            def call(name: str, /, **arguments: Any) -> Answer:
                return answer_of(portal.call(client.call_tool, name, arguments))

            yield Entrance(call)

    return opened


def answer_of(result: CallToolResult) -> Answer:
    """The data of a result, which is an error exactly when it has a code."""
    answer = result.structured_content
    assert isinstance(answer, dict)
    assert result.is_error == ("code" in answer)
    return answer


@contextmanager
def cli_door(tasks_dir: Path) -> Iterator[Entrance]:
    """The command line with ``--json``; each answer is held against its exit code."""

    def call(name: str, /, **arguments: Any) -> Answer:
        result = run_dibs(*words(name, arguments), "--json", "--tasks-dir", str(tasks_dir))
        answer: Answer = json.loads(result.stdout)
        assert result.exit_code == exit_code_of(answer)
        return answer

    yield Entrance(call, person=True)


def run_dibs(*arguments: str, stdin: str | bytes = "", env: Mapping[str, str | None] | None = None) -> Result:
    """The program in this process; an exception that is not an exit fails the test with its traceback."""
    result = CliRunner().invoke(program, list(arguments), input=stdin, env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def words(name: str, arguments: Mapping[str, Any]) -> list[str]:
    """A call of a tool as the words of a command line."""
    flags: list[str] = []
    for key, value in arguments.items():
        if key in POSITIONAL and tool_named(name).request.model_fields[key].is_required():
            flags.append(value)
        elif key in SEVERAL:
            flags += value
        elif isinstance(value, bool):
            flags += [f"--{key.replace('_', '-')}"] if value else []
        else:
            flags += [f"--{key.replace('_', '-')}", listed(value) if isinstance(value, list) else str(value)]
    return [*tool_named(name).command.split(), *flags]


def listed(values: list[Any]) -> str:
    """A list as one word: texts with commas, objects as JSON."""
    return ",".join(values) if all(isinstance(value, str) for value in values) else json.dumps(values)


def exit_code_of(answer: Answer) -> int:
    if "code" in answer:
        return EXIT_CODES[answer["code"]]
    return {"empty": 3, "to_mend": 6}.get(answer.get("status", ""), 0)


DOORS: Mapping[str, Callable[[Path], AbstractContextManager[Entrance]]] = {
    "function": function_door,
    **{f"mcp-{era}": mcp_door(era) for era in ERAS},
    "cli": cli_door,
}
