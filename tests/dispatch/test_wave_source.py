"""What a wave makes of news, without any process: of tasks that others finish, and of those that become impossible."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dibs.planning import planned
from dibs.session import Session
from dibs.waves.shape import Wave
from dibs_server.dispatch.records import How, Progress
from dibs_server.dispatch.wave_run import folder_of
from dibs_server.dispatch.wave_source import WaveSource
from support import age, call, claim, edit, header, write_file, write_task

Begin = Callable[..., WaveSource]


@pytest.fixture
def begin(session: Session, tasks_dir: Path) -> Begin:
    """Begins a wave of these tasks, with a program that is everywhere."""

    def make(*tasks: dict[str, object], **dispatch: object) -> WaveSource:
        settings = {"agent": "a", "agents": {"a": {"command": ["true"]}}, "retries": 1, **dispatch}
        write_file(tasks_dir / "settings.json", json.dumps({"dispatch": settings}))
        wave = Wave.model_validate({"tasks": list(tasks)})
        store = session.store
        return WaveSource(session, folder_of(store, wave), planned(session, wave), store.now(), strict=False)

    return make


def came_to(session: Session, task_id: str, how: How, token: str = "t", told: str = "why") -> Progress:
    now = session.store.now()
    return Progress(
        task_id=task_id, agent="a", attempt=1, token=token, started_at=now, ended_at=now, how=how, told=told
    )


def rows(source: WaveSource) -> dict[str, tuple[str, str]]:
    result = source.result({}, finished=True)
    return {task_id: (row.status, row.summary) for task_id, row in result.tasks.items()}


@pytest.mark.parametrize("how", ["failed", "blocked", "given_back", "interrupted"])
def test_what_somebody_else_has_done_since_is_completed_and_reviewed(
    how: How, session: Session, other: Session, tasks_dir: Path, begin: Begin
) -> None:
    write_task(tasks_dir, "t-1")
    call(other, "complete_task", id="t-1", claim_token=claim(other, "t-1").claim_token, summary="By me.")
    source = begin({"taskId": "t-1", "needsReview": True}, reviewer="a")
    source.taken_over([came_to(session, "t-1", how)], {})
    (order,) = source.next_orders({})
    assert order.task_id.startswith("t-1-review-")
    result = source.result({}, finished=True)
    assert (result.tasks["t-1"].status, result.tasks["t-1"].summary) == ("completed", "By me.")


def test_what_was_refused_because_somebody_else_did_it_was_complete_before(
    session: Session, tasks_dir: Path, begin: Begin
) -> None:
    write_task(tasks_dir, "t-1", "done")
    source = begin({"taskId": "t-1"})
    source.taken_over([came_to(session, "t-1", "refused", token="")], {})
    assert not source.goes_on()
    result = source.result({}, finished=True)
    assert (result.status, result.tasks["t-1"].status, result.skipped) == ("completed", "completed", ["t-1"])


@pytest.mark.parametrize(
    ("status", "came_out", "told"),
    [
        ("cancelled", "skipped", "cancelled"), ("on_hold", "skipped", "on hold"), ("nonsense", "failed", "why"),
        ("", "failed", "why; its file is gone"),
    ],
)  # fmt: skip
def test_what_failed_and_was_put_aside_is_told_as_it_is_now(
    status: str, came_out: str, told: str, session: Session, tasks_dir: Path, begin: Begin
) -> None:
    path = write_task(tasks_dir, "t-1", status or "blocked")
    if not status:
        path.unlink()
    source = begin({"taskId": "t-1"})
    source.taken_over([came_to(session, "t-1", "failed")], {})
    source.goes_on()
    row = source.result({}, finished=True).tasks["t-1"]
    assert row.status == came_out
    assert told in row.summary


def test_what_failed_and_is_left_blocked_is_told_as_it_failed(session: Session, tasks_dir: Path, begin: Begin) -> None:
    write_task(tasks_dir, "t-1", "blocked")
    source = begin({"taskId": "t-1"})
    source.taken_over([came_to(session, "t-1", "failed", told="exit code 3")], {})
    assert not source.goes_on()
    assert rows(source) == {"t-1": ("failed", "exit code 3")}


def test_no_file_is_made_for_what_somebody_holds_or_an_agent_works_on(
    session: Session, other: Session, tasks_dir: Path, begin: Begin
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(other, "t-1")
    age(path).unlink()
    source = begin({"taskId": "t-1", "title": "One"}, {"taskId": "t-2", "title": "Two"})
    source.make_missing()
    assert [order.task_id for order in source.next_orders({})] == ["t-2"]


def test_one_that_has_become_impossible_meanwhile_takes_nobody_along(
    session: Session, tasks_dir: Path, begin: Begin
) -> None:
    outside = write_task(tasks_dir, "outside")
    write_task(tasks_dir, "held", "on_hold")
    by_hand = write_task(tasks_dir, "by-hand", "on_hold")
    source = begin(
        {"taskId": "impossible", "title": "I", "dependsOn": ["outside"]},
        {"taskId": "held"},
        {"taskId": "by-hand"},
        {"taskId": "after", "title": "A", "dependsOn": ["by-hand"]},
    )
    source.make_missing()
    outside.unlink()
    age(edit(by_hand, "on_hold", "done"))
    assert source.goes_on()
    assert [order.task_id for order in source.next_orders({})] == ["after"]
    found = rows(source)
    assert found["by-hand"][0] == "completed"
    assert found["held"][1].startswith("it is on hold; set its status")
    assert "outside" in found["impossible"][1]


def test_a_task_that_was_reopened_is_tried_as_often_as_before(
    session: Session, other: Session, person: Session, tasks_dir: Path, begin: Begin
) -> None:
    write_task(tasks_dir, "t-1")
    tries = []
    for verb in ("release_task", "block_task"):
        token = claim(other, "t-1").claim_token
        call(other, verb, id="t-1", claim_token=token, **({"reason": "r"} if verb == "block_task" else {}))
        tries.append(came_to(session, "t-1", "failed", token=token))
    call(person, "reopen_task", id="t-1")
    source = begin({"taskId": "t-1"})
    source.taken_over(tries, {})
    (order,) = source.next_orders({})
    assert (order.attempt, order.last) == (2, False)
    token = claim(other, "t-1").claim_token
    call(other, "release_task", id="t-1", claim_token=token)
    source = begin({"taskId": "t-1"})
    source.taken_over([*tries, came_to(session, "t-1", "failed", token=token)], {})
    assert [order.last for order in source.next_orders({})] == [True]


def test_a_review_that_nobody_can_do_is_told_of(session: Session, tasks_dir: Path, begin: Begin) -> None:
    """The task is done, and whoever was to review it is not in the settings any more."""
    write_task(tasks_dir, "t-1", "done")
    source = begin({"taskId": "t-1", "needsReview": True}, reviewer="nobody")
    source.taken_over([came_to(session, "t-1", "completed")], {})
    assert not source.goes_on()
    result = source.result({}, finished=True)
    assert (result.status, result.tasks["t-1"].status) == ("partial", "completed")
    assert "it was not reviewed: no agent 'nobody' is known" in result.errors[0].message


def test_a_review_that_is_done_stands_though_nobody_could_do_it_any_more(
    session: Session, tasks_dir: Path, begin: Begin
) -> None:
    write_task(tasks_dir, "t-1", "done")
    done = [came_to(session, "t-1", "completed")]
    begin({"taskId": "t-1", "needsReview": True}, reviewer="a").taken_over(done, {})
    (path,) = tasks_dir.glob("t-1-review-*.md")
    age(edit(path, "status: active", "status: done\noutcome: approved"))
    source = begin({"taskId": "t-1", "needsReview": True}, reviewer="nobody")
    source.taken_over(done, {})
    assert not source.goes_on()
    result = source.result({}, finished=True)
    review = result.tasks["t-1"].review
    assert review is not None
    assert (result.status, review.outcome) == ("completed", "approved")


@pytest.mark.parametrize(("assignee", "then"), [("b", "a"), ("ann", "ann")])
def test_a_review_that_is_left_goes_to_the_reviewer_of_now_unless_it_is_a_person_s(
    assignee: str, then: str, session: Session, tasks_dir: Path, begin: Begin
) -> None:
    write_task(tasks_dir, "t-1", "done")
    task, agents = {"taskId": "t-1", "needsReview": True}, {"a": {"command": ["true"]}, "b": {"command": ["true"]}}
    done = [came_to(session, "t-1", "completed")]
    begin(task, reviewer="b", agents=agents).taken_over(done, {})
    (path,) = tasks_dir.glob("t-1-review-*.md")
    age(edit(path, "assignee: b", f"assignee: {assignee}"))
    source = begin(task, reviewer="a", agents=agents)
    source.taken_over(done, {})
    assert header(path)["assignee"] == then
    assert [order.agent for order in source.next_orders({})] == ["a"], "who is refused where it is not for it"


@pytest.mark.parametrize(
    ("status", "came_out"),
    [
        ("active", "waiting"),
        ("blocked", "skipped"),
        ("nonsense", "skipped"),
        ("done", "completed"),
        ("", "completed"),
    ],
)
def test_of_what_was_completed_before_the_file_has_the_last_word_where_there_is_one(
    status: str, came_out: str, session: Session, tasks_dir: Path, begin: Begin
) -> None:
    path = write_task(tasks_dir, "t-1", status or "done")
    if not status:
        path.unlink()
    source = begin({"taskId": "t-1"})
    source.taken_over([came_to(session, "t-1", "completed")], {})
    if status != "active":
        source.goes_on()
    assert source.result({}, finished=False).tasks["t-1"].status == came_out
