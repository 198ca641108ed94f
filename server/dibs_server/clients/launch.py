"""How this very program is started, in words that stay true: the command that goes into configurations."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from dibs.store.errors import SettingsError

SCRIPT = "dibs"
MODULE = "dibs_server"
UV_CACHE_VARIABLE = "UV_CACHE_DIR"
CACHES = {(".cache", "uv"), ("Caches", "uv"), (".cache", "pipx"), ("Caches", "pipx"), ("pipx", ".cache")}
"""Folders, and folders in them, that `uvx` and `pipx run` may empty."""


@dataclass(frozen=True)
class Launch:
    """A command by its absolute path, and its arguments."""

    command: str
    args: tuple[str, ...]


def launch_of_this(argv0: str, executable: str, environment: Mapping[str, str]) -> Launch:
    """How to start `dibs serve` as the present program was started.

    A script named dibs is kept as it was called: what pipx or uv put on the PATH is a link that outlives upgrades, and
    what it leads to does not. Anything else is started by the interpreter, ``-m dibs_server``.

    Raises:
        SettingsError: it runs from a cache, which may be emptied at any time.
    """
    script = Path(os.path.abspath(argv0))  # noqa: PTH100 - resolving would lose the link
    if script.name == SCRIPT and os.access(script, os.X_OK):
        launch = Launch(str(script), ("serve",))
    else:
        launch = Launch(os.path.abspath(executable), ("-m", MODULE, "serve"))  # noqa: PTH100 - as above
    command, uv_cache = Path(launch.command), environment.get(UV_CACHE_VARIABLE)
    if CACHES & set(pairwise(command.parts)) or (uv_cache and command.is_relative_to(uv_cache)):
        raise SettingsError(
            f"dibs runs from a cache that may be emptied at any time ({command}), so no client can rely on it; install "
            "it to stay (`uv tool install dibs`, `pipx install dibs`) and run this again",
            path=str(command),
        )
    return launch


def is_dibs(command: object, args: object) -> bool:
    """Whether a configured command starts a server of ours."""
    words = [str(command), *(str(word) for word in args)] if isinstance(args, list) else [str(command)]
    return "serve" in words and any(Path(word).name == SCRIPT or word == MODULE for word in words)
