"""Where the clients keep their configurations on this machine, and which project is meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Client = Literal["claude", "gemini", "codex"]
Scope = Literal["user", "project"]
Printed = Literal["cursor", "vscode", "inspector"]
"""Clients whose files are not edited here, only told what to paste."""
PRINTED: tuple[Printed, ...] = ("cursor", "vscode", "inspector")
CLIENTS: tuple[Client, ...] = ("claude", "gemini", "codex")
NAMES: Mapping[Client, str] = {"claude": "Claude Code", "gemini": "Gemini CLI", "codex": "Codex"}


@dataclass(frozen=True)
class Places:
    """``project`` is the folder that a project's own configuration is in."""

    home: Path
    project: Path
    claude: Path
    claude_settings: Path
    gemini: Path
    codex: Path
    trusted_folders: Path

    @property
    def is_no_project(self) -> bool:
        """Whether the project is the home folder, or one above it: nothing is to be trusted there."""
        return self.home.is_relative_to(self.project)

    def user_config(self, client: Client) -> Path:
        files = {"claude": self.claude, "gemini": self.gemini / "settings.json", "codex": self.codex / "config.toml"}
        return files[client]

    def project_config(self, client: Client) -> Path:
        files = {"claude": ".mcp.json", "gemini": ".gemini/settings.json", "codex": ".codex/config.toml"}
        return self.project / files[client]

    def config(self, client: Client, scope: Scope) -> Path:
        return self.user_config(client) if scope == "user" else self.project_config(client)


def find_places(environment: Mapping[str, str], cwd: Path) -> Places:
    """The places, by the variables that the clients themselves heed; the project is the repository, else ``cwd``."""
    home = Path(environment.get("HOME") or Path.home())
    gemini = Path(environment.get("GEMINI_CLI_HOME") or home) / ".gemini"
    project = next((folder for folder in (cwd, *cwd.parents) if (folder / ".git").exists()), cwd)
    claude = environment.get("CLAUDE_CONFIG_DIR")
    return Places(
        home=home,
        project=project,
        claude=Path(claude or home) / ".claude.json",
        claude_settings=Path(claude or home / ".claude") / "settings.json",
        gemini=gemini,
        codex=Path(environment.get("CODEX_HOME") or home / ".codex"),
        trusted_folders=Path(environment.get("GEMINI_CLI_TRUSTED_FOLDERS_PATH") or gemini / "trustedFolders.json"),
    )
