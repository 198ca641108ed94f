"""Completing, blocking and releasing: what they leave in the file, and what they answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store.errors import ChecklistOpen, NotClaimed, NotReady
from support import Clock, age, call, claim, edit, endings, events, header, held_ids, make, write_file, write_task

FORMS = {
    "plain": b"---\nid: t-1\nstatus: active\n---\nbody\n",
    "the users own word": b"---\nid: t-1\nstatus: To Do\n---\nbody\n",
    "quoted word": b"---\nid: t-1\nstatus: 'To Do'   # soon\n---\nbody\n",
    "block list": b"---\nid: t-1\nstatus: To Do\nassignee:\n  - '@gemini'\ntags: []\n---\nbody\n",
    "block list of several": b"---\nid: t-1\nassignee:\n- '@gemini' # first\n- bob\nstatus: active\n---\nbody\n",
    "empty list": b"---\nid: t-1\nstatus: active\nassignee: []\n---\n",
    "empty assignee": b"---\nid: t-1\nassignee:\nstatus: active\n---\n",
    "empty claim and comment": b"---\nid: t-1\nstatus: active # now\nclaim: ~\n# end\n---\n",
    "line ends of windows": b"---\r\nid: t-1\r\nstatus: To Do\r\nassignee:\r\n  - '@gemini'\r\n---\r\nbody\r\n",
    "byte order mark": b"\xef\xbb\xbf---\nid: t-1\nstatus: active\n---\n",
    "no final newline": b"---\nid: t-1\nstatus: active\n---",
    "two-line ends mixed": b"---\nid: t-1\r\nstatus: active\n---\r\nbody\n",
    "odd spacing": b"---\nid:    t-1\nstatus   :   active  \n---\n\n\n\n",
}


@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS.keys())
def test_claim_then_release_restores_the_file_byte_for_byte(session: Session, tasks_dir: Path, content: bytes) -> None:
    path = write_file(tasks_dir / "t-1.md", content)
    path.chmod(0o640)
    token = claim(session).claim_token
    assert header(path)["status"] == "in_progress"
    assert header(path)["assignee"] == "gemini"
    result = call(session, "release_task", id="t-1", claim_token=token)
    assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o640
    assert result.task.attempts == 0
    assert held_ids(session) == []


@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS.keys())
def test_every_form_can_be_completed(session: Session, tasks_dir: Path, content: bytes) -> None:
    path = write_file(tasks_dir / "t-1.md", content)
    call(session, "complete_task", id="t-1", claim_token=claim(session).claim_token, summary="done it")
    assert header(path)["status"] == "done"
    assert header(path)["assignee"] == "gemini"
    assert not header(path).get("claim")
    newline = b"\r\n" if content.startswith(b"---\r\n") else b"\n"
    assert newline + b"## Completion" + newline in path.read_bytes()


def test_a_completion_writes_who_what_and_when(session: Session, tasks_dir: Path, clock: Clock) -> None:
    path = write_task(tasks_dir, "t-1", body="# One\n", priority=1)
    token = claim(session).claim_token
    clock.advance(90)
    result = call(
        session,
        "complete_task",
        id="t-1",
        claim_token=token,
        summary="Did it.\n\n- well",
        outcome="approved,\nmostly",
        files_changed=["src/a.py", "b"],
        commit=" abc123 ",
        evidence="tests pass",
        tokens_used=1234,
    )
    assert path.read_text(encoding="utf-8") == (
        "---\nid: t-1\nstatus: done\npriority: 1\nassignee: gemini\n"
        'completed_at: "2026-01-22T12:01:30Z"\noutcome: "approved, mostly"\ncommit: abc123\n---\n'
        "# One\n\n## Completion\n\n**By:** gemini, 2026-01-22T12:01:30Z, claimed 2026-01-22T12:00:00Z\n\n"
        "Did it.\n\n- well\n\n**Outcome:** approved,\nmostly\n\n**Files changed:**\n\n- src/a.py\n- b\n\n"
        "**Commit:** abc123\n\n**Evidence:** tests pass\n\n**Tokens used:** 1234\n"
    )
    assert result.task.status == "done"
    assert result.warnings == []
    assert held_ids(session) == []
    assert [event["event"] for event in events(session)] == ["claimed", "completed"]
    assert endings(session, "t-1")[0].left_status == "done"


def test_a_completion_names_what_became_ready(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "epic", parent="", assignee="codex")
    write_task(tasks_dir, "t-1", parent="epic", priority=0)
    write_task(tasks_dir, "next", depends_on=["T-1"], priority=3)
    write_task(tasks_dir, "later", depends_on=["t-1", "next"])
    write_task(tasks_dir, "parent")
    write_task(tasks_dir, "child", parent="parent", depends_on=["nothing"])
    result = call(session, "complete_task", id="t-1", claim_token=claim(session).claim_token)
    assert result.newly_ready == ["next"]


def test_a_completion_of_the_last_child_makes_the_parent_ready(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "parent")
    write_task(tasks_dir, "t-1", parent="Parent")
    result = call(session, "complete_task", id="t-1", claim_token=claim(session).claim_token)
    assert result.newly_ready == ["parent"]


def test_files_that_were_promised_and_not_named_are_asked_for(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", files=["src/**"])
    result = call(session, "complete_task", id="t-1", claim_token=claim(session).claim_token)
    assert result.warnings == ["no changed files were named, though src/** were to be changed"]


def test_open_checklist_items_refuse_completion_and_are_listed(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", body="- [x] one\n- [ ] two\n* [ ] three\n```\n- [ ] code\n```\n")
    token = claim(session).claim_token
    before = path.read_bytes()
    with pytest.raises(ChecklistOpen, match=r"2 checklist items are not ticked") as caught:
        call(session, "complete_task", id="t-1", claim_token=token)
    assert caught.value.facts["items"] == ["two", "three"]
    assert path.read_bytes() == before
    assert held_ids(session) == ["t-1"]


def test_items_ticked_while_the_task_is_held_count(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", body="- [ ] one\n")
    token = claim(session).claim_token
    edit(path, "[ ]", "[x]")
    assert call(session, "complete_task", id="t-1", claim_token=token).task.status == "done"


def test_an_open_checklist_can_be_ignored_on_purpose(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", body="- [ ] one\n")
    token = claim(session).claim_token
    result = call(session, "complete_task", id="t-1", claim_token=token, ignore_checklist=True)
    assert result.task.status == "done"


def test_blocking_says_why_and_reserves_for_whom_it_was_reserved_before(session: Session, tasks_dir: Path) -> None:
    path = write_file(
        tasks_dir / "t-1.md", b"---\nid: t-1\nstatus: To Do\nassignee:\n  - '@gemini'\n  - '@codex'\n---\nbody\n"
    )
    call(
        session,
        "block_task",
        id="t-1",
        claim_token=claim(session).claim_token,
        reason="no access",
        kind="environment",
        evidence="403",
        next_step="ask",
        files=["a", "b"],
    )
    assert path.read_text(encoding="utf-8") == (
        "---\nid: t-1\nstatus: blocked\nassignee:\n  - '@gemini'\n  - '@codex'\n---\nbody\n\n## Blocked\n\n"
        "**By:** gemini, 2026-01-22T12:00:00Z\n\n**Reason (environment):** no access\n\n**Files:**\n\n- a\n- b\n\n"
        "**Evidence:** 403\n\n**Next step:** ask\n"
    )
    assert held_ids(session) == []
    assert endings(session, "t-1")[0].how == "blocked"


def test_blocking_a_task_that_was_free_leaves_it_free(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    call(session, "block_task", id="t-1", claim_token=claim(session).claim_token, reason="x")
    assert "assignee" not in header(path)


def test_a_note_for_the_next_one_is_kept(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", body="body\n")
    before = path.read_text(encoding="utf-8")
    call(session, "release_task", id="t-1", claim_token=claim(session).claim_token, note="tried x")
    assert path.read_text(encoding="utf-8") == (
        before + "\n## Note\n\n**By:** gemini, 2026-01-22T12:00:00Z\n\ntried x\n"
    )


def test_a_released_task_is_ready_for_others_at_once(session: Session, other: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    call(session, "release_task", id="t-1", claim_token=claim(session).claim_token)
    age(path)
    assert claim(other).task.id == "t-1"


def test_what_the_agent_wrote_into_the_body_stays(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", body="- [ ] one\n")
    token = claim(session).claim_token
    edit(path, "- [ ] one\n", "- [x] one\nnotes\n")
    call(session, "release_task", id="t-1", claim_token=token)
    assert path.read_text(encoding="utf-8") == "---\nid: t-1\nstatus: active\n---\n- [x] one\nnotes\n"


# people


def test_a_person_may_complete_what_nobody_holds(person: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", assignee="nic")
    call(person, "complete_task", id="t-1", summary="did it myself")
    assert header(path)["status"] == "done"
    assert header(path)["assignee"] == "nic"
    assert [event["event"] for event in events(person)] == ["completed"]


def test_a_person_does_not_write_a_second_report_into_what_has_ended(person: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    call(person, "complete_task", id="t-1", summary="one")
    before = path.read_bytes()
    for name, more in {"complete_task": {}, "block_task": {"reason": "x"}}.items():
        with pytest.raises(NotClaimed, match="done already; nothing was changed"):
            call(person, name, id="t-1", **more)
    assert path.read_bytes() == before


def test_a_person_can_take_a_task_from_whoever_holds_it(
    person: Session, session: Session, other: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1", "To Do")
    before = path.read_bytes()
    claim(session)
    age(path)
    call(person, "release_task", id="t-1", steal=True)
    assert path.read_bytes() == before
    assert held_ids(person) == []
    age(path)
    assert claim(other).task.attempts == 0


def test_a_person_can_set_work_by_hand_to_active_but_only_on_purpose(person: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", "in_progress", assignee="nic")
    with pytest.raises(NotClaimed, match="nothing to give back; --steal"):
        call(person, "release_task", id="t-1")
    call(person, "release_task", id="t-1", steal=True)
    assert header(path)["status"] == "active"


def test_a_task_that_is_active_has_nothing_to_give_back(person: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    with pytest.raises(NotClaimed, match="nothing to give back"):
        call(person, "release_task", id="t-1", steal=True)
    assert path.read_bytes() == before


# again


def test_reopening_forgets_lost_attempts_and_takes_out_what_completing_wrote(
    session: Session, person: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1", "To Do", assignee="['@gemini']", attempts=2)
    call(session, "complete_task", id="t-1", claim_token=claim(session).claim_token, outcome="ok", commit="abc")
    age(path)
    result = call(person, "reopen_task", id="t-1")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("---\nid: t-1\nstatus: To Do\nassignee: ['@gemini']\n---\n")
    assert "## Completion" in text
    assert result.task.status == "active"
    assert "reserved for gemini" in result.message


def test_a_reopened_task_can_be_claimed_completed_and_reopened_once_more(
    session: Session, person: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    for _ in range(2):
        call(session, "block_task", id="t-1", claim_token=claim(session).claim_token, reason="x")
        age(path)
        call(person, "reopen_task", id="t-1")
        age(path)
    assert claim(session).warnings == []
    assert path.read_text(encoding="utf-8").count("## Blocked") == 2


def test_reopening_what_a_person_ended_makes_it_active(person: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", "Canceled", assignee="nic")
    call(person, "reopen_task", id="t-1")
    assert path.read_text(encoding="utf-8") == "---\nid: t-1\nstatus: active\nassignee: nic\n---\n"


def test_a_task_somebody_holds_is_not_reopened(session: Session, person: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    before = age(path).read_bytes()
    with pytest.raises(NotReady, match="held by gemini"):
        call(person, "reopen_task", id="t-1")
    assert path.read_bytes() == before


def test_reopening_an_active_task_changes_nothing(person: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    assert "active already" in call(person, "reopen_task", id="t-1").message
    assert path.read_bytes() == before


# new ones


def test_an_added_task_is_a_file_that_reads_as_it_was_asked_for(session: Session, tasks_dir: Path) -> None:
    result = call(
        session,
        "add_task",
        title='Fix: the "parser" — now',
        body="Please.\n\n---\nstatus: done\n",
        project="Web Site",
        type="bug",
        priority=1,
        complexity="mechanical",
        tags=["a", "yes", "1.0"],
        depends_on=["00123"],
        files=["src/**"],
        parent="epic-1",
        assignee="@codex",
        due="2026-02-01",
        status="inbox",
    )
    (path,) = tasks_dir.glob("*.md")
    assert path.name.startswith(f"{result.task.id}-fix-the-parser")
    assert result.task.id.startswith("web-site-")
    text = path.read_text(encoding="utf-8")
    task = make(text.split("---\n")[1], path.name)
    assert (task.title, task.status, task.project, task.type) == ('Fix: the "parser" — now', "inbox", "Web Site", "bug")
    assert (task.tags, task.depends_on, task.files) == (("a", "yes", "1.0"), ("00123",), ("src/**",))
    assert (task.assignees, task.due, task.parent, task.priority) == (("@codex",), "2026-02-01", "epic-1", 1)
    assert text.endswith("Please.\n\n---\nstatus: done\n")
    assert result.warnings == [f"{result.task.id} depends on 00123, which does not exist (yet)"]


def test_an_added_task_can_be_claimed_at_once(session: Session, tasks_dir: Path) -> None:
    added = call(session, "add_task", title="任务")
    assert claim(session).task.id == added.task.id
