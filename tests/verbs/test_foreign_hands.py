"""Task files under other hands while they are claimed: moved, copied, broken, deleted; and a ledger that goes away."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dibs.renewing import renew_claims
from dibs.session import Session
from dibs.store.errors import ClaimLost, MalformedTask, TaskNotFound
from support import (
    Clock,
    age,
    call,
    claim,
    edit,
    endings,
    events,
    header,
    held_ids,
    orphans,
    the_claim,
    write_file,
    write_task,
)

AtStep = Callable[[str, Callable[[], None]], None]


def look(session: Session) -> None:
    assert call(session, "claim_next_task", caller="nobody", project="none").status == "empty"


# moved


def test_a_claimed_task_is_found_wherever_its_file_was_moved(session: Session, tasks_dir: Path, clock: Clock) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    (tasks_dir / "sub").mkdir()
    moved = path.rename(tasks_dir / "sub" / "renamed.md")
    renew_claims(session)
    assert the_claim(session, "t-1").path == "sub/renamed.md"
    call(session, "complete_task", id="t-1", claim_token=token)
    assert (header(moved)["status"], path.exists()) == ("done", False)


def stem_task(tasks_dir: Path) -> Path:
    return write_file(tasks_dir / "old.md", "---\nstatus: active\n---\nbody\n")


@pytest.mark.parametrize("task_id", ["old", "new"])
def test_a_task_named_by_its_file_can_be_ended_by_either_name_after_a_rename(
    session: Session, tasks_dir: Path, task_id: str
) -> None:
    path = stem_task(tasks_dir)
    token = claim(session).claim_token
    new = path.rename(tasks_dir / "new.md")
    call(session, "complete_task", id=task_id, claim_token=token)
    assert header(new)["status"] == "done"
    look(session)
    assert held_ids(session) == []


def test_a_task_renamed_while_claimed_is_not_reaped_from_its_living_owner(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = stem_task(tasks_dir)
    claim(session)
    new = path.rename(tasks_dir / "new.md")
    look(other)
    for _ in range(4):
        clock.advance(100)
        renew_claims(session)
        look(other)
    assert header(new)["status"] == "in_progress"
    assert len(held_ids(other)) == 1


def test_a_task_renamed_while_claimed_is_reaped_once_when_its_owner_is_gone(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = stem_task(tasks_dir)
    claim(session)
    new = path.rename(tasks_dir / "new.md")
    look(other)
    session.close()
    clock.advance(121)
    look(other)
    clock.advance(1000)
    look(other)
    assert header(new) == {"status": "active", "attempts": "1"}
    assert held_ids(other) == []


def test_a_claimed_task_set_to_active_by_hand_comes_free_when_its_holder_is_gone(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_text(encoding="utf-8")
    claim(session)
    edit(path, "status: in_progress", "status: active")
    session.close()
    clock.advance(121)
    assert call(other, "claim_next_task").status == "claimed"
    assert header(path)["assignee"] == "claude"
    call(other, "release_task", id="t-1")
    assert path.read_text(encoding="utf-8").startswith(before.partition("\n---")[0]), "no claim and no assignee is left"


def test_what_a_lost_claim_wrote_into_a_task_set_to_active_by_hand_is_not_taken_for_the_persons(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    claim(session)
    age(edit(path, "status: in_progress", "status: active"))
    session.close()
    shutil.rmtree(tasks_dir / ".dibs")
    assert claim(other).task.id == "t-1", "its assignee is who had the lost claim, not whom it is reserved for"
    call(other, "release_task", id="t-1")
    assert path.read_bytes() == before


# copied


def test_a_conflicted_copy_does_not_keep_the_owner_from_finishing(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    copy = write_file(tasks_dir / "t-1 (conflicted copy).md", path.read_bytes())
    before = copy.read_bytes()
    renew_claims(session)
    call(session, "complete_task", id="t-1", claim_token=token)
    assert header(path)["status"] == "done"
    assert copy.read_bytes() == before
    assert held_ids(session) == []


def test_a_copy_named_by_its_file_is_nobodys_to_hand_out_while_the_first_is_held(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = stem_task(tasks_dir)
    claim(session)
    copy = write_file(tasks_dir / "old (copy).md", path.read_bytes())
    before = copy.read_bytes()
    for _ in range(4):
        look(other)
        clock.advance(100)
        renew_claims(session)
    assert call(other, "claim_next_task").status == "empty"
    assert copy.read_bytes() == before
    assert held_ids(other) == ["old"]


def test_a_new_file_under_the_old_name_of_a_claimed_task_does_not_take_its_report(
    session: Session, tasks_dir: Path
) -> None:
    path = stem_task(tasks_dir)
    token = claim(session, "old").claim_token
    renamed = age(path.rename(tasks_dir / "renamed.md"))
    new = stem_task(tasks_dir)
    before = new.read_bytes()
    call(session, "complete_task", id="old", claim_token=token, summary="the report")
    assert "the report" in renamed.read_text(encoding="utf-8")
    assert new.read_bytes() == before


# deleted


def test_a_copy_made_while_it_was_held_is_never_handed_out_after_the_first_is_done(
    session: Session, other: Session, person: Session, tasks_dir: Path, clock: Clock
) -> None:
    stem_task(tasks_dir)
    token = claim(session, "old").claim_token
    copy = write_file(tasks_dir / "old (conflicted copy).md", (tasks_dir / "old.md").read_bytes())
    call(session, "complete_task", id="old", claim_token=token)
    before = copy.read_bytes()
    for turn in range(5):
        clock.advance(10_000)
        look(other)
        if turn == 2:
            call(person, "reopen_task", id="old")
            edit(tasks_dir / "old.md", "active", "done")
    assert call(other, "claim_next_task").status == "empty"
    assert copy.read_bytes() == before
    assert held_ids(other) == []


@pytest.mark.parametrize("verb", ["complete_task", "block_task"])
def test_the_same_token_under_the_new_name_of_an_ended_task_gets_the_same_answer(
    session: Session, other: Session, tasks_dir: Path, verb: str
) -> None:
    path = stem_task(tasks_dir)
    token = claim(session).claim_token
    more = {"reason": "why"} if verb == "block_task" else {"summary": "what"}
    first = call(session, verb, id="old", claim_token=token, **more)
    renamed = age(path.rename(tasks_dir / "new.md"))
    before = renamed.read_bytes()
    assert call(other, verb, id="new", claim_token=token, **more).message == first.message
    assert renamed.read_bytes() == before


def test_a_claim_on_a_deleted_file_ends_when_it_is_due_and_blocks_nothing(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2", priority=4)
    claim(session)
    path.unlink()
    session.close()
    clock.advance(121)
    assert claim(other).task.id == "t-2"
    assert held_ids(other) == ["t-2"]
    assert endings(other, "t-1")[0].left_status == "deleted"


def test_a_task_that_stays_deleted_frees_its_files_though_its_server_lives(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1", files=["src"])
    write_task(tasks_dir, "t-2", files=["src/a.py"])
    claim(session, "t-1")
    path.unlink()
    for _ in range(3):
        clock.advance(41)
        renew_claims(session)
    assert claim(other).task.id == "t-2"
    assert [ending.left_status for ending in endings(other, "t-1")] == ["deleted"]
    renew_claims(session)
    assert session.held() == []


def test_a_task_that_comes_back_after_that_is_its_holders_again(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    path.rename(tasks_dir / ".stashed")
    clock.advance(121)
    look(other)
    assert held_ids(other) == []
    (tasks_dir / ".stashed").rename(age(tasks_dir / ".stashed").with_name("t-1.md"))
    look(other)
    assert held_ids(other) == ["t-1"], "the token in the file says so"
    call(session, "complete_task", id="t-1", claim_token=token, summary="the report")
    assert "the report" in path.read_text(encoding="utf-8")


def test_completing_a_deleted_task_keeps_the_report(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    path.unlink()
    with pytest.raises(TaskNotFound, match="Your report was kept in"):
        call(session, "complete_task", id="t-1", claim_token=token, summary="my report")
    assert "my report" in orphans(tasks_dir)[0]
    assert not path.exists()


def test_a_deleted_file_that_comes_back_is_still_held(session: Session, other: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    token = claim(session).claim_token
    path.unlink()
    look(other)
    write_file(path, before)
    assert call(other, "claim_next_task").status == "empty"
    call(session, "complete_task", id="t-1", claim_token=token)
    assert header(path)["status"] == "done"


# broken


@pytest.mark.parametrize(
    ("old", "new"),
    [("id: t-1", "id: [t-1"), ("status: in_progress", "status: wip"), ("id: t-1", "<<<<<<< HEAD\nid: t-1")],
)
def test_completing_a_file_broken_meanwhile_keeps_the_claim_and_the_report(
    session: Session, tasks_dir: Path, old: str, new: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    edit(path, old, new)
    before = path.read_bytes()
    with pytest.raises(MalformedTask, match=r"t-1\.md:\d+: .*Your report was kept in"):
        call(session, "complete_task", id="t-1", claim_token=token, summary="my report")
    assert path.read_bytes() == before
    assert held_ids(session) == ["t-1"]
    edit(path, new, old)
    call(session, "complete_task", id="t-1", claim_token=token, summary="my report")
    assert header(path)["status"] == "done"


def test_a_header_made_uneditable_meanwhile_keeps_the_claim_and_the_report(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    edit(path, "claim: ", "claim: &anchored ")
    before = path.read_bytes()
    with pytest.raises(MalformedTask, match=r"t-1\.md:5: `claim` uses an anchor.*Your report was kept in"):
        call(session, "complete_task", id="t-1", claim_token=token, summary="my report")
    assert path.read_bytes() == before
    assert held_ids(session) == ["t-1"]
    assert "my report" in orphans(tasks_dir)[0]


def test_a_claim_line_taken_out_by_hand_does_not_free_the_task(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    edit(path, f"claim: {token}\n", "")
    assert call(other, "claim_next_task").status == "empty"
    call(session, "complete_task", id="t-1", claim_token=token)
    assert header(path)["status"] == "done"


def test_of_two_tokens_the_one_in_the_claim_file_holds(
    session: Session, other: Session, tasks_dir: Path, clock: Clock
) -> None:
    path = write_task(tasks_dir, "t-1")
    lost = claim(session).claim_token
    clock.advance(7201)
    mine = claim(other).claim_token
    edit(path, mine, lost)  # git brought an older version back
    with pytest.raises(ClaimLost, match="now held by claude"):
        call(session, "complete_task", id="t-1", claim_token=lost)
    call(other, "complete_task", id="t-1", claim_token=mine)
    assert "claim" not in header(path)


# saved a moment ago


def test_a_file_saved_a_moment_ago_is_left_to_settle(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    os.utime(path)
    saved = path.stat().st_mtime_ns
    claim(session)
    assert path.stat().st_mtime_ns - saved >= 50_000_000


def test_a_file_that_never_settles_is_passed_over_with_a_warning(
    session: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_task(tasks_dir, "t-1", priority=0)
    write_task(tasks_dir, "t-2")
    real = os.stat

    def save_and_stat(target: Any, **more: Any) -> os.stat_result:
        """An editor saves the file whenever we look at it."""
        if target == path:
            os.utime(path)
        return real(target, **more)

    monkeypatch.setattr(os, "stat", save_and_stat)
    result = claim(session)
    assert result.task.id == "t-2"
    assert "somebody is writing t-1.md just now" in result.warnings[0]


# the ledger goes away in mid-work


@pytest.mark.parametrize("step", ["claim.claim_file", "claim.task_file", "claim.journal"])
def test_a_claim_survives_the_loss_of_the_ledger_between_its_steps(
    session: Session, other: Session, tasks_dir: Path, at_step: AtStep, step: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    at_step(step, lambda: shutil.rmtree(tasks_dir / ".dibs"))
    result = claim(session)
    age(path)
    renew_claims(session)
    assert call(other, "claim_next_task").status == "empty"
    assert the_claim(other, "t-1").token == result.claim_token == header(path)["claim"]
    call(session, "complete_task", id="t-1", claim_token=result.claim_token)
    assert header(path)["status"] == "done"


@pytest.mark.parametrize("step", ["end.task_file", "end.journal", "end.claim_file"])
@pytest.mark.parametrize("name", ["complete_task", "release_task"])
def test_an_ending_survives_the_loss_of_the_ledger_between_its_steps(
    session: Session, other: Session, tasks_dir: Path, at_step: AtStep, step: str, name: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    token = claim(session).claim_token
    at_step(step, lambda: shutil.rmtree(tasks_dir / ".dibs"))
    call(session, name, id="t-1", claim_token=token)
    renew_claims(session)
    age(path)
    look(other)
    assert held_ids(other) == []
    if name == "release_task":
        assert path.read_bytes() == before
    else:
        assert path.read_text(encoding="utf-8").count("## Completion") == 1


def test_the_folder_is_made_again_and_hidden_from_git_again(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    claim(session)
    shutil.rmtree(tasks_dir / ".dibs")
    look(session)
    assert (tasks_dir / ".dibs" / ".gitignore").read_bytes() == b"*\n"
    assert [event["event"] for event in events(session)] == ["planted"]
