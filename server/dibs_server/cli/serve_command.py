"""``dibs serve`` on the command line; apart from the rest of the CLI, so that a server imports none of it."""

from __future__ import annotations

import sys
from typing import Literal

import click


@click.command("serve", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--tasks-dir", metavar="DIR", help="The tasks directory; else DIBS_TASKS_DIR, else the nearest tasks/.")
@click.option("--profile", type=click.Choice(["worker", "coordinator"]), help="Which tools to offer.")
def serve_command(tasks_dir: str | None, profile: Literal["worker", "coordinator"] | None) -> None:
    """Serve the tools to one MCP client on stdin and stdout."""
    from dibs_server.mcp_server.serve import serve

    if sys.stdin.isatty():
        click.echo(
            "dibs serve speaks MCP on stdin and stdout: name it in an agent's configuration. Ctrl-C ends it.", err=True
        )
    serve(tasks_dir, profile)
