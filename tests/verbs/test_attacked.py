"""What a stranger broke once: each of these was red before it was mended."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store.errors import TokenRequired
from dibs.store.ledger import Ledger
from support import age, call, claim, header, held_ids, orphans, the_claim, write_file, write_task

AtStep = Callable[[str, Callable[[], None]], None]
RESERVED = b"---\nid: t-1\nstatus: To Do\nassignee:\n  - '@gemini'  # mine\n---\nbody\n"


def claim_file(tasks_dir: Path) -> Path:
    (path,) = (tasks_dir / ".dibs" / "claims").iterdir()
    return path


def test_a_write_in_the_middle_of_resuming_orphans_no_claim(
    session: Session, make_session: Callable[..., Session], tasks_dir: Path, at_step: AtStep
) -> None:
    path = write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2")
    claim(session)
    age(path)
    session.close()
    edits = [b"a line\n"]

    def edit() -> None:
        if edits:
            path.write_bytes(path.read_bytes() + edits.pop())
            age(path)

    at_step("resume.claim_file", edit)
    heir = make_session()
    result = call(heir, "claim_next_task", resume=True)
    assert (edits, result.task.id) == ([], "t-1")
    call(heir, "complete_task", id="t-1", claim_token=result.claim_token)
    assert header(path)["status"] == "done"
    assert "a line" in path.read_text(encoding="utf-8")


def test_a_heading_of_any_length_is_read_in_no_time(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", body="# " + "#" * 300_000 + "x\n")
    assert claim(session).task.id == "t-1"


def test_a_lost_ledger_costs_nothing_while_the_server_that_holds_the_claim_lives(
    session: Session, tasks_dir: Path
) -> None:
    path = write_file(tasks_dir / "t-1.md", RESERVED)
    token = claim(session).claim_token
    age(path)
    shutil.rmtree(tasks_dir / ".dibs")
    call(session, "release_task", id="t-1", claim_token=token)
    assert path.read_bytes() == RESERVED


def test_a_completion_in_the_middle_of_a_save_waits_for_the_file(
    session: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    content = age(path).read_bytes()
    path.write_bytes(b"")
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        write_file(path, content)

    monkeypatch.setattr(time, "sleep", pause)
    call(session, "complete_task", id="t-1", claim_token=token, summary="Did it.")
    assert waited
    assert "Did it." in path.read_text(encoding="utf-8")


def test_a_task_that_git_took_back_into_its_claim_can_be_completed_again(session: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    claimed = path.read_bytes()
    call(session, "complete_task", id="t-1", claim_token=token, summary="Did it.")
    write_file(path, claimed)
    call(session, "complete_task", id="t-1", claim_token=token, summary="Did it.")
    assert header(path)["status"] == "done"
    assert "Did it." in path.read_text(encoding="utf-8")


def test_whoever_gets_a_task_that_was_completed_once_is_told(session: Session, other: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    active = path.read_bytes()
    token = claim(session).claim_token
    call(session, "complete_task", id="t-1", claim_token=token)
    write_file(path, active)
    again = claim(session).claim_token
    age(path)
    call(session, "release_task", id="t-1", claim_token=again)
    age(path)
    assert any("was completed by gemini" in warning for warning in claim(other).warnings)


@pytest.mark.parametrize(
    "odd",
    [{"lease_seconds": 1e300}, {"lease_seconds": -1}, {"lease_until": "0001-01-01T00:00:00Z"}, {"claimed_at": "soon"}],
    ids=str,
)
def test_a_claim_file_with_odd_numbers_stops_nobody(
    session: Session, other: Session, tasks_dir: Path, odd: dict[str, object]
) -> None:
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2")
    claim(session)
    path = claim_file(tasks_dir)
    write_file(path, json.dumps(json.loads(path.read_bytes()) | odd))
    assert claim(other).task.id == "t-2"
    assert "t-1" in held_ids(other), "the token in the task file still says who holds it"


def test_a_copy_of_a_claim_file_holds_nothing(session: Session, other: Session, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    lock = claim_file(tasks_dir)
    shutil.copy(lock, lock.with_name("t-1 (conflicted copy).lock"))
    age(path)
    call(session, "release_task", id="t-1", claim_token=token)
    age(path)
    assert claim(other).task.id == "t-1"


def test_folders_among_the_ledgers_files_stop_nobody(session: Session, other: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2")
    claim(session)
    for name in ("claims/x.lock", "alive/x.lock", "ended/x", "tmp/x"):
        folder = tasks_dir / ".dibs" / name
        folder.mkdir()
        os.utime(folder, (0, 0))
    assert claim(other).task.id == "t-2"


def test_a_report_without_a_token_from_one_who_held_the_task_is_kept(
    session: Session, other: Session, person: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session)
    age(path)
    call(person, "release_task", id="t-1", steal=True)
    age(path)
    claim(other)
    with pytest.raises(TokenRequired, match="report was kept"):
        call(session, "complete_task", id="t-1", summary="All my work.")
    (kept,) = orphans(tasks_dir)
    assert "All my work." in kept


@pytest.mark.parametrize("ending", ["release_task", "block_task", "complete_task"])
def test_an_assignee_that_a_person_wrote_meanwhile_stays(session: Session, tasks_dir: Path, ending: str) -> None:
    path = write_file(tasks_dir / "t-1.md", RESERVED)
    token = claim(session).claim_token
    write_file(path, path.read_bytes().replace(b"assignee: gemini", b"assignee: maria"))
    arguments = {"reason": "No key."} if ending == "block_task" else {}
    call(session, ending, id="t-1", claim_token=token, **arguments)
    assert header(path)["assignee"] == "maria"


def test_a_ledger_folder_that_goes_away_in_a_call_is_made_anew(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    shutil.rmtree(tasks_dir / ".dibs" / "ended")
    call(session, "complete_task", id="t-1", claim_token=token)
    assert Ledger(tasks_dir).claims() == []


@pytest.mark.parametrize("step", ["mutex.wanted", "mutex.held", "claim.read", "claim.claim_file"])
def test_a_task_that_is_renamed_while_somebody_claims_the_next_one_is_not_missed(
    session: Session, tasks_dir: Path, at_step: AtStep, step: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    at_step(step, lambda: path.rename(tasks_dir / "renamed.md") and None)
    assert claim(session).task.id == "t-1"


@pytest.mark.parametrize("what", [".dibs", ".dibs/tmp", ".dibs/alive"])
def test_a_ledger_that_goes_away_at_the_first_look_of_a_process_is_made_anew(
    session: Session, other: Session, tasks_dir: Path, at_step: AtStep, what: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    age(path)
    at_step("mutex.held", lambda: shutil.rmtree(tasks_dir / what))
    call(other, "complete_task", id="t-1", claim_token=token, summary="Did it.")
    assert header(path)["status"] == "done"
    assert held_ids(session) == []


def test_the_token_of_one_task_does_not_end_an_invalid_one(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    write_file(tasks_dir / "bad.md", "---\nid: bad\nstatus: nearly\n---\n")
    token = claim(session).claim_token
    with pytest.raises(Exception, match="unknown status"):
        call(session, "complete_task", id="bad", claim_token=token)
    assert the_claim(session, "t-1").token == token
