"""Changing what a task says: one rule for reopening, one key for each field, and claims come first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store.claims import new_token
from dibs.store.errors import ClaimLost, NotReady
from support import Clock, age, call, claim, edit, events, header, write_file, write_task


@pytest.mark.parametrize("ending", ["complete_task", "block_task"])
def test_reopening_by_an_update_leaves_the_same_bytes_as_reopening(
    session: Session, person: Session, tasks_dir: Path, ending: str
) -> None:
    content = "---\nstatus: To Do  # soon\nassignee:\n  - '@gemini'\n---\nbody\n"
    paths = [write_file(tasks_dir / f"t-{n}.md", content) for n in (1, 2)]
    for path in paths:
        token = claim(session, path.stem).claim_token
        call(session, ending, id=path.stem, claim_token=token, **({"reason": "x"} if ending == "block_task" else {}))
        age(path)
    call(person, "reopen_task", id="t-1")
    message = call(session, "update_task", id="t-2", action="reopen").message
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert message.endswith("→ active; it is reserved for gemini by its assignee")
    assert [event["id"] for event in events(session, "reopened")] == ["t-1", "t-2"]
    assert claim(session, "t-2").warnings == []


def test_a_new_assignee_counts_more_than_the_one_before_the_claim(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1", assignee="gemini")
    call(session, "block_task", id="t-1", claim_token=claim(session).claim_token, reason="x")
    age(path)
    call(session, "update_task", id="t-1", action="unblock", assignee="claude")
    assert header(path)["assignee"] == "claude"
    assert claim(other).task.id == "t-1"


def test_an_assignee_reserves_also_where_a_claim_left_its_token(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    path = write_file(tasks_dir / "t-1.md", f"---\nstatus: active\nassignee: gemini\nclaim: {new_token('h1')}\n---\n")
    call(session, "update_task", id="t-1", assignee="claude")
    assert age(path).read_text(encoding="utf-8") == "---\nstatus: active\nassignee: claude\n---\n"
    assert call(session, "claim_next_task").waiting_on.reserved == 1
    assert claim(other).task.id == "t-1"


def test_the_key_that_says_something_is_the_one_that_changes(session: Session, tasks_dir: Path) -> None:
    path = write_file(
        tasks_dir / "t-1.md", "---\nstatus: active\ndepends_on:\ndependencies: [a]\nblocked_by: [b]\n---\n"
    )
    call(session, "update_task", id="t-1", depends_on=["c"])
    assert path.read_text(encoding="utf-8") == (
        "---\nstatus: active\ndepends_on:\ndependencies: [c]\nblocked_by: [b]\n---\n"
    )
    age(path)
    result = call(session, "update_task", id="t-1", clear=["depends_on"])
    assert result.task.depends_on == []


def test_a_key_that_says_nothing_is_filled(session: Session, tasks_dir: Path) -> None:
    path = write_file(tasks_dir / "t-1.md", "---\nstatus: active\nlabels:   # none yet\n---\n")
    call(session, "update_task", id="t-1", tags=["a"])
    assert "labels: [a]   # none yet\n" in path.read_text(encoding="utf-8")


def test_nobody_works_on_a_task_that_was_cancelled_after_its_claim_was_lost(
    session: Session, other: Session, person: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    session.close()
    clock.advance(121)
    call(other, "claim_next_task", id="t-1")
    call(person, "release_task", id="t-1", steal=True)
    age(path)
    call(person, "update_task", id="t-1", action="cancel", reason="Not wanted.")
    before = age(path).read_bytes()
    with pytest.raises(ClaimLost, match="t-1 is cancelled and nobody holds it"):
        call(session, "complete_task", id="t-1", claim_token=token, summary="Did it.")
    assert path.read_bytes() == before
    assert [event["caller"] for event in events(person, "cancelled")] == ["agent"]


def test_a_task_whose_record_is_lost_counts_as_held(session: Session, other: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    age(path)
    (tasks_dir / ".dibs").rename(tasks_dir.parent / "gone")
    with pytest.raises(NotReady, match="held by gemini"):
        call(other, "update_task", id="t-1", priority=0)


def test_work_on_another_machine_is_left_alone(
    session: Session, make_session: Callable[..., Session], tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(make_session(host="h2"))
    age(path)
    (tasks_dir / ".dibs").rename(tasks_dir.parent / "gone")
    with pytest.raises(NotReady, match="in progress on another machine by gemini"):
        call(session, "update_task", id="t-1", action="cancel", reason="x")


def test_an_edit_by_hand_in_the_middle_is_not_lost(
    session: Session, tasks_dir: Path, at_step: Callable[[str, Callable[[], None]], None]
) -> None:
    path = write_task(tasks_dir, "t-1", priority=3)
    call(session, "get_task", id="t-1")
    at_step("mutex.held", lambda: edit(path, "priority: 3", "priority: 1\ntags: [theirs]") and None)
    call(session, "update_task", id="t-1", files=["a"])
    assert path.read_text(encoding="utf-8") == (
        "---\nid: t-1\nstatus: active\npriority: 1\ntags: [theirs]\nfiles: [a]\n---\n"
    )


def test_a_reservation_follows_the_files_that_were_updated(session: Session, other: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", priority=0, files=["a"])
    write_task(tasks_dir, "t-2", files=["b"])
    call(session, "update_task", id="t-1", files=["b"])
    age(path)
    assert claim(session).task.files == ["b"]
    assert call(other, "claim_next_task").waiting_on.files == 1


def test_what_was_updated_is_in_the_journal(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "inbox")
    call(session, "update_task", id="t-1", action="activate", priority=0, clear=["tags"])
    (event,) = events(session, "updated")
    assert (event["id"], event["fields"], event["caller"]) == ("t-1", "status, priority", "gemini")
