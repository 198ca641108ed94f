"""Which task claim_next_task hands out, and what it says when there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store import index as index_module
from dibs.store.errors import InvalidArguments, MalformedTask, NotReady, TaskNotFound
from support import Clock, age, call, claim, edit, header, held_ids, write_file, write_task


def claimed_ids(session: Session, count: int, **filters: object) -> list[str]:
    return [claim(session, **filters).task.id for _ in range(count)]


def test_tasks_come_by_priority_then_due_order_created_and_natural_id(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-10")
    write_task(tasks_dir, "t-9")
    write_task(tasks_dir, "created", created="2026-01-01")
    write_task(tasks_dir, "ordered", order=5)
    write_task(tasks_dir, "due", due="2026-02-01")
    write_task(tasks_dir, "urgent", priority="P0")
    write_task(tasks_dir, "some-day", priority="low", due="2026-01-01")
    assert claimed_ids(session, 7) == ["urgent", "due", "ordered", "created", "t-9", "t-10", "some-day"]


def test_a_claim_says_all_an_agent_needs(session: Session, tasks_dir: Path) -> None:
    path = write_task(
        tasks_dir,
        "t-1",
        "To Do",
        body="\n# Fix it\n\nPlease.\n",
        project="aops",
        tags=["a"],
        files=["src/**"],
        priority=1,
    )
    result = call(session, "claim_next_task")
    assert result.status == "claimed"
    assert result.task.model_dump() == {
        "id": "t-1",
        "title": "Fix it",
        "status": "in_progress",
        "project": "aops",
        "type": "task",
        "priority": 1,
        "complexity": "",
        "tags": ["a"],
        "due": "",
        "path": str(path),
        "files": ["src/**"],
        "depends_on": [],
        "attempts": 0,
        "body": "# Fix it\n\nPlease.",
        "body_truncated": False,
    }
    assert result.lease_until == "2026-01-22T12:02:00Z"
    assert result.retry_after_seconds is None
    assert header(path) == {
        "id": "t-1",
        "status": "in_progress",
        "project": "aops",
        "priority": "1",
        "assignee": "gemini",
        "claim": result.claim_token,
    }


def test_a_task_is_handed_out_once(session: Session, other: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    claim(session)
    assert call(other, "claim_next_task").status == "empty"
    assert call(session, "claim_next_task").status == "empty"


def test_a_shells_claim_has_a_long_lease_or_the_one_it_asks_for(
    make_session: Callable[..., Session], tasks_dir: Path
) -> None:
    shell = make_session("", server=False)
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2")
    assert claim(shell, caller="bob").lease_until == "2026-01-22T13:00:00Z"
    assert claim(shell, caller="bob", lease=60).lease_until == "2026-01-22T12:01:00Z"


def test_the_caller_is_the_one_given_else_the_clients_name(session: Session, tasks_dir: Path) -> None:
    one, two = write_task(tasks_dir, "t-1"), write_task(tasks_dir, "t-2")
    claim(session, caller="@bob")
    claim(session)
    assert (header(one)["assignee"], header(two)["assignee"]) == ("bob", "gemini")


@pytest.mark.parametrize("caller", ["x" * 65, "a\nb"])
def test_a_caller_that_cannot_be_a_name_is_refused(session: Session, tasks_dir: Path, caller: str) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    with pytest.raises(InvalidArguments, match="short name"):
        call(session, "claim_next_task", caller=caller)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "filters",
    [
        {"project": "AOPS"},
        {"complexity": "mechanical"},
        {"type": "Bug"},
        {"tags": ["A", "b"]},
        {"skip_tags": ["c"]},
        {"parent": "EPIC"},
        {"project": "aops", "type": "bug", "tags": ["a"]},
    ],
)
def test_filters_choose_and_leave_the_rest_alone(session: Session, tasks_dir: Path, filters: dict[str, object]) -> None:
    write_task(tasks_dir, "epic", type="epic")
    write_task(tasks_dir, "between", "on_hold", parent="epic")
    write_task(tasks_dir, "a-first", priority=0, tags=["a", "c"])
    write_task(
        tasks_dir, "wanted", project="aops", complexity="mechanical", type="bug", tags=["a", "b"], parent="between"
    )
    assert claimed_ids(session, 1, **filters) == ["wanted"]
    assert call(session, "claim_next_task", **filters).status == "empty"
    assert claimed_ids(session, 1) == ["a-first"]


def test_a_task_reserved_for_the_caller_goes_to_that_caller_only(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    write_task(tasks_dir, "t-1", assignee="'@claude'")
    result = call(session, "claim_next_task")
    assert result.waiting_on.reserved == 1
    assert claim(other).task.id == "t-1"


# nothing to hand out


def test_an_empty_answer_counts_what_waits_and_for_what(session: Session, other: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "held", priority=0)
    claim(other, caller="bob")
    for task_id, keys in {
        "dep": {"depends_on": ["held"]},
        "mine": {"assignee": "codex"},
        "human": {"complexity": "blocked-human"},
        "epic": {"type": "epic"},
    }.items():
        write_task(tasks_dir, task_id, **keys)
    for status in ("inbox", "on_hold", "blocked", "done", "cancelled"):
        write_task(tasks_dir, f"is-{status}", status)
    result = call(session, "claim_next_task")
    assert result.status == "empty"
    assert (result.task, result.claim_token, result.lease_until) == (None, None, None)
    assert result.waiting_on.model_dump() == {
        "dependencies": 1, "files": 0, "reserved": 1, "human": 2, "inbox": 1, "on_hold": 1, "other": 1,
    }  # fmt: skip
    for words in ("Nothing is ready for gemini", "1 in progress", "1 waiting for other tasks", "do not poll"):
        assert words in result.message
    assert result.retry_after_seconds == 120.0


def test_an_empty_directory_says_that_no_task_is_left_and_nothing_will_come(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "done")
    result = call(session, "claim_next_task")
    assert "no open task is left" in result.message
    assert result.retry_after_seconds is None
    assert set(result.waiting_on.model_dump().values()) == {0}


def test_an_empty_answer_counts_only_what_was_asked_for_and_names_the_filter(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "inbox", project="x")
    write_task(tasks_dir, "t-2", "inbox", project="aops")
    result = call(session, "claim_next_task", project="aops")
    assert result.waiting_on.inbox == 1
    assert "with project aops" in result.message


def test_retry_after_counts_down_with_the_lease_but_is_never_nothing(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    write_task(tasks_dir, "t-1")
    claim(session)
    clock.advance(100)
    assert call(other, "claim_next_task").retry_after_seconds == 20.0
    clock.advance(100)
    assert call(other, "claim_next_task").retry_after_seconds == 1.0


def test_what_this_caller_holds_besides_is_told(session: Session, tasks_dir: Path) -> None:
    for task_id in ("t-1", "t-2", "t-3"):
        write_task(tasks_dir, task_id)
    assert claim(session).also_held == []
    claim(session, caller="bob")
    assert claim(session).also_held == ["t-1"]
    assert call(session, "claim_next_task").also_held == ["t-1", "t-3"]


# this one


def test_a_task_can_be_claimed_by_its_id_out_of_turn(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", priority=0)
    write_task(tasks_dir, "T-2")
    assert claim(session, "T-2").task.id == "T-2"


def test_a_task_somebody_holds_is_refused_by_id_with_the_holder(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(other)
    before = age(path).read_bytes()
    with pytest.raises(NotReady, match=r"held by claude until 2026-01-22T12:02:00Z at least") as caught:
        call(session, "claim_next_task", id="t-1")
    assert caught.value.facts["owner"] == "claude"
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("status", "keys", "words"),
    [
        ("active", {"depends_on": ["t-9"]}, "depends on t-9 (missing)"),
        ("active", {"assignee": "codex"}, "reserved for codex"),
        ("active", {"type": "epic"}, "type epic are never claimed"),
        ("active", {"complexity": "needs-decomposition"}, "must split it first"),
        ("blocked", {}, "dibs reopen"),
        ("inbox", {}, "in the inbox"),
        ("done", {}, "it is done"),
        ("in_progress", {}, "it is in progress"),
    ],
)
def test_a_task_that_is_not_ready_is_refused_by_id_with_the_reason(
    session: Session, tasks_dir: Path, status: str, keys: dict[str, object], words: str
) -> None:
    path = write_task(tasks_dir, "t-1", status, **keys)
    before = path.read_bytes()
    with pytest.raises(NotReady) as caught:
        call(session, "claim_next_task", id="t-1")
    assert words in caught.value.message
    assert caught.value.task_id == "t-1"
    assert path.read_bytes() == before
    assert held_ids(session) == []


def test_an_id_nobody_has_is_not_found(session: Session) -> None:
    with pytest.raises(TaskNotFound, match="no task t-9 in"):
        call(session, "claim_next_task", id="t-9")


def test_an_invalid_task_is_refused_by_id_with_place_and_cause(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "wip")
    with pytest.raises(MalformedTask, match=r"t-1\.md:3: unknown status 'wip'"):
        call(session, "claim_next_task", id="t-1")


def test_a_task_mended_a_moment_ago_is_not_refused_for_what_it_was(
    session: Session, tasks_dir: Path, stale: Callable[[Session], None]
) -> None:
    path = write_task(tasks_dir, "t-1", "wip")
    stale(session)
    edit(path, "wip", "active")
    assert claim(session, "t-1").task.id == "t-1"


# the index proposes, the files decide


@pytest.fixture
def stale(monkeypatch: pytest.MonkeyPatch) -> Callable[[Session], None]:
    """Makes all believe for an hour what this session sees now."""

    def believe(session: Session) -> None:
        session.store.refresh()
        monkeypatch.setattr(index_module, "FRESH_SECONDS", 3600.0)

    return believe


def test_a_task_taken_since_the_last_scan_is_not_handed_out(
    session: Session, other: Session, tasks_dir: Path, stale: Callable[[Session], None]
) -> None:
    path = write_task(tasks_dir, "t-1", priority=0)
    write_task(tasks_dir, "t-2")
    stale(session)
    claim(other, "t-1")
    age(path)
    assert claim(session).task.id == "t-2"


@pytest.mark.parametrize("now", ["done", "in_progress", "on_hold", "wip"])
def test_a_task_set_aside_by_hand_since_the_last_scan_is_not_handed_out(
    session: Session, tasks_dir: Path, now: str, stale: Callable[[Session], None]
) -> None:
    path = write_task(tasks_dir, "t-1", priority=0)
    write_task(tasks_dir, "t-2")
    stale(session)
    edit(path, "status: active", f"status: {now}")
    before = path.read_bytes()
    assert claim(session).task.id == "t-2"
    assert path.read_bytes() == before


def test_a_task_deleted_since_the_last_scan_is_not_handed_out(
    session: Session, tasks_dir: Path, stale: Callable[[Session], None]
) -> None:
    path = write_task(tasks_dir, "t-1", priority=0)
    write_task(tasks_dir, "t-2")
    stale(session)
    path.unlink()
    assert claim(session).task.id == "t-2"
    assert not path.exists()


@pytest.mark.parametrize(
    ("keys", "relative", "now"),
    [
        ({"depends_on": ["dep"]}, {"status": "done"}, "active"),
        ({"parent": "dep"}, {"status": "on_hold"}, "cancelled"),
    ],
)
def test_a_relative_that_changed_since_the_last_scan_decides(
    session: Session,
    tasks_dir: Path,
    keys: dict[str, object],
    relative: dict[str, str],
    now: str,
    stale: Callable[[Session], None],
) -> None:
    near = write_task(tasks_dir, "dep", assignee="nobody", **relative)
    write_task(tasks_dir, "t-1", **keys)
    stale(session)
    edit(near, f"status: {relative['status']}", f"status: {now}")
    assert call(session, "claim_next_task").status == "empty"


def test_a_new_task_is_found_before_the_queue_is_called_empty(
    session: Session, tasks_dir: Path, stale: Callable[[Session], None]
) -> None:
    stale(session)
    write_task(tasks_dir, "t-1")
    assert claim(session).task.id == "t-1"


def test_a_task_whose_priority_changed_is_handed_out_as_it_is_now(
    session: Session, tasks_dir: Path, stale: Callable[[Session], None]
) -> None:
    path = write_task(tasks_dir, "t-1", priority=0)
    write_task(tasks_dir, "t-2", priority=1)
    stale(session)
    edit(path, "priority: 0", "priority: 4")
    assert claim(session).task.id == "t-2"


# files that cannot be written


@pytest.mark.parametrize(
    "uneditable",
    [
        "---\nid: t-1\nstatus: active\nassignee: &a x\n---\n",
        "---\nid: t-1\nstatus: active\npriority: 0\nassignee: |\n  bot\n---\n",
        "---\nid: t-1\nstatus: active\npriority: 0\noutcome: {a: b}\n---\n",
    ],
)
def test_a_header_that_cannot_be_edited_is_passed_over_with_a_warning(
    session: Session, tasks_dir: Path, uneditable: str
) -> None:
    path = write_file(tasks_dir / "t-1.md", uneditable.replace("assignee: &a x", "priority: 0\nassignee: &a bot"))
    before = path.read_bytes()
    write_task(tasks_dir, "t-2")
    result = claim(session)
    assert result.task.id == "t-2"
    assert len(result.warnings) == 1
    assert "passed over t-1: t-1.md:" in result.warnings[0]
    assert path.read_bytes() == before
    assert held_ids(session) == ["t-2"]


def test_a_header_that_cannot_be_edited_is_refused_by_id_before_the_work(session: Session, tasks_dir: Path) -> None:
    path = write_file(tasks_dir / "t-1.md", "---\nid: t-1\nstatus: active\ncommit: [[a]]\n---\n")
    with pytest.raises(MalformedTask, match=r"t-1\.md:4: `commit`"):
        call(session, "claim_next_task", id="t-1")
    assert held_ids(session) == []
    assert b"status: active" in path.read_bytes()


def test_a_completed_task_that_is_active_again_is_handed_out_with_a_warning(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    call(session, "complete_task", id="t-1", claim_token=claim(session).claim_token)
    write_file(path, before)  # git checkout
    result = claim(session)
    assert "t-1 was completed by gemini at 2026-01-22T12:00:00Z, but its file is active again" in result.warnings[0]


def test_soft_dependencies_that_are_not_done_are_told(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", soft_depends_on=["t-2", "t-3", "t-9"], priority=0)
    write_task(tasks_dir, "t-2", "done")
    write_task(tasks_dir, "t-3")
    assert claim(session).warnings == ["not done yet, and good to know about: t-3, t-9"]


def test_nothing_is_made_by_asking_for_numbers(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    for name, arguments in {
        "get_index_stats": {},
        "list_tasks": {},
        "get_task": {"id": "t-1"},
        "explain_task": {"id": "t-1"},
    }.items():
        call(session, name, **arguments)
    assert [path.name for path in tasks_dir.iterdir()] == ["t-1.md"]


def test_an_empty_queue_names_the_files_that_cannot_be_read(session: Session, tasks_dir: Path) -> None:
    write_file(tasks_dir / "broken.md", "---\nid: broken\nstatus: nonsense\n---\n")
    assert "1 cannot be read (broken.md)" in call(session, "claim_next_task").message
    assert "broken" not in call(session, "claim_next_task", project="p").message, "nobody knows whether it is meant"
