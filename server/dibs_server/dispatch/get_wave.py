"""get_wave: where a wave stands, and what came of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dibs.answers import Request, listed_few
from dibs.session import Call, Session
from dibs.store.errors import RunNotFound
from dibs_server.dispatch.child import tail_of
from dibs_server.dispatch.records import RunFolder, read
from dibs_server.dispatch.run import RESULT
from dibs_server.dispatch.run_result import RunResult
from dibs_server.dispatch.wave_run import BEGUN, Begun, is_run

MAX_WAIT_SECONDS = 50
PAUSE_SECONDS = 0.5
TASKS_TOLD = 40


class GetWaveRequest(Request):
    run_id: Annotated[str, Field(min_length=1, max_length=100, description="From run_wave.")]
    wait_seconds: Annotated[int, Field(ge=0, le=MAX_WAIT_SECONDS, description="Wait for its end, at most 50.")] = 0


def get_wave(session: Session, request: GetWaveRequest, call: Call) -> RunResult:
    """See where a wave stands; once its status is not running, what came of each task."""
    store, run_id = session.store, request.run_id.strip()
    runs = store.ledger.folder / "runs"
    folder = RunFolder(runs / run_id)
    known = sorted(path.parent.name for path in runs.glob(f"*/{RESULT}"))
    if run_id not in known:
        raise RunNotFound(f"there is no run {run_id}; there are: {listed_few(known) or 'none'}", run_id=run_id)
    result = read(folder.path / RESULT, RunResult)
    if result is None:
        told = f"what {run_id} came to cannot be read; run the same wave again, and that is written anew"
        raise RunNotFound(told, run_id=run_id)
    if result.status == "running" and not is_run(store, folder.path):
        result = _ended_or_left(folder, result)
    elif result.status == "running" and (begun := read(folder.path / BEGUN, Begun)) is not None:
        seconds = round((store.now() - begun.at).total_seconds(), 1)
        result = result.model_copy(update={"runtime_seconds": max(0.0, seconds)})
    return result if session.person else _fitting(folder, result)


def _ended_or_left(folder: RunFolder, result: RunResult) -> RunResult:
    """What it came to since it was read; or that nobody runs it any more."""
    now = read(folder.path / RESULT, RunResult) or result
    if now.status != "running":
        return now
    lines = tail_of(folder.path / "dispatcher.log").splitlines()
    said = "\n".join(line for line in lines if not line.startswith("note: "))
    again = (
        "run_wave with the same wave takes it up"
        if (folder.path / BEGUN).exists()
        else "`dibs run` goes on with the rest"
    )
    told = (
        f"{now.message} when it was last heard of. Its dispatcher is gone, what it had begun goes on by itself; {again}"
    )
    return now.model_copy(update={"status": "stopped", "message": f"{told}. It said: {said}" if said else told})


def _fitting(folder: RunFolder, result: RunResult) -> RunResult:
    """As much as an answer to a model may have: what is not completed first."""
    if len(result.tasks) <= TASKS_TOLD:
        return result
    order = sorted(result.tasks, key=lambda task_id: result.tasks[task_id].status == "completed")
    told = f"{TASKS_TOLD} of {len(result.tasks)} tasks are told, completed ones last; all are in {folder.path / RESULT}"
    return result.model_copy(
        update={
            "tasks": {task_id: result.tasks[task_id] for task_id in order[:TASKS_TOLD]},
            "workers": [],
            "errors": result.errors[:TASKS_TOLD],
            "warnings": [told, *result.warnings[:TASKS_TOLD]],
        }
    )


def pause_before_next(request: GetWaveRequest, result: RunResult, waited_seconds: float) -> float | None:
    """How long to sleep before looking again; None: answer now."""
    if result.status != "running" or waited_seconds >= request.wait_seconds:
        return None
    return min(PAUSE_SECONDS, request.wait_seconds - waited_seconds)


def progress_of(result: RunResult) -> tuple[int, int, str]:
    """How many tasks have ended, of how many, and that in words."""
    left = sum(row.status in ("running", "waiting") for row in result.tasks.values())
    return len(result.tasks) - left, len(result.tasks), result.message
