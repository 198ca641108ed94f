"""The one table of tools. Every door is derived from it: MCP registration, CLI subcommands, reference docs, tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

from dibs.notifying import give_notices
from dibs.session import Call, Session

if TYPE_CHECKING:
    from dibs.answers import Request, Result

Profile = Literal["worker", "coordinator", "shell"]


@dataclass(frozen=True)
class Tool:
    """One tool: its name, its subcommand, and what clients are told of it.

    The rest is in the module of its name in ``package``, imported when it is asked for: a server must start quickly,
    and a worker's never needs what coordinators do. A subcommand of two words is in a group. ``profile``: ``worker``
    tools are offered to every agent, ``coordinator`` tools to coordinators too, ``shell`` ones to people only. The
    hints are MCP's.
    """

    name: str
    command: str
    title: str
    profile: Profile = "worker"
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    package: str = "dibs"

    @cached_property
    def _module(self) -> ModuleType:
        return import_module(f"{self.package}.{self.name}")

    def load(self) -> None:
        """Import it now: when files can no longer be opened, that comes too late."""
        import_module(f"{self.package}.{self.name}")

    @property
    def verb(self) -> Callable[..., Result]:
        """The function of that name: it takes (Session, request, Call), and its docstring is the description."""
        verb: Callable[..., Result] = getattr(self._module, self.name)
        return verb

    @cached_property
    def _types(self) -> dict[str, Any]:
        return get_type_hints(self.verb)

    @property
    def request(self) -> type[Request]:
        """The type of the verb's request."""
        request: type[Request] = self._types["request"]
        return request

    @property
    def result(self) -> type[Result]:
        result: type[Result] = self._types["return"]
        return result

    def pause(self, request: Request, result: Result, waited_seconds: float) -> float | None:
        """How many seconds to sleep before running it again for a caller who waits; None: the result stands."""
        pause: Callable[..., float | None] | None = getattr(self._module, "pause_before_next", None)
        return None if pause is None else pause(request, result, waited_seconds)

    def progress(self, result: Result) -> tuple[int, int, str] | None:
        """How far a result is, of how much, and that in words; None: that cannot be said of this tool's results."""
        progress: Callable[..., tuple[int, int, str]] | None = getattr(self._module, "progress_of", None)
        return None if progress is None else progress(result)

    @property
    def description(self) -> str:
        return " ".join((self.verb.__doc__ or "").split())

    def run(self, session: Session, request: Request, call: Call) -> Result:
        """The verb's result, once the notices that came of it are given. Raises DibsError; a file system that says no
        is one too, wherever it does."""
        try:
            result = self.verb(session, request, call)
        except OSError as exc:
            raise session.store.failure(exc) from exc
        finally:
            warnings = give_notices(session.store)
        return result.model_copy(update={"warnings": [*result.warnings, *warnings]}) if warnings else result

    def arguments(self, *, shell: bool) -> dict[str, Any]:
        """The request's fields by name; without those only a person at a shell has."""
        return {name: field for name, field in self.request.model_fields.items() if shell or not _is_shell_only(field)}


def _is_shell_only(field: Any) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("shell_only"))


TOOLS: tuple[Tool, ...] = (
    Tool("claim_next_task", "claim", "Claim next task"),
    Tool("complete_task", "complete", "Complete task", idempotent=True),
    Tool("block_task", "block", "Block task", idempotent=True),
    Tool("release_task", "release", "Release task", idempotent=True),
    Tool("get_task", "show", "Read task", read_only=True, idempotent=True),
    Tool("get_index_stats", "stats", "Count tasks", read_only=True, idempotent=True),
    Tool("create_batch", "batch create", "Create batch", "coordinator"),
    Tool("get_batch", "batch show", "Read batch", "coordinator", read_only=True, idempotent=True),
    Tool("wait_for_tasks", "wait", "Wait for tasks", "coordinator", read_only=True),
    Tool("list_batches", "batch list", "List batches", "shell", read_only=True),
    Tool("summarize_batch", "batch summary", "Summarize batch", "shell", read_only=True),
    Tool("cancel_batch", "batch cancel", "Cancel batch", "shell"),
    Tool("create_tasks", "create", "Add tasks", "coordinator"),
    Tool("triage_tasks", "triage", "Triage tasks", "coordinator", idempotent=True),
    Tool("update_task", "update", "Change task", "coordinator", idempotent=True),
    Tool("list_tasks", "list", "List tasks", "coordinator", read_only=True, idempotent=True),
    Tool("reap_claims", "reap", "Take back claims", "coordinator", idempotent=True),
    Tool("plan_wave", "wave plan", "Plan wave", "coordinator", read_only=True, idempotent=True),
    Tool("add_task", "add", "Add task", "shell"),
    Tool("explain_task", "why", "Explain task", "shell", read_only=True),
    Tool("examine_tasks_dir", "doctor", "Examine tasks directory", "shell"),
    Tool("renew_task", "renew", "Renew claim", "shell"),
    Tool("reopen_task", "reopen", "Reopen task", "shell"),
)


def offered(tools: Iterable[Tool], profile: Profile) -> tuple[Tool, ...]:
    """Those of the tools that a server of this profile offers."""
    profiles = ("worker",) if profile == "worker" else ("worker", "coordinator")
    return tuple(tool for tool in tools if tool.profile in profiles)
