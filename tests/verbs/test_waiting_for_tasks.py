"""Waiting: with the cursor of the last answer every ending is told, whatever happens in between."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dibs.registry import TOOLS
from dibs.session import Session
from dibs.store.errors import BatchNotFound, InvalidArguments, TaskNotFound
from dibs.store.task_store import TaskStore
from dibs.wait_for_tasks import TOLD_AT_ONCE
from support import Clock, call, claim, edit, write_task

TOOL = next(tool for tool in TOOLS if tool.name == "wait_for_tasks")


@pytest.fixture
def tasks(tasks_dir: Path) -> list[str]:
    ids = [f"t-{number}" for number in range(4)]
    for task_id in ids:
        write_task(tasks_dir, task_id)
    return ids


def wait(session: Session, **given: Any) -> Any:
    session.store.refresh(after=time.monotonic())  # whoever waits looks again and again; here one look must see it
    return call(session, "wait_for_tasks", wait_seconds=0, **given)


def told(result: Any) -> list[tuple[str, str]]:
    return [(ending.task_id, ending.status) for ending in result.endings]


def complete(session: Session, task_id: str) -> None:
    taken = claim(session, task_id)
    call(session, "complete_task", id=task_id, claim_token=taken.claim_token)


def block(session: Session, task_id: str) -> None:
    taken = claim(session, task_id)
    call(session, "block_task", id=task_id, claim_token=taken.claim_token, reason="No key.")


def test_each_ending_is_told_once_in_its_order(session: Session, other: Session, tasks: list[str]) -> None:
    first = wait(session, ids=tasks)
    assert (told(first), first.left, first.finished, first.total) == ([], 4, False, 4)
    complete(other, "t-2")
    block(other, "t-0")
    second = wait(session, ids=tasks, cursor=first.cursor)
    assert told(second) == [("t-2", "success"), ("t-0", "blocked")]
    assert second.endings[1].reason == "No key."
    assert wait(session, ids=tasks, cursor=second.cursor).endings == []
    assert told(wait(session, ids=tasks, cursor=first.cursor)) == told(second), "an answer that was lost comes again"


def test_without_a_cursor_all_that_ended_so_far_is_told(session: Session, other: Session, tasks: list[str]) -> None:
    complete(other, "t-1")
    assert told(wait(session, ids=tasks)) == [("t-1", "success")]
    assert told(wait(session, ids=tasks)) == [("t-1", "success")]


def test_others_tasks_are_not_told(session: Session, other: Session, tasks: list[str]) -> None:
    first = wait(session, ids=["T-3"])
    complete(other, "t-0")
    complete(other, "t-3")
    last = wait(session, ids=["t-3"], cursor=first.cursor)
    assert told(last) == [("t-3", "success")]
    assert last.finished


def test_what_a_person_did_by_hand_is_told_too(session: Session, tasks: list[str], tasks_dir: Path) -> None:
    first = wait(session, ids=tasks)
    edit(tasks_dir / "t-1.md", "status: active", "status: done")
    edit(tasks_dir / "t-2.md", "status: active", "status: cancelled")
    edit(tasks_dir / "t-3.md", "status: active", "status: nonsense")
    (tasks_dir / "t-0.md").unlink()
    session.store.refresh(after=time.monotonic())
    result = wait(session, ids=tasks, cursor=first.cursor)
    assert sorted(told(result)) == [("t-0", "failed"), ("t-1", "success"), ("t-2", "failed"), ("t-3", "failed")]
    assert result.finished
    reasons = {ending.task_id: ending.reason for ending in result.endings}
    assert reasons["t-0"] == "its file is gone, or is no task any more"
    assert "nonsense" in reasons["t-3"]


def test_a_reopened_task_is_waited_for_again_and_told_again(
    session: Session, other: Session, person: Session, tasks: list[str]
) -> None:
    block(other, "t-0")
    first = wait(session, ids=["t-0"])
    assert first.finished
    call(person, "reopen_task", id="t-0")
    second = wait(session, ids=["t-0"], cursor=first.cursor)
    assert (told(second), second.finished) == ([], False)
    complete(other, "t-0")
    assert told(wait(session, ids=["t-0"], cursor=first.cursor)) == [("t-0", "success")]


def test_a_batch_is_waited_for_as_a_whole(session: Session, other: Session, tasks: list[str]) -> None:
    call(session, "create_batch", name="b", items=tasks[:2])
    first = wait(session, batch="B")
    assert first.total == 2
    for task_id in tasks:
        complete(other, task_id)
    last = wait(session, batch="b", cursor=first.cursor)
    assert told(last) == [("t-0", "success"), ("t-1", "success")]
    assert last.finished
    assert last.message.endswith("all 2 tasks ended")


def test_a_new_waiter_goes_on_where_the_old_one_was(
    session: Session, make_session: Callable[..., Session], tasks: list[str]
) -> None:
    complete(session, "t-0")
    first = wait(make_session(), ids=tasks)
    complete(session, "t-1")
    assert told(wait(make_session(), ids=tasks, cursor=first.cursor)) == [("t-1", "success")]


def test_when_the_index_is_made_anew_all_is_told_again_and_nothing_is_missing(
    session: Session, other: Session, tasks: list[str], tasks_dir: Path
) -> None:
    complete(other, "t-0")
    first = wait(session, ids=tasks)
    for path in (tasks_dir / ".dibs").glob("index*"):
        path.unlink()
    complete(other, "t-1")
    session.store.refresh(after=time.monotonic())
    assert told(wait(session, ids=tasks, cursor=first.cursor)) == [("t-0", "success"), ("t-1", "success")]


def test_a_task_that_was_gone_before_the_index_was_made_is_told(
    session: Session, make_session: Callable[..., Session], tasks: list[str], tasks_dir: Path
) -> None:
    call(session, "create_batch", name="b", items=tasks[:2])
    (tasks_dir / "t-0.md").unlink()
    for path in (tasks_dir / ".dibs").glob("index*"):
        path.unlink()
    result = wait(make_session(), batch="b")
    assert told(result) == [("t-0", "failed")]
    assert result.left == 1


def test_of_many_endings_in_a_new_index_those_of_tasks_that_are_gone_are_told_too(
    session: Session, make_session: Callable[..., Session], tasks_dir: Path
) -> None:
    ids = [f"m-{number:03}" for number in range(TOLD_AT_ONCE + 40)]
    paths = [write_task(tasks_dir, task_id) for task_id in ids]
    call(session, "create_batch", name="b", items=ids)
    for number, path in enumerate(paths):
        path.unlink() if number % 5 == 0 else edit(path, "status: active", "status: done")
    for path in (tasks_dir / ".dibs").glob("index*"):
        path.unlink()
    waiter = make_session()
    first = wait(waiter, batch="b")
    assert (first.left, first.finished) == (0, False)
    second = wait(waiter, batch="b", cursor=first.cursor)
    assert second.finished
    assert sorted(task_id for task_id, _ in [*told(first), *told(second)]) == ids


def test_waiting_for_something_else_begins_anew(session: Session, other: Session, tasks: list[str]) -> None:
    complete(other, "t-0")
    first = wait(session, ids=["t-1", "t-2"])
    assert told(wait(session, ids=tasks, cursor=first.cursor)) == [("t-0", "success")]


def test_many_endings_come_in_parts(session: Session, tasks_dir: Path) -> None:
    ids = [f"m-{number:03}" for number in range(TOLD_AT_ONCE + 20)]
    for task_id in ids:
        write_task(tasks_dir, task_id, "done")
    first = wait(session, ids=ids)
    assert (len(first.endings), first.left, first.finished) == (TOLD_AT_ONCE, 0, False)
    second = wait(session, ids=ids, cursor=first.cursor)
    assert (len(second.endings), second.finished) == (20, True)
    assert sorted(ending.task_id for ending in [*first.endings, *second.endings]) == ids


@pytest.mark.parametrize("cursor", ["x", "1", "-", "0" * 99, "zzzzzzzz-zzzzzzzz-zzzzzzzzzzzzzzzz-1"])
def test_what_is_no_cursor_is_refused(session: Session, tasks: list[str], cursor: str) -> None:
    with pytest.raises(InvalidArguments, match="no cursor of wait_for_tasks; leave it out"):
        wait(session, ids=tasks, cursor=cursor)


def test_a_cursor_from_another_directory_is_refused_by_name(
    session: Session, tasks: list[str], tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "other").mkdir()
    write_task(tmp_path / "other", "t-0")
    elsewhere = wait(Session(TaskStore(tmp_path / "other", now=clock)), ids=["t-0"]).cursor
    with pytest.raises(InvalidArguments, match=f"cursor {elsewhere} comes from another tasks directory"):
        wait(session, ids=["t-0"], cursor=elsewhere)


@pytest.mark.parametrize("given", [{}, {"ids": ["t-0"], "batch": "b"}])
def test_either_ids_or_a_batch_are_waited_for(session: Session, tasks: list[str], given: dict[str, Any]) -> None:
    with pytest.raises(InvalidArguments, match="either ids or a batch"):
        wait(session, **given)


def test_what_is_not_there_is_named(session: Session, tasks: list[str]) -> None:
    with pytest.raises(TaskNotFound, match="no task nowhere"):
        wait(session, ids=["t-0", "nowhere"])
    with pytest.raises(BatchNotFound, match="no batch b"):
        wait(session, batch="b")


def test_a_call_rests_only_while_there_is_nothing_to_tell(session: Session, other: Session, tasks: list[str]) -> None:
    request = TOOL.request.model_validate({"ids": tasks, "wait_seconds": 10})
    nothing = wait(session, ids=tasks)
    assert TOOL.pause(request, nothing, 0.0) == 0.5
    assert TOOL.pause(request, nothing, 9.9) == pytest.approx(0.1)
    assert TOOL.pause(request, nothing, 10.0) is None
    complete(other, "t-0")
    assert TOOL.pause(request, wait(session, ids=tasks), 0.0) is None
    progress = TOOL.progress(wait(session, ids=tasks))
    assert progress is not None
    assert progress[:2] == (1, 4)
