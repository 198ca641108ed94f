"""Git at work while tasks are claimed: it takes files back in time, away, and elsewhere.

The promise each time: one owner, nobody else gets the task while it is held, the holder can finish with the token or is
told plainly, a report is in the file or in ``.dibs/orphans``, and what nobody holds any more can be claimed again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dibs.renewing import renew_claims
from dibs.session import Session
from dibs.store.errors import DibsError
from dibs.store.task_store import TaskStore
from support import Clock, age, call, claim, header, held_ids, orphans, write_file
from wire import served

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]

HEAD = "# whose is this?\nid: 't-1'\ntitle: \"One\"   # kept\nstatus: To Do\nlabels: [ a,b ]\n"
BODY = "first line\n\n- [x] ticked\nlast line\n"
ONE = f"---\n{HEAD}---\n{BODY}"
REPORT = "the one report"
DAY = 86_400
FEW = ("--quiet",)

MakeSession = Callable[..., Session]


class Repository:
    """A git repository with a directory of tasks in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def git(self, *words: str, fails: bool = False) -> str:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_EDITOR": "true",
        }
        who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "-c", "advice.detachedHead=false"]
        ran = subprocess.run(
            ["git", *who, *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ran.returncode != 0) == fails, ran.stdout + ran.stderr
        return ran.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tasks_dir: Path) -> Repository:
    made = Repository(tasks_dir.parent)
    made.git("init", "--quiet", "--initial-branch", "main")
    write_file(tasks_dir / "t-1.md", ONE)
    made.commit("one task")
    return made


def nobody_gets(session: Session) -> None:
    assert call(session, "claim_next_task").status == "empty"
    with pytest.raises(DibsError, match="cannot be claimed"):
        call(session, "claim_next_task", id="t-1")


def finish(session: Session, token: str) -> None:
    call(session, "complete_task", id="t-1", claim_token=token, summary=REPORT)


def check_done(session: Session, path: Path) -> None:
    """Done, with the one report, and every byte of the user's as it was."""
    text = path.read_text(encoding="utf-8")
    assert header(path)["status"] == "done"
    assert "claim" not in header(path)
    assert text.count(REPORT) == 1
    assert held_ids(session) == []
    before, _, after = text.partition("status: done\n")
    assert before == "---\n" + HEAD.partition("status")[0]
    assert after.startswith("labels: [ a,b ]\n")
    assert f"\n---\n{BODY}\n## Completion\n" in text


# the file goes back in time while the task is held

BACKWARDS: dict[str, list[tuple[str, ...]]] = {
    "checkout of the file": [("checkout", "--", "tasks/t-1.md")],
    "reset": [("reset", "--quiet", "--hard")],
    "stash": [("stash", *FEW)],
    "stash with untracked files": [("stash", *FEW, "--include-untracked")],
    "stash and back": [("stash", *FEW), ("stash", "pop", *FEW)],
    "clean": [("clean", *FEW, "-fdx")],
}
BOTH_RECORDS: dict[str, list[tuple[str, ...]]] = {
    "stash with all": [("stash", *FEW, "--all")],
    "reset and clean": [("reset", "--quiet", "--hard"), ("clean", *FEW, "-fdx")],
}


each_renewal = pytest.mark.parametrize("renewed", [True, False], ids=["renewed since", "at once"])


@pytest.mark.parametrize("commands", BACKWARDS.values(), ids=list(BACKWARDS))
@each_renewal
def test_a_held_task_stays_its_holders_through(
    repository: Repository,
    session: Session,
    other: Session,
    tasks_dir: Path,
    commands: list[tuple[str, ...]],
    renewed: bool,
) -> None:
    token = claim(session).claim_token
    for command in commands:
        repository.git(*command)
        if renewed:
            renew_claims(session)
        nobody_gets(other)
        assert [held.token for held in other.store.ledger.claims()] == [token]
    finish(session, token)
    check_done(other, tasks_dir / "t-1.md")


@pytest.mark.parametrize("commands", BOTH_RECORDS.values(), ids=list(BOTH_RECORDS))
@each_renewal
def test_when_both_records_of_a_claim_are_gone_its_holder_is_told_and_the_report_is_kept(
    repository: Repository,
    session: Session,
    other: Session,
    tasks_dir: Path,
    commands: list[tuple[str, ...]],
    renewed: bool,
) -> None:
    token = claim(session).claim_token
    for command in commands:
        repository.git(*command)
    if renewed:
        renew_claims(session)
    mine = claim(other).claim_token
    with pytest.raises(DibsError, match=r"now held by claude.*Your report was kept in") as told:
        finish(session, token)
    assert told.value.code == "claim_lost"
    assert REPORT in orphans(tasks_dir)[0]
    finish(other, mine)
    check_done(other, tasks_dir / "t-1.md")


def test_what_a_stash_brings_back_after_its_owner_is_gone_can_be_claimed_a_lease_later(
    repository: Repository, session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = tasks_dir / "t-1.md"
    claim(session)
    repository.git("stash", *FEW)
    session.close()
    clock.advance(DAY)
    call(other, "release_task", id="t-1", claim_token=claim(other).claim_token)
    assert path.read_text(encoding="utf-8") == ONE
    repository.git("stash", "pop", *FEW)
    nobody_gets(other)
    clock.advance(DAY)
    token = claim(other).claim_token
    finish(other, token)
    text = path.read_text(encoding="utf-8")
    assert (header(path)["status"], text.count(REPORT), text.count("## Attempt")) == ("done", 1, 1)


def test_a_server_that_holds_and_one_that_waits_survive_a_clean(repository: Repository, tasks_dir: Path) -> None:
    path = tasks_dir / "t-1.md"
    write_file(tasks_dir / "t-2.md", "---\nid: t-2\nstatus: active\ndepends_on: [t-1]\n---\n")
    repository.commit("a second task")
    with (
        served(repository.folder, "--tasks-dir", tasks_dir) as holder,
        served(tasks_dir, "--tasks-dir", tasks_dir) as waiter,
    ):
        token = holder.call("claim_next_task")["claim_token"]
        waiting = waiter.start_call("claim_next_task", wait_seconds=50)
        for _ in range(5):
            repository.git("clean", *FEW, "-fdx", "--exclude", "stderr.txt")
            assert waiter.call("claim_next_task", id="t-1")["code"] == "not_ready"
        repository.git("clean", *FEW, "-fdx", "--exclude", "stderr.txt")
        done = holder.call("complete_task", id="t-1", claim_token=token, summary=REPORT)
        assert (done["task"]["status"], done["newly_ready"]) == ("done", ["t-2"])
        assert waiter.reply(waiting)["result"]["structuredContent"]["task"]["id"] == "t-2"
    assert path.read_text(encoding="utf-8").count(REPORT) == 1


# branches


def test_a_branch_without_the_task_keeps_the_report_and_the_way_back_keeps_the_claim(
    repository: Repository, session: Session, other: Session, tasks_dir: Path
) -> None:
    path = tasks_dir / "t-1.md"
    repository.git("switch", *FEW, "--orphan", "bare")
    repository.git("commit", *FEW, "--allow-empty", "--message", "nothing")
    repository.git("switch", *FEW, "main")
    token = claim(session).claim_token
    repository.commit("claimed")
    tasks_dir.joinpath("note.md").write_text("only so that the folder stays\n", encoding="utf-8")
    repository.git("switch", *FEW, "bare")
    assert not path.exists()
    assert call(other, "claim_next_task").status == "empty"
    renew_claims(session)
    with pytest.raises(DibsError, match="Your report was kept in") as told:
        finish(session, token)
    assert told.value.code == "not_found"
    assert REPORT in orphans(tasks_dir)[0]
    repository.git("switch", *FEW, "main")
    nobody_gets(other)
    finish(session, token)
    check_done(other, path)


def test_an_older_branch_hands_a_held_task_to_nobody(
    repository: Repository, session: Session, other: Session, tasks_dir: Path
) -> None:
    path = tasks_dir / "t-1.md"
    repository.git("branch", "older")
    token = claim(session).claim_token
    repository.commit("claimed")
    repository.git("switch", *FEW, "older")
    assert path.read_text(encoding="utf-8") == ONE
    nobody_gets(other)
    finish(session, token)
    check_done(other, path)


def test_a_rebase_under_a_held_task_changes_nothing_for_its_holder(
    repository: Repository, session: Session, other: Session, tasks_dir: Path
) -> None:
    path = tasks_dir / "t-1.md"
    repository.git("switch", *FEW, "--create", "work")
    token = claim(session).claim_token
    repository.commit("claimed")
    repository.git("switch", *FEW, "main")
    write_file(tasks_dir / "note.md", "news\n")
    repository.commit("news")
    repository.git("switch", *FEW, "work")
    repository.git("rebase", *FEW, "main")
    assert header(path)["claim"] == token
    nobody_gets(other)
    finish(session, token)
    check_done(other, path)


# merges


def merge_with(repository: Repository, path: Path, ours: Callable[[str], str], theirs: Callable[[str], str]) -> None:
    """Change the file on both sides and merge: the file is left with conflict markers in it."""
    repository.git("switch", *FEW, "--create", "theirs")
    write_file(path, theirs(ONE))
    repository.commit("theirs")
    repository.git("switch", *FEW, "main")
    write_file(path, ours(path.read_text(encoding="utf-8")))
    repository.commit("ours")
    repository.git("merge", *FEW, "theirs", fails=True)
    assert "<<<<<<<" in path.read_text(encoding="utf-8")


def test_conflict_markers_in_the_header_keep_claim_and_report_until_they_are_gone(
    repository: Repository, session: Session, other: Session, tasks_dir: Path
) -> None:
    path = tasks_dir / "t-1.md"
    repository.git("branch", "start")
    token = claim(session).claim_token
    claimed = age(path).read_text(encoding="utf-8")
    repository.git("stash", *FEW)
    merge_with(repository, path, lambda text: claimed, lambda text: text.replace("To Do", "on_hold"))
    before = path.read_bytes()
    assert call(other, "claim_next_task").status == "empty"
    with pytest.raises(DibsError, match="Your report was kept in") as told:
        finish(session, token)
    assert told.value.code == "invalid_task"
    renew_claims(session)
    assert (path.read_bytes(), held_ids(other)) == (before, ["t-1"])
    assert [held.id for held in session.held()] == ["t-1"], "and it is still renewed"
    assert REPORT in orphans(tasks_dir)[0]
    repository.git("checkout", "--ours", "--", "tasks/t-1.md")
    repository.commit("merged")
    nobody_gets(other)
    finish(session, token)
    check_done(other, path)


def test_conflict_markers_in_the_body_stay_and_the_holder_can_finish(
    repository: Repository, session: Session, other: Session, tasks_dir: Path
) -> None:
    path = tasks_dir / "t-1.md"
    merge_with(
        repository,
        path,
        lambda text: text.replace("last line", "our line"),
        lambda text: text.replace("last line", "their line"),
    )
    markers = path.read_text(encoding="utf-8").partition("\n---\n")[2]
    token = claim(session).claim_token
    nobody_gets(other)
    finish(session, token)
    assert f"\n---\n{markers}\n## Completion\n" in path.read_text(encoding="utf-8")
    assert header(path)["status"] == "done"
    assert held_ids(other) == []


# back in time after the end


def test_a_completed_task_that_git_takes_back_is_handed_out_with_a_word_about_it(
    repository: Repository, session: Session, other: Session, tasks_dir: Path
) -> None:
    path = tasks_dir / "t-1.md"
    finish(session, claim(session).claim_token)
    repository.git("checkout", "--", "tasks/t-1.md")
    result = claim(other)
    assert any("was completed by gemini" in warning for warning in result.warnings)
    finish(other, result.claim_token)
    check_done(other, path)


def test_a_completed_task_that_git_takes_back_into_its_claim_comes_free_a_lease_later(
    repository: Repository, session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = tasks_dir / "t-1.md"
    token = claim(session).claim_token
    claimed = repository.commit("claimed")
    finish(session, token)
    repository.commit("done")
    repository.git("checkout", *FEW, claimed)
    nobody_gets(other)
    clock.advance(DAY)
    result = claim(other)
    assert any("was completed by gemini" in warning for warning in result.warnings)
    finish(other, result.claim_token)
    assert header(path)["status"] == "done"
    repository.git("reset", *FEW, "--hard")
    repository.git("switch", *FEW, "main")
    check_done(other, path)


# elsewhere


def test_a_clone_on_another_machine_hands_out_no_task_that_was_claimed_here(
    repository: Repository, session: Session, tasks_dir: Path, tmp_path_factory: pytest.TempPathFactory, clock: Clock
) -> None:
    token = claim(session).claim_token
    repository.commit("claimed")
    clone = Repository(tmp_path_factory.mktemp("clone"))
    clone.git("clone", *FEW, str(repository.folder), ".")
    there = clone.folder / "tasks"
    path = age(there / "t-1.md")
    before = path.read_bytes()
    assert not (there / ".dibs").exists()
    elsewhere = Session(TaskStore(there, now=clock, host="another"), client="claude-code", server=True)
    for _ in range(3):
        nobody_gets(elsewhere)
        clock.advance(DAY)
    with pytest.raises(DibsError) as told:
        call(elsewhere, "complete_task", id="t-1", summary=REPORT)
    assert told.value.code == "not_claimed"
    assert path.read_bytes() == before
    finish(session, token)
    repository.commit("done")
    clone.git("pull", *FEW)
    check_done(elsewhere, path)
    assert call(elsewhere, "claim_next_task").status == "empty"
    elsewhere.close()


@pytest.mark.parametrize("text", [ONE, ONE.replace("id: 't-1'\n", "")], ids=["with an id", "named by its file"])
@pytest.mark.parametrize("lost", [False, True], ids=["ledger kept", "ledger cleaned"])
def test_a_held_task_that_git_moves_stays_its_holders(
    repository: Repository, session: Session, other: Session, tasks_dir: Path, text: str, lost: bool
) -> None:
    path = write_file(tasks_dir / "t-1.md", text)
    repository.git("commit", *FEW, "--all", "--message", "text", "--allow-empty")
    token = claim(session).claim_token
    (tasks_dir / "sub").mkdir()
    repository.git("mv", "tasks/t-1.md", "tasks/sub/moved.md")
    moved: Any = tasks_dir / "sub" / "moved.md"
    if lost:
        repository.git("clean", *FEW, "-fdx")
    assert call(other, "claim_next_task").status == "empty"
    renew_claims(session)
    finish(session, token)
    assert (header(moved)["status"], path.exists()) == ("done", False)
    assert moved.read_text(encoding="utf-8").count(REPORT) == 1
    assert call(other, "claim_next_task").status == "empty"
    assert held_ids(other) == []
    repository.git("commit", *FEW, "--all", "--message", "done")
