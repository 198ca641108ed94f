"""The ``dibs`` program, imported and ready, that runs with its arguments once a line comes on its input.

Usage: on_go.py ARGUMENT…
"""

from __future__ import annotations

import sys

from dibs_server.cli.program import program

if __name__ == "__main__":
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    program(sys.argv[1:], prog_name="dibs")
