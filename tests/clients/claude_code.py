"""Claude Code, configured as docs/clients.md says, with its tools' names, words and environment."""

from __future__ import annotations

import json
from collections.abc import Mapping

from anthropic_api import ANTHROPIC_API
from client import SERVER, Client, servers_shown, write_json

SHOWN = 0
"""Which of the page's configurations in JSON is its."""


class Claude(Client):
    """Its project says which servers it has; its home that a person has approved them."""

    name = "claude"
    dialect = ANTHROPIC_API
    prefix = "mcp__{server}__"

    def prepare_home(self) -> None:
        write_json(self.home / ".claude" / "settings.json", {"enableAllProjectMcpServers": True})

    def configure(self, **entry: object) -> None:
        write_json(self.project / ".mcp.json", servers_shown(SHOWN, **entry))

    def prompt_words(self, prompt: str) -> list[str]:
        return ["--print", prompt, "--output-format", "json", "--allowedTools", f"mcp__{SERVER}"]

    def served_by(self, url: str) -> Mapping[str, str]:
        return {
            "ANTHROPIC_API_KEY": "scripted",
            "ANTHROPIC_BASE_URL": url,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            # else it asks its model without the tools of a server that takes longer to start, as on a busy machine
            "CLAUDE_CODE_MCP_STARTUP_WAIT_MS": "100000",
        }

    def answer(self, stdout: str) -> str:
        return str(json.loads(stdout)["result"])
