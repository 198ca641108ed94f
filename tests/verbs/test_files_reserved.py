"""Files are reserved with the claim: whoever would change the same ones waits, and is told for whom."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store.errors import FileConflict
from support import Clock, call, claim, edit, header, write_task

TEN_MINUTES = 600


def test_a_task_whose_files_are_reserved_is_passed_over_for_the_next(
    tasks_dir: Path, session: Session, other: Session
) -> None:
    write_task(tasks_dir, "t-1", files=["src/auth/**"])
    write_task(tasks_dir, "t-2", files=["src/auth/login.py", "lib"])
    write_task(tasks_dir, "t-3", files=["docs"])
    claim(session, "t-1")
    assert claim(other).task.id == "t-3"


def test_an_empty_queue_names_the_holder_of_the_files_and_the_lease(
    tasks_dir: Path, session: Session, other: Session
) -> None:
    write_task(tasks_dir, "t-1", files=["src/auth/**"])
    write_task(tasks_dir, "t-2", files=["./src/auth/login.py"])
    lease = claim(session, "t-1").lease_until
    empty = call(other, "claim_next_task")
    assert (empty.status, empty.waiting_on.files) == ("empty", 1)
    assert f"reserved for t-1, held by gemini until {lease}" in empty.message
    assert empty.retry_after_seconds == 120


def test_a_claim_by_id_is_refused_as_a_file_conflict(tasks_dir: Path, session: Session, other: Session) -> None:
    write_task(tasks_dir, "t-1", files=["src/auth"])
    write_task(tasks_dir, "t-2", files=["src/auth/login.py"])
    lease = claim(session, "t-1").lease_until
    with pytest.raises(FileConflict) as refused:
        claim(other, "t-2")
    assert refused.value.code == "file_conflict"
    assert refused.value.facts == {"owner": "gemini", "held_by_task": "t-1"}
    assert f"src/auth/login.py) are reserved for t-1, held by gemini until {lease}" in refused.value.message


def test_an_ending_frees_the_files_and_says_what_became_ready(
    tasks_dir: Path, session: Session, other: Session
) -> None:
    write_task(tasks_dir, "t-1", files=["src"])
    write_task(tasks_dir, "t-2", files=["src/a.py"])
    write_task(tasks_dir, "t-3", files=["docs"])
    token = claim(session, "t-1").claim_token
    assert call(session, "complete_task", id="t-1", claim_token=token, files_changed=["src/b.py"]).newly_ready == [
        "t-2"
    ]
    assert claim(other).task.id == "t-2"


def test_a_reaped_claim_frees_its_files(tasks_dir: Path, clock: Clock, session: Session, other: Session) -> None:
    write_task(tasks_dir, "t-1", files=["src"], assignee="gemini")
    write_task(tasks_dir, "t-2", files=["src/a.py"])
    claim(session, "t-1")
    session.close()
    clock.advance(121)
    assert claim(other).task.id == "t-2"


def test_files_stay_reserved_as_they_were_at_the_claim(tasks_dir: Path, session: Session, other: Session) -> None:
    path = write_task(tasks_dir, "t-1", files=["src"])
    write_task(tasks_dir, "t-2", files=["src/a.py"])
    claim(session, "t-1")
    edit(path, "files: [src]", "files: []")
    assert call(other, "claim_next_task").status == "empty"


def test_work_in_progress_by_hand_keeps_its_files(tasks_dir: Path, person: Session, other: Session) -> None:
    path = write_task(tasks_dir, "t-1", "in_progress", files=["src"], assignee="maria")
    write_task(tasks_dir, "t-2", files=["src/a.py"])
    empty = call(other, "claim_next_task")
    assert "reserved for t-1, in progress by hand by maria" in empty.message
    assert empty.retry_after_seconds is None
    assert "in progress by hand" in call(person, "explain_task", id="t-2").message
    edit(path, "in_progress", "done")
    assert claim(other).task.id == "t-2"


def test_lists_and_counts_know_of_reserved_files(tasks_dir: Path, session: Session, person: Session) -> None:
    write_task(tasks_dir, "t-1", files=["src"])
    write_task(tasks_dir, "t-2", files=["src/a.py"])
    claim(session, "t-1")
    stats = call(person, "get_index_stats")
    assert (stats.ready, stats.waiting_on.files) == (0, 1)
    assert [row.id for row in call(person, "list_tasks", ready=True).tasks] == []
    assert call(person, "explain_task", id="t-2").obstacles[0].kind == "files"


def overtaken(tasks_dir: Path, session: Session, wide: str = "t-0") -> None:
    """A wide task that always overlaps somebody, and narrow ones that keep two agents busy."""
    write_task(tasks_dir, wide, files=["src/**"])
    for n in range(1, 9):
        write_task(tasks_dir, f"t-{n}", files=[f"src/{n}.py"])
    write_task(tasks_dir, "u-1", files=["docs"])
    claim(session, "t-1")


def test_a_task_passed_over_for_ten_minutes_holds_its_place(
    tasks_dir: Path, clock: Clock, session: Session, other: Session
) -> None:
    overtaken(tasks_dir, session)
    assert claim(other).task.id == "t-2", "the wide one waits for t-1"
    clock.advance(TEN_MINUTES)
    assert claim(other).task.id == "u-1", "nothing may overtake it any more but what does not touch its files"
    empty = call(other, "claim_next_task")
    assert "kept free until 2026-01-22T12:20:00Z for t-0, which has been passed over for too long" in empty.message
    call(session, "complete_task", id="t-1", claim_token="", summary="x", files_changed=["src/1.py"])
    call(other, "release_task", id="t-2", claim_token=token_of(other, "t-2"))
    assert claim(session).task.id == "t-0"
    kept = json.loads((tasks_dir / ".dibs" / "passed-over.json").read_text(encoding="utf-8"))
    assert (kept["turn"], "t-0" in kept["since"]) == ("", False)


def test_a_more_urgent_task_goes_before_it_all_the_same(
    tasks_dir: Path, clock: Clock, session: Session, other: Session
) -> None:
    write_task(tasks_dir, "t-9", priority=1, files=["src/9.py"], assignee="codex")
    overtaken(tasks_dir, session)
    claim(other)
    clock.advance(TEN_MINUTES)
    assert claim(other).task.id == "u-1"
    with pytest.raises(FileConflict, match="kept free until"):
        claim(other, "t-3")
    assert claim(session, "t-9", caller="codex").task.id == "t-9"


def test_it_holds_its_place_for_ten_minutes_at_most(
    tasks_dir: Path, clock: Clock, session: Session, other: Session
) -> None:
    overtaken(tasks_dir, session)
    claim(other)
    clock.advance(TEN_MINUTES)
    assert claim(other).task.id == "u-1"
    clock.advance(TEN_MINUTES)
    assert claim(other).task.id == "t-3"


def test_nobody_is_kept_waiting_for_one_who_waits_for_a_person(
    tasks_dir: Path, clock: Clock, session: Session, other: Session
) -> None:
    write_task(tasks_dir, "h-1", "in_progress", files=["docs"])
    write_task(tasks_dir, "a-1", files=["docs", "src"])
    for n in range(1, 4):
        write_task(tasks_dir, f"t-{n}", files=["src/x.py"])
    for n in range(1, 4):
        token = claim(session, f"t-{n}" if n == 1 else "").claim_token
        clock.advance(TEN_MINUTES)
        call(session, "complete_task", id=f"t-{n}", claim_token=token, files_changed=["src/x.py"])


def test_a_place_is_given_up_at_once_when_its_task_is_no_longer_to_be_done(
    tasks_dir: Path, clock: Clock, session: Session, other: Session
) -> None:
    overtaken(tasks_dir, session)
    claim(other)
    clock.advance(TEN_MINUTES)
    assert claim(other).task.id == "u-1"
    edit(tasks_dir / "t-0.md", "status: active", "status: on_hold")
    assert claim(other).task.id == "t-3"


def test_a_lost_or_broken_memory_of_turns_stops_nobody(
    tasks_dir: Path, clock: Clock, session: Session, other: Session
) -> None:
    overtaken(tasks_dir, session)
    claim(other)
    kept = tasks_dir / ".dibs" / "passed-over.json"
    assert kept.exists()
    kept.write_bytes(b'{"since": {"t-0": "to')
    clock.advance(TEN_MINUTES)
    assert claim(other).task.id == "t-3"


def token_of(session: Session, task_id: str) -> str:
    return header(session.store.tasks_dir / f"{task_id}.md")["claim"] or ""
