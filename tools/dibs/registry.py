"""The one table of tools. Every door is derived from it: MCP registration, CLI subcommands, reference docs, tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from dibs.add_task import AddRequest, AddResult, add_task
from dibs.answers import EndResult, Request, Result
from dibs.block_task import BlockRequest, block_task
from dibs.cancel_batch import CancelBatchRequest, CancelBatchResult, cancel_batch
from dibs.claim_next_task import ClaimRequest, ClaimResult, claim_next_task, pause_before_retry
from dibs.complete_task import CompleteRequest, complete_task
from dibs.create_batch import CreateBatchRequest, CreateBatchResult, create_batch
from dibs.create_tasks import CreateRequest, CreateResult, create_tasks
from dibs.examine_tasks_dir import DoctorRequest, DoctorResult, examine_tasks_dir
from dibs.explain_task import ExplainRequest, ExplainResult, explain_task
from dibs.get_batch import GetBatchRequest, GetBatchResult, get_batch
from dibs.get_index_stats import StatsRequest, StatsResult, get_index_stats
from dibs.get_task import GetRequest, GetResult, get_task
from dibs.list_batches import ListBatchesRequest, ListBatchesResult, list_batches
from dibs.list_tasks import ListRequest, ListResult, list_tasks
from dibs.notifying import give_notices
from dibs.release_task import ReleaseRequest, release_task
from dibs.renew_task import RenewRequest, RenewResult, renew_task
from dibs.reopen_task import ReopenRequest, ReopenResult, reopen_task
from dibs.session import Call, Session
from dibs.summarize_batch import SummaryRequest, SummaryResult, summarize_batch
from dibs.triage_tasks import TriageRequest, TriageResult, triage_tasks
from dibs.update_task import UpdateRequest, UpdateResult, update_task
from dibs.wait_for_tasks import WaitRequest, WaitResult, pause_before_looking, progress_of_waiting, wait_for_tasks

Profile = Literal["worker", "coordinator", "shell"]


@dataclass(frozen=True)
class Tool:
    """One tool: its name, its subcommand, the verb with its request and result, and what clients are told of it.

    A subcommand of two words is in a group. ``verb`` takes (Session, request, Call); its docstring is the description.
    ``profile``: ``worker`` tools are offered to every agent, ``coordinator`` tools to coordinators too, ``shell`` ones
    to people only. The hints are MCP's. ``pause`` says how many seconds to sleep before running it again for a caller
    who waits; None: the result stands. ``progress`` says how far a result is, of how much, and that in words, to a
    client that asked to be told.
    """

    name: str
    command: str
    verb: Callable[..., Result]
    request: type[Request]
    result: type[Result]
    title: str
    profile: Profile = "worker"
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    pause: Callable[..., float | None] = lambda request, result, waited_seconds: None
    progress: Callable[..., tuple[int, int, str]] | None = None

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
    Tool("claim_next_task", "claim", claim_next_task, ClaimRequest, ClaimResult, "Claim next task",
         pause=pause_before_retry),
    Tool("complete_task", "complete", complete_task, CompleteRequest, EndResult, "Complete task", idempotent=True),
    Tool("block_task", "block", block_task, BlockRequest, EndResult, "Block task", idempotent=True),
    Tool("release_task", "release", release_task, ReleaseRequest, EndResult, "Release task", idempotent=True),
    Tool("get_task", "show", get_task, GetRequest, GetResult, "Read task", read_only=True, idempotent=True),
    Tool("get_index_stats", "stats", get_index_stats, StatsRequest, StatsResult, "Count tasks", read_only=True,
         idempotent=True),
    Tool("create_batch", "batch create", create_batch, CreateBatchRequest, CreateBatchResult, "Create batch",
         "coordinator"),
    Tool("get_batch", "batch show", get_batch, GetBatchRequest, GetBatchResult, "Read batch", "coordinator",
         read_only=True, idempotent=True),
    Tool("wait_for_tasks", "wait", wait_for_tasks, WaitRequest, WaitResult, "Wait for tasks", "coordinator",
         read_only=True, pause=pause_before_looking, progress=progress_of_waiting),
    Tool("list_batches", "batch list", list_batches, ListBatchesRequest, ListBatchesResult, "List batches", "shell",
         read_only=True),
    Tool("summarize_batch", "batch summary", summarize_batch, SummaryRequest, SummaryResult, "Summarize batch",
         "shell", read_only=True),
    Tool("cancel_batch", "batch cancel", cancel_batch, CancelBatchRequest, CancelBatchResult, "Cancel batch",
         "shell"),
    Tool("create_tasks", "create", create_tasks, CreateRequest, CreateResult, "Add tasks", "coordinator"),
    Tool("triage_tasks", "triage", triage_tasks, TriageRequest, TriageResult, "Triage tasks", "coordinator",
         idempotent=True),
    Tool("update_task", "update", update_task, UpdateRequest, UpdateResult, "Change task", "coordinator",
         idempotent=True),
    Tool("add_task", "add", add_task, AddRequest, AddResult, "Add task", "shell"),
    Tool("list_tasks", "list", list_tasks, ListRequest, ListResult, "List tasks", "shell", read_only=True),
    Tool("explain_task", "why", explain_task, ExplainRequest, ExplainResult, "Explain task", "shell", read_only=True),
    Tool("examine_tasks_dir", "doctor", examine_tasks_dir, DoctorRequest, DoctorResult,
         "Examine tasks directory", "shell"),
    Tool("renew_task", "renew", renew_task, RenewRequest, RenewResult, "Renew claim", "shell"),
    Tool("reopen_task", "reopen", reopen_task, ReopenRequest, ReopenResult, "Reopen task", "shell"),
)  # fmt: skip


def tools_of(profile: Literal["worker", "coordinator"]) -> tuple[Tool, ...]:
    """The tools a server of this profile offers."""
    offered = ("worker",) if profile == "worker" else ("worker", "coordinator")
    return tuple(tool for tool in TOOLS if tool.profile in offered)
