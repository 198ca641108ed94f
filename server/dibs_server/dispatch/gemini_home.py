"""A home for one start of Gemini CLI: the user's own, with our server in its settings.

Gemini CLI takes servers from its settings files alone; no argument and no variable adds one for a single run. So the
folder has a link to everything in the user's ``.gemini``, and settings of its own: the user's, and our server.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dibs.store.errors import SettingsError
from dibs_server.clients.json_text import JsonText
from dibs_server.clients.values import BrokenText, Value

PLACE = "{gemini_home}"
FOLDER, SETTINGS = ".gemini", "settings.json"
HOME_VARIABLE = "GEMINI_CLI_HOME"


def make_gemini_home(home: Path, outer: Mapping[str, str], name: str, server: Mapping[str, Value]) -> None:
    """Make ``home`` after the user's, which is where the variables ``outer`` say. Raises OSError, SettingsError."""
    users = Path(outer.get(HOME_VARIABLE) or outer.get("HOME") or Path.home()) / FOLDER
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in users.iterdir() if users.is_dir() else ():
        with suppress(FileExistsError):
            if path.name != SETTINGS:
                (folder / path.name).symlink_to(path)
    try:
        text = (users / SETTINGS).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        text = ""
    try:
        text = JsonText(comments=True).put(text, ("mcpServers", name), dict(server))
    except BrokenText as exc:
        raise SettingsError(
            f"{users / SETTINGS}, the settings of Gemini CLI, cannot be read ({exc.cause}); mend it",
            path=str(users / SETTINGS),
        ) from exc
    descriptor = os.open(folder / SETTINGS, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
