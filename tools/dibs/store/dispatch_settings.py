"""The settings of waves: how many agents at once, which programs they are, and what those may do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from dibs.store.section import Section
from dibs.store.triage_settings import Complexity

Kind = Literal["research", "planning", "implementation", "review"]
Most = Annotated[int, Field(ge=1, le=100)]
PERMISSIONS = "{permissions}"
EVERYBODY_NEEDS = (
    "HOME", "PATH", "USER", "LOGNAME", "SHELL", "LANG", "LC_*", "TZ", "TERM", "TMPDIR", "XDG_*", "NO_COLOR",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "VIRTUAL_ENV", "SSH_AUTH_SOCK",
)  # fmt: skip


class Parallelism(Section):
    """How many agents a wave starts at once."""

    maxParallelTasks: Most = Field(5, description="At most so many agents at once, whatever a wave asks for.")
    research: Most = Field(10, description="Of these, at most so many on tasks of kind research.")
    planning: Most = Field(10, description="… of kind planning.")
    implementation: Most = Field(1, description="… of kind implementation.")
    review: Most = Field(5, description="… of kind review.")

    def of(self, kind: str) -> int:
        """The limit of a kind; a task without one is only under the common limit."""
        limits = {
            "research": self.research,
            "planning": self.planning,
            "implementation": self.implementation,
            "review": self.review,
        }
        return limits.get(kind, self.maxParallelTasks)


class Agent(Section):
    """A program that works on a task: how it is started, and what it may do."""

    command: tuple[str, ...] = Field(
        min_length=1,
        description="The program and its arguments, started without a shell; {prompt} {model} {mcp_config} {mcp_toml} "
        "{gemini_home} {task_id} {cwd} are filled in, the word {permissions} stands for `permissions`, and a word with "
        "{model} is left out where no model is asked for.",
    )
    permissions: tuple[str, ...] = Field((), description="What it may do: arguments, shown before it is started.")
    models: Mapping[str, str] = Field({}, description="What waves call models, and what this program calls them.")
    environment: Mapping[str, str] = Field({}, description="Variables to set, filled in like `command`.")
    inherits: tuple[str, ...] = Field((), description="Variables it gets besides those that all agents get; globs.")
    server: Mapping[str, bool | int | str] = Field({}, description="Further keys for the entry of its server.")

    @field_validator("command")
    @classmethod
    def _begins_with_a_program(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if not given[0].strip():
            raise ValueError("its first word must name a program")
        return given

    @model_validator(mode="after")
    def _uses_its_permissions(self) -> Agent:
        if self.permissions and PERMISSIONS not in self.command:
            raise ValueError(f"`permissions` are given, and `command` has no word {PERMISSIONS} where they go")
        return self


DEFAULT_AGENTS: Mapping[str, Agent] = {
    "claude": Agent(
        command=(
            "claude", "--print", "{prompt}", "--output-format", "stream-json", "--verbose", "--model={model}",
            "--mcp-config", "{mcp_config}", PERMISSIONS,
        ),
        permissions=("--permission-mode", "acceptEdits", "--allowedTools", "mcp__dibs"),
        # else it asks its model without the tools of a server that takes longer to start
        environment={"CLAUDE_CODE_MCP_STARTUP_WAIT_MS": "100000"},
        inherits=(
            "ANTHROPIC_*", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CODE_USE_*", "CLAUDE_CODE_MAX_*",
            "CLAUDE_CODE_DISABLE_*", "DISABLE_*", "MCP_*", "API_TIMEOUT_MS", "AWS_*", "CLOUD_ML_REGION",
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
        server={"type": "stdio", "alwaysLoad": True},
    ),
    "gemini": Agent(
        command=(
            "gemini", "--output-format", "stream-json", "--model={model}", PERMISSIONS, "--prompt", "{prompt}",
        ),
        permissions=("--approval-mode", "auto_edit", "--skip-trust"),
        models={"opus": "gemini-2.5-pro", "sonnet": "gemini-2.5-flash", "haiku": "gemini-2.5-flash-lite"},
        # without a launcher in between, which would be killed alone
        environment={"GEMINI_CLI_HOME": "{gemini_home}", "GEMINI_CLI_NO_RELAUNCH": "true"},
        inherits=(
            "GEMINI_API_KEY", "GEMINI_MODEL", "GOOGLE_*", "CLOUDSDK_CONFIG", "GCLOUD_PROJECT",
        ),
        server={"trust": True},
    ),
    "codex": Agent(
        command=(
            "codex", "exec", "--json", "--model={model}", "-c", "mcp_servers.dibs={mcp_toml}", PERMISSIONS, "{prompt}",
        ),
        permissions=("--sandbox", "workspace-write", "--skip-git-repo-check"),
        inherits=("CODEX_HOME", "CODEX_API_KEY", "CODEX_ACCESS_TOKEN", "CODEX_CA_CERTIFICATE", "OPENAI_*", "AZURE_*"),
        server={
            "enabled": True, "required": True, "startup_timeout_sec": 60, "default_tools_approval_mode": "approve",
        },
    ),
}  # fmt: skip


class Effort(Section):
    """What tasks of a complexity get, where nobody says otherwise."""

    model: str = Field("", description="The model, as waves call it.")
    review: bool = Field(False, description="Whether what was done in a wave is reviewed.")


class Dispatch(Section):
    """Which agents waves start, and how."""

    agent: str = Field("claude", description="The agent of tasks that name none.")
    reviewer: str = Field("codex", description="The agent that reviews.")
    bug_fixer: str = Field("bugFixer", description="Whom tasks are reserved for that a review asks for.")
    timeout_seconds: float = Field(600, gt=0, le=604_800, description="After so long an agent is ended.")
    retries: int = Field(0, ge=0, le=20, description="How often a task is tried again after its agent failed.")
    inherits: tuple[str, ...] = Field(EVERYBODY_NEEDS, description="Variables that all agents get; globs.")
    by_complexity: Mapping[Complexity, Effort] = Field(
        {}, description="`model` and `review` of tasks of each complexity, where a wave does not say."
    )
    agents: Mapping[str, Agent] = Field(
        DEFAULT_AGENTS, description="The programs, by name; what is left out of a known one is as it was."
    )

    def effort(self, complexity: str) -> Effort:
        """What tasks of this complexity get."""
        return next((effort for name, effort in self.by_complexity.items() if name == complexity), Effort())

    @field_validator("agents", mode="before")
    @classmethod
    def _with_the_defaults(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        known = {name: agent.model_dump() for name, agent in DEFAULT_AGENTS.items()}
        return known | {
            name: {**known.get(name, {}), **agent} if isinstance(agent, Mapping) else agent
            for name, agent in given.items()
        }
