"""init: make a tasks directory, or take an existing one over as it is."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dibs.store.errors import MalformedTask, SettingsError
from dibs.store.index import Index
from dibs.store.places import in_main_worktree
from dibs.store.publish import write_temporary
from dibs.store.settings import (
    SETTINGS_FILE,
    USUAL_FOLDERS,
    Settings,
    StatusWord,
    fold,
    load_settings,
    usual_tasks_dirs,
)
from dibs.store.snapshot import Snapshot
from dibs.store.task_file import read_task_file

MEANT: dict[str, StatusWord] = {
    "backlog": "inbox", "new": "inbox", "triage": "inbox", "idea": "inbox",
    "open": "active", "ready": "active", "planned": "active", "next": "active", "pending": "active",
    "wip": "in_progress", "started": "in_progress", "working": "in_progress",
    "stuck": "blocked", "onhold": "on_hold", "paused": "on_hold", "later": "on_hold", "someday": "on_hold",
    "inreview": "review", "testing": "review", "qa": "review",
    "closed": "done", "finished": "done", "resolved": "done", "shipped": "done",
    "wontfix": "cancelled", "wontdo": "cancelled", "dropped": "cancelled", "rejected": "cancelled",
}  # fmt: skip


@dataclass(frozen=True)
class InitResult:
    """What is there now; ``learnt`` maps words found in ``status`` to the statuses they were taken for."""

    tasks_dir: Path
    made: bool
    snapshot: Snapshot
    learnt: dict[str, StatusWord]
    unknown: dict[str, int]


def init_tasks_dir(named: Path | None, project: Path, *, adopt: bool = False) -> InitResult:
    """Make a tasks directory with a ``settings.json``; with ``adopt``, take over one that is there.

    It is the one that is ``named``, else, to adopt, the usual one that ``project`` has, else ``tasks`` in it; in a
    linked git worktree the main worktree's. No task file is touched. Adopting reads every status word, and writes those
    whose meaning is plain into ``settings.json`` as synonyms; the others are returned as ``unknown``.

    Raises:
        SettingsError: there is something else already, or nothing to adopt.
    """
    tasks_dir = in_main_worktree(_chosen(named, project, adopt), named=named is not None)
    made = not tasks_dir.exists()
    if adopt and made:
        raise SettingsError(f"{tasks_dir} does not exist, so there is nothing to adopt", path=str(tasks_dir))
    if (tasks_dir / SETTINGS_FILE).exists() and not adopt:
        load_settings(tasks_dir)
        raise SettingsError(f"{tasks_dir} is a tasks directory already; nothing was changed", path=str(tasks_dir))
    if not made and not adopt and any(tasks_dir.iterdir()):
        raise SettingsError(
            f"{tasks_dir} exists and is not empty; `dibs init --adopt --tasks-dir {tasks_dir}` takes over what is in "
            "it and changes no task file",
            path=str(tasks_dir),
        )
    tasks_dir.mkdir(parents=True, exist_ok=True)
    index = Index(tasks_dir)
    settings = load_settings(tasks_dir)
    learnt, unknown = _status_words(tasks_dir, _scanned(index, settings).invalid, settings)
    if learnt or not (tasks_dir / SETTINGS_FILE).exists():
        _write_settings(tasks_dir, settings, learnt)
    return InitResult(tasks_dir, made, _scanned(index, load_settings(tasks_dir)), learnt, unknown)


def _scanned(index: Index, settings: Settings) -> Snapshot:
    index.refresh(settings)
    return index.load()


def _chosen(named: Path | None, project: Path, adopt: bool) -> Path:
    if named is not None:
        return named
    found = usual_tasks_dirs(project)
    if adopt and found:
        return found[0]
    other = next((folder for folder in found if folder != project / USUAL_FOLDERS[0]), None)
    if other is not None:
        raise SettingsError(
            f"there are tasks in {other} already, and a second directory would hide them; `dibs init --adopt` takes "
            "them over and changes no task file. To have another one all the same, name it with --tasks-dir",
            path=str(other),
        )
    return project / USUAL_FOLDERS[0]


def _status_words(
    tasks_dir: Path, invalid: tuple[MalformedTask, ...], settings: Settings
) -> tuple[dict[str, StatusWord], dict[str, int]]:
    """Words in ``status`` the settings do not know: those whose meaning is plain, and how often the others come."""
    words: Counter[str] = Counter()
    for error in invalid:
        try:
            file = read_task_file((tasks_dir / error.path).read_bytes())
            word = file.text("status") if file is not None else None
        except (OSError, MalformedTask):
            continue
        if word and settings.status_of(word) is None:
            words[word] += 1
    learnt = {word: MEANT[fold(word)] for word in words if fold(word) in MEANT}
    return learnt, {word: count for word, count in words.most_common() if word not in learnt}


def _write_settings(tasks_dir: Path, settings: Settings, learnt: dict[str, StatusWord]) -> None:
    """Add the learnt words to what stands in the file; everything else there stays."""
    path = tasks_dir / SETTINGS_FILE
    given: dict[str, Any] = {"profile": settings.profile}
    if path.exists():
        given = json.loads(path.read_text(encoding="utf-8-sig"))
    statuses = dict(given.get("statuses", {}))
    for word, status in learnt.items():
        statuses[status] = [*statuses.get(status, settings.statuses[status]), word]
    content = json.dumps({**given, **({"statuses": statuses} if statuses else {})}, indent=2, ensure_ascii=False) + "\n"
    write_temporary(tasks_dir, content.encode()).replace(path)
