"""The index: what a scan sees, and what it makes of it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from dibs.store import index as index_module
from dibs.store.index import Index
from dibs.store.reading import Row, read_row
from dibs.store.settings import Settings
from dibs.store.snapshot import Snapshot
from support import age, edit, write_file, write_task


@pytest.fixture
def index(tasks_dir: Path) -> Index:
    return Index(tasks_dir)


def scan(index: Index, settings: Settings | None = None) -> Snapshot:
    index.refresh(settings or Settings(), after=time.monotonic())
    return index.load()


def causes(snapshot: Snapshot) -> dict[str, str]:
    return {error.path: error.cause for error in snapshot.invalid}


def test_new_changed_and_deleted_files_are_seen(index: Index, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    assert set(scan(index).tasks) == {"t-1"}
    write_task(tasks_dir / "deep" / "er", "t-2")
    assert scan(index).tasks["t-2"].path == "deep/er/t-2.md"
    edit(path, "status: active", "status: done")
    assert scan(index).tasks["t-1"].status == "done"
    path.unlink()
    assert set(scan(index).tasks) == {"t-2"}


def test_a_renamed_file_is_the_same_task_elsewhere(index: Index, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    scan(index)
    (tasks_dir / "sub").mkdir()
    path.rename(tasks_dir / "sub" / "other.md")
    assert {task.id: task.path for task in scan(index).tasks.values()} == {"t-1": "sub/other.md"}


def test_an_edit_that_keeps_size_and_time_is_seen_by_its_inode_or_change_time(index: Index, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", priority=1)
    scan(index)
    then = path.stat().st_mtime_ns
    temporary = tasks_dir / ".saved"
    temporary.write_bytes(path.read_bytes().replace(b"priority: 1", b"priority: 4"))
    os.utime(temporary, ns=(then, then))
    temporary.replace(path)
    assert scan(index).tasks["t-1"].priority == 4


def test_a_file_written_a_moment_ago_is_read_again_even_if_its_state_is_the_same(index: Index, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", priority=1)
    os.utime(path)
    scan(index)
    seen = index.row("t-1.md")
    assert seen is not None
    assert seen.racy
    # an edit within one tick of the file system's clock: same size, same times, same inode
    path.write_bytes(path.read_bytes().replace(b"priority: 1", b"priority: 4"))
    os.utime(path)
    now = read_row(tasks_dir, "t-1.md", path.lstat(), Settings())
    index.put("t-1.md", Row(now.signature, seen.content, seen.racy))
    assert scan(index).tasks["t-1"].priority == 4


def test_a_file_that_did_not_change_is_not_read_again(
    index: Index, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(write_task(tasks_dir, "t-1"))
    scan(index)
    monkeypatch.setattr(index_module, "read_row", None)
    assert set(scan(index).tasks) == {"t-1"}


def test_a_fresh_scan_serves_until_somebody_needs_a_newer_one(
    index: Index, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "FRESH_SECONDS", 3600.0)
    write_task(tasks_dir, "t-1")
    scan(index)
    write_task(tasks_dir, "t-2")
    index.refresh(Settings())
    assert set(index.load().tasks) == {"t-1"}
    assert set(scan(index).tasks) == {"t-1", "t-2"}


def test_names_with_a_dot_in_front_do_not_exist(index: Index, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", name=".t-1.md")
    write_task(tasks_dir / ".obsidian", "t-2")
    write_task(tasks_dir / "a" / ".trash" / "b", "t-3")
    snapshot = scan(index)
    assert (dict(snapshot.tasks), snapshot.invalid, snapshot.notes) == ({}, (), 0)


def test_a_linked_file_is_invalid_and_a_linked_folder_is_not_entered(
    index: Index, tasks_dir: Path, tmp_path: Path
) -> None:
    outside = write_task(tmp_path / "outside", "t-1")
    (tasks_dir / "t-1.md").symlink_to(outside)
    (tasks_dir / "folder").symlink_to(tmp_path / "outside", target_is_directory=True)
    snapshot = scan(index)
    assert dict(snapshot.tasks) == {}
    assert list(causes(snapshot)) == ["t-1.md"]
    assert "symbolic link" in causes(snapshot)["t-1.md"]


def test_what_is_not_a_regular_file_is_invalid_and_never_opened(index: Index, tasks_dir: Path) -> None:
    os.mkfifo(tasks_dir / "pipe.md")
    assert causes(scan(index)) == {"pipe.md": "it is not a regular file"}


def test_notes_are_counted_and_other_files_are_not(index: Index, tasks_dir: Path) -> None:
    write_file(tasks_dir / "README.md", "# How we work\n")
    write_file(tasks_dir / "note.md", "---\ntitle: no status\n---\n")
    write_file(tasks_dir / "empty.md", "")
    write_file(tasks_dir / "picture.png", b"\x89PNG")
    snapshot = scan(index)
    assert (len(snapshot.tasks), snapshot.notes) == (0, 3)


def test_include_and_exclude_narrow_what_is_seen(index: Index, tasks_dir: Path) -> None:
    for name in ("a/one.md", "a/templates/two.md", "b/three.md", "four.md"):
        write_task(tasks_dir, Path(name).stem, name=name)
    narrowed = Settings(include=("a/**/*.md", "four.md"), exclude=("**/templates/**",))
    assert set(scan(index, narrowed).tasks) == {"one", "four"}
    assert set(scan(index).tasks) == {"one", "two", "three", "four"}


def test_every_copy_of_an_id_is_invalid_even_if_they_differ_by_case(index: Index, tasks_dir: Path) -> None:
    write_task(tasks_dir, "Task-1", name="a.md")
    write_task(tasks_dir, "task-1", name="b.md")
    write_task(tasks_dir, "TASK-1", name="c.md")
    write_task(tasks_dir, "t-2")
    snapshot = scan(index)
    assert set(snapshot.tasks) == {"t-2"}
    assert causes(snapshot) == {
        "a.md": "the id Task-1 is also in b.md, c.md; give each its own",
        "b.md": "the id task-1 is also in a.md, c.md; give each its own",
        "c.md": "the id TASK-1 is also in a.md, b.md; give each its own",
    }


def test_a_copy_that_goes_makes_the_other_valid_again(index: Index, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", name="a.md")
    copy = write_task(tasks_dir, "t-1", name="b.md")
    assert len(scan(index).invalid) == 2
    copy.unlink()
    assert set(scan(index).tasks) == {"t-1"}


@pytest.mark.parametrize(
    ("content", "cause", "line"),
    [
        ("---\nid: t-1\nstatus: wip\n---\n", "unknown status 'wip'", 3),
        ("---\nid: t-1\nstatus: active\nstatus: done\n---\n", "`status` stands in line 3 and again in line 4", 4),
        ("---\nid: t-1\nstatus: [active\n---\n", "the header is not YAML", None),
        (b"---\nid: t-1\nstatus: active\nx: \xff\n---\n", "not UTF-8", 4),
        ("---\nid: t-1\nstatus: active\ndepends_on: {a: b}\n---\n", "depends_on must be a text or a list", 4),
    ],
)
def test_an_invalid_file_is_named_with_path_line_and_cause(
    index: Index, tasks_dir: Path, content: str | bytes, cause: str, line: int | None
) -> None:
    write_file(tasks_dir / "broken.md", content)
    write_task(tasks_dir, "t-2")
    snapshot = scan(index)
    (error,) = snapshot.invalid
    assert set(snapshot.tasks) == {"t-2"}
    assert error.path == "broken.md"
    assert cause in error.cause
    assert line in (None, error.line)
    assert error.task_id == "t-1"
    assert set(snapshot.invalid_keys) == {"t-1"}


def test_a_mended_file_is_valid_again(index: Index, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", status="wip")
    assert len(scan(index).invalid) == 1
    edit(path, "wip", "active")
    assert set(scan(index).tasks) == {"t-1"}
    assert scan(index).invalid == ()


def test_a_synonym_added_to_the_settings_makes_its_tasks_valid(index: Index, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", status="wip")
    assert len(scan(index).invalid) == 1
    assert scan(index, Settings(statuses={"in_progress": ("wip",)})).tasks["t-1"].status == "in_progress"


def test_looking_again_at_one_file_tells_whether_it_is_another_now(index: Index, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    scan(index)
    assert not index.look_again("t-1.md")
    age(path)
    assert not index.look_again("t-1.md")
    edit(path, "active", "done")
    assert index.look_again("t-1.md")
    assert index.load().tasks["t-1"].status == "done"
    path.unlink()
    assert index.look_again("t-1.md")
    assert not index.look_again("t-1.md")
    assert dict(index.load().tasks) == {}


def test_a_missing_directory_is_an_error_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        scan(Index(tmp_path / "nowhere"))


def test_reading_many_files_once_does_not_make_a_scan_count_as_fresh_for_long(
    tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, seconds_each = 20, 0.01
    for number in range(files):
        write_task(tasks_dir, f"t-{number}")

    def slowly(*arguments: Any) -> Row:
        time.sleep(seconds_each)  # a disk that is slow to read; nothing waits for it
        return read_row(*arguments)

    monkeypatch.setattr(index_module, "read_row", slowly)
    index, started = Index(tasks_dir), time.monotonic()
    index.refresh(Settings())
    assert index.scan_seconds <= time.monotonic() - started - files * seconds_each
