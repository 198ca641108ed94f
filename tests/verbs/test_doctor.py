"""The doctor: every kind of finding with its text, weight and mend; and that looking changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dibs import examine_tasks_dir
from dibs.doctor.circles import circles
from dibs.doctor.findings import Finding
from dibs.session import Session
from dibs.store.claims import slug
from dibs.store.mutex import hold_mutex
from dibs.store.task_store import TaskStore
from support import Clock, call, claim, edit, endings, events, header, held_ids, write_file, write_task

MakeSession = Callable[..., Session]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine_tasks_dir, "PASSING_SECONDS", 0.0)


def examined(session: Session, *, fix: bool = False) -> list[Finding]:
    findings: list[Finding] = call(session, "examine_tasks_dir", fix=fix).findings
    return findings


def the_one(session: Session, kind: str, *, fix: bool = False) -> Finding:
    """The one finding of a kind."""
    (found,) = [finding for finding in examined(session, fix=fix) if finding.kind == kind]
    return found


def claim_of_new(session: Session, tasks_dir: Path, task_id: str) -> Path:
    """Write a task and claim it."""
    path = write_task(tasks_dir, task_id)
    claim(session, task_id)
    return path


def kinds(session: Session, *, fix: bool = False) -> list[str]:
    return [finding.kind for finding in examined(session, fix=fix)]


def content_of(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder with its bytes, but for the index, which is a cache."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if not path.name.startswith(("index", "scanning"))
    }


# a healthy directory


def test_a_healthy_directory_says_so(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2", "done")
    write_task(tasks_dir, "t-3", depends_on=["t-1"])
    claim(session, "t-1")
    result = call(session, "examine_tasks_dir")
    assert (result.status, result.findings) == ("well", [])
    assert result.message == "All is well: 3 tasks, 1 claim"


@pytest.mark.parametrize("fix", [False, True])
def test_looking_makes_nothing_and_neither_does_mending_where_nothing_is_to_mend(
    session: Session, tasks_dir: Path, fix: bool
) -> None:
    write_task(tasks_dir, "t-1", "nearly")
    before = content_of(tasks_dir)
    assert kinds(session, fix=fix) == ["invalid"]
    assert content_of(tasks_dir) == before


def test_what_is_there_only_in_passing_is_not_told(
    session: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_file(tasks_dir / "t-1.md", "---\nid: t-1\nstatus: act")
    monkeypatch.setattr(examine_tasks_dir.time, "sleep", lambda seconds: write_task(tasks_dir, "t-1"))
    assert examined(session) == []
    assert path.exists()


def test_the_worst_comes_first(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "a-2", "in_progress")
    write_task(tasks_dir, "a-1", depends_on=["gone"])
    write_task(tasks_dir, "z-1", "nearly")
    write_task(tasks_dir, "b-1", "nearly")
    found = examined(session)
    assert [(f.severity, f.kind) for f in found] == [
        ("error", "invalid"), ("error", "invalid"), ("warning", "dependency"), ("note", "by_hand"),
    ]  # fmt: skip
    assert [f.path for f in found] == ["b-1.md", "z-1.md", "", ""]
    assert call(session, "examine_tasks_dir").message == "3 things to mend, 1 note"


# settings and files


def test_broken_settings_are_a_finding_and_the_rest_is_examined_all_the_same(session: Session, tasks_dir: Path) -> None:
    write_file(tasks_dir / "settings.json", '{"exclud": []}')
    write_task(tasks_dir, "t-1", "nearly")
    settings, invalid = examined(session)
    assert (settings.kind, settings.severity, settings.path) == ("settings", "error", "settings.json")
    assert settings.text == "unknown key 'exclud' (did you mean 'exclude'?)"
    assert "mend the file, or move it away" in settings.mend
    assert invalid.path == "t-1.md"
    assert kinds(session, fix=True) == ["settings", "invalid"]
    assert not (tasks_dir / ".dibs").exists()


def test_invalid_files_are_named_with_place_cause_and_mend(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "nearly")
    found = the_one(session, "invalid")
    assert (found.path, found.line, found.task_ids, found.severity) == ("t-1.md", 3, ["t-1"], "error")
    assert found.text == "unknown status 'nearly'"
    assert found.mend.startswith("use one of inbox, active")


def test_every_copy_of_an_id_is_named(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", name="a.md")
    write_task(tasks_dir, "T-1", name="b.md")
    found = examined(session)
    assert [(f.path, f.text) for f in found] == [
        ("a.md", "the id t-1 is also in b.md"),
        ("b.md", "the id T-1 is also in a.md"),
    ]
    assert {f.mend for f in found} == {"give each its own"}


def test_a_symbolic_link_is_named(session: Session, tasks_dir: Path, tmp_path: Path) -> None:
    (tasks_dir / "t-1.md").symlink_to(write_task(tmp_path / "elsewhere", "t-1"))
    found = the_one(session, "invalid")
    assert (found.text, found.mend) == ("it is a symbolic link", "put the file itself into the tasks directory")


# what waits for what


@pytest.mark.parametrize(
    ("state", "text", "mend"),
    [
        ("missing", "t-1 depends on t-9, which does not exist", "write the right id, or take it out of `depends_on`"),
        ("nearly", "t-1 depends on t-9, whose file is invalid", "mend that file"),
        ("cancelled", "t-1 depends on t-9, which is cancelled", "take it out of `depends_on`, or `dibs reopen t-9`"),
        ("failed", "t-1 depends on t-9, which has failed", "take it out of `depends_on`, or `dibs reopen t-9`"),
    ],
)
def test_dependencies_that_are_never_met(session: Session, tasks_dir: Path, state: str, text: str, mend: str) -> None:
    write_task(tasks_dir, "t-1", depends_on=["t-9"])
    if state != "missing":
        write_task(tasks_dir, "t-9", state)
    found = the_one(session, "dependency")
    assert (found.severity, found.task_ids, found.text, found.mend) == ("warning", ["t-1"], text, mend)


@pytest.mark.parametrize("state", ["active", "in_progress", "blocked", "on_hold", "done", "review"])
def test_dependencies_that_may_yet_be_met_are_none(session: Session, tasks_dir: Path, state: str) -> None:
    write_task(tasks_dir, "t-1", depends_on=["t-9"])
    write_task(tasks_dir, "t-9", state)
    assert "dependency" not in kinds(session)


def test_tasks_that_wait_for_the_same_are_told_together(session: Session, tasks_dir: Path) -> None:
    for number in range(7):
        write_task(tasks_dir, f"t-{number}", depends_on=["gone"])
    write_task(tasks_dir, "t-7", "on_hold", depends_on=["gone"])
    write_task(tasks_dir, "t-8", "done", depends_on=["gone"])
    warning, note = examined(session)
    assert warning.text == "7 tasks depend on gone, which does not exist (t-0, t-1, t-2, t-3, t-4 and 2 more)"
    assert warning.task_ids == [f"t-{number}" for number in range(7)]
    assert (note.severity, note.task_ids) == ("note", ["t-7"])


def test_an_id_with_another_prefix_is_proposed(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "BACK-208", "done")
    write_task(tasks_dir, "BACK-1", depends_on=["task-208"])
    assert the_one(session, "dependency").mend.startswith("write the right id (BACK-208?)")


def circle_of(session: Session) -> str:
    return the_one(session, "circle").text.partition(":")[0]


def test_a_circle_is_told_once(session: Session, tasks_dir: Path) -> None:
    for one, other in (("t-1", "t-2"), ("t-2", "t-3"), ("t-3", "t-1"), ("t-0", "t-1")):
        write_task(tasks_dir, one, depends_on=[other])
    found = the_one(session, "circle")
    assert found.text == "t-1 → t-2 → t-3 → t-1: these depend on one another, so none of them is ever ready"
    assert (found.severity, found.task_ids) == ("warning", ["t-1", "t-2", "t-3"])
    assert found.mend == "take one of them out of `depends_on`"


def test_a_task_that_depends_on_itself(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", depends_on=["t-1"])
    assert circle_of(session) == "t-1 → t-1"


def test_a_circle_that_something_done_opens_is_none(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", depends_on=["t-2"])
    write_task(tasks_dir, "t-2", "done", depends_on=["t-1"])
    assert examined(session) == []


def test_parents_in_a_circle(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", parent="t-2")
    write_task(tasks_dir, "t-2", parent="t-1")
    found = the_one(session, "circle")
    assert found.text.startswith("t-1 → t-2 → t-1: these belong to one another")
    assert found.mend == "take out one `parent`"


def test_a_child_that_depends_on_its_parent(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2", parent="t-1", depends_on=["t-1"])
    found = the_one(session, "circle")
    assert found.text.startswith("t-1 → t-2 → t-1: these wait for one another")
    assert "a task waits for its open children" in found.mend


def test_circles_in_a_graph() -> None:
    assert circles({}) == []
    assert circles({"a": ["b"], "b": []}) == []
    assert circles({"a": ["b", "c"], "b": ["a"], "c": ["a"]}) == [("a", "b", "a"), ("a", "c", "a")]
    assert circles({"c": ["b", "b"], "b": ["c"], "a": ["c"]}) == [("b", "c", "b")]
    chain = {str(number): [str(number + 1)] for number in range(5000)}
    assert circles(chain) == []
    (long,) = circles({**chain, "5000": ["0"]})
    assert len(long) == 5002
    every = [str(number) for number in range(300)]
    assert len(circles(dict.fromkeys(every, every))) == 20


def test_a_parent_that_does_not_exist_stops_nothing(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", parent="gone")
    write_task(tasks_dir, "t-2", "done", parent="gone too")
    found = the_one(session, "parent")
    assert (found.severity, found.text) == ("note", "t-1 names gone as its parent, which does not exist")
    assert call(session, "examine_tasks_dir").status == "well"


def test_what_belongs_to_something_cancelled_is_never_ready(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "cancelled", type="epic")
    write_task(tasks_dir, "t-2", parent="t-1")
    write_task(tasks_dir, "t-3", parent="t-2")
    write_task(tasks_dir, "t-4", "done", parent="t-1")
    found = the_one(session, "parent")
    assert (found.severity, found.task_ids) == ("warning", ["t-2", "t-3"])
    assert found.text == "2 tasks belong to t-1, which is cancelled, so they are never ready (t-2, t-3)"


def test_a_poisoned_task_is_told_with_how_to_reopen_it(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "blocked", attempts=3)
    write_task(tasks_dir, "t-2", "blocked", attempts=2)
    found = the_one(session, "poison")
    assert (found.severity, found.task_ids) == ("warning", ["t-1"])
    assert "3 attempts at it were lost" in found.text
    assert "dibs reopen t-1" in found.mend


# files


@pytest.mark.parametrize("pattern", [".", "**", "./", "**/*"])
def test_a_task_that_reserves_everything(session: Session, tasks_dir: Path, pattern: str) -> None:
    write_task(tasks_dir, "t-1", files=[f'"{pattern}"'])
    write_task(tasks_dir, "t-2", "done", files=[f'"{pattern}"'])
    found = the_one(session, "files")
    assert (found.severity, found.task_ids) == ("note", ["t-1"])
    assert f"reserves every file ({pattern})" in found.text


@pytest.mark.parametrize("pattern", ["src/**", "*.py", "src", "README.md"])
def test_a_task_that_reserves_what_it_needs(session: Session, tasks_dir: Path, pattern: str) -> None:
    write_task(tasks_dir, "t-1", files=[f'"{pattern}"'])
    assert examined(session) == []


def test_files_that_work_by_hand_keeps_from_others(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "in_progress", files=["src"])
    write_task(tasks_dir, "t-2", files=["src/a.py"])
    write_task(tasks_dir, "t-3", files=["src/b.py"])
    write_task(tasks_dir, "t-4", files=["docs"])
    found = the_one(session, "files")
    assert found.text == "2 tasks wait for files of t-1, which is in progress by hand (t-2, t-3)"
    assert found.mend == "when nobody works on t-1: `dibs release t-1 --steal`"
    assert found.severity == "note"


# reserved for nobody who comes


def reserve(tasks_dir: Path, name: str, many: int = 1) -> None:
    for number in range(many):
        write_task(tasks_dir, f"{name.strip('@')}-{number}", assignee=f'"{name}"')


def test_tasks_for_a_caller_who_never_came_are_told_together(session: Session, tasks_dir: Path) -> None:
    reserve(tasks_dir, "@codex", 13)
    write_task(tasks_dir, "t-1")
    claim(session, "t-1")
    found = the_one(session, "reserved")
    assert found.text.startswith(
        "13 tasks are reserved for codex, who never claimed anything here, as gemini did (codex-0, "
    )
    assert (found.severity, len(found.task_ids)) == ("warning", 13)
    assert "change `assignee`" in found.mend
    assert "`aliases`" in found.mend


def test_where_nobody_ever_came_it_is_a_note(session: Session, tasks_dir: Path) -> None:
    reserve(tasks_dir, "codex")
    found = the_one(session, "reserved")
    assert found.severity == "note"
    assert found.text == "codex-0 is reserved for codex, and nobody has claimed anything here yet"


@pytest.mark.parametrize("memory", ["claims", "journal", "endings"])
def test_whoever_came_once_is_known(session: Session, tasks_dir: Path, memory: str) -> None:
    reserve(tasks_dir, "Gemini-CLI-MCP-client", 2)
    token = claim(session).claim_token
    if memory != "claims":
        call(session, "release_task", id="Gemini-CLI-MCP-client-0", claim_token=token)
    if memory != "journal":
        shutil.rmtree(tasks_dir / ".dibs" / "journal")
    if memory == "journal":
        shutil.rmtree(tasks_dir / ".dibs" / "ended")
    assert examined(session) == []


def test_people_and_names_that_mean_anyone_are_not_meant(session: Session, tasks_dir: Path) -> None:
    write_file(tasks_dir / "settings.json", '{"assignees": {"humans": ["ann"], "anyone": ["bot"]}}')
    for name in ("ann", "bot"):
        reserve(tasks_dir, name)
    write_task(tasks_dir, "t-0", assignee='"@Ann"')
    write_task(tasks_dir, "t-1", assignee=["ann", "codex"])
    write_task(tasks_dir, "t-2", "done", assignee="codex")
    write_task(tasks_dir, "t-3", type="epic", assignee="codex")
    assert examined(session) == []


# claims


def test_a_claim_whose_lease_passed_is_taken_back(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1", "To Do")
    claim(session, "t-1")
    session.close()
    clock.advance(121)
    found = the_one(other, "stale")
    assert (found.severity, found.task_ids, found.fixed) == ("warning", ["t-1"], False)
    assert found.text == "t-1 is held by gemini, whose lease passed at 2026-01-22T12:02:00Z"
    assert "`dibs doctor --fix` takes it back" in found.mend
    assert held_ids(other) == ["t-1"]

    result = call(other, "examine_tasks_dir", fix=True)
    fixed = next(f for f in result.findings if f.kind == "stale")
    assert (fixed.fixed, fixed.mend) == (True, "t-1 was taken back from gemini")
    assert (result.status, held_ids(other)) == ("well", [])
    assert result.message.startswith("All is well: 1 task, 0 claims, ")
    assert (header(path)["status"], header(path)["attempts"]) == ("To Do", "1")
    assert [e.how for e in endings(other, "t-1")] == ["reaped"]


def test_many_of_them_are_one_finding(session: Session, other: Session, tasks_dir: Path, clock: Clock) -> None:
    for number in range(3):
        write_task(tasks_dir, f"t-{number}")
        claim(session, f"t-{number}")
    session.close()
    clock.advance(121)
    assert the_one(other, "stale").text == "3 tasks are held by gemini, whose leases have passed (t-0, t-1, t-2)"
    assert the_one(other, "stale", fix=True).mend == "t-0, t-1, t-2 were taken back from gemini"


def test_a_claim_whose_server_lives_is_left_alone(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session, "t-1")
    clock.advance(121)
    before = path.read_bytes()
    found = the_one(other, "stale", fix=True)
    assert not found.fixed
    assert "its server still lives" in found.mend
    assert "dibs release t-1 --steal" in found.mend
    assert (path.read_bytes(), held_ids(other)) == (before, ["t-1"])


def test_the_third_lost_attempt_is_told_as_poison(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    write_task(tasks_dir, "t-1", attempts=2)
    claim(session, "t-1")
    session.close()
    clock.advance(121)
    found = [(f.kind, f.fixed) for f in examined(other, fix=True) if f.kind != "leftover"]
    assert found == [("stale", True), ("poison", False)]


def test_a_lost_record_is_made_anew(session: Session, other: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session, "t-1")
    before = path.read_bytes()
    shutil.rmtree(tasks_dir / ".dibs")
    found = the_one(other, "lost")
    assert (found.severity, found.text) == ("warning", "t-1 is in progress by a claim whose record is lost")
    assert not (tasks_dir / ".dibs").exists()
    assert the_one(other, "lost", fix=True).fixed
    assert (held_ids(other), path.read_bytes()) == (["t-1"], before)


def test_a_claim_of_another_machine_is_only_reported(make_session: MakeSession, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(make_session(host="h2"), "t-1")
    shutil.rmtree(tasks_dir / ".dibs")
    before = path.read_bytes()
    found = the_one(make_session(host="h1"), "elsewhere", fix=True)
    assert (found.severity, found.fixed) == ("warning", False)
    assert found.mend == "if nobody works on it there, `dibs release t-1 --steal`"
    assert path.read_bytes() == before


@pytest.mark.parametrize("over", [False, True])
def test_a_copy_of_a_claimed_task_is_told(session: Session, other: Session, tasks_dir: Path, over: bool) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session, "t-1").claim_token
    copy = write_file(tasks_dir / "t-1 (copy).md", path.read_bytes().replace(b"id: t-1", b"id: t-1-copy"))
    if over:
        call(session, "complete_task", id="t-1", claim_token=token)
    before = copy.read_bytes()
    found = the_one(other, "copy", fix=True)
    assert (found.severity, found.task_ids, found.fixed) == ("warning", ["t-1-copy"], False)
    assert ("the claim of t-1, which is over" if over else "the claim of t-1, which gemini holds") in found.text
    assert "delete t-1 (copy).md" in found.mend
    assert copy.read_bytes() == before


def test_a_task_renamed_while_it_is_held_is_in_order(session: Session, other: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session, "t-1")
    edit(path, "id: t-1", "id: t-9")
    assert examined(other, fix=True) == []


def test_a_claim_on_what_a_person_ended_is_ended(session: Session, other: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session, "t-1")
    edit(path, "status: in_progress", "status: done")
    found = the_one(other, "ended")
    assert (found.severity, found.text) == ("warning", "t-1 is done, but the claim of gemini on it still stands")
    assert held_ids(other) == ["t-1"]
    fixed = the_one(other, "ended", fix=True)
    assert (fixed.fixed, fixed.mend) == (True, "the claim on t-1 was ended, its `claim` line taken out of the file")
    assert held_ids(other) == []
    assert "claim" not in header(path)


def test_a_claim_that_ended_but_whose_file_stayed_is_ended(session: Session, other: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    token = claim(session, "t-1").claim_token
    record = tasks_dir / ".dibs" / "claims" / f"{slug('t-1')}.lock"
    content = record.read_bytes()
    call(session, "release_task", id="t-1", claim_token=token)
    record.write_bytes(content)
    assert the_one(other, "ended").text == "t-1 is active, but the claim of gemini on it still stands"
    assert the_one(other, "ended", fix=True).fixed
    assert not record.exists()


def test_a_claim_that_its_task_file_does_not_show_is_a_note(session: Session, other: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    claim(session, "t-1")
    write_file(path, before)
    found = the_one(other, "unwritten", fix=True)
    assert (found.severity, found.fixed) == ("note", False)
    assert "t-1 is held by gemini until 2026-01-22T12:02:00Z at least, though its file says active" in found.text
    assert "dibs release t-1 --steal" in found.mend
    assert (held_ids(other), path.read_bytes()) == (["t-1"], before)


def test_a_claim_on_a_task_that_is_gone(session: Session, other: Session, tasks_dir: Path, clock: Clock) -> None:
    claim_of_new(session, tasks_dir, "t-1").unlink()
    found = the_one(other, "gone", fix=True)
    assert (found.severity, found.fixed) == ("warning", False)
    assert found.text == "gemini holds t-1 until 2026-01-22T12:02:00Z, but there is no such task any more"
    assert found.mend.startswith("put its file (t-1.md) back")
    clock.advance(121)
    fixed = the_one(other, "gone", fix=True)
    assert (fixed.fixed, fixed.mend, held_ids(other)) == (True, "the claim on t-1 was ended", [])


def test_a_claimed_file_that_cannot_be_read_any_more_is_not_told_to_be_gone(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    """Also where its name is not its id, which is in the header that nobody can read."""
    path = write_task(tasks_dir, "t-1", name="001-some-words.md")
    claim(session, "t-1")
    edit(path, "id: t-1", "id: [t-1")
    assert kinds(other) == ["invalid"]


def test_a_damaged_claim_file_is_set_aside(session: Session, other: Session, tasks_dir: Path) -> None:
    claim_of_new(session, tasks_dir, "t-1")
    path = tasks_dir / ".dibs" / "claims" / "torn.lock"
    path.write_bytes(b"{")
    found = the_one(other, "damaged")
    assert (found.severity, found.path) == ("warning", ".dibs/claims/torn.lock")
    after = examined(other, fix=True)
    assert [(f.kind, f.fixed) for f in after] == [("damaged", True), ("leftover", False)]
    assert not path.exists()
    assert held_ids(other) == ["t-1"]


def test_a_batch_that_cannot_be_read_is_named_and_stays(session: Session, other: Session, tasks_dir: Path) -> None:
    claim_of_new(session, tasks_dir, "t-1")
    path = tasks_dir / ".dibs" / "batches" / "b-1.json"
    path.write_bytes(b"{")
    found = the_one(other, "damaged")
    assert (found.severity, found.path) == ("warning", ".dibs/batches/b-1.json")
    examined(other, fix=True)
    assert path.read_bytes() == b"{"


def test_a_claim_of_a_newer_dibs_is_left_alone(session: Session, other: Session, tasks_dir: Path) -> None:
    claim_of_new(session, tasks_dir, "t-1")
    path = tasks_dir / ".dibs" / "claims" / f"{slug('t-1')}.lock"
    path.write_text(json.dumps({"version": 2, "id": "t-1"}), encoding="utf-8")
    before = content_of(tasks_dir)
    found = the_one(other, "newer", fix=True)
    assert (found.severity, found.task_ids) == ("warning", ["t-1"])
    assert found.text == "t-1 is held by a claim of a newer Dibs (version 2)"
    assert found.mend.startswith("update Dibs here")
    assert content_of(tasks_dir) == before


def test_work_by_hand_is_a_note(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "in_progress", assignee="ann")
    found = the_one(session, "by_hand")
    assert (found.severity, found.text) == ("note", "t-1 is in progress by hand by ann, and never taken back")
    assert "`dibs release t-1 --steal`" in found.mend
    write_task(tasks_dir, "t-2", "in_progress")
    assert the_one(session, "by_hand").text == "2 tasks are in progress by hand, and never taken back (t-1, t-2)"
    assert "`dibs release ID --steal`" in the_one(session, "by_hand").mend


def test_a_claim_file_that_cannot_be_read_leaves_the_claims_unexamined(
    session: Session, other: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim_of_new(session, tasks_dir, "t-1")
    write_task(tasks_dir, "t-2", depends_on=["gone"])
    real = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.suffix == ".lock":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    found = examined(other)
    assert [f.kind for f in found] == ["permissions", "dependency"]
    assert "cannot be read: not everything was examined" in found[0].text


# leftovers


def old(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x", encoding="utf-8")
    then = time.time() - 7200
    os.utime(path, (then, then))
    return path


def test_temporary_files_of_crashes_are_removed_from_our_folder_only(session: Session, tasks_dir: Path) -> None:
    ours, fresh = old(tasks_dir / ".dibs" / "tmp" / ".1-aaaaaaaaaaaa"), tasks_dir / ".dibs" / "tmp" / ".2-bbbbbbbbbbbb"
    fresh.write_text("x", encoding="utf-8")
    beside, theirs = old(tasks_dir / ".77-0123456789ab"), old(tasks_dir / ".hidden")
    found = examined(session)
    assert [(f.severity, f.path) for f in found] == [("note", beside.name), ("note", ".dibs/tmp/.1-aaaaaaaaaaaa")]
    assert found[0].mend == "delete it"
    assert [(f.path, f.fixed) for f in examined(session, fix=True)] == [
        (beside.name, False), (".dibs/tmp/.1-aaaaaaaaaaaa", True),
    ]  # fmt: skip
    assert [path.exists() for path in (ours, fresh, beside, theirs)] == [False, True, True, True]


def test_locks_of_dead_servers_are_removed(session: Session, other: Session, tasks_dir: Path) -> None:
    claim_of_new(session, tasks_dir, "t-1")
    dead = tasks_dir / ".dibs" / "alive" / "0123.lock"
    dead.touch()
    assert examined(other) == []
    found = the_one(other, "leftover", fix=True)
    assert (found.severity, found.fixed, found.text) == ("note", True, "locks of servers that are gone")
    assert not dead.exists()
    assert len(list(dead.parent.iterdir())) == 1, "the living server's"


def test_reports_that_were_kept_are_told_newest_first(session: Session, tasks_dir: Path) -> None:
    for number in range(7):
        path = old(tasks_dir / ".dibs" / "orphans" / f"t-{number}.md")
        os.utime(path, (1000 + number, 1000 + number))
    found = the_one(session, "report", fix=True)
    assert found.severity == "note"
    assert found.text.startswith(
        "7 reports did not get into their task files; newest first (.dibs/orphans/t-6.md, .dibs/orphans/t-5.md, "
    )
    assert found.mend == "read it, put what matters into the task, then delete it"
    assert len(list((tasks_dir / ".dibs" / "orphans").iterdir())) == 7


# directories


def test_two_tasks_directories_of_one_project(tmp_path: Path) -> None:
    for name in ("tasks", "backlog/tasks"):
        write_task(tmp_path / name, "t-1")
    for name, other in (("tasks", "backlog/tasks"), ("backlog/tasks", "tasks")):
        found = the_one(Session(TaskStore(tmp_path / name), person=True), "directory")
        assert found.severity == "warning"
        assert f"{tmp_path / other} is a tasks directory too; who names none gets the one in tasks" in found.text
        assert "--tasks-dir or DIBS_TASKS_DIR" in found.mend


@pytest.mark.parametrize("examine", ["inner", "outer"])
def test_a_tasks_directory_in_another_one(tmp_path: Path, examine: str) -> None:
    directories = {"outer": tmp_path, "inner": tmp_path / "tasks"}
    write_task(directories["inner"], "t-1")
    write_task(directories["inner"], "t-2")
    claim(Session(TaskStore(directories["outer" if examine == "inner" else "inner"])), "t-1")
    before = content_of(tmp_path)
    session = Session(TaskStore(directories[examine]), person=True)
    found = the_one(session, "directory", fix=True)
    assert (found.severity, found.fixed) == ("error", False)
    assert "are both used as tasks directories" in found.text
    assert "remove .dibs from the other" in found.mend
    assert ("nothing else was examined" in found.text) == (examine == "outer")
    assert content_of(tmp_path) == before


def test_a_ledger_in_a_linked_worktree(tmp_path: Path) -> None:
    main = tmp_path / "main"
    write_task(main / "tasks", "t-1")
    for words in ("init", "add .", "commit -m x", "worktree add ../linked"):
        names = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *names, *words.split()], cwd=main, check=True, capture_output=True)
    session = Session(TaskStore(main / "tasks"), person=True)
    assert examined(session) == []
    copy = tmp_path / "linked" / "tasks" / ".dibs"
    copy.mkdir()
    found = the_one(session, "directory")
    assert (found.severity, found.text.startswith(f"{copy} holds claims of its own")) == ("warning", True)
    assert found.mend == f"when no agent works in {tmp_path / 'linked'}, delete {copy}"


def test_a_ledger_that_is_a_link_or_a_file(session: Session, tasks_dir: Path, tmp_path: Path) -> None:
    write_task(tasks_dir, "t-1")
    (tmp_path / "elsewhere").mkdir()
    (tasks_dir / ".dibs").symlink_to(tmp_path / "elsewhere")
    found = the_one(session, "directory", fix=True)
    assert (found.severity, found.path, found.mend) == ("error", ".dibs", "remove the link")
    (tasks_dir / ".dibs").unlink()
    (tasks_dir / ".dibs").write_text("x", encoding="utf-8")
    assert the_one(session, "directory").text == "it is not a folder"
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.usefixtures("far_away")
def test_a_file_system_that_is_not_trusted(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "in_progress", claim="h1")
    found = the_one(session, "file_system")
    assert (found.severity, "nfs4" in found.text) == ("error", True)
    assert "trust_file_system" in found.mend
    write_file(tasks_dir / "settings.json", '{"trust_file_system": true}')
    assert the_one(session, "file_system").severity == "note"


@pytest.mark.usefixtures("far_away")
def test_where_nothing_may_be_changed_mending_says_so(make_session: MakeSession, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    write_file(tasks_dir / "settings.json", '{"trust_file_system": true}')
    claim(make_session(), "t-1")
    shutil.rmtree(tasks_dir / ".dibs")
    (tasks_dir / "settings.json").unlink()
    before = path.read_bytes()
    found = {f.kind: f for f in examined(make_session(), fix=True)}
    assert set(found) == {"file_system", "not_mended", "lost"}
    assert not found["lost"].fixed
    assert found["not_mended"].severity == "error"
    assert "nothing was mended" in found["not_mended"].text
    assert path.read_bytes() == before


def test_a_busy_mutex_leaves_the_findings_and_says_why(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    claim_of_new(session, tasks_dir, "t-1")
    session.close()
    clock.advance(121)
    write_file(tasks_dir / "settings.json", '{"claims": {"mutex_wait_seconds": 0.05}}')
    with hold_mutex(tasks_dir / ".dibs", 10):
        found = {f.kind: f for f in examined(other, fix=True)}
    assert set(found) == {"stale", "not_mended"}
    assert "held the tasks directory's mutex" in found["not_mended"].text
    assert (found["stale"].fixed, held_ids(other)) == (False, ["t-1"])
    assert "`dibs doctor --fix` takes it back" in found["stale"].mend


# permissions


def test_folders_this_user_may_not_write_in(session: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_task(tasks_dir / "locked", "t-1")
    write_task(tasks_dir, "t-2")
    claim(session, "t-2")
    closed = {"locked"}
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name not in closed and real(path, mode))
    found = the_one(session, "permissions")
    assert (found.severity, found.path) == ("warning", "locked")
    assert found.text == "this user may not write in it: none of the tasks in it (1) can be claimed"
    closed.add(".dibs")
    worse = next(f for f in examined(session) if f.path == ".dibs")
    assert (worse.severity, worse.text) == (
        "error", "this user may not read and write .dibs: nothing can be claimed",
    )  # fmt: skip


def test_a_directory_this_user_may_not_read(session: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (found,) = examined(session, fix=True)
    assert (found.kind, found.severity) == ("permissions", "error")
    assert found.text == f"this user may not read {tasks_dir}: nothing was examined"


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="nothing is closed to root")
def test_a_directory_that_is_closed_for_real(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    tasks_dir.chmod(0o500)
    try:
        found = the_one(session, "permissions", fix=True)
    finally:
        tasks_dir.chmod(0o700)
    assert found.severity == "error"
    assert f"may not write in {tasks_dir}: nothing can be claimed" in found.text


# clock


def test_a_lease_from_the_future_begins_now(session: Session, other: Session, tasks_dir: Path, clock: Clock) -> None:
    claim_of_new(session, tasks_dir, "t-1")
    clock.advance(-7200)
    found = {f.severity: f for f in examined(other) if f.kind == "clock"}
    assert found["warning"].text == (
        "the lease of gemini on t-1 begins in the future, at 2026-01-22T12:00:00Z: the clock was set back"
    )
    assert found["note"].text == "dated in the future: entries of the journal up to 2026-01-22T12:00:00Z"
    after = [f for f in examined(other, fix=True) if f.kind == "clock"]
    assert [(f.severity, f.fixed) for f in after] == [("warning", True), ("note", False)]
    assert after[0].mend == "the lease on t-1 begins now"
    assert held_ids(other) == ["t-1"]


def test_files_from_the_future_are_a_note(session: Session, tasks_dir: Path) -> None:
    for number in range(2):
        path = write_task(tasks_dir, f"t-{number}")
        os.utime(path, (time.time() + 3600, time.time() + 3600))
    write_task(tasks_dir, "t-9")
    found = the_one(session, "clock")
    assert found.severity == "note"
    assert found.text == "dated in the future: 2 task files (t-0.md, t-1.md)"
    assert "see that the clock is right" in found.mend


# everything at once


def everything_wrong(tasks_dir: Path, session: Session, clock: Clock) -> dict[str, Path]:
    """A directory with much the matter: what --fix may mend by name, everything else beside."""
    names = ("stale-1", "gone-1", "lost-1", "byhand-1")
    paths = {task_id: claim_of_new(session, tasks_dir, task_id) for task_id in names}
    paths.pop("gone-1").unlink()
    (tasks_dir / ".dibs" / "claims" / f"{slug('lost-1')}.lock").unlink()
    edit(paths["byhand-1"], "status: in_progress", "status: cancelled")
    (tasks_dir / ".dibs" / "claims" / "torn.lock").write_bytes(b"")
    session.close()
    clock.advance(121)
    old(tasks_dir / ".dibs" / "tmp" / ".1-aaaaaaaaaaaa")
    old(tasks_dir / ".dibs" / "orphans" / "t-1-x.md")
    write_task(tasks_dir, "person-1", "in_progress", assignee="ann")
    write_task(tasks_dir, "far-1", "in_progress", claim="hzzz-abcdefghjkm")
    write_task(tasks_dir, "bad-1", "nearly")
    write_task(tasks_dir, "poison-1", "blocked", attempts=3)
    write_task(tasks_dir, "wait-1", depends_on=["nothing"], parent="nobody", files=['"**"'])
    write_task(tasks_dir, "ring-1", depends_on=["ring-2"])
    write_task(tasks_dir, "ring-2", depends_on=["ring-1"])
    reserve(tasks_dir, "codex", 2)
    return paths


def test_mending_mends_the_safe_ones_and_only_those(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    ours = everything_wrong(tasks_dir, session, clock)
    theirs = {path: path.read_bytes() for path in tasks_dir.glob("*.md") if path not in ours.values()}
    kept = {path: path.read_bytes() for path in (tasks_dir / ".dibs" / "orphans").iterdir()}
    untouched = content_of(tasks_dir)
    before = examined(other)
    assert content_of(tasks_dir) == untouched, "looking changes nothing"
    assert {f.kind for f in before} == {
        "invalid", "stale", "ended", "lost", "elsewhere", "gone", "damaged", "dependency", "circle", "parent",
        "reserved", "poison", "by_hand", "files", "report", "leftover",
    }  # fmt: skip
    assert all(f.mend and not f.fixed for f in before)

    after = examined(other, fix=True)
    assert {f.kind for f in after if f.fixed} == {"stale", "ended", "lost", "gone", "damaged", "leftover"}
    assert {f.kind for f in after if not f.fixed} == {f.kind for f in before} - {
        "stale", "ended", "lost", "gone", "damaged",
    }  # fmt: skip
    assert {path: path.read_bytes() for path in theirs} == theirs
    assert {path: path.read_bytes() for path in kept} == kept
    assert held_ids(other) == ["lost-1"]
    assert header(ours["stale-1"])["status"] == "active"
    assert header(ours["byhand-1"])["status"] == "cancelled"
    assert len(events(other, "reaped")) == 1

    again = examined(other, fix=True)
    assert not any(f.fixed for f in again), "mended once is mended"


def test_findings_are_plain_values(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "nearly")
    answer: dict[str, Any] = call(session, "examine_tasks_dir").model_dump(mode="json")
    assert answer["findings"] == [
        {
            "kind": "invalid", "severity": "error", "path": "t-1.md", "line": 3, "task_ids": ["t-1"],
            "text": "unknown status 'nearly'", "mend": answer["findings"][0]["mend"], "fixed": False,
        }
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["claims", "ended", "mutex"])
@pytest.mark.parametrize("what", ["link", "other kind"])
def test_something_else_in_the_place_of_the_ledgers_own_is_an_error(
    session: Session, tasks_dir: Path, tmp_path: Path, name: str, what: str
) -> None:
    write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    call(session, "release_task", id="t-1", claim_token=token)
    path = tasks_dir / ".dibs" / name
    is_folder = path.is_dir()
    path.rename(tmp_path / name)
    if what == "link":
        path.symlink_to(tmp_path / name)
    elif is_folder:
        path.write_text("x", encoding="utf-8")
    else:
        path.mkdir()
    found = the_one(session, "directory")
    assert (found.severity, found.path) == ("error", f".dibs/{name}")
    assert call(session, "examine_tasks_dir", fix=True).status == "to_mend"
