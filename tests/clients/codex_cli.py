"""Codex, configured as docs/clients.md says, with its tools' names, words and environment."""

from __future__ import annotations

import json
from collections.abc import Mapping

from client import NOWHERE, SERVER, Client
from openai_api import OPENAI_API

from wire import DIBS

MODEL = "scripted"  # of a model that it does not know the client asks nothing special, such as calls as a program
STARTUP_SECONDS = 100
SIGNED_IN = f"""
model_provider = "scripted"
model_providers.scripted = {{ name = "scripted", base_url = "{NOWHERE}", env_key = "OPENAI_API_KEY" }}
"""


class Codex(Client):
    """Its home says which service it asks and which servers it has. Its list of servers connects to none of them."""

    name = "codex"
    dialect = OPENAI_API
    prefix = "mcp__{server}__"

    def prepare_home(self) -> None:
        self._append_settings(SIGNED_IN)

    def configure(self, **entry: object) -> None:
        self._append_settings(f"mcp_servers.{SERVER} = {server_table(**entry)}\n")

    def _append_settings(self, text: str) -> None:
        path = self.home / ".codex" / "config.toml"
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(text)

    def prompt_words(self, prompt: str) -> list[str]:
        return ["exec", "--skip-git-repo-check", "--sandbox", "workspace-write", "--model", MODEL, prompt]

    def served_by(self, url: str) -> Mapping[str, str]:
        return {"OPENAI_API_KEY": "scripted"}

    def service_words(self, url: str) -> list[str]:
        return ["--config", f'model_providers.scripted.base_url="{url}"']

    def answer(self, stdout: str) -> str:
        return stdout.strip()


def server_table(**entry: object) -> str:
    """The entry of our server, with these keys besides, as an inline table."""
    server = {"command": str(DIBS), "args": ["serve"], "startup_timeout_sec": STARTUP_SECONDS, "required": True}
    return _toml({**server, "default_tools_approval_mode": "approve", **entry})


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)  # strings, numbers, booleans and lists of them are written as in JSON
