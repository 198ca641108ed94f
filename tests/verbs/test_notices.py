"""Notices: a program of the user's is told once of each task that becomes blocked or failed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dibs.session import Session
from dibs.store import steps
from dibs.store.errors import SettingsError
from support import Clock, call, claim, edit, write_file, write_task

PATIENCE_SECONDS = 30
WRITE = "import sys, json; json.dump(sys.argv[2:], open(sys.argv[1] + '/' + sys.argv[2] + '.json', 'w'))"
FACTS = ["{id}", "{status}", "{title}", "{reason}", "{caller}", "{path}"]


@pytest.fixture
def told(tasks_dir: Path) -> Path:
    """The folder into which the program writes what it is told."""
    folder = tasks_dir.parent / "told"
    folder.mkdir()
    notify(tasks_dir, [sys.executable, "-c", WRITE, str(folder), *FACTS])
    return folder


def notify(tasks_dir: Path, command: list[str], **more: Any) -> None:
    write_file(tasks_dir / "settings.json", json.dumps({"notify": {"command": command, **more}}))


def heard(folder: Path, count: int) -> dict[str, list[str]]:
    """What the program was told, by id, once that many were."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            found = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
        except ValueError:  # in the middle of being written
            found = {}
        if len(found) >= count or time.monotonic() > deadline:
            return found
        time.sleep(0.01)


def block(session: Session, task_id: str, reason: str = "No key.") -> Any:
    taken = claim(session, task_id)
    return call(session, "block_task", id=task_id, claim_token=taken.claim_token, reason=reason)


def waiting(tasks_dir: Path) -> list[Path]:
    return list((tasks_dir / ".dibs" / "notices").glob("*.json"))


def test_a_blocked_task_is_told_with_its_facts(session: Session, tasks_dir: Path, told: Path) -> None:
    path = write_task(tasks_dir, "t-1", title="Paint {id}")
    assert block(session, "t-1", "no {caller}; $(rm -rf /) `x`").warnings == []
    assert heard(told, 1) == {
        "t-1": ["t-1", "blocked", "Paint {id}", "no {caller}; $(rm -rf /) `x`", "gemini", str(path)]
    }
    assert waiting(tasks_dir) == []


def test_what_is_done_or_given_back_is_not_told(session: Session, tasks_dir: Path, told: Path) -> None:
    for task_id in ("done", "back", "last"):
        write_task(tasks_dir, task_id)
    call(session, "complete_task", id="done", claim_token=claim(session, "done").claim_token)
    call(session, "release_task", id="back", claim_token=claim(session, "back").claim_token)
    block(session, "last")
    assert heard(told, 1).keys() == {"last"}


def test_a_task_that_is_lost_once_too_often_is_told(
    make_session: Callable[..., Session], tasks_dir: Path, clock: Clock, told: Path
) -> None:
    settings = json.loads((tasks_dir / "settings.json").read_text())
    write_file(tasks_dir / "settings.json", json.dumps({**settings, "claims": {"max_attempts": 1}}))
    write_task(tasks_dir, "t-1")
    dying = make_session()
    claim(dying, "t-1")
    dying.close()
    clock.advance(200)
    assert call(make_session(), "claim_next_task").status == "empty"
    assert heard(told, 1)["t-1"][1] == "blocked"


def test_what_an_agent_wrote_into_the_file_itself_is_told_when_it_is_found(
    session: Session, other: Session, tasks_dir: Path, told: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    claim(session, "t-1")
    edit(path, "status: in_progress", "status: failed")
    other.store.refresh(after=time.monotonic())
    call(other, "claim_next_task")
    assert heard(told, 1)["t-1"][1] == "failed"


def test_only_the_statuses_that_are_wanted_are_told(session: Session, tasks_dir: Path) -> None:
    folder = tasks_dir.parent / "told"
    folder.mkdir()
    notify(tasks_dir, [sys.executable, "-c", WRITE, str(folder), "{id}"], on=["failed"])
    write_task(tasks_dir, "t-1")
    block(session, "t-1")
    assert waiting(tasks_dir) == []


def test_each_is_told_once_though_many_look(
    session: Session, make_session: Callable[..., Session], tasks_dir: Path, told: Path
) -> None:
    count = told / "count"
    program = f"open({str(count)!r}, 'ab').write(b'x'); {WRITE}"
    notify(tasks_dir, [sys.executable, "-c", program, str(told), *FACTS])
    for number in range(5):
        write_task(tasks_dir, f"t-{number}")
        block(session, f"t-{number}")
        call(make_session(), "get_index_stats")
    heard(told, 5)
    assert count.read_bytes() == b"xxxxx"


@pytest.mark.parametrize("step", ["end.task_file", "end.journal", "end.claim_file"])
def test_a_crash_on_the_way_loses_no_notice(
    session: Session,
    other: Session,
    tasks_dir: Path,
    told: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    class Killed(BaseException):
        pass

    def die(reached: str) -> None:
        if reached == step:
            monkeypatch.setattr("dibs.registry.give_notices", lambda store: [])
            raise Killed

    write_task(tasks_dir, "t-1")
    taken = claim(session, "t-1")
    with monkeypatch.context():
        monkeypatch.setattr(steps, "hook", die)
        with pytest.raises(Killed):
            call(session, "block_task", id="t-1", claim_token=taken.claim_token, reason="No key.")
    monkeypatch.undo()
    session.close()
    clock.advance(200)
    call(other, "claim_next_task")
    assert heard(told, 1).keys() == {"t-1"}


def test_a_program_that_is_not_there_is_told_to_whoever_called(session: Session, tasks_dir: Path) -> None:
    notify(tasks_dir, ["no-such-program-anywhere"])
    write_task(tasks_dir, "t-1")
    result = block(session, "t-1")
    assert result.task.status == "blocked"
    assert "'no-such-program-anywhere' could not be started" in result.warnings[0]
    assert "t-1 is blocked" in result.warnings[0]
    assert len(waiting(tasks_dir)) == 1


def test_a_notice_waits_until_its_program_is_there(session: Session, tasks_dir: Path) -> None:
    folder = tasks_dir.parent / "told"
    folder.mkdir()
    notify(tasks_dir, ["no-such-program-anywhere"])
    for task_id in ("t-1", "t-2"):
        write_task(tasks_dir, task_id)
        block(session, task_id)
    notify(tasks_dir, [sys.executable, "-c", WRITE, str(folder), *FACTS])
    call(session, "get_index_stats")
    assert heard(folder, 2).keys() == {"t-1", "t-2"}
    assert waiting(tasks_dir) == []


def test_no_command_no_notices(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    assert block(session, "t-1").warnings == []
    assert waiting(tasks_dir) == []


@pytest.mark.parametrize("command", [[""], [" ", "x"]])
def test_a_command_without_a_program_is_refused_in_the_settings(
    session: Session, tasks_dir: Path, command: list[str]
) -> None:
    notify(tasks_dir, command)
    with pytest.raises(SettingsError, match=r"notify\.command: its first word must name a program"):
        call(session, "get_index_stats")
