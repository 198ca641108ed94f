"""The contract of the tools: the same scenarios through every door, with the shapes the documentation promises."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store.mutex import hold_mutex
from doors import Answer, Entrance
from support import call, claim, header, orphans, write_file, write_task

WAITING_KEYS = {"dependencies", "files", "reserved", "human", "inbox", "on_hold", "other"}
END_KEYS = {"task", "newly_ready", "message", "warnings"}
TASK_KEYS = {
    "id", "title", "status", "project", "type", "priority", "complexity", "tags", "due", "path", "files", "depends_on",
    "attempts", "body", "body_truncated",
}  # fmt: skip
CLAIM_KEYS = {
    "status", "task", "claim_token", "lease_until", "message", "waiting_on", "also_held", "warnings",
    "retry_after_seconds",
}  # fmt: skip
STATS_KEYS = {
    "total", "notes", "ready", "waiting_on", "by_status", "by_type", "in_progress", "invalid", "stale", "projects",
    "index", "by_caller", "oldest_claim", "seconds_to_end", "orphans", "warnings",
}  # fmt: skip
TRIAGE_KEYS = {"changed", "examined", "unchanged", "skipped", "more", "tasks", "message", "warnings"}
ENDINGS = {"complete_task": {"summary": "Did it."}, "block_task": {"reason": "No key."}, "release_task": {}}
ended = pytest.mark.parametrize("ending", list(ENDINGS))


def failed(answer: Answer, code: str, task_id: str = "") -> Answer:
    """The answer, once it is an error of this code that names its task in the message too."""
    assert answer.get("code") == code, answer
    assert list(answer)[:3] == ["code", "message", "task_id"]
    assert answer["task_id"] == task_id
    assert task_id in answer["message"]
    return answer


def test_a_claim_gives_the_task_whole_and_a_token(door: Entrance, tasks_dir: Path) -> None:
    path = write_task(
        tasks_dir, "t-1", body="\n# Paint\n\nThe door.\n", priority=1, project="house", tags=["a", "b"],
        due="2027-01-31", files=["door.py"], complexity="mechanical", type="bug",
    )  # fmt: skip
    before = datetime.now(UTC)
    answer = door.call("claim_next_task", caller="bob")
    assert answer.keys() == CLAIM_KEYS
    assert answer["status"] == "claimed"
    assert answer["task"] == {
        "id": "t-1",
        "title": "Paint",
        "status": "in_progress",
        "project": "house",
        "type": "bug",
        "priority": 1,
        "complexity": "mechanical",
        "tags": ["a", "b"],
        "due": "2027-01-31",
        "path": str(path),
        "files": ["door.py"],
        "depends_on": [],
        "attempts": 0,
        "body": "# Paint\n\nThe door.",
        "body_truncated": False,
    }
    assert answer["task"].keys() == TASK_KEYS
    assert datetime.fromisoformat(answer["lease_until"]) > before + timedelta(seconds=60)
    assert answer["waiting_on"] == dict.fromkeys(WAITING_KEYS, 0)
    assert (answer["also_held"], answer["warnings"], answer["retry_after_seconds"]) == ([], [], None)
    assert re.search(r"Claimed t-1 for bob", answer["message"])
    assert header(path)["claim"] == answer["claim_token"]
    assert header(path)["assignee"] == "bob"


def test_tasks_come_in_the_order_of_their_priority(door: Entrance, tasks_dir: Path) -> None:
    for task_id, priority in (("low", 4), ("now", 0), ("normal", 2)):
        write_task(tasks_dir, task_id, priority=priority)
    assert [door.call("claim_next_task", caller="bob")["task"]["id"] for _ in range(3)] == ["now", "normal", "low"]


def test_an_empty_queue_says_why_and_to_stop(door: Entrance, tasks_dir: Path) -> None:
    write_task(tasks_dir, "first", "blocked")
    write_task(tasks_dir, "second", depends_on=["first"])
    write_task(tasks_dir, "third", assignee="maria")
    write_task(tasks_dir, "idea", "inbox")
    write_task(tasks_dir, "later", "on_hold")
    write_task(tasks_dir, "everything", type="epic")
    answer = door.call("claim_next_task", caller="bob")
    assert answer.keys() == CLAIM_KEYS
    assert (answer["status"], answer["task"], answer["claim_token"], answer["lease_until"]) == (
        "empty",
        None,
        None,
        None,
    )
    counts = {"dependencies": 1, "files": 0, "reserved": 1, "human": 1, "inbox": 1, "on_hold": 1, "other": 1}
    assert answer["waiting_on"] == counts
    assert answer["retry_after_seconds"] is None
    assert "do not poll" in answer["message"]


def test_an_empty_queue_says_when_a_lease_will_come_free(door: Entrance, tasks_dir: Path, stranger: Session) -> None:
    write_task(tasks_dir, "t-1")
    claim(stranger, "t-1")
    answer = door.call("claim_next_task", caller="bob")
    assert answer["status"] == "empty"
    assert 60 < answer["retry_after_seconds"] <= 120


@pytest.mark.parametrize(
    "wanted",
    [
        {"project": "House"}, {"tags": ["a", "b"]}, {"skip_tags": ["c"]}, {"type": "Bug"}, {"parent": "root"},
        {"complexity": "mechanical"}, {"id": "right"},
    ],
    ids=str,
)  # fmt: skip
def test_each_filter_passes_over_what_was_not_asked_for(
    door: Entrance, tasks_dir: Path, wanted: dict[str, object]
) -> None:
    write_task(tasks_dir, "root", type="epic")
    write_task(tasks_dir, "wrong", priority=0, project="garden", tags=["a", "c"], complexity="multi-step")
    write_task(
        tasks_dir, "right", priority=4, project="house", tags=["A", "b"], type="bug", parent="root",
        complexity="mechanical",
    )  # fmt: skip
    assert door.call("claim_next_task", caller="bob", **wanted)["task"]["id"] == "right"


def test_completing_writes_the_report_and_names_what_became_ready(door: Entrance, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", body="\nDo it.\n")
    write_task(tasks_dir, "t-2", depends_on=["t-1"])
    token = door.call("claim_next_task", caller="bob")["claim_token"]
    answer = door.call(
        "complete_task", id="t-1", claim_token=token, summary="Painted it.", outcome="green", commit="abc123",
        files_changed=["door.py", "frame.py"], evidence="Looked at it.", tokens_used=1200,
    )  # fmt: skip
    assert answer.keys() == END_KEYS
    assert answer["task"].keys() == TASK_KEYS
    assert (answer["task"]["id"], answer["task"]["status"], answer["newly_ready"]) == ("t-1", "done", ["t-2"])
    assert header(path).keys() >= {"completed_at"}
    assert {key: header(path)[key] for key in ("status", "assignee", "outcome", "commit")} == {
        "status": "done",
        "assignee": "bob",
        "outcome": "green",
        "commit": "abc123",
    }
    assert "claim" not in header(path)
    report = path.read_text(encoding="utf-8").partition("## Completion")[2]
    for told in ("bob", "Painted it.", "green", "- door.py\n- frame.py", "abc123", "Looked at it.", "1200"):
        assert told in report


def test_blocking_writes_the_reason(door: Entrance, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", body="\nDo it.\n")
    token = door.call("claim_next_task", caller="bob")["claim_token"]
    answer = door.call(
        "block_task", id="t-1", claim_token=token, reason="No key to the door.", kind="external",
        evidence="It is locked.", next_step="Ask the owner.", files=["door.py"],
    )  # fmt: skip
    assert answer.keys() == END_KEYS
    assert (answer["task"]["status"], answer["newly_ready"]) == ("blocked", [])
    assert (header(path)["status"], "claim" in header(path), "assignee" in header(path)) == ("blocked", False, False)
    report = path.read_text(encoding="utf-8").partition("## Blocked")[2]
    for told in ("bob", "external", "No key to the door.", "It is locked.", "Ask the owner.", "- door.py"):
        assert told in report


def test_claim_and_release_leave_every_byte_as_it_was(door: Entrance, tasks_dir: Path) -> None:
    content = "---\r\nid: t-1\r\nstatus:   'To Do'   # soon\r\nassignee:\r\n  - '@bob'\r\nx: 007\r\n---\r\nbody"
    path = write_file(tasks_dir / "t-1.md", content)
    token = door.call("claim_next_task", caller="bob")["claim_token"]
    assert path.read_bytes() != content.encode()
    answer = door.call("release_task", id="t-1", claim_token=token)
    assert answer.keys() == END_KEYS
    assert answer["task"]["status"] == "active"
    assert path.read_bytes() == content.encode()


def test_a_note_goes_to_whoever_takes_the_task_next(door: Entrance, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    token = door.call("claim_next_task", caller="bob")["claim_token"]
    door.call("release_task", id="t-1", claim_token=token, note="The paint is in the cellar.")
    assert "The paint is in the cellar." in door.call("claim_next_task", caller="eve")["task"]["body"]


def test_a_long_body_is_read_in_pages(door: Entrance, tasks_dir: Path) -> None:
    write_file(tasks_dir / "settings.json", '{"body_characters": 200}')
    text = "".join(f"line {number:03d}\n" for number in range(50))
    write_task(tasks_dir, "t-1", body=text)
    pages, offset = [], 0
    while True:
        answer = door.call("get_task", id="T-1", offset=offset)
        assert answer.keys() == {"task", "warnings"}
        assert answer["task"].keys() == TASK_KEYS
        pages.append(answer["task"]["body"])
        offset += len(pages[-1])
        if not answer["task"]["body_truncated"]:
            break
        assert f"offset={offset}" in answer["warnings"][0]
    assert "".join(pages) == text.strip()
    assert len(pages) == 3


def test_stats_count_everything_and_name_what_is_invalid(door: Entrance, tasks_dir: Path, stranger: Session) -> None:
    write_task(tasks_dir, "t-1", project="house")
    write_task(tasks_dir, "t-2", project="house", priority=0)
    write_task(tasks_dir, "t-3", "done", project="house", type="bug")
    write_task(tasks_dir, "t-4", depends_on=["t-1"])
    write_task(tasks_dir, "t-5", "in_progress", assignee="maria")
    write_task(tasks_dir, "bad", "nearly")
    write_file(tasks_dir / "README.md", "# A note\n")
    claim(stranger, "t-2")
    answer = door.call("get_index_stats")
    assert answer.keys() == STATS_KEYS
    assert (answer["total"], answer["notes"], answer["ready"], answer["stale"]) == (6, 1, 1, 0)
    assert answer["waiting_on"] == {**dict.fromkeys(WAITING_KEYS, 0), "dependencies": 1}
    assert answer["by_status"] == {"active": 2, "in_progress": 2, "done": 1}
    assert answer["by_type"] == {"task": 4, "bug": 1}
    held, by_hand = answer["in_progress"]
    assert held.keys() == by_hand.keys() == {"id", "caller", "since", "lease_until"}
    assert (held["id"], held["caller"]) == ("t-2", "claude")
    assert (by_hand["id"], by_hand["caller"], by_hand["lease_until"]) == ("t-5", "maria", None)
    (first,) = answer["invalid"]["first"]
    assert (answer["invalid"]["count"], first["path"], first["line"]) == (1, "bad.md", 3)
    assert "nearly" in first["cause"]
    assert answer["projects"] is None
    assert answer["oldest_claim"] == {"id": "t-2", "caller": "claude", "since": held["since"]}
    assert (answer["by_caller"], answer["seconds_to_end"], answer["orphans"]) == ([], None, 0)


def test_stats_tell_how_claims_ended_and_how_long_they_took(door: Entrance, tasks_dir: Path, stranger: Session) -> None:
    write_task(tasks_dir, "t-1")
    token = claim(stranger, "t-1").claim_token
    call(stranger, "complete_task", id="t-1", claim_token=token)
    write_file(tasks_dir / ".dibs" / "orphans" / "t-1.md", "too late")
    answer = door.call("get_index_stats")
    (row,) = answer["by_caller"]
    assert row == {"caller": "claude", "completed": 1, "blocked": 0, "released": 0, "lost": 0}
    assert answer["seconds_to_end"].keys() == {"p50", "p95", "count"}
    assert answer["seconds_to_end"]["count"] == 1
    assert (answer["oldest_claim"], answer["orphans"]) == (None, 1)


def test_stats_give_the_completion_rate_of_projects(door: Entrance, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", project="house")
    write_task(tasks_dir, "t-2", "done", project="house")
    write_task(tasks_dir, "t-3", "cancelled", project="house")
    (row,) = door.call("get_index_stats", include_projects=True)["projects"]
    assert row == {
        "project": "house", "total": 3, "done": 1, "ready": 1, "in_progress": 0, "completion_rate": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["complete_task", "block_task", "release_task", "get_task", "claim_next_task"])
def test_an_unknown_id_is_not_found(door: Entrance, tasks_dir: Path, name: str) -> None:
    write_task(tasks_dir, "t-1")
    failed(door.call(name, id="t-9", **ENDINGS.get(name, {})), "not_found", "t-9")


def test_a_task_that_is_not_ready_says_all_that_stands_in_the_way(door: Entrance, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "blocked")
    write_task(tasks_dir, "t-2", depends_on=["t-1", "gone"], assignee="maria")
    error = failed(door.call("claim_next_task", id="t-2", caller="bob"), "not_ready", "t-2")
    for told in ("t-1 (blocked)", "gone (missing)", "reserved for maria"):
        assert told in error["message"]


def test_a_task_somebody_holds_cannot_be_claimed_by_its_id(door: Entrance, tasks_dir: Path, stranger: Session) -> None:
    write_task(tasks_dir, "t-1")
    claim(stranger, "t-1")
    error = failed(door.call("claim_next_task", id="t-1", caller="bob"), "not_ready", "t-1")
    assert error["owner"] == "claude"
    assert "claude" in error["message"]


@ended
def test_an_ending_without_the_token_is_refused(
    door: Entrance, tasks_dir: Path, stranger: Session, ending: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(stranger, "t-1")
    before = path.read_bytes()
    error = failed(door.call(ending, id="t-1", **ENDINGS[ending]), "token_required", "t-1")
    assert error["owner"] == "claude"
    assert path.read_bytes() == before


@ended
def test_an_ending_with_a_foreign_token_is_refused_and_its_report_kept(
    door: Entrance, tasks_dir: Path, stranger: Session, ending: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(stranger, "t-1")
    before = path.read_bytes()
    error = failed(door.call(ending, id="t-1", claim_token="h000-00000000000", **ENDINGS[ending]), "claim_lost", "t-1")
    assert error["owner"] == "claude"
    assert path.read_bytes() == before
    for told in ENDINGS[ending].values():
        assert error["report"] in error["message"]
        assert told in Path(error["report"]).read_text(encoding="utf-8")


@pytest.mark.parametrize("ending", ["complete_task", "block_task"])
def test_a_claim_that_was_taken_away_is_lost(
    door: Entrance, tasks_dir: Path, stranger: Session, person: Session, ending: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = door.call("claim_next_task", caller="bob")["claim_token"]
    call(person, "release_task", id="t-1", steal=True)
    claim(stranger, "t-1")
    before = path.read_bytes()
    error = failed(door.call(ending, id="t-1", claim_token=token, **ENDINGS[ending]), "claim_lost", "t-1")
    assert error["owner"] == "claude"
    assert "top work" in error["message"]
    assert path.read_bytes() == before
    (kept,) = orphans(tasks_dir)
    assert next(iter(ENDINGS[ending].values())) in kept


def test_giving_back_what_a_person_took_away_is_refused_and_leaves_the_new_claim_alone(
    door: Entrance, tasks_dir: Path, stranger: Session, person: Session
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = door.call("claim_next_task", caller="bob")["claim_token"]
    call(person, "release_task", id="t-1", steal=True)
    claim(stranger, "t-1")
    before = path.read_bytes()
    error = failed(door.call("release_task", id="t-1", claim_token=token), "claim_lost", "t-1")
    assert error["owner"] == "claude"
    assert path.read_bytes() == before


def test_a_holder_whose_task_a_person_took_away_is_told_so(door: Entrance, tasks_dir: Path, person: Session) -> None:
    write_task(tasks_dir, "t-1")
    token = door.call("claim_next_task", caller="bob")["claim_token"]
    call(person, "release_task", id="t-1", steal=True)
    error = failed(door.call("release_task", id="t-1", claim_token=token), "claim_lost", "t-1")
    assert "was taken away by a person" in error["message"]


@ended
def test_the_same_ending_again_gets_the_same_answer(door: Entrance, tasks_dir: Path, ending: str) -> None:
    path = write_task(tasks_dir, "t-1")
    token = door.call("claim_next_task", caller="bob")["claim_token"]
    first = door.call(ending, id="t-1", claim_token=token, **ENDINGS[ending])
    written = path.read_bytes()
    assert door.call(ending, id="t-1", claim_token=token, **ENDINGS[ending]) == first
    assert path.read_bytes() == written


@ended
def test_what_nobody_holds_is_ended_by_people_only(door: Entrance, tasks_dir: Path, ending: str) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    answer = door.call(ending, id="t-1", **ENDINGS[ending])
    if door.person and ending != "release_task":
        assert answer["task"]["status"] == {"complete_task": "done", "block_task": "blocked"}[ending]
    else:
        failed(answer, "not_claimed", "t-1")
        assert path.read_bytes() == before


def test_unticked_items_refuse_completion_and_are_listed(door: Entrance, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", body="\n- [x] sand\n- [ ] prime\n- [ ] paint\n")
    token = door.call("claim_next_task", caller="bob")["claim_token"]
    held = path.read_bytes()
    error = failed(door.call("complete_task", id="t-1", claim_token=token, summary="Did."), "checklist", "t-1")
    assert error["items"] == ["prime", "paint"]
    assert "prime" in error["message"]
    assert path.read_bytes() == held
    done = door.call("complete_task", id="t-1", claim_token=token, summary="Did.", ignore_checklist=True)
    assert done["task"]["status"] == "done"


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("claim_next_task", {"wait_seconds": 51}, "wait_seconds"),
        ("claim_next_task", {"caller": "x" * 65}, "caller"),
        ("block_task", {"id": "t-1", "reason": ""}, "reason"),
        ("complete_task", {"id": "t-1", "tokens_used": -1}, "tokens_used"),
        ("get_task", {"id": "t-1", "offset": -1}, "offset"),
        ("get_task", {"id": "x" * 129}, "id"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(
    door: Entrance, tasks_dir: Path, name: str, arguments: dict[str, object], told: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    assert told in failed(door.call(name, **arguments), "invalid_arguments")["message"]
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["claim_next_task", "get_task", "complete_task"])
def test_an_invalid_task_is_named_with_its_place(door: Entrance, tasks_dir: Path, name: str) -> None:
    path = write_file(tasks_dir / "bad.md", "---\nid: bad\nstatus: nearly\n---\n")
    error = failed(door.call(name, id="bad"), "invalid_task", "bad")
    assert (error["path"], error["line"]) == ("bad.md", 3)
    assert "bad.md:3" in error["message"]
    assert path.read_bytes() == b"---\nid: bad\nstatus: nearly\n---\n"


@pytest.mark.parametrize("name", ["claim_next_task", "get_index_stats"])
def test_broken_settings_are_refused_with_their_place(door: Entrance, tasks_dir: Path, name: str) -> None:
    write_task(tasks_dir, "t-1")
    write_file(tasks_dir / "settings.json", '{"claims": {"lease_second": 5}}')
    error = failed(door.call(name), "settings")
    assert error["path"] == str(tasks_dir / "settings.json")
    assert "did you mean 'lease_seconds'" in error["message"]


def test_a_directory_in_use_is_busy(door: Entrance, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    write_file(tasks_dir / "settings.json", '{"claims": {"mutex_wait_seconds": 0.05}}')
    before = path.read_bytes()
    (tasks_dir / ".dibs").mkdir()
    with hold_mutex(tasks_dir / ".dibs", 10):
        failed(door.call("claim_next_task", caller="bob"), "busy")
    assert path.read_bytes() == before
    assert door.call("claim_next_task", caller="bob")["status"] == "claimed"


def test_what_a_caller_holds_already_is_told(door: Entrance, tasks_dir: Path) -> None:
    for task_id in ("t-1", "t-2", "t-3"):
        write_task(tasks_dir, task_id)
    door.call("claim_next_task", caller="bob", id="t-1")
    assert door.call("claim_next_task", caller="eve", id="t-2")["also_held"] == []
    assert door.call("claim_next_task", caller="bob", id="t-3")["also_held"] == ["t-1"]


def test_looking_makes_nothing(door: Entrance, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    door.call("get_index_stats", include_projects=True)
    door.call("get_task", id="t-1")
    assert [path.name for path in tasks_dir.iterdir()] == ["t-1.md"]


def test_triage_enters_what_a_task_lacks_and_tells_each_change(door: Entrance, tasks_dir: Path) -> None:
    write_file(tasks_dir / "settings.json", '{"profile": "coordinator"}')
    path = write_task(tasks_dir, "t-1", "inbox", tags=["chore"], project="aops")
    write_task(tasks_dir, "t-2", "in_progress")
    told = door.call("triage_tasks", dry_run=True, activate=True)
    assert "[[" not in path.read_text(encoding="utf-8")
    answer = door.call("triage_tasks", activate=True, ids=["t-1", "t-2"], max=5)
    assert answer.keys() == TRIAGE_KEYS
    assert [answer[key] for key in ("changed", "examined", "unchanged", "more")] == [1, 2, 0, 0]
    assert answer["skipped"] == [{"id": "t-2", "why": "it is in progress"}]
    assert answer["tasks"] == told["tasks"]
    (task,) = answer["tasks"]
    assert (task["id"], task["path"]) == ("t-1", "t-1.md")
    assert {change["field"]: change["new"] for change in task["changes"]} == {
        "status": "active",
        "body": "Project: [[aops]]",
        "complexity": "mechanical",
        "assignee": "bot",
    }
    assert all(change.keys() == {"field", "old", "new", "why"} and change["why"] for change in task["changes"])
    assert header(path)["status"] == "active"
    assert door.call("claim_next_task", caller="bob", complexity="mechanical")["task"]["id"] == "t-1"


def test_a_batch_is_made_claimed_from_waited_for_and_summarized(door: Entrance, tasks_dir: Path) -> None:
    write_file(tasks_dir / "settings.json", '{"profile": "coordinator"}')
    file = write_file(tasks_dir.parent / "data" / "one, two.txt", "x")
    for task_id in ("t-1", "t-2", "other"):
        write_task(tasks_dir, task_id)
    made = door.call("create_batch", name="b", items=["t-1", "t-2", str(file)])
    assert made.keys() == {
        "name", "total", "made", "ready", "claimed", "waiting", "skipped_count", "skipped", "message", "warnings",
    }  # fmt: skip
    assert [made[key] for key in ("total", "made", "ready", "skipped")] == [3, 1, 3, []]
    failed(door.call("create_batch", name="B", items=["other"]), "invalid_arguments")
    failed(door.call("claim_next_task", batch="nope"), "not_found")
    taken = door.call("claim_next_task", caller="bob", batch="b")
    assert taken["task"]["id"] != "other"
    waited = door.call("wait_for_tasks", batch="b", wait_seconds=0)
    assert waited.keys() == {"endings", "total", "left", "finished", "cursor", "message", "warnings"}
    assert [waited[key] for key in ("endings", "total", "left", "finished")] == [[], 3, 3, False]
    door.call("complete_task", id=taken["task"]["id"], claim_token=taken["claim_token"], summary="Did it.")
    waited = door.call("wait_for_tasks", batch="b", cursor=waited["cursor"], wait_seconds=0)
    (ending,) = waited["endings"]
    assert ending.keys() == {
        "task_id", "status", "title", "outcome", "reason", "commit", "summary", "caller", "tokens",
    }  # fmt: skip
    assert (ending["task_id"], ending["status"], ending["summary"]) == (taken["task"]["id"], "success", "Did it.")
    failed(door.call("wait_for_tasks", batch="b", cursor="nonsense"), "invalid_arguments")
    batch = door.call("get_batch", name="b", summary=True)
    assert batch["summary"].keys() == {"workers", "runtime_seconds", "total_tokens", "skipped"}
    assert batch["summary"]["workers"] == [ending]
    assert (batch["counts"]["done"], batch["counts"]["ready"], batch["finished"]) == (1, 2, False)


def test_many_tasks_are_listed_page_by_page(door: Entrance, tasks_dir: Path) -> None:
    write_file(tasks_dir / "settings.json", '{"profile": "coordinator"}')
    write_task(tasks_dir, "root", type="epic")
    for number in range(60):
        write_task(tasks_dir, f"t-{number}", complexity="mechanical", parent="root" if number < 3 else "none")
    first = door.call("list_tasks", complexity="mechanical")
    assert (first["total"], len(first["tasks"])) == (60, 60 if door.person else 50)
    assert [warning for warning in first["warnings"] if "offset=50" in warning] == first["warnings"]
    assert bool(first["warnings"]) != door.person
    page = door.call("list_tasks", complexity="mechanical", limit=4, offset=58)
    assert [task["id"] for task in page["tasks"]] == ["t-58", "t-59"]
    assert page["tasks"][0].keys() == {"id", "title", "status", "ready", "priority", "project", "assignee", "path"}
    assert [task["id"] for task in door.call("list_tasks", parent="root")["tasks"]] == ["t-0", "t-1", "t-2"]
    door.call("create_batch", name="b", items=["t-7"])
    assert [task["id"] for task in door.call("list_tasks", batch="b")["tasks"]] == ["t-7"]
    assert door.call("list_tasks", parent="root", ready=True, limit=1)["total"] == 3


def test_claims_of_the_dead_are_taken_back_on_request(door: Entrance, tasks_dir: Path) -> None:
    write_file(tasks_dir / "settings.json", '{"profile": "coordinator"}')
    write_task(tasks_dir, "t-1")
    door.call("claim_next_task", caller="bob")
    answer = door.call("reap_claims", dry_run=True, older_than_hours=1.0)
    assert answer.keys() == {"reaped", "left", "message", "warnings"}
    assert (answer["reaped"], answer["left"]) == ([], 1)
    failed(door.call("reap_claims", older_than_hours=0.5), "invalid_arguments")
