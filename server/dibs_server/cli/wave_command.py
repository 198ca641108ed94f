"""`dibs wave` on the command line: a wave is read from a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from dibs.store.errors import InvalidArguments
from dibs_server.cli.from_table import TableCommand, given_values


def wave_file() -> click.Argument:
    return click.Argument(["file"], required=False, type=click.Path(allow_dash=True))


def values_of(file: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The wave's keys: those of the file, and those that were given as options instead. Null counts as left out.

    Raises:
        InvalidArguments: the file is no JSON object, or cannot be read.
    """
    values = {**(_read(file) if file else {}), **given_values(given)}
    return {name: value for name, value in values.items() if value is not None}


def _read(file: str) -> dict[str, Any]:
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        wave = json.loads(content.decode("utf-8-sig"))
    except OSError as exc:
        raise InvalidArguments(f"{file} cannot be read ({exc.strerror}); name a file with a wave in it") from exc
    except (ValueError, RecursionError) as exc:
        raise InvalidArguments(f"{file} is not JSON ({exc}), which has no comments. Nothing was started") from exc
    if not isinstance(wave, dict):
        raise InvalidArguments(f'{file} is no wave: it should be an object like {{"wave": 1, "tasks": [...]}}')
    return wave


def also_from_file(plan: TableCommand) -> None:
    """Let a command that takes a wave read it from a file, or `-`."""

    def run(file: str | None, tasks_dir: str | None, as_json: bool, **given: Any) -> None:
        plan.run_values(tasks_dir, as_json, lambda: values_of(file, given))

    plan.more.append(wave_file())
    plan.more_help = "FILE has the wave as JSON, - is standard input; options are taken instead of its keys."
    plan.callback = run
