"""The program ``dibs``, also as ``python -m dibs_server``. Small on purpose: `serve`, `hook` and `run-one` must start
quickly."""

from __future__ import annotations

import gc
import io
import signal
import sys


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while importing there is nothing to clean up
    gc.disable()  # a collection while importing costs a tenth of the start
    if sys.argv[1:2] == ["serve"]:
        from dibs_server.cli.serve_command import serve_command

        serve_command(sys.argv[2:], prog_name="dibs serve")
        return
    if sys.argv[1:2] == ["hook"]:
        from dibs_server.cli.hook_command import hook_command

        _collect_from_here()
        hook_command(sys.argv[2:], prog_name="dibs hook")
        return
    if sys.argv[1:2] == ["run-one"] and sys.argv[2:3] != ["--help"]:
        from dibs_server.dispatch.run_one import run_one

        _collect_from_here()
        sys.exit(run_one(sys.argv[2:]))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a title the terminal's encoding lacks must not end the program
    from dibs_server.cli.program import program

    _collect_from_here()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    program(prog_name="dibs")


def _collect_from_here() -> None:
    """What was imported stays: to look through it again and again would cost more than a short command itself."""
    gc.freeze()
    gc.enable()


if __name__ == "__main__":
    main()
