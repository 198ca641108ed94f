"""What get_wave says of a run, from what its dispatcher wrote down."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dibs.session import Call, Session
from dibs.store.alive import AliveLock
from dibs.store.errors import RunNotFound
from dibs.store.runs import DISPATCHER
from dibs_server.dispatch.get_wave import GetWaveRequest, get_wave, pause_before_next
from dibs_server.dispatch.records import RunFolder
from dibs_server.dispatch.run import RESULT
from dibs_server.dispatch.run_result import Fault, RowStatus, RunResult, TaskRow

RUN = "wave-0123456789ab"
Ask = Callable[..., RunResult]


@pytest.fixture
def folder(session: Session) -> RunFolder:
    session.store.change(lambda hold: None)  # makes .dibs
    return RunFolder(session.store.ledger.folder / "runs" / RUN)


@pytest.fixture
def ask(session: Session, make_session: Callable[..., Session]) -> Ask:
    def ask(run_id: str = RUN, *, person: bool = False) -> RunResult:
        return get_wave(make_session(person=person, server=not person), GetWaveRequest(run_id=run_id), Call())

    return ask


def write(folder: RunFolder, tasks: Mapping[str, RowStatus], status: str = "completed") -> None:
    rows = {task_id: TaskRow(status=told, summary="x" * 300) for task_id, told in tasks.items()}
    faults = [Fault(task_id=task_id, message="y" * 300) for task_id, told in tasks.items() if told == "failed"]
    result = RunResult(
        run_id=RUN,
        wave=1,
        status="completed",
        tasks=rows,
        errors=faults,
        workers=[],
        runtime_seconds=1,
        total_tokens=0,
        total_cost_usd=0,
        skipped=[],
        message="so and so",
    )
    folder.write(RESULT, result.model_copy(update={"status": status}))


def test_what_cannot_be_read_is_not_said_to_be_nowhere(folder: RunFolder, ask: Ask) -> None:
    write(folder, {"a": "completed"})
    (folder.path / RESULT).write_bytes(b"{")
    with pytest.raises(RunNotFound) as caught:
        ask()
    assert caught.value.message.startswith(f"what {RUN} came to cannot be read; run the same wave again")


def test_what_was_written_is_told(folder: RunFolder, ask: Ask) -> None:
    write(folder, {"a": "completed", "b": "failed"}, "partial")
    told = ask()
    assert (told.run_id, told.status, list(told.tasks)) == (RUN, "partial", ["a", "b"])


@pytest.mark.parametrize("run_id", ["wave-none", "..", "../..", f"../runs/{RUN}", "a\0b", "x" * 100])
def test_a_run_that_is_not_there_is_not_found(folder: RunFolder, ask: Ask, run_id: str) -> None:
    write(folder, {"a": "completed"})
    with pytest.raises(RunNotFound, match=f"there are: {RUN}"):
        ask(run_id)


def test_a_run_whose_dispatcher_has_gone_says_so_and_is_not_waited_for(folder: RunFolder, ask: Ask) -> None:
    write(folder, {"a": "running"}, "running")
    (folder.path / "dispatcher.log").write_text("out of memory\n", encoding="utf-8")
    told = ask()
    assert told.status == "stopped"
    assert "`dibs run` goes on with the rest. It said: out of memory" in told.message
    (folder.path / "begun.json").write_text("{}", encoding="utf-8")
    assert "run_wave with the same wave takes it up" in ask().message
    assert pause_before_next(GetWaveRequest(run_id=RUN, wait_seconds=50), told, 0) is None


def test_a_run_that_is_at_work_is_waited_for(session: Session, folder: RunFolder, ask: Ask) -> None:
    write(folder, {"a": "running"}, "running")
    lock = AliveLock(folder.path, DISPATCHER)
    session.store.change(lambda hold: lock.keep())
    told = ask()
    lock.drop()
    assert told.message == "so and so"
    assert pause_before_next(GetWaveRequest(run_id=RUN, wait_seconds=50), told, 0) is not None
    assert pause_before_next(GetWaveRequest(run_id=RUN), told, 0) is None


def test_a_large_wave_fits_into_an_answer_for_a_model_and_a_person_has_all_of_it(folder: RunFolder, ask: Ask) -> None:
    statuses: dict[str, RowStatus] = {f"t-{n}": "failed" if n % 10 == 9 else "completed" for n in range(500)}
    write(folder, statuses, "partial")
    told = ask()
    assert len(json.dumps(told.model_dump(mode="json"))) < 40_000
    failed = [task_id for task_id, status in statuses.items() if status == "failed"]
    assert list(told.tasks) == failed[: len(told.tasks)]
    assert str(folder.path / RESULT) in told.warnings[0]
    assert len(ask(person=True).tasks) == 500


def test_looking_for_a_run_makes_nothing(tasks_dir: Path, ask: Ask) -> None:
    with pytest.raises(RunNotFound, match="there are: none"):
        ask()
    assert list(tasks_dir.iterdir()) == []
