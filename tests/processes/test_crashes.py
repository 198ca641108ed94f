"""Processes that die or stop in the middle of a claim: nothing is done twice, nothing is lost, nothing stays stuck."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from children import PATIENCE_SECONDS, PROGRAMS, child, expect
from dibs.session import Session
from dibs.store.task_store import TaskStore
from support import age, call, endings, header, held_ids, write_task

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL and SIGSTOP there"),
]

OpenSession = Callable[[timedelta], Session]


@pytest.fixture
def at(tasks_dir: Path) -> Iterator[OpenSession]:
    """Opens sessions of this host with the clock put forward."""
    made: list[Session] = []

    def open_session(ahead: timedelta) -> Session:
        for path in tasks_dir.glob("*.md"):
            age(path)
        store = TaskStore(tasks_dir, now=lambda: datetime.now(UTC) + ahead)
        made.append(Session(store, client="heir", server=True))
        return made[-1]

    yield open_session
    for session in made:
        session.close()


def run_victim(tasks_dir: Path, step: str, *verbs: str) -> list[str]:
    """Run a child that dies at this step; returns what it said before."""
    with child("victim.py", tasks_dir, step, *verbs) as process:
        said = process.communicate(timeout=PATIENCE_SECONDS)[0]
    assert process.returncode == -signal.SIGKILL, said
    return said.split("\n")


def drain(session: Session) -> list[str]:
    done = []
    while (result := call(session, "claim_next_task")).status == "claimed":
        call(session, "complete_task", id=result.task.id, claim_token=result.claim_token, summary="the one report")
        done.append(result.task.id)
    return done


CLAIM_STEPS = ("claim.claim_file", "claim.task_file", "claim.journal")
END_STEPS = ("end.task_file", "end.journal", "end.claim_file")


@pytest.mark.parametrize("step", CLAIM_STEPS)
def test_a_death_between_two_steps_of_a_claim_only_delays_the_task(tasks_dir: Path, at: OpenSession, step: str) -> None:
    path = write_task(tasks_dir, "t-1", "To Do", body="body\n")
    write_task(tasks_dir, "t-2", body="body\n")
    run_victim(tasks_dir, step, "claim_next_task")
    assert drain(at(timedelta(0))) == ["t-2"], "its lease has not passed"
    assert drain(at(timedelta(hours=1))) == ["t-1"]
    text = path.read_text(encoding="utf-8")
    assert header(path)["status"] == "done"
    assert text.count("the one report") == 1
    assert text.count("## Attempt 1") == (0 if step == "claim.claim_file" else 1)
    assert held_ids(at(timedelta(0))) == []


@pytest.mark.parametrize("step", END_STEPS)
@pytest.mark.parametrize(("verb", "status"), [("complete_task", "done"), ("block_task", "blocked")])
def test_a_death_between_two_steps_of_an_ending_does_not_undo_it(
    tasks_dir: Path, at: OpenSession, step: str, verb: str, status: str
) -> None:
    path = write_task(tasks_dir, "t-1", body="body\n")
    write_task(tasks_dir, "t-2", depends_on=["t-1"])
    token = run_victim(tasks_dir, step, "claim_next_task", verb)[0]
    assert header(path)["status"] == status
    text = path.read_text(encoding="utf-8")
    heir = at(timedelta(0))
    assert drain(heir) == (["t-2"] if status == "done" else [])
    assert held_ids(heir) == []
    again = {"summary": "the one report"} if verb == "complete_task" else {"reason": "the one report"}
    result = call(heir, verb, id="t-1", claim_token=token, **again)
    assert result.task.status == status
    assert path.read_text(encoding="utf-8") == text
    assert text.count("the one report") == 1
    assert [ending.how for ending in endings(heir, "t-1")] == ["completed" if status == "done" else "blocked"]


@pytest.mark.parametrize("step", END_STEPS)
def test_a_death_between_two_steps_of_giving_back_leaves_the_file_as_it_was(
    tasks_dir: Path, at: OpenSession, step: str
) -> None:
    path = write_task(tasks_dir, "t-1", "To Do", body="body\n")
    before = path.read_bytes()
    token = run_victim(tasks_dir, step, "claim_next_task", "release_task")[0]
    assert path.read_bytes() == before
    call(at(timedelta(0)), "release_task", id="t-1", claim_token=token)
    assert path.read_bytes() == before
    assert drain(at(timedelta(0))) == ["t-1"]


@pytest.mark.parametrize("step", ["reap.task_file", "end.journal", "end.claim_file"])
def test_a_reaper_that_dies_counts_the_attempt_once(tasks_dir: Path, at: OpenSession, step: str) -> None:
    path = write_task(tasks_dir, "t-1", "To Do", body="body\n")
    run_victim(tasks_dir, "claim.journal", "claim_next_task")
    age(path)
    run_victim(tasks_dir, step, "later", "claim_next_task")
    heir = at(timedelta(hours=1))
    assert call(heir, "claim_next_task", project="none").status == "empty"
    assert (header(path)["status"], header(path)["attempts"]) == ("To Do", "1")
    assert path.read_text(encoding="utf-8").count("## Attempt") == 1
    assert held_ids(heir) == []


@pytest.mark.parametrize("step", ["resume.claim_file", "resume.task_file"])
def test_a_death_while_taking_a_claim_up_leaves_one_that_can_be_taken_up(
    tasks_dir: Path, at: OpenSession, step: str
) -> None:
    path = write_task(tasks_dir, "t-1", "To Do", body="body\n")
    run_victim(tasks_dir, "claim.journal", "claim_next_task")
    age(path)
    run_victim(tasks_dir, step, "resume")
    heir = at(timedelta(0))
    result = call(heir, "claim_next_task", caller="victim", resume=True)
    assert (result.status, result.task.id) == ("claimed", "t-1")
    assert header(path)["claim"] == result.claim_token
    call(heir, "release_task", id="t-1", claim_token=result.claim_token)
    assert header(path) == {"id": "t-1", "status": "To Do"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_death_at_any_call_to_the_file_system_is_survived(memory_dir: Path, when: str) -> None:
    program = [sys.executable, str(PROGRAMS / "crash_everywhere.py"), str(memory_dir), when]
    ran = subprocess.run(
        program, capture_output=True, text=True, encoding="utf-8", timeout=PATIENCE_SECONDS, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 60


# stopped, not dead


def test_a_stopped_owner_keeps_its_task_until_it_is_idle_for_too_long(tasks_dir: Path, at: OpenSession) -> None:
    path = write_task(tasks_dir, "t-1")
    with child("victim.py", tasks_dir, "-", "claim_next_task", "wait", "complete_task") as process:
        assert process.stdout is not None
        token = process.stdout.readline().strip()
        expect(process, "waiting")
        process.send_signal(signal.SIGSTOP)
        assert call(at(timedelta(hours=1)), "claim_next_task").status == "empty"
        assert header(path)["claim"] == token
        heir = at(timedelta(hours=3))
        result = call(heir, "claim_next_task")
        assert result.status == "claimed"
        age(path)
        process.send_signal(signal.SIGCONT)
        said = process.communicate("go\n", timeout=PATIENCE_SECONDS)[0]
    assert said.split() == ["claim_lost"]
    assert header(path)["claim"] == result.claim_token
    assert call(heir, "complete_task", id="t-1", claim_token=result.claim_token).task.status == "done"


def test_a_killed_owner_loses_its_task_as_soon_as_the_lease_has_passed(tasks_dir: Path, at: OpenSession) -> None:
    path = write_task(tasks_dir, "t-1")
    with child("victim.py", tasks_dir, "-", "claim_next_task", "wait") as process:
        assert process.stdout is not None
        process.stdout.readline()
        expect(process, "waiting")
        assert call(at(timedelta(minutes=3)), "claim_next_task").status == "empty"
        process.kill()
        process.wait(PATIENCE_SECONDS)
    assert call(at(timedelta(seconds=60)), "claim_next_task").status == "empty"
    assert call(at(timedelta(minutes=3)), "claim_next_task").status == "claimed"
    assert header(path)["attempts"] == "1"
