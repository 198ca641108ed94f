"""One directory of tasks has one ledger: above or below another one it would hand out the same tasks twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store.errors import SettingsError
from dibs.store.task_store import TaskStore
from support import call, claim, write_task


@pytest.mark.parametrize("first", ["inner", "outer"])
def test_a_directory_above_or_below_another_ledger_is_refused(tmp_path: Path, first: str) -> None:
    directories = {"outer": tmp_path, "inner": tmp_path / "tasks"}
    path = write_task(directories["inner"], "t-1")
    write_task(directories["inner"], "t-2")
    claim(Session(TaskStore(directories.pop(first))))
    before = path.read_bytes()
    (second,) = directories.values()
    for tool in ("claim_next_task", "get_index_stats"):
        with pytest.raises(SettingsError, match="both used as tasks directories"):
            call(Session(TaskStore(second)), tool)
    assert not (second / ".dibs").exists()
    assert path.read_bytes() == before


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="nothing is unreadable for root")
def test_a_folder_that_cannot_be_read_is_named(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir / "locked", "t-1")
    (tasks_dir / "locked").chmod(0)
    try:
        (invalid,) = call(session, "get_index_stats").invalid.first
    finally:
        (tasks_dir / "locked").chmod(0o700)
    assert (invalid.path, "cannot be read" in invalid.cause) == ("locked/", True)
