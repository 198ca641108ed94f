"""A home for one run of Gemini CLI, which takes a server from nowhere but its settings.

No argument and no variable gives it one for a single run: what it reads as settings of the whole machine must belong to
root. So a run gets a home of its own by GEMINI_CLI_HOME, in which everything is the user's by links, and only the
settings are a copy, with our server in it. What the user signed in, wrote down or configured counts as it always does.
"""

from __future__ import annotations

import os
from pathlib import Path

from dibs_server.clients.config_file import located, read_config
from dibs_server.clients.json_text import JsonText
from dibs_server.clients.values import Value

SETTINGS = "settings.json"


def lay_gemini_home(home: Path, theirs: Path, name: str, entry: Value) -> None:
    """Make ``home``, with all that is in ``theirs``, the user's ``.gemini``, and a server of this name.

    Raises SettingsError: the user's settings cannot be read; OSError.
    """
    file = read_config(theirs / SETTINGS)
    with located(file.path):
        settings = JsonText(comments=True).put(file.text or "", ("mcpServers", name), entry)
    ours = home / ".gemini"
    ours.mkdir(mode=0o700, parents=True)
    for path in theirs.iterdir() if theirs.is_dir() else ():
        if path.name != SETTINGS:
            (ours / path.name).symlink_to(path.absolute())
    # settings may hold keys of servers: nobody else is to read them
    descriptor = os.open(ours / SETTINGS, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as copy:
        copy.write(settings)
