"""run_wave: have a wave run by a process of its own, which goes on when whoever asked for it is gone."""

from __future__ import annotations

import subprocess
import sys
import time

from dibs.answers import Result
from dibs.plan_wave import AgentRow, agent_rows, told_before
from dibs.planning import planned
from dibs.session import Call, Session
from dibs.store.errors import StoreFailure
from dibs.store.settings import CLAIM_FILE_VARIABLE, environment
from dibs.waves.shape import Wave
from dibs_server.dispatch.child import tail_of
from dibs_server.dispatch.run import RESULT
from dibs_server.dispatch.wave_run import folder_of, is_run

STARTING_SECONDS = 20.0
LOOK_SECONDS = 0.05


class RunWaveRequest(Wave):
    pass


class RunWaveResult(Result):
    run_id: str
    rounds: list[list[str]]
    agents: list[AgentRow]
    message: str


def run_wave(session: Session, request: RunWaveRequest, call: Call) -> RunWaveResult:
    """Start an agent for each task of a wave, files kept apart, in the background. The same wave again is the same
    run. Follow it with get_wave."""
    plan = planned(session, request)
    folder = folder_of(session.store, request)
    already = is_run(session.store, folder.path)
    if not already:
        _start(session, request)
    asked = f"`dibs wave show {request.run_id}`" if session.person else "get_wave with this run_id"
    told = (
        f"{request.run_id} is being run already" if already else f"{told_before(plan)}. {request.run_id} is being run"
    )
    return RunWaveResult(
        run_id=request.run_id,
        rounds=[[unit.id for unit in round.units] for round in plan.rounds],
        agents=agent_rows(plan),
        message=f"{told}; {asked} says how far it is",
        warnings=list(plan.warnings),
    )


def _start(session: Session, wave: Wave) -> None:
    """Start the dispatcher, and wait until it is at work.

    Raises:
        StoreFailure: it ended before, with what it said.
    """
    store, folder = session.store, folder_of(session.store, wave)
    store.change(lambda hold: folder.path.mkdir(parents=True, exist_ok=True))
    (folder.path / RESULT).unlink(missing_ok=True)
    file, log = folder.write("wave.json", wave), folder.path / "dispatcher.log"
    words = ["wave", "run", str(file), "--json", "--tasks-dir", str(store.tasks_dir.absolute())]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dibs_server", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=store.repository,
            env={name: value for name, value in environment().items() if name != CLAIM_FILE_VARIABLE},
            start_new_session=True,
        )
    deadline = time.monotonic() + STARTING_SECONDS
    while not (folder.path / RESULT).exists() and time.monotonic() < deadline:
        if process.poll() is not None and not (folder.path / RESULT).exists():
            said = tail_of(log) or f"exit code {process.returncode}"
            raise StoreFailure(f"{wave.run_id} could not be started: {said}", path=str(log))
        time.sleep(LOOK_SECONDS)
