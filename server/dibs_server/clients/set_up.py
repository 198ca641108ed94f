"""set_up: put dibs into a client's configuration, or take it out again; shown first, done only when asked to."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from dibs.answers import Result
from dibs.store.errors import SettingsError, StoreFailure
from dibs_server.clients.brought import brought
from dibs_server.clients.config_file import (
    ConfigFile,
    forget_backup,
    located,
    read_config,
    read_document,
    remove_config,
    text_before,
    write_config,
)
from dibs_server.clients.edits import applied, is_as_left, undone
from dibs_server.clients.launch import Launch, is_dibs
from dibs_server.clients.places import NAMES, Client, Places, Scope
from dibs_server.clients.recipes import Recipe, Step, recipe_for
from dibs_server.clients.values import Value, table_at


@dataclass(frozen=True)
class SetupRequest:
    client: Client
    scope: Scope = "user"
    key: str = "dibs"
    write: bool = False
    remove: bool = False


class FileChange(BaseModel):
    """What happens to one file, as a unified diff; ``says`` is what it is for."""

    model_config = ConfigDict(frozen=True)

    path: str
    change: Literal["create", "change", "delete", "none"]
    diff: str
    says: str


class SetupResult(Result):
    client: str
    scope: str
    key: str
    files: list[FileChange]
    written: bool
    message: str
    next_step: str


@dataclass(frozen=True)
class _Planned:
    """A step, the file it is for, and the text that is to be in it; None: no such file."""

    step: Step
    file: ConfigFile
    text: str | None

    @property
    def change(self) -> Literal["create", "change", "delete", "none"]:
        if self.text == self.file.text:
            return "none"
        if self.file.text is None:
            return "create"
        return "delete" if self.text is None else "change"


def set_up(request: SetupRequest, launch: Launch, places: Places, *, again: str) -> SetupResult:
    """Show what would be changed in which file, or with ``write`` change it. ``again`` is the command that writes.

    Raises:
        SettingsError: a configuration is broken, or cannot be edited safely; it was not touched.
        StoreBusy, StoreFailure: a file was changed by somebody else meanwhile, or cannot be read or written.
    """
    if request.scope == "project" and places.is_no_project:
        raise SettingsError(
            f"{places.project} is no project but the home folder, or above it; run this in a project, or for the user",
            path=str(places.project),
        )
    try:
        recipe = recipe_for(request.client, request.scope, request.key, launch, places)
        twin = _other_key(recipe)
        plan = [] if twin else [p for step in recipe.steps if (p := _plan(step, remove=request.remove))]
        if request.write:
            for planned in plan:
                _write(planned)
    except OSError as exc:
        where = str(exc.filename or places.config(request.client, request.scope))
        raise StoreFailure(f"{where}: {exc.strerror or exc}; mend that and run this again", path=where) from exc
    files = [_told(planned) for planned in plan]
    changed = any(file.change != "none" for file in files)
    message, next_step = _in_words(request, recipe, twin, changed, again)
    left = [p.step for p in plan if request.remove and p.change == "none" and not p.step.of_ours]
    notes = [] if request.remove or twin else [*recipe.notes, *_also_brought(request, places)]
    notes += [f"left as it is, for others may rely on it: {step.path}: {step.says}" for step in left]
    if request.remove and request.write:
        kept = [p.file.backup for p in plan if p.change != "none" and p.file.backup.exists()]
        notes += [
            f"{path} has what was there before dibs was put in; delete it when you need it no more" for path in kept
        ]
    return SetupResult(
        client=request.client, scope=request.scope, key=request.key, files=files,
        written=request.write and changed, message=message, next_step=next_step, warnings=notes,
    )  # fmt: skip


def _also_brought(request: SetupRequest, places: Places) -> list[str]:
    other = brought(request.client, places, places.project)
    if other is None or other.hidden_by == request.key:
        return []
    return [
        f"{other.what} brings dibs as well, and with both the agent sees every tool twice; take it out: {other.removal}"
    ]


def _plan(step: Step, *, remove: bool) -> _Planned | None:
    """What becomes of the step's file; None where there is nothing to take out."""
    file = read_config(step.path)
    with located(step.path):
        if not remove:
            return _Planned(step, file, applied(step.form, file.text or "", step.edit))
        if file.text is None or not step.edit.is_in(step.form.parse(file.text)):
            return None
        before = text_before(file)
        if not step.of_ours and not is_as_left(step.form, file.text, step.edit, before):
            return _Planned(step, file, file.text)
        return _Planned(step, file, undone(step.form, file.text, step.edit, before))


def _write(planned: _Planned) -> None:
    file, step = planned.file, planned.step
    if planned.change == "none":
        return
    if planned.text is None:
        remove_config(file)
        return
    write_config(file, planned.text, first=not step.edit.is_in(step.form.parse(file.text or "")))
    if file.text is None or planned.text == text_before(file):
        forget_backup(file)  # of a time before this one, or no longer needed


def _other_key(recipe: Recipe) -> str:
    """The key under which this configuration has dibs already, when that is not the one asked for.

    Raises SettingsError: under the key asked for is somebody else's server.
    """
    path, (*tables, key) = recipe.entry.path, recipe.entry.edit.path
    servers = table_at(read_document(recipe.entry.form, path), tuple(tables))
    if key not in servers:
        return next((other for other, server in servers.items() if _is_ours(server)), "")
    if not _is_ours(servers[key]):
        what = table_at(servers, (key,)).get("command") or "of another kind"
        raise SettingsError(
            f"{path} has another server under the key {key} ({what}), which was left alone; for dibs name another key "
            "with --key",
            path=str(path),
        )
    return ""


def _is_ours(server: Value) -> bool:
    return isinstance(server, dict) and is_dibs(server.get("command"), server.get("args"))


def _told(planned: _Planned) -> FileChange:
    diff = "".join(_unified(planned.file.text, planned.text, planned.file.path))
    return FileChange(path=str(planned.file.path), change=planned.change, diff=diff, says=planned.step.says)


def _unified(old: str | None, new: str | None, path: Path) -> Iterable[str]:
    names = ("/dev/null" if old is None else str(path), "/dev/null" if new is None else str(path))
    for line in difflib.unified_diff(_lines(old), _lines(new), *names):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: str | None) -> list[str]:
    """The lines with their ends; a carriage return is no end of its own, as for every diff."""
    return [line for line in re.split(r"(?<=\n)", text or "") if line]


def _in_words(request: SetupRequest, recipe: Recipe, twin: str, changed: bool, again: str) -> tuple[str, str]:
    """What happened, and what to do next."""
    name, path = NAMES[request.client], recipe.entry.path
    if twin:
        message = (
            f"{name} has dibs already, under the key {twin} in {path}; nothing was changed, for twice is too often."
        )
        return message, f"To change or take out that entry, run this with --key {twin}."
    if not changed:
        what = "has no dibs to take out" if request.remove else "has it already"
        return (
            f"{name} {what}: nothing to change in {path}.",
            "" if request.remove else f"See it with `{recipe.check}`.",
        )
    if not request.write:
        return "Nothing was changed yet: this is what would be.", f"Do it with `{again}`."
    if request.remove:
        return f"{name} has dibs no more.", ""
    fits = (
        "" if request.scope == "user" else f" {path} names the program by its full path, so it fits this machine only."
    )
    return (
        f"{name} has dibs now.{fits}",
        f"See it with `{recipe.check}`, then tell the agent: claim a task with claim_next_task.",
    )
