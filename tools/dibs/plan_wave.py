"""plan_wave: what a wave would do, and all that is wrong with it, before anything is started."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from dibs.answers import Result, counted
from dibs.planning import PlannedTask, State, WavePlan, planned
from dibs.session import Call, Session
from dibs.waves.shape import Wave

NOT_STARTED: dict[State, str] = {
    "done": "skipped (already complete)",
    "held": "claimed by others",
    "invalid": "invalid",
    "waiting": "waiting",
}


class PlanWaveRequest(Wave):
    pass


class PlannedRow(BaseModel):
    """``state``: new ones have no file yet; done ones are skipped; held ones are somebody else's now; waiting ones wait
    for what ``why`` says. ``round`` counts from 1, 0: it is in none."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    title: str
    agent: str
    model: str
    kind: str
    files: list[str]
    round: int
    state: State
    why: str
    review: bool


class AgentRow(BaseModel):
    """An agent that would be started, and what it may do."""

    model_config = ConfigDict(frozen=True)

    agent: str
    program: str
    permissions: list[str]


class PlanWaveResult(Result):
    run_id: str
    wave: int
    max_parallel: int
    rounds: list[list[str]]
    tasks: list[PlannedRow]
    agents: list[AgentRow]
    message: str


def plan_wave(session: Session, request: PlanWaveRequest, call: Call) -> PlanWaveResult:
    """Check a wave of tasks and see its rounds, before run_wave starts an agent for each. Starts nothing."""
    plan = planned(session, request)
    numbers = {unit.key: number for number, round in enumerate(plan.rounds, 1) for unit in round.units}
    return PlanWaveResult(
        run_id=request.run_id,
        wave=request.wave,
        max_parallel=plan.limits.most,
        rounds=[[unit.id for unit in round.units] for round in plan.rounds],
        tasks=[_row(task, numbers.get(task.unit.key, 0)) for task in plan.tasks],
        agents=agent_rows(plan),
        message=told_before(plan),
        warnings=list(plan.warnings),
    )


def agent_rows(plan: WavePlan) -> list[AgentRow]:
    return [
        AgentRow(agent=name, program=agent.command[0], permissions=list(agent.permissions))
        for name, agent in plan.agents.items()
    ]


def _row(task: PlannedTask, number: int) -> PlannedRow:
    unit = task.unit
    return PlannedRow(
        task_id=unit.id, title=task.title, agent=unit.agent, model=unit.model, kind=unit.kind, files=list(unit.files),
        round=number, state=task.state, why=task.why, review=task.review,
    )  # fmt: skip


def told_before(plan: WavePlan) -> str:
    """The pre-flight, in one line."""
    counts = {state: sum(task.state == state for task in plan.tasks) for state in NOT_STARTED}
    told = [f"{counted(count, 'task')} {NOT_STARTED[state]}" for state, count in counts.items() if count]
    starting = sum(task.may_start for task in plan.tasks)
    told.append(f"{counted(starting, 'task')} in {counted(len(plan.rounds), 'round')}")
    return ", ".join(told)
