"""A race from its start to its verdicts: servers, scripted agents, a person in between, and the judge at the end."""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from dibs_server.race import repository
from dibs_server.race.agent import Agent
from dibs_server.race.course import Course
from dibs_server.race.judge import Evidence, judge
from dibs_server.race.person import Person, keep_reading
from dibs_server.race.plan import Options, make_plan
from dibs_server.race.records import look
from dibs_server.race.sample import BYSTANDERS, make_sample
from dibs_server.race.verdict import Verdict

SERVER = (sys.executable, "-m", "dibs_server", "serve")
LOOK_SECONDS = 0.1
LARGEST_SEED = 999_999


@dataclass(frozen=True)
class Progress:
    """How far a race is. ``at_start``: the servers are still starting."""

    ended: int
    tasks: int
    kills: int
    edits: int
    at_start: bool


@dataclass(frozen=True)
class Outcome:
    """What came of a race. ``folder`` is kept where a promise was broken, and gone else."""

    options: Options
    verdicts: list[Verdict]
    kills: int
    edits: dict[str, int]
    tasks_ended: int
    seconds: float
    cut_short: bool
    no_progress: bool
    git: bool
    folder: Path

    @property
    def breaches(self) -> int:
        return sum(len(verdict.breaches) for verdict in self.verdicts)


def new_seed() -> int:
    """A seed for who names none."""
    return random.SystemRandom().randint(1, LARGEST_SEED)


def run_race(
    options: Options,
    *,
    command: Sequence[str] = SERVER,
    tell: Callable[[Progress], None] = lambda progress: None,
    servers_may_die: bool = False,
) -> Outcome:
    """Run a race in a new temporary folder. ``command`` starts a server when ``--tasks-dir DIR`` follows it.

    Interrupted, it leaves neither a process nor the folder.
    """
    folder = Path(tempfile.mkdtemp(prefix="dibs-race-"))
    try:
        outcome = _run(folder, options, command, tell, servers_may_die)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if outcome.breaches == 0:
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


def _run(
    folder: Path, options: Options, command: Sequence[str], tell: Callable[[Progress], None], servers_may_die: bool
) -> Outcome:
    sample = make_sample(folder / "project", options.tasks, options.lease_seconds)
    git = repository.make_repository(sample) if repository.is_there() else None
    plan = make_plan(options, sample.leaves(), git=git is not None)
    course = Course(options, sample, plan, [*command, "--tasks-dir", str(sample.tasks_dir)])
    started, no_progress = _let_run(folder, course, Person(course, git), tell)
    seconds = time.monotonic() - started
    cut_short = course.last_lap.is_set() and not no_progress
    left = look(sample.tasks_dir, {task.id: task.path for task in sample.tasks}, tuple(BYSTANDERS))
    evidence = Evidence(options, sample, course.records, left, cut_short, servers_may_die)
    return Outcome(
        options=options,
        verdicts=judge(evidence),
        kills=sum(death.planned for death in course.records.deaths),
        edits=dict(course.records.edits),
        tasks_ended=course.records.endings,
        seconds=seconds,
        cut_short=cut_short,
        no_progress=no_progress,
        git=git is not None,
        folder=folder,
    )


def _let_run(folder: Path, course: Course, person: Person, tell: Callable[[Progress], None]) -> tuple[float, bool]:
    """Let all of them work until nothing is left; returns when the start was, and whether it came to a standstill."""
    with ThreadPoolExecutor(course.options.procs + 2) as pool:
        try:
            agents = [pool.submit(agent.work) for agent in _agents(folder, course)]
            others = [pool.submit(person.work), pool.submit(keep_reading, course)]
            started, no_progress = _watch(course, agents, tell)
        finally:
            course.end()
    for each in [*agents, *others]:
        each.result()
    return started, no_progress


def _agents(folder: Path, course: Course) -> list[Agent]:
    agents = []
    for number in range(course.options.procs):
        place = folder / "agents" / f"agent-{number:02d}"
        place.mkdir(parents=True)
        agents.append(Agent(course, place.name, place))
    return agents


def _watch(course: Course, agents: list[Future[None]], tell: Callable[[Progress], None]) -> tuple[float, bool]:
    """Until all agents are through, time is up, or nothing happens any more."""
    options, started = course.options, 0.0
    while not all(agent.done() for agent in agents):
        now = time.monotonic()
        if not started and course.started.is_set():
            started = now
        tell(_progress(course))
        if started and options.seconds is not None and now - started > options.seconds:
            course.last_lap.set()
        if now - course.records.progress_at > options.patience_seconds:
            return started or now, True
        wait(agents, timeout=LOOK_SECONDS, return_when=FIRST_EXCEPTION)
        for agent in agents:
            if agent.done():
                agent.result()
    tell(_progress(course))
    return started, False


def _progress(course: Course) -> Progress:
    records = course.records
    return Progress(
        records.endings,
        course.options.tasks,
        sum(death.planned for death in records.deaths),
        sum(records.edits.values()),
        not course.started.is_set(),
    )
