"""``dibs setup``: the change as a diff, and with --write the change."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from dibs.store.errors import DibsError
from dibs.store.settings import environment
from dibs_server.cli.console import fail, out, print_json, shown, warn
from dibs_server.clients.launch import Launch, launch_of_this
from dibs_server.clients.places import Client, Printed, find_places
from dibs_server.clients.set_up import FileChange, SetupRequest, SetupResult, set_up
from dibs_server.clients.snippets import snippet_for

STYLES = {"+": "green", "-": "red", "@": "cyan"}


def run_setup(
    name: Client | Printed, request: SetupRequest | None, key: str, tasks_dir: str | None, *, as_json: bool
) -> None:
    """Show, write or take out a client's configuration; without a request print a snippet to paste."""
    try:
        launch = _launch(tasks_dir)
        if request is None:
            _print_snippet(name, key, launch, as_json)
            return
        result = set_up(request, launch, find_places(environment(), Path.cwd()), again=_again(request, tasks_dir))
    except DibsError as error:
        fail(error, as_json)
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        _print(out(), result)


def _launch(tasks_dir: str | None) -> Launch:
    launch = launch_of_this(sys.argv[0], sys.executable, environment())
    if tasks_dir is None:
        return launch
    return Launch(launch.command, (*launch.args, "--tasks-dir", str(Path(tasks_dir).expanduser().absolute())))


def _again(request: SetupRequest, tasks_dir: str | None) -> str:
    """The command that does what was shown."""
    words = ["dibs", "setup", request.client]
    words += [] if request.scope == "user" else ["--scope", request.scope]
    words += [] if request.key == "dibs" else ["--key", request.key]
    words += [] if tasks_dir is None else ["--tasks-dir", tasks_dir]
    words += ["--remove"] if request.remove else []
    return shlex.join([*words, "--write"])


def _print_snippet(name: Client | Printed, key: str, launch: Launch, as_json: bool) -> None:
    snippet = snippet_for(name, key, launch)
    if as_json:
        print_json({"client": name, "key": key, "snippet": snippet.text, "goes_into": snippet.goes_into})
        return
    out().print(shown(snippet.text), end="")
    warn(f"it goes into {snippet.goes_into}")


def _print(console: Console, result: SetupResult) -> None:
    for file in result.files:
        if file.change != "none":
            _print_change(console, file)
    console.print(shown(result.message, "bold"))
    if result.next_step:
        console.print(shown(result.next_step))
    for note in result.warnings:
        warn(note)


def _print_change(console: Console, file: FileChange) -> None:
    console.print(shown(f"{file.path} ({file.change})", "bold") + Text(": ") + shown(file.says))
    for line in file.diff.splitlines():
        console.print(shown(line, STYLES.get(line[:1], "")))
    console.print()
