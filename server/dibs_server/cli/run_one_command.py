"""``dibs run-one`` on the command line; apart from the rest of the CLI, which no agent's start needs to import."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("run-one", hidden=True)
@click.argument("order", type=click.Path(path_type=Path))
def run_one_command(order: Path) -> None:
    """Carry out one order of a wave or run: claim its task, start its agent, and see it to its end.

    Dispatchers start it; there is no need to do so by hand.
    """
    from dibs_server.dispatch.run_one import run_one

    sys.exit(run_one([str(order)]))
