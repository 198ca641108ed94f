"""Gemini CLI, configured as the README says, with its tools' names, words and environment."""

from __future__ import annotations

import json
from collections.abc import Mapping

from client import SERVER, Client
from gemini_api import GEMINI_API

from wire import DIBS

MODEL = "gemini-2.5-flash"  # a fixed model: the client asks no router which one to take


class Gemini(Client):
    """Its home says how it signs in; its project which servers it has."""

    name = "gemini"
    dialect = GEMINI_API
    prefix = "mcp_{server}_"

    def configure(self, **server: object) -> None:
        entry = {"command": str(DIBS), "args": ["serve"], "trust": True, **server}
        settings = self.project / ".gemini" / "settings.json"
        settings.parent.mkdir(exist_ok=True)
        settings.write_text(json.dumps({"mcpServers": {SERVER: entry}}), encoding="utf-8")

    def prompt_words(self, prompt: str) -> list[str]:
        return ["--model", MODEL, "--output-format", "json", "--prompt", prompt]

    def environment_of(self, url: str) -> Mapping[str, str]:
        settings = self.home / ".gemini" / "settings.json"
        settings.parent.mkdir(parents=True, exist_ok=True)
        signed_in = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
        settings.write_text(json.dumps({**signed_in, "privacy": {"usageStatisticsEnabled": False}}), encoding="utf-8")
        return {
            "GEMINI_API_KEY": "scripted",
            "GOOGLE_GEMINI_BASE_URL": url,
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
            "GEMINI_CLI_NO_RELAUNCH": "true",
        }

    def answer(self, stdout: str) -> str:
        return str(json.loads(stdout)["response"])
