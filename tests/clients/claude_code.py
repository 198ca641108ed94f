"""Claude Code, configured as the README says, with its tools' names, words and environment."""

from __future__ import annotations

import json
from collections.abc import Mapping

from anthropic_api import ANTHROPIC_API
from client import SERVER, Client

from wire import DIBS


class Claude(Client):
    """Its project says which servers it has; its home that a person has approved them."""

    name = "claude"
    dialect = ANTHROPIC_API
    prefix = "mcp__{server}__"

    def configure(self, **server: object) -> None:
        entry = {"type": "stdio", "command": str(DIBS), "args": ["serve"], "alwaysLoad": True, **server}
        (self.project / ".mcp.json").write_text(json.dumps({"mcpServers": {SERVER: entry}}), encoding="utf-8")
        settings = self.home / ".claude" / "settings.json"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(json.dumps({"enableAllProjectMcpServers": True}), encoding="utf-8")

    def prompt_words(self, prompt: str) -> list[str]:
        return ["--print", prompt, "--output-format", "json", "--allowedTools", f"mcp__{SERVER}"]

    def environment_of(self, url: str) -> Mapping[str, str]:
        return {
            "ANTHROPIC_API_KEY": "scripted",
            "ANTHROPIC_BASE_URL": url,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        }

    def answer(self, stdout: str) -> str:
        return str(json.loads(stdout)["result"])
