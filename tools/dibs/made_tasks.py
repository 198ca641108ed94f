"""Task files for work that has none: one for each file of a batch, all of them in one folder, there in one step."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dibs.new_task_file import new_task_file
from dibs.store.batches import BatchItem, prefix_of
from dibs.store.errors import InvalidArguments
from dibs.store.globs import matches
from dibs.store.settings import Settings
from dibs.store.task_store import TaskStore

INSTRUCTIONS = "Process `{path}`."


@contextmanager
def made_tasks(
    store: TaskStore, name: str, instructions: str, paths: Sequence[str], folder: str
) -> Iterator[tuple[str, list[BatchItem]]]:
    """Write the task files into a folder of ``.dibs/tmp``, whose name comes first; what is left of it at the end goes.

    Raises:
        InvalidArguments: the settings would not let them be seen in their ``folder``.
        StoreFailure
    """
    if not paths:
        yield "", []
        return
    _require_seen(folder, store.settings)
    place = store.change(lambda hold: hold.tmp) / f"batch-{secrets.token_hex(6)}"
    try:
        place.mkdir()
        made = list(_make(place, name, instructions, paths, store.repository))
    except OSError as exc:
        shutil.rmtree(place, ignore_errors=True)
        raise store.failure(exc) from exc
    try:
        yield place.name, made
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _require_seen(folder: str, settings: Settings) -> None:
    path = f"{folder}/task.md"
    if not matches(path, settings.include) or matches(path, settings.exclude):
        raise InvalidArguments(
            f"the tasks of the files would be made as {folder}/*.md, which `include` or `exclude` in settings.json "
            "keeps out; let them in. Nothing was made"
        )


def _make(place: Path, name: str, instructions: str, paths: Sequence[str], repository: Path) -> Iterator[BatchItem]:
    prefix, used = prefix_of(name), set[str]()
    for path in paths:
        shown = Path(path).relative_to(repository).as_posix() if Path(path).is_relative_to(repository) else path
        task_id = _unused_id(prefix, f"{name}\0{path}", used)
        stem = re.sub(r"[^\w]+", "-", Path(path).name.casefold()).strip("-")[:50].strip("-")
        body = (instructions.strip() or INSTRUCTIONS).replace("{path}", shown)
        title = f"{name}: {' '.join(shown.split())}"
        file = new_task_file(title, body, {"id": task_id, "files": [shown]})
        _write(place / (f"{task_id}-{stem}.md" if stem else f"{task_id}.md"), file.data)
        yield BatchItem(id=task_id, path=path)


def _unused_id(prefix: str, of: str, used: set[str]) -> str:
    """An id that the same file in the same batch always gets; two that would be the same differ."""
    for number in range(len(used) + 1):
        task_id = f"{prefix}-{hashlib.sha256(f'{of}{number}'.encode()).hexdigest()[:8]}"
        if task_id not in used:
            break
    used.add(task_id)
    return task_id


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
