"""get_wave: where a wave stands, and what came of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dibs.answers import Request
from dibs.session import Call, Session
from dibs.store.errors import RunNotFound
from dibs_server.dispatch.child import tail_of
from dibs_server.dispatch.records import RunFolder, read
from dibs_server.dispatch.run import RESULT
from dibs_server.dispatch.run_result import RunResult
from dibs_server.dispatch.wave_run import is_run

MAX_WAIT_SECONDS = 50
PAUSE_SECONDS = 0.5


class GetWaveRequest(Request):
    run_id: Annotated[str, Field(min_length=1, max_length=100, description="From run_wave.")]
    wait_seconds: Annotated[int, Field(ge=0, le=MAX_WAIT_SECONDS, description="Wait for its end, at most 50.")] = 0


def get_wave(session: Session, request: GetWaveRequest, call: Call) -> RunResult:
    """See where a wave stands; once its status is not running, what came of each task."""
    store, run_id = session.store, request.run_id.strip()
    runs = store.ledger.folder / "runs"
    folder = RunFolder(runs / run_id)
    known = sorted(path.parent.name for path in runs.glob(f"*/{RESULT}"))
    result = read(folder.path / RESULT, RunResult) if run_id in known else None
    if result is None:
        raise RunNotFound(f"there is no run {run_id}; there are: {', '.join(known) or 'none'}", run_id=run_id)
    if result.status != "running" or is_run(store, folder.path):
        return result
    if (ended := read(folder.path / RESULT, RunResult)) is not None and ended.status != "running":
        return ended  # in between
    said = tail_of(folder.path / "dispatcher.log")
    return result.model_copy(
        update={
            "message": f"{result.message}. Its dispatcher is gone; run_wave with the same wave takes it up again"
            + (f". It said: {said}" if said else "")
        }
    )


def pause_before_next(request: GetWaveRequest, result: RunResult, waited_seconds: float) -> float | None:
    """How long to sleep before looking again; None: answer now."""
    over = result.status != "running" or "dispatcher is gone" in result.message
    if over or waited_seconds >= request.wait_seconds:
        return None
    return min(PAUSE_SECONDS, request.wait_seconds - waited_seconds)


def progress_of(result: RunResult) -> tuple[int, int, str]:
    """How many tasks have ended, of how many, and that in words."""
    left = sum(row.status in ("running", "waiting") for row in result.tasks.values())
    return len(result.tasks) - left, len(result.tasks), result.message
