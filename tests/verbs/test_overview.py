"""The overview: who works on what, what there is, what ended and how fast; and nothing is touched by looking."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dibs.overview import Lookout, Overview, overview
from dibs.session import Session
from dibs.store.errors import SettingsError, StoreFailure
from dibs.store.journal import append_event
from support import NOON, Clock, call, claim, edit, write_file, write_task


def tree(folder: Path) -> list[tuple[str, bytes]]:
    """Every file and folder with its bytes, but for the index, which is a cache."""
    found = (path for path in folder.rglob("*") if not path.name.startswith(("index", "scanning")))
    return sorted((str(path.relative_to(folder)), path.read_bytes() if path.is_file() else b"") for path in found)


def leases(session: Session) -> dict[str, str]:
    return {worker.id: worker.lease for worker in overview(session).workers}


def journal_of(tasks_dir: Path) -> Path:
    folder = tasks_dir / ".dibs" / "journal"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def completed(tasks_dir: Path, at: datetime, task_id: str, **facts: Any) -> None:
    append_event(journal_of(tasks_dir), at, "completed", id=task_id, caller="bob", **facts)


def test_looking_makes_nothing(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    before = tree(tasks_dir)
    seen = overview(session)
    assert tree(tasks_dir) == before
    assert (seen.workers, seen.recent, seen.counts.ready, seen.rate.per_minute) == ([], [], 1, 0)


def test_looking_at_claims_changes_nothing(session: Session, tasks_dir: Path, clock: Clock) -> None:
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2")
    claim(session, "t-1")
    call(session, "complete_task", id="t-1", summary="s")
    claim(session, "t-2")
    clock.advance(100_000)
    before = tree(tasks_dir)
    overview(session)
    assert tree(tasks_dir) == before


def test_a_row_for_each_claim(session: Session, other: Session, tasks_dir: Path, clock: Clock) -> None:
    write_task(tasks_dir, "t-1", title="First")
    write_task(tasks_dir, "t-2", title="Second")
    claim(other, "t-2")
    clock.advance(5)
    claim(session, "t-1", caller="bob")
    first, second = overview(session).workers
    assert (first.caller, first.client, first.id, first.title) == ("claude", "claude-code", "t-2", "Second")
    assert (second.caller, second.client, second.id, second.title) == ("bob", "gemini-cli-mcp-client", "t-1", "First")
    assert (first.since, second.since) == (NOON, NOON + timedelta(seconds=5))
    assert second.lease_until == NOON + timedelta(seconds=125)


def test_the_lease_of_a_server_is_renewed_then_late_then_passed(
    session: Session, tasks_dir: Path, clock: Clock
) -> None:
    write_task(tasks_dir, "t-1")
    claim(session)
    clock.advance(40)
    assert leases(session) == {"t-1": "renewed"}
    clock.advance(40)
    assert leases(session) == {"t-1": "running"}
    clock.advance(40)
    assert leases(session) == {"t-1": "passed"}


def test_the_lease_of_a_shell_s_claim_runs(person: Session, tasks_dir: Path, clock: Clock) -> None:
    write_task(tasks_dir, "t-1")
    claim(person, caller="bob")
    assert leases(person) == {"t-1": "running"}
    clock.advance(3600)
    assert leases(person) == {"t-1": "passed"}


def test_work_by_hand_and_work_without_a_record_have_rows_too(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "in_progress", assignee="maria", title="By hand")
    write_task(tasks_dir, "t-2", "in_progress", assignee="codex", claim="h000-23456789abc")
    rows = overview(session).workers
    assert [(row.caller, row.id, row.lease) for row in rows] == [
        ("codex", "t-2", "no_record"),
        ("maria", "t-1", "by_hand"),
    ]
    assert (rows[1].title, rows[1].since, rows[1].lease_until) == ("By hand", None, None)


def test_a_claimed_task_that_a_person_ended_is_told_so_until_someone_settles_it(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    edit(path, "status: in_progress", "status: cancelled")
    assert leases(session) == {"t-1": "over"}
    call(other, "claim_next_task")
    seen = overview(session)
    assert seen.workers == []
    assert [(ended.id, ended.how) for ended in seen.recent] == [("t-1", "by_hand")]


def test_trouble_comes_first_then_the_longest_at_work(
    session: Session, person: Session, tasks_dir: Path, clock: Clock
) -> None:
    for number in range(3):
        write_task(tasks_dir, f"t-{number}")
    claim(person, "t-2", caller="bob")
    clock.advance(1)
    claim(session, "t-0")
    clock.advance(130)
    claim(person, "t-1", caller="eve")
    assert list(leases(session).items()) == [("t-0", "passed"), ("t-2", "running"), ("t-1", "running")]


def test_the_counts_are_those_of_the_tool(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2", depends_on=["t-1"])
    write_task(tasks_dir, "t-3", "done")
    write_task(tasks_dir, "t-4", "nonsense")
    counts, stats = overview(session).counts, call(session, "get_index_stats")
    assert (counts.total, counts.ready, counts.done, counts.invalid, counts.stale) == (4, 1, 1, 1, 0)
    assert (counts.waiting_on, counts.by_status) == (stats.waiting_on, stats.by_status)


def test_the_last_endings_come_newest_first(session: Session, tasks_dir: Path, clock: Clock) -> None:
    for number in range(3):
        write_task(tasks_dir, f"t-{number}", title=f"Title {number}")
    claim(session, "t-0")
    call(session, "complete_task", id="t-0", summary="s")
    clock.advance(1)
    claim(session, "t-1")
    call(session, "block_task", id="t-1", reason="r")
    claim(session, "t-2")
    call(session, "release_task", id="t-2")
    (tasks_dir / "t-2.md").unlink()
    recent = overview(session).recent
    assert [(e.how, e.id, e.caller, e.title) for e in recent] == [
        ("released", "t-2", "gemini", ""),
        ("blocked", "t-1", "gemini", "Title 1"),
        ("completed", "t-0", "gemini", "Title 0"),
    ]
    assert recent[2].at == NOON
    assert [ended.id for ended in overview(session, recent=1).recent] == ["t-2"]


def test_the_rate_counts_completions_of_ten_minutes_and_of_an_hour(
    session: Session, tasks_dir: Path, clock: Clock
) -> None:
    for minutes in (-1, 0, 9, 10, 59, 60, 300):
        completed(tasks_dir, NOON - timedelta(minutes=minutes), f"t-{minutes}")
    append_event(journal_of(tasks_dir), NOON, "reaped", id="t-9", caller="bob")
    rate = overview(session).rate
    assert (rate.per_minute, rate.last_hour) == (0.2, 4)
    clock.advance(3000)
    rate = overview(session).rate
    assert (rate.per_minute, rate.last_hour) == (0, 3)


def test_an_ending_that_a_crash_wrote_twice_counts_once(session: Session, tasks_dir: Path) -> None:
    for _ in range(2):
        completed(tasks_dir, NOON, "t-1", token="h000-23456789abc")
        completed(tasks_dir, NOON, "t-2")
    seen = overview(session)
    assert seen.rate.last_hour == 3
    assert sorted(ended.id for ended in seen.recent) == ["t-1", "t-2", "t-2"]


@pytest.mark.parametrize(
    "line",
    [
        '{"at":7,"event":"completed","id":"t-2"}', '{"at":"yesterday","event":"completed","id":"t-2"}',
        '{"at":"2026-01-22T12:00:00","event":"completed","id":"t-2"}', '{"event":"completed","id":"t-2"}',
        '{"at":"0001-01-01T00:00:00+23:00","event":"completed","id":"t-2"}', '{}', '[]', '7', '{"at":"2026-01-22T12',
        '{"at":"2026-01-22T12:00:00Z","event":["completed"],"id":"t-2"}', '{"at":"2026-01-22T12:00:00Z","id":"t-2"}',
        '{"at":"2026-01-22T12:00:00Z","event":"completed","id":{}}', '{"at":"2026-01-22T12:00:00Z","event":"slept"}',
        "[" * 100_000, "\x00\xff",
    ],
)  # fmt: skip
def test_odd_lines_in_the_journal_are_passed_over(line: str, session: Session, tasks_dir: Path) -> None:
    completed(tasks_dir, NOON, "t-1")
    with (journal_of(tasks_dir) / "2026-01-22.jsonl").open("a", encoding="latin-1") as file:
        file.write(line + "\n")
    completed(tasks_dir, NOON, "t-3", token=7)
    assert [ended.id for ended in overview(session).recent] == ["t-3", "t-1"]


def test_an_ending_without_a_caller_is_nobody_s(session: Session, tasks_dir: Path) -> None:
    append_event(journal_of(tasks_dir), NOON, "completed", id="t-1", caller=None)
    assert [ended.caller for ended in overview(session).recent] == [""]


def test_looking_again_sees_what_has_changed(session: Session, other: Session, tasks_dir: Path, clock: Clock) -> None:
    lookout = Lookout(session)
    assert lookout.look().counts.total == 0
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2")
    assert lookout.look().counts.ready == 2
    claim(other, "t-1")
    seen = lookout.look()
    assert (seen.counts.ready, seen.counts.stale, len(seen.workers)) == (1, 0, 1)
    clock.advance(3600)
    assert lookout.look().counts.stale == 1
    call(other, "complete_task", id="t-1", summary="s")
    seen = lookout.look()
    assert (seen.counts.done, seen.workers, [ended.id for ended in seen.recent]) == (1, [], ["t-1"])
    write_file(tasks_dir / "settings.json", json.dumps({"exclude": ["t-2.md"]}))
    assert lookout.look().counts.ready == 0


def test_only_what_happens_is_a_difference(session: Session, tasks_dir: Path, clock: Clock) -> None:
    write_task(tasks_dir, "t-1")
    claimed = claim(session)
    completed(tasks_dir, NOON, "t-9")
    first = overview(session)
    assert first.differs_from(None)
    clock.advance(1)
    call(session, "renew_task", id="t-1", claim_token=claimed.claim_token)
    later = overview(session)
    assert (first.at, first.workers[0].lease_until) != (later.at, later.workers[0].lease_until)
    assert not later.differs_from(first)
    clock.advance(100)
    assert overview(session).differs_from(first)


def test_times_are_told_in_utc(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    claim(session)
    completed(tasks_dir, NOON, "t-2")
    seen = json.loads(overview(session).model_dump_json())
    assert seen["at"] == seen["workers"][0]["since"] == seen["recent"][0]["at"] == "2026-01-22T12:00:00Z"
    assert Overview.model_validate(seen).at == NOON


def test_what_cannot_be_seen_is_an_error_and_passes(make_session: Callable[..., Session], tasks_dir: Path) -> None:
    lookout = Lookout(make_session())
    write_file(tasks_dir / "settings.json", "{")
    with pytest.raises(SettingsError):
        lookout.look()
    (tasks_dir / "settings.json").unlink()
    tasks_dir.rename(tasks_dir.with_name("away"))
    with pytest.raises(StoreFailure, match="is there"):
        lookout.look()
    tasks_dir.with_name("away").rename(tasks_dir)
    assert lookout.look().counts.total == 0


def test_a_batch_is_watched_alone_with_how_long_the_rest_takes(session: Session, tasks_dir: Path, clock: Clock) -> None:
    for task_id in ("in-1", "in-2", "in-3", "in-4", "out"):
        write_task(tasks_dir, task_id)
    call(session, "create_batch", name="b", items=["in-1", "in-2", "in-3", "in-4"])
    for task_id in ("in-1", "out"):
        taken = claim(session, task_id)
        clock.advance(60)
        call(session, "complete_task", id=task_id, claim_token=taken.claim_token)
    claim(session, "in-2", caller="bob")
    seen = Lookout(session, "B").look()
    assert seen.batch is not None
    assert (seen.batch.name, seen.batch.total, seen.batch.finished) == ("b", 4, False)
    assert (seen.batch.counts.done, seen.batch.counts.in_progress, seen.batch.counts.ready) == (1, 1, 2)
    assert [worker.id for worker in seen.workers] == ["in-2"]
    assert [ended.id for ended in seen.recent] == ["in-1"]
    assert seen.rate.per_minute == 0.5
    assert seen.batch.eta_seconds == 360
    assert Lookout(session).look().batch is None
