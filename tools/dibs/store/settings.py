"""Settings, and where the tasks directory is.

One model, one file: ``<tasks>/settings.json``, so that all processes on a directory share it. Unknown keys are refused
with the nearest known name. No other module reads the environment.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from dibs.store.dispatch_settings import Agent, Dispatch, Parallelism
from dibs.store.errors import SettingsError, StoreFailure
from dibs.store.globs import compile_glob
from dibs.store.places import in_main_worktree
from dibs.store.section import Section
from dibs.store.task_file import read_task_file
from dibs.store.triage_settings import Triage

SETTINGS_FILE = "settings.json"
LEDGER_FOLDER = ".dibs"
TASKS_DIR_VARIABLE = "DIBS_TASKS_DIR"
PROJECT_DIR_VARIABLE = "CLAUDE_PROJECT_DIR"
CLAIM_FILE_VARIABLE = "DIBS_CLAIM_FILE"
PLUGIN_DATA_VARIABLE = "CLAUDE_PLUGIN_DATA"
USUAL_FOLDERS = ("tasks", "backlog/tasks")
FILES_LOOKED_AT = 200
PATTERN_CHARACTERS = 1000
COMPLAINTS_TOLD = 10
COMPLAINT_CHARACTERS = 300

StatusWord = Literal["inbox", "active", "in_progress", "blocked", "review", "on_hold", "done", "cancelled", "failed"]
STATUS_WORDS: tuple[StatusWord, ...] = (
    "inbox", "active", "in_progress", "blocked", "review", "on_hold", "done", "cancelled", "failed",
)  # fmt: skip
DEFAULT_SYNONYMS: dict[StatusWord, list[str]] = {
    "inbox": ["decomposing"],
    "active": ["todo"],
    "in_progress": ["doing"],
    "blocked": [],
    "review": ["consensus", "merge_ready", "merging"],
    "on_hold": ["dormant", "draft", "waiting"],
    "done": ["complete", "completed"],
    "cancelled": ["canceled"],
    "failed": [],
}
Pattern = Annotated[str, Field(max_length=PATTERN_CHARACTERS)]
Seconds = Annotated[float, Field(gt=0, le=31_536_000)]


def fold(word: str) -> str:
    """A status word without case, ``-``, ``_`` and spaces: ``To Do``, ``to-do`` and ``TODO`` are one word."""
    return re.sub(r"[-_\s]", "", word).casefold()


class Assignees(Section):
    """Whom the names in ``assignee`` stand for."""

    anyone: tuple[str, ...] = Field(("anyone", "bot"), description="Names that reserve a task for nobody.")
    humans: tuple[str, ...] = Field((), description="Names of people: a task assigned to one waits for a person.")
    aliases: Mapping[str, str] = Field(
        {"claude-code": "claude", "gemini-cli-mcp-client": "gemini", "codex-mcp-client": "codex"},
        description="Client names, and the callers they stand for.",
    )


class Claims(Section):
    """How long a claim is honoured, and by whom it is kept up."""

    lease_seconds: Seconds = Field(120, description="Lease of a claim that a server renews.")
    renew_seconds: Seconds = Field(40, description="How often a server renews its claims.")
    max_idle_seconds: Seconds = Field(7200, description="A server stops renewing after this long without a call.")
    cli_lease_seconds: Seconds = Field(3600, description="Lease of a claim taken from a shell, which nobody renews.")
    max_attempts: int = Field(3, ge=1, le=1000, description="Lost attempts after which a task becomes blocked.")
    mutex_wait_seconds: Seconds = Field(10, description="How long a change waits for the directory's mutex.")
    skip_tags: tuple[str, ...] = Field((), description="Tasks with one of these tags are never claimed.")

    @model_validator(mode="after")
    def _renews_in_time(self) -> Claims:
        if self.renew_seconds >= self.lease_seconds:
            raise ValueError("renew_seconds must be shorter than lease_seconds, or leases pass between two renewals")
        return self


class Notify(Section):
    """Whom to tell of tasks that nobody will go on with by themselves."""

    command: tuple[str, ...] = Field(
        (), description="A program and its arguments, started without a shell; {id} {status} {title} {reason} {caller} "
        "{path} {at} are filled in.",
    )  # fmt: skip
    on: tuple[Literal["blocked", "failed"], ...] = Field(
        ("blocked", "failed"), description="Statuses to tell of, once for each task that comes to one."
    )

    @field_validator("command")
    @classmethod
    def _begins_with_a_program(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if given and not given[0].strip():
            raise ValueError("its first word must name a program")
        return given


class Settings(Section):
    """Everything that can be set, at its default."""

    include: tuple[Pattern, ...] = Field(("**/*.md",), description="Globs of the files that may be tasks.")
    exclude: tuple[Pattern, ...] = Field((), description="Globs of files that are never tasks.")
    profile: Literal["worker", "coordinator"] = Field("worker", description="The tools `dibs serve` offers.")
    body_characters: int = Field(20_000, ge=200, le=30_000, description="How much of a task's body one answer has.")
    keep_output_days: float = Field(7, ge=0, le=3650, description="How long output of started programs is kept.")
    trust_file_system: bool = Field(
        False, description="Use file systems (nfs, cifs, fuse, …) whose locks may not exclude other machines."
    )
    statuses: Mapping[StatusWord, tuple[str, ...]] = Field(
        {word: tuple(synonyms) for word, synonyms in DEFAULT_SYNONYMS.items()},
        description="Further words for each status; a word left out keeps its default synonyms.",
    )
    container_types: tuple[str, ...] = Field(("goal", "project", "epic"), description="Types that hold other tasks.")
    unclaimable_types: tuple[str, ...] = Field(("learn",), description="Further types that are never claimed.")
    assignees: Assignees = Assignees()
    claims: Claims = Claims()
    notify: Notify = Notify()
    triage: Triage = Triage()
    parallelism: Parallelism = Parallelism()
    dispatch: Dispatch = Dispatch()

    @field_validator("include", "exclude")
    @classmethod
    def _readable_globs(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in given:
            try:
                compile_glob(pattern)
            except re.error as exc:
                raise ValueError(f"{pattern!r} is not a pattern ({exc})") from exc
        return given

    @field_validator("statuses")
    @classmethod
    def _complete_and_unambiguous(
        cls, given: Mapping[StatusWord, tuple[str, ...]]
    ) -> Mapping[StatusWord, tuple[str, ...]]:
        merged = {word: given.get(word, tuple(DEFAULT_SYNONYMS[word])) for word in STATUS_WORDS}
        seen: dict[str, str] = {fold(word): word for word in STATUS_WORDS}
        for word, synonyms in merged.items():
            for synonym in synonyms:
                if seen.setdefault(fold(synonym), word) != word:
                    raise ValueError(f"{synonym!r} cannot mean both {seen[fold(synonym)]} and {word}")
        return merged

    def status_of(self, word: str) -> StatusWord | None:
        """The status a word in a task file stands for, None when it stands for none."""
        return self._meanings.get(fold(word))

    @cached_property
    def _meanings(self) -> Mapping[str, StatusWord]:
        return {fold(word): status for status in STATUS_WORDS for word in (status, *self.statuses[status])}

    def caller_name(self, name: str) -> str:
        """The caller a name stands for: ``@codex`` is ``codex``, and a client's name goes through the aliases."""
        bare = name.strip().removeprefix("@").strip()
        for alias, caller in self.assignees.aliases.items():
            if alias.casefold() == bare.casefold():
                return caller
        return bare


DEFAULTS = Settings()


def load_settings(tasks_dir: Path) -> Settings:
    """Read ``settings.json`` of a tasks directory; the defaults where there is none.

    Raises:
        SettingsError: it cannot be read, or has an unknown key or a wrong value; the message names both.
        OSError: the file system failed; nothing is known about the file.
    """
    path = tasks_dir / SETTINGS_FILE
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return DEFAULTS
    except (IsADirectoryError, PermissionError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{path} cannot be read ({exc}); mend it or move it away", path=str(path)) from exc
    try:
        return Settings.model_validate_json(text)
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
        complaints = "; ".join(_cut(_complaint(dict(error))) for error in errors[:COMPLAINTS_TOLD])
        complaints += f"; and {len(errors) - COMPLAINTS_TOLD} more" if len(errors) > COMPLAINTS_TOLD else ""
        raise SettingsError(f"{path}: {complaints}. Mend the file; nothing was changed", path=str(path)) from exc


def _complaint(error: Mapping[str, object]) -> str:
    loc = error["loc"]
    names = [str(part) for part in loc] if isinstance(loc, tuple) else []
    if names[-1:] == ["[key]"]:
        ctx = error["ctx"]
        known = str(ctx["expected"]).replace(" or ", ", ").replace("'", "") if isinstance(ctx, dict) else ""
        return f"{'.'.join(names[:-2])}: {_cut(names[-2])!r} is not one of {known}"
    where = ".".join(names) or "the file"
    if error["type"] != "extra_forbidden":
        return f"{where}: {str(error['msg']).removeprefix('Value error, ')}"
    section = _section_at(names)
    near = difflib.get_close_matches(_cut(names[-1]), section.model_fields, n=1)
    return f"unknown key {where!r}" + (f" (did you mean {near[0]!r}?)" if near else "")


def _section_at(names: Sequence[str]) -> type[BaseModel]:
    """The section that an unknown key stands in; the keys of `dispatch.agents` are names of agents, and not unknown."""
    if names[:2] == ["dispatch", "agents"]:
        return Agent
    field = Settings.model_fields.get(names[0]) if len(names) > 1 else None
    section = field.annotation if field is not None else None
    return section if isinstance(section, type) and issubclass(section, BaseModel) else Settings


def _cut(text: str) -> str:
    """The text, but not megabytes of it: a key may be as long as the file."""
    return text if len(text) <= COMPLAINT_CHARACTERS else f"{text[:COMPLAINT_CHARACTERS]}…"


def environment() -> Mapping[str, str]:
    """The environment of this process, for the doors that look at other programs' settings or start them."""
    return dict(os.environ)


def named_tasks_dir(explicit: str | None, environment: Mapping[str, str] | None = None) -> Path | None:
    """The directory that the argument or ``DIBS_TASKS_DIR`` names, whether it is there or not."""
    named = explicit or (os.environ if environment is None else environment).get(TASKS_DIR_VARIABLE)
    return Path(named).expanduser().absolute() if named else None


def plugin_data_dir() -> Path | None:
    """Where the plugin may keep what is its own between two hooks; None outside of one."""
    named = os.environ.get(PLUGIN_DATA_VARIABLE)
    return Path(named) if named else None


def claim_file() -> Path | None:
    """The file that has the claim this agent was started with; None: it was started to look for work itself."""
    named = os.environ.get(CLAIM_FILE_VARIABLE)
    return Path(named) if named else None


def find_tasks_dir(
    explicit: str | None, *, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Path:
    """The tasks directory: the argument, else ``DIBS_TASKS_DIR``, else the nearest usual folder upwards.

    Upwards means from ``CLAUDE_PROJECT_DIR``, or the working directory; usual are ``tasks/`` and ``backlog/tasks/``
    with a ``.dibs``, a ``settings.json`` of ours or a task file in them. In a linked git worktree it is the main
    worktree's, so that all worktrees share one queue.

    Raises:
        SettingsError: no such directory; the message says how to make one.
    """
    env = os.environ if environment is None else environment
    path = named_tasks_dir(explicit, env)
    if path is not None:
        main = in_main_worktree(path, named=True)
        if main != path:
            return _shared(path, main)
        if not path.is_dir():
            what = "is a file, not a directory" if path.exists() else "does not exist"
            by = "" if explicit else f" (from {TASKS_DIR_VARIABLE})"
            raise SettingsError(
                f"the tasks directory {path}{by} {what}; make one with `dibs init --tasks-dir …`, or name another",
                path=str(path),
            )
        return path
    start = Path(env.get(PROJECT_DIR_VARIABLE) or cwd or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        found = usual_tasks_dirs(folder)
        main = in_main_worktree(found[0] if found else folder, named=not found)
        if found:
            return _shared(found[0], main)
        if main != folder and (found := usual_tasks_dirs(main)):
            return found[0]
    raise SettingsError(
        f"no tasks directory found from {start} upwards; make one with `dibs init` in your project, "
        f"or name one with --tasks-dir or {TASKS_DIR_VARIABLE}",
        path=str(start),
    )


def _shared(tasks_dir: Path, main: Path) -> Path:
    """The directory that all worktrees share: the main worktree's."""
    if main == tasks_dir or main.is_dir():
        return main
    raise SettingsError(
        f"{tasks_dir} is in a linked git worktree, and all worktrees share the main worktree's directory, {main}, "
        f"which is not there; make it with `dibs init --tasks-dir {main}`",
        path=str(tasks_dir),
    )


def usual_tasks_dirs(folder: Path) -> list[Path]:
    """The usual folders directly in ``folder`` that are tasks directories."""
    return [folder / name for name in USUAL_FOLDERS if _is_tasks_dir(folder / name)]


def _is_tasks_dir(folder: Path) -> bool:
    try:
        if not folder.is_dir():
            return False
        if (folder / LEDGER_FOLDER).is_dir() or _has_our_settings(folder):
            return True
    except PermissionError as exc:
        raise StoreFailure(
            f"{folder} cannot be read; give this user the right to, or name another directory with --tasks-dir",
            path=str(folder),
        ) from exc
    return any(_is_task_file(path) for _, path in zip(range(FILES_LOOKED_AT), _markdown_below(folder), strict=False))


def _has_our_settings(folder: Path) -> bool:
    try:
        given = json.loads((folder / SETTINGS_FILE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(given, dict) and bool(given) and set(given) <= set(Settings.model_fields)


def _markdown_below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(files) if name.endswith(".md") and not name.startswith("."))


def _is_task_file(path: Path) -> bool:
    try:
        return read_task_file(path.read_bytes()) is not None
    except Exception:  # a file that cannot be read proves nothing; the scan names it later
        return False
