"""Triage as a verb: which tasks it goes through, what it leaves alone, and what it tells."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dibs.session import Call, Session
from dibs.store.errors import InvalidArguments, StoreBusy
from dibs.store.header import MAX_FILE_BYTES
from dibs.store.mutex import hold_mutex
from support import age, call, claim, edit, events, header, write_file, write_task

Arm = Callable[[str, Callable[[], None]], None]


def triage(session: Session, on: Call | None = None, /, **arguments: Any) -> Any:
    result = call(session, "triage_tasks", on, **arguments)
    assert result.examined == result.changed + result.unchanged + len(result.skipped)
    assert result.changed == len(result.tasks)
    return result


def fields(result: Any) -> dict[str, list[str]]:
    return {task.id: [change.field for change in task.changes] for task in result.tasks}


def left_alone(result: Any) -> dict[str, str]:
    return {skipped.id: skipped.why for skipped in result.skipped}


def test_each_task_gets_what_it_lacks_and_the_answer_says_why(session: Session, tasks_dir: Path) -> None:
    closed = write_task(tasks_dir, "closed", "inbox", body="\n## Close Reason\n\nNot needed.\n")
    chore = write_task(tasks_dir, "chore", tags=["chore"], project="aops", body="\n# Chore\n\nText.\n")
    write_task(tasks_dir, "plain")
    result = triage(session)
    assert (result.changed, result.examined, result.unchanged, result.more) == (2, 3, 1, 0)
    assert [change.model_dump() for change in next(t for t in result.tasks if t.id == "chore").changes] == [
        {"field": "body", "old": "", "new": "Project: [[aops]]", "why": "no link leads to its project"},
        {"field": "complexity", "old": "", "new": "mechanical", "why": "tag chore"},
        {"field": "assignee", "old": "", "new": "bot", "why": "mechanical goes to bot"},
    ]
    assert header(closed)["status"] == "done"
    assert "completed_at" not in header(closed)
    assert header(chore)["complexity"] == "mechanical"
    assert "# Chore\n\nProject: [[aops]]\n\nText.\n" in chore.read_text(encoding="utf-8")
    assert result.message == "2 tasks were changed, 1 need nothing, 0 were left alone"
    noted = {event["id"]: event for event in events(session, "triaged")}
    assert noted["closed"]["status"] == "done"
    assert noted["chore"]["changed"] == "body, complexity, assignee"


def test_a_second_time_there_is_nothing_to_do(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", tags=["chore"], project="aops", body="text")
    triage(session, activate=True)
    before = path.read_bytes()
    result = triage(session, activate=True)
    assert (result.changed, result.unchanged) == (0, 1)
    assert path.read_bytes() == before
    assert len(events(session, "triaged")) == 1


def test_a_dry_run_says_the_same_and_writes_nothing(session: Session, tasks_dir: Path) -> None:
    paths = [write_task(tasks_dir, f"t-{n}", "inbox", tags=["chore"], project="aops") for n in range(3)]
    before = [path.read_bytes() for path in paths]
    told = triage(session, dry_run=True, activate=True)
    assert [path.read_bytes() for path in paths] == before
    assert not (tasks_dir / ".dibs").exists()
    assert told.message == "3 tasks would be changed, 0 need nothing, 0 were left alone. Nothing was written"
    assert triage(session, activate=True).tasks == told.tasks


def test_a_closed_task_makes_its_dependents_ready(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "first", body="## Closed\n")
    write_task(tasks_dir, "second", depends_on=["first"])
    triage(session)
    assert claim(session).task.id == "second"


def test_the_bot_as_assignee_reserves_for_nobody(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", tags=["chore"])
    triage(session)
    assert claim(session, caller="anna").task.id == "t-1"


# which tasks


def test_by_default_all_are_gone_through_that_have_not_ended(session: Session, tasks_dir: Path) -> None:
    for status in ("inbox", "active", "blocked", "review", "on_hold", "done", "cancelled", "failed"):
        write_task(tasks_dir, status, status, project="aops")
    assert set(fields(triage(session))) == {"inbox", "active", "blocked", "review", "on_hold"}


def test_ids_status_and_project_narrow_it(session: Session, tasks_dir: Path) -> None:
    for task_id, status, project in (("a", "inbox", "x"), ("b", "active", "x"), ("c", "inbox", "y")):
        write_task(tasks_dir, task_id, status, project=project)
    assert set(fields(triage(session, dry_run=True, ids=["A", "c"]))) == {"a", "c"}
    assert set(fields(triage(session, dry_run=True, status=["Inbox"]))) == {"a", "c"}
    assert set(fields(triage(session, dry_run=True, project="X", status=["inbox"]))) == {"a"}


def test_ids_that_cannot_be_triaged_are_told_one_by_one(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "over", "done", project="aops")
    write_file(tasks_dir / "bad.md", "---\nid: bad\nstatus: [\n---\n")
    result = triage(session, ids=["over", "bad", "ghost"])
    assert left_alone(result)["over"] == "it is done"
    assert "bad.md" in left_alone(result)["bad"]
    assert left_alone(result)["ghost"] == "there is no such task"
    assert result.examined == 3


def test_an_unknown_status_is_refused(session: Session) -> None:
    with pytest.raises(InvalidArguments, match="'soon' is no status"):
        triage(session, status=["soon"])


def test_at_most_so_many_are_changed_best_first_and_the_next_call_goes_on(session: Session, tasks_dir: Path) -> None:
    for n in range(7):
        write_task(tasks_dir, f"t-{n}", priority=n % 5, **({} if n == 0 else {"project": "aops"}))
    first = triage(session, max=2)
    assert set(fields(first)) == {"t-5", "t-1"}
    assert (first.examined, first.unchanged, first.more) == (3, 1, 4)
    assert "4 more were not looked at: call again" in first.message
    assert set(fields(triage(session, max=2))) == {"t-6", "t-2"}
    assert set(fields(triage(session, max=0))) == {"t-3", "t-4"}
    assert triage(session, max=2).more == 0


# what is left alone


def test_claimed_tasks_and_work_in_progress_stay_byte_for_byte(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    held = write_task(tasks_dir, "held", project="aops", body="## Closed\n")
    by_hand = write_task(tasks_dir, "hand", "in_progress", project="aops", body="## Closed\n")
    claim(other, "held")
    before = held.read_bytes(), by_hand.read_bytes()
    result = triage(session)
    assert left_alone(result) == {"held": "it is held by claude", "hand": "it is in progress"}
    assert (held.read_bytes(), by_hand.read_bytes()) == before
    assert events(session, "triaged") == []


def test_a_claim_holds_though_the_file_does_not_say_so(session: Session, other: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", project="aops")
    before = path.read_bytes()
    claim(other, "t-1")
    write_file(path, before)  # git took it back
    assert left_alone(triage(session)) == {"t-1": "it is held by claude"}
    assert path.read_bytes() == before


def test_a_renamed_task_is_still_held(session: Session, other: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", project="aops")
    claim(other, "t-1")
    edit(path, "id: t-1", "id: t-2")
    edit(path, "status: in_progress", "status: active")
    assert left_alone(triage(session)) == {"t-2": "it is held by claude"}


def test_a_claim_made_just_before_the_mutex_is_seen(
    session: Session, other: Session, tasks_dir: Path, at_step: Arm
) -> None:
    path = write_task(tasks_dir, "t-1", project="aops")
    at_step("mutex.wanted", lambda: claim(other, "t-1") and None)
    result = triage(session)
    assert left_alone(result) == {"t-1": "it is held by claude"}
    assert "[[aops]]" not in path.read_text(encoding="utf-8")


def test_a_claim_made_just_before_the_mutex_counts_though_git_took_the_file_back(
    session: Session, other: Session, tasks_dir: Path, at_step: Arm
) -> None:
    path = write_task(tasks_dir, "t-1", project="aops")
    before = path.read_bytes()

    def claim_and_take_back() -> None:
        claim(other, "t-1")
        write_file(path, before)

    at_step("mutex.wanted", claim_and_take_back)
    assert left_alone(triage(session)) == {"t-1": "it is held by claude"}
    assert path.read_bytes() == before


# what happens meanwhile


def test_what_changed_before_the_mutex_is_judged_anew(session: Session, tasks_dir: Path, at_step: Arm) -> None:
    path = write_task(tasks_dir, "t-1", project="aops", tags=["chore"])
    at_step("mutex.wanted", lambda: edit(path, "tags:", "complexity: multi-step\ntags:") and None)
    assert fields(triage(session)) == {"t-1": ["body", "assignee"]}
    assert header(path)["complexity"] == "multi-step"


def test_a_change_of_the_same_length_is_seen_too(session: Session, tasks_dir: Path, at_step: Arm) -> None:
    path = write_task(tasks_dir, "t-1", tags=["chore"])
    at_step("mutex.wanted", lambda: edit(path, "chore", "human") and None)
    assert fields(triage(session)) == {"t-1": ["complexity"]}
    assert header(path)["complexity"] == "blocked-human"


def test_what_somebody_else_has_triaged_meanwhile_needs_nothing(
    session: Session, other: Session, tasks_dir: Path, at_step: Arm
) -> None:
    for n in range(3):
        write_task(tasks_dir, f"t-{n}", project="aops", body="## Closed\n" if n == 0 else "")
    at_step("mutex.wanted", lambda: triage(other) and None)
    result = triage(session)
    assert (result.changed, result.unchanged) == (0, 3)
    assert len(events(session, "triaged")) == 3


def test_a_save_in_the_last_moment_is_not_overwritten(session: Session, tasks_dir: Path, at_step: Arm) -> None:
    path = write_task(tasks_dir, "t-1", project="aops")
    at_step(
        "triage.read", lambda: write_file(path, "---\nid: t-1\nstatus: active\nproject: book\n---\nmine\n") and None
    )
    assert fields(triage(session)) == {"t-1": ["body"]}
    assert path.read_text(encoding="utf-8").endswith("---\nProject: [[book]]\n\nmine\n")


def test_a_task_that_vanishes_is_told_and_the_others_go_on(session: Session, tasks_dir: Path, at_step: Arm) -> None:
    paths = [write_task(tasks_dir, f"t-{n}", project="aops") for n in range(3)]
    at_step("mutex.wanted", paths[1].unlink)
    result = triage(session)
    assert set(fields(result)) == {"t-0", "t-2"}
    assert left_alone(result) == {"t-1": "t-1.md is no longer there, or is no task"}
    assert not paths[1].exists()


def test_a_copy_that_appears_makes_both_files_nobody_s(session: Session, tasks_dir: Path, at_step: Arm) -> None:
    path = write_task(tasks_dir, "t-1", project="aops")

    def copy() -> None:
        write_file(tasks_dir / "copy.md", path.read_bytes())
        session.store.read("copy.md")

    at_step("mutex.wanted", copy)
    assert "also in another file" in left_alone(triage(session))["t-1"]
    assert b"[[" not in path.read_bytes()


def test_the_ledger_taken_away_in_the_middle_changes_no_task_twice(
    session: Session, tasks_dir: Path, at_step: Arm
) -> None:
    for n in range(3):
        write_task(tasks_dir, f"t-{n}", project="aops")
    at_step("triage.task_file", lambda: (tasks_dir / ".dibs").rename(tasks_dir.parent / "gone"))
    result = triage(session)
    assert result.changed == 3
    for path in tasks_dir.glob("*.md"):
        assert path.read_text(encoding="utf-8").count("[[aops]]") == 1


def test_giving_up_keeps_what_was_done_and_says_so(session: Session, tasks_dir: Path, at_step: Arm) -> None:
    for n in range(40):
        write_task(tasks_dir, f"t-{n:02}", project="aops")
    on = Call()
    at_step("triage.task_file", lambda: on.cancel() and None)
    result = triage(session, on)
    assert 0 < result.changed < 40
    assert result.changed + result.more == 40
    assert "given up" in result.warnings[0]
    assert triage(session).changed == result.more


def test_a_mutex_that_does_not_come_free_is_an_error_at_first_and_a_warning_later(
    session: Session, tasks_dir: Path, at_step: Arm, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(40):
        write_task(tasks_dir, f"t-{n:02}", project="aops")
    change = session.store.change
    write_file(tasks_dir / "settings.json", '{"claims": {"mutex_wait_seconds": 0.05}}')
    (tasks_dir / ".dibs").mkdir()
    with hold_mutex(tasks_dir / ".dibs", 1), pytest.raises(StoreBusy):
        triage(session)
    calls = []

    def busy_the_second_time(act: Any) -> Any:
        calls.append(act)
        if len(calls) == 1:
            return change(act)
        with hold_mutex(tasks_dir / ".dibs", 1):
            return change(act)

    monkeypatch.setattr(session.store, "change", busy_the_second_time)
    result = triage(session)
    assert 0 < result.changed < 40
    assert result.changed + result.more == 40
    assert "stopped before the end: another process held" in result.warnings[0]


# files that resist


def test_a_header_that_cannot_be_edited_is_left_alone_with_the_reason(session: Session, tasks_dir: Path) -> None:
    path = write_file(
        tasks_dir / "t-1.md", "---\nid: t-1\nstatus: active\ntags: [chore]\nassignee: &x []\nsame: *x\n---\n"
    )
    before = path.read_bytes()
    write_task(tasks_dir, "t-2", project="aops")
    result = triage(session)
    assert set(fields(result)) == {"t-2"}
    assert "`assignee`" in left_alone(result)["t-1"]
    assert "t-1.md" in left_alone(result)["t-1"]
    assert path.read_bytes() == before


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_must_not_be_written_is_left_alone(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir / "deep", "t-1", project="aops")
    write_task(tasks_dir, "t-2", project="aops")
    (tasks_dir / "deep").chmod(0o500)
    try:
        result = triage(session)
    finally:
        (tasks_dir / "deep").chmod(0o700)
    assert set(fields(result)) == {"t-2"}
    assert "give this user the right to write there" in left_alone(result)["t-1"]


def test_bodies_of_megabytes_are_triaged_or_left_alone_for_their_size(session: Session, tasks_dir: Path) -> None:
    text = "A line of a long story, needs no\nclarification `code`.\n```\n## Closed\n```\n" * 50_000
    large = write_task(tasks_dir, "large", project="aops", body=text)
    head = "---\nid: full\nstatus: active\nproject: aops\n---\n"
    full = write_file(tasks_dir / "full.md", head + "x" * (MAX_FILE_BYTES - len(head)))
    result = triage(session)
    assert fields(result) == {"large": ["body"]}
    assert large.read_text(encoding="utf-8").endswith(f"---\nProject: [[aops]]\n\n{text}")
    assert "larger than 8 MiB" in left_alone(result)["full"]
    assert full.stat().st_size == MAX_FILE_BYTES


def test_other_settings_count_at_once(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", tags=["easy"])
    assert triage(session).changed == 0
    write_file(
        tasks_dir / "settings.json",
        '{"triage": {"tags": {"mechanical": ["easy"]}, "automatable_assignee": "gemini"}}',
    )
    age(tasks_dir / "t-1.md")
    assert fields(triage(session)) == {"t-1": ["complexity", "assignee"]}
    assert header(tasks_dir / "t-1.md")["assignee"] == "gemini"
