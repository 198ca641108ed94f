"""New task files: their names, their ids, and all of them or none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dibs.session import Call, CallCancelled, Session
from dibs.store import publish
from dibs.store.errors import InvalidArguments, StoreFailure
from support import age, call, claim, events, header, make, write_file, write_task


def create(session: Session, *tasks: dict[str, Any], on: Call | None = None) -> Any:
    return call(session, "create_tasks", on, tasks=list(tasks))


def names(tasks_dir: Path) -> list[str]:
    return sorted(path.name for path in tasks_dir.glob("**/*.md"))


def test_a_file_has_the_name_of_its_id_and_title(session: Session, tasks_dir: Path) -> None:
    create(
        session,
        {"id": "T.1", "title": "Paint the door!"},
        {"id": "../../up", "title": "Up"},
        {"id": "任务", "title": "任务"},
        {"id": "?", "title": "!"},
        {"id": "x" * 128, "title": "y" * 500},
    )
    assert names(tasks_dir) == sorted(
        ["T.1-paint-the-door.md", "up-up.md", "任务.md", "task.md", f"{'x' * 60}-{'y' * 50}.md"]
    )
    assert [call(session, "get_task", id=i).task.title for i in ("t.1", "../../UP", "任务", "?")] == [
        "Paint the door!", "Up", "任务", "!",
    ]  # fmt: skip


def test_names_that_are_taken_get_a_number(session: Session, tasks_dir: Path) -> None:
    write_file(tasks_dir / "a-b.md", "A note.\n")
    (tasks_dir / "a-b-2.md").symlink_to("nowhere")
    create(session, {"id": "a", "title": "B"}, {"id": "a!", "title": "b"})
    assert (header(tasks_dir / "a-b-3.md")["id"], header(tasks_dir / "a-b-4.md")["id"]) == ("a", "a!")


def test_a_new_task_says_when_it_was_made(session: Session, tasks_dir: Path) -> None:
    create(session, {"id": "later", "title": "x"})
    assert header(tasks_dir / "later-x.md")["created"] == "2026-01-22T12:00:00Z"


def test_what_was_added_first_is_handed_out_first(session: Session, clock: Any) -> None:
    create(session, {"id": "z", "title": "x"})
    clock.advance(1)
    create(session, {"id": "a", "title": "x"})
    assert claim(session).task.id == "z"


def test_an_id_that_an_editor_wrote_a_moment_ago_is_seen(session: Session, tasks_dir: Path) -> None:
    call(session, "get_index_stats")
    (tasks_dir / "new.md").write_text("---\nid: t-1\nstatus: active\n---\n", encoding="utf-8")
    with pytest.raises(InvalidArguments, match=r"there is a task T-1 already, in new\.md"):
        call(session, "add_task", title="x", id="T-1")


def test_an_id_of_an_invalid_file_is_taken_too(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "bad", "nearly")
    with pytest.raises(InvalidArguments, match=r"in bad\.md"):
        create(session, {"id": "BAD", "title": "x"})


def test_a_circle_through_tasks_that_are_there_is_named(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "old", depends_on=["middle"])
    write_task(tasks_dir, "middle", depends_on=["new"])
    with pytest.raises(InvalidArguments, match="new → old → middle → new"):
        create(session, {"id": "first", "title": "x"}, {"id": "new", "title": "x", "depends_on": ["old"]})
    assert names(tasks_dir) == ["middle.md", "old.md"]


def test_a_circle_that_was_there_before_stands_in_nobodys_way(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "a", depends_on=["b"])
    write_task(tasks_dir, "b", depends_on=["a", "new"])
    create(session, {"id": "new", "title": "x"}, {"id": "other", "title": "x", "depends_on": ["a"]})
    assert len(names(tasks_dir)) == 4


@pytest.mark.parametrize("number", [1, 2, 3])
def test_what_was_made_before_one_that_failed_is_taken_back(
    session: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write_task(tasks_dir, "t-1")
    call(session, "get_index_stats")
    link, made = os.link, []

    def failing(source: Path, target: Path) -> None:
        made.append(target)
        if len(made) == number:
            raise OSError(28, "No space left on device", str(target))
        link(source, target)

    monkeypatch.setattr(publish.os, "link", failing)
    with pytest.raises(StoreFailure, match="make room on the disk"):
        create(session, *({"id": f"n-{n}", "title": "x"} for n in range(3)))
    monkeypatch.undo()
    assert names(tasks_dir) == ["t-1.md"]
    assert list((tasks_dir / ".dibs" / "tmp").iterdir()) == []
    assert events(session, "added") == []
    assert call(session, "get_index_stats").total == 1
    assert len(create(session, *({"id": f"n-{n}", "title": "x"} for n in range(3))).tasks) == 3


def test_a_new_file_that_somebody_has_changed_is_not_taken_back(
    session: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, first = os.link, tasks_dir / "n-0-x.md"

    def failing(source: Path, target: Path) -> None:
        if first.exists():
            first.write_text("---\nid: n-0\nstatus: active\n---\nMine.\n", encoding="utf-8")
            raise OSError(28, "No space left on device", str(target))
        link(source, target)

    monkeypatch.setattr(publish.os, "link", failing)
    with pytest.raises(StoreFailure):
        create(session, *({"id": f"n-{n}", "title": "x"} for n in range(2)))
    assert names(tasks_dir) == ["n-0-x.md"]
    assert call(session, "get_task", id="n-0").task.body == "Mine."


def test_tasks_are_made_whole_when_the_ledger_is_taken_away_on_the_way(
    session: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link
    taken: list[Path] = []

    def losing(source: Path, target: Path) -> None:
        link(source, target)
        if not taken:
            taken.append((tasks_dir / ".dibs").rename(tasks_dir.parent / "gone"))

    monkeypatch.setattr(publish.os, "link", losing)
    create(session, *({"id": f"n-{n}", "title": "x"} for n in range(3)))
    assert names(tasks_dir) == ["n-0-x.md", "n-1-x.md", "n-2-x.md"]
    assert [event["id"] for event in events(session, "added")] == ["n-0", "n-1", "n-2"]


def test_a_call_that_was_given_up_makes_nothing(session: Session, tasks_dir: Path) -> None:
    given_up = Call()
    given_up.cancel()
    with pytest.raises(CallCancelled):
        create(session, {"title": "x"}, on=given_up)
    assert names(tasks_dir) == []


def test_two_who_want_the_same_id_do_not_both_get_it(
    session: Session, other: Session, tasks_dir: Path, at_step: Callable[[str, Callable[[], None]], None]
) -> None:
    added: list[Any] = []
    call(session, "get_index_stats")
    at_step("mutex.wanted", lambda: added.append(create(other, {"id": "t-1", "title": "theirs"})))
    with pytest.raises(InvalidArguments, match="there is a task T-1 already"):
        create(session, {"title": "ours"}, {"id": "T-1", "title": "ours"})
    assert names(tasks_dir) == ["t-1-theirs.md"]


def test_every_text_comes_back_as_it_was_given(session: Session, tasks_dir: Path) -> None:
    texts = ["yes", "1.0", "a, b", "x]", "# no", "'q'", '"q"', "a\x85b", "a\u2028b", "é", "[", "{a: b}"]
    create(session, {"id": "t-1", "title": "x", "tags": texts, "files": texts})
    (path,) = tasks_dir.glob("*.md")
    task = make(age(path).read_text(encoding="utf-8").split("---\n")[1])
    assert task.tags == task.files == tuple(texts)
