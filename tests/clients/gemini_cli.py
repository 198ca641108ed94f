"""Gemini CLI, configured as docs/clients.md says, with its tools' names, words and environment."""

from __future__ import annotations

import json
from collections.abc import Mapping

from client import Client, servers_shown, write_json
from gemini_api import GEMINI_API

SHOWN = 1
"""Which of the page's configurations in JSON is its."""
MODEL = "gemini-2.5-flash"  # a fixed model: the client asks no router which one to take


class Gemini(Client):
    """Its home says how it signs in; its project which servers it has."""

    name = "gemini"
    dialect = GEMINI_API
    prefix = "mcp_{server}_"

    def prepare_home(self) -> None:
        signed_in = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
        write_json(self.home / ".gemini" / "settings.json", {**signed_in, "privacy": {"usageStatisticsEnabled": False}})

    def configure(self, **entry: object) -> None:
        write_json(self.project / ".gemini" / "settings.json", servers_shown(SHOWN, **entry))

    def prompt_words(self, prompt: str) -> list[str]:
        return ["--model", MODEL, "--output-format", "json", "--prompt", prompt]

    def served_by(self, url: str) -> Mapping[str, str]:
        return {
            "GEMINI_API_KEY": "scripted",
            "GOOGLE_GEMINI_BASE_URL": url,
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
            "GEMINI_CLI_NO_RELAUNCH": "true",
        }

    def answer(self, stdout: str) -> str:
        return str(json.loads(stdout)["response"])
