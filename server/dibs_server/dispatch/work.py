"""``dibs work``: claims a task, runs a program on it, completes or blocks it by the exit code, and takes the next.

Any number of these work side by side. What one of them held when it was killed comes back when its lease passes, and
is done by the others, which wait for that.
"""

from __future__ import annotations

import re
import shlex
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dibs import outcomes
from dibs.answers import WaitingOn
from dibs.block_task import BlockRequest, block_task
from dibs.claim_next_task import ClaimRequest, ClaimResult, claim_next_task
from dibs.complete_task import CompleteRequest, complete_task
from dibs.notifying import give_notices
from dibs.outcomes import Outcome, OutcomeStatus
from dibs.release_task import ReleaseRequest, release_task
from dibs.session import Call, Session
from dibs.store.errors import DibsError
from dibs.store.runs import new_run, output_path
from dibs.store.settings import environment
from dibs_server.dispatch.attendance import (
    CLAIM_SECONDS,
    LOOK_SECONDS,
    REPORT_SECONDS,
    Attendance,
    ended_by_itself,
    patiently,
)
from dibs_server.dispatch.child import Child, Ended, tail_of
from dibs_server.dispatch.words import fill

INTERRUPTED = "it was interrupted"
PLACES = ("{path}", "{id}", "{title}", "{file}")


@dataclass(frozen=True)
class WorkOptions:
    """``claim`` says which tasks; ``command`` are the words of the program, with places to be filled in. ``most`` tasks
    at most (0: all), ``jobs`` at once; each ended after ``timeout`` seconds (None: never)."""

    command: tuple[str, ...]
    claim: ClaimRequest
    most: int = 0
    jobs: int = 1
    timeout: float | None = None


@dataclass(frozen=True)
class Job:
    """A task being worked on; ``path`` is the file it is about: the one it was made for, else its own."""

    task_id: str
    title: str
    path: str
    file: str
    token: str
    output: Path
    started: float


class WorkView(Protocol):
    """Whoever shows what happens; called from several threads, one at a time."""

    def started(self, job: Job) -> None: ...
    def ended(self, job: Job, outcome: Outcome) -> None: ...
    def waiting(self) -> None: ...
    def warned(self, message: str) -> None: ...


@dataclass
class Work:
    """One run, shared by its threads. ``left`` is what nobody can take, once nothing is left that somebody could."""

    session: Session
    options: WorkOptions
    view: WorkView
    run: Path = field(init=False)
    outcomes: list[Outcome] = field(default_factory=list)
    left: WaitingOn | None = None

    def __post_init__(self) -> None:
        store = self.session.store
        runs = store.ledger.folder / "runs"
        self.run = store.change(lambda hold: new_run(runs, "work", store.now(), store.settings.keep_output_days))
        self._lock = threading.RLock()  # a signal may come while another one is being dealt with
        self._stopping = threading.Event()
        self._interrupted = threading.Event()
        self._attendance = Attendance(self.session)
        self._claimed = 0
        self._warned: set[str] = set()
        self._paths = self._paths_of_batch()

    def go(self) -> None:
        """Work until nothing is left, or until told to stop. Raises DibsError when nothing can be claimed."""
        try:
            with self._attendance, ThreadPoolExecutor(self.options.jobs) as pool:
                for ended in [pool.submit(self._work_off) for _ in range(self.options.jobs)]:
                    ended.result()
        finally:
            with suppress(OSError):
                self.run.rmdir()  # if nothing was written

    def stop(self, *, now: bool = False) -> None:
        """Start nothing more; ``now``: end what runs too, and give its tasks back."""
        self._stopping.set()
        if now:
            self._interrupted.set()
            for child in self._attendance.children:
                child.stop(INTERRUPTED)

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def _paths_of_batch(self) -> dict[str, str]:
        name = self.options.claim.batch
        if not name:
            return {}
        return {item.id.casefold(): item.path for item in self.session.store.batches.get(name).items if item.path}

    def _work_off(self) -> None:
        try:
            while not self._stopping.is_set() and self._one_more():
                claimed = self._claim()
                if claimed is None:
                    return
                self._do(claimed)
        except BaseException:
            self._stopping.set()
            raise

    def _one_more(self) -> bool:
        """Whether another task may be claimed; counts it, if so."""
        with self._lock:
            if self.options.most and self._claimed >= self.options.most:
                return False
            self._claimed += 1
            return True

    def _claim(self) -> ClaimResult | None:
        """The next task, once there is one; None: nothing is left, or we are to stop.

        In a batch it waits for what others hold: it may come back, if they die.
        """
        while not self._stopping.is_set():
            result = patiently(
                lambda: claim_next_task(self.session, self.options.claim, Call()), CLAIM_SECONDS, self._stopping
            )
            self._give_notices()
            if result.status == "claimed":
                return result
            if not self.options.claim.batch or result.retry_after_seconds is None:
                self.left = result.waiting_on
                return None
            with self._lock:
                if not self._attendance.children:
                    self.view.waiting()
            self._stopping.wait(LOOK_SECONDS)
        return None

    def _do(self, claimed: ClaimResult) -> None:
        job = self._job(claimed)
        with self._lock:
            self.view.started(job)
        try:
            ended = self._run_program(job)
        except OSError as exc:  # not the program's fault: nothing could be kept of what it says
            self._give_back(job)
            raise self.session.store.failure(exc) from exc
        outcome = self._end(job, ended)
        self._give_notices()
        with self._lock:
            self.outcomes.append(outcome)
            self.view.ended(job, outcome)

    def _give_back(self, job: Job) -> None:
        with suppress(DibsError):
            release_task(self.session, ReleaseRequest(id=job.task_id, claim_token=job.token), Call())

    def _give_notices(self) -> None:
        """Also those of claims that were taken back for the last time; what goes wrong with them is told once."""
        for warning in give_notices(self.session.store):
            with self._lock:
                if warning not in self._warned:
                    self._warned.add(warning)
                    self.view.warned(warning)

    def _job(self, claimed: ClaimResult) -> Job:
        assert claimed.task is not None
        assert claimed.claim_token is not None
        task, token = claimed.task, claimed.claim_token
        return Job(
            task_id=task.id,
            title=task.title,
            path=self._paths.get(task.id.casefold(), task.path),
            file=task.path,
            token=token,
            output=output_path(self.run, task.id, token),
            started=time.monotonic(),
        )

    def _run_program(self, job: Job) -> Ended | OSError:
        extra = {
            "DIBS_TASK_ID": job.task_id,
            "DIBS_TASK_FILE": job.file,
            "DIBS_CLAIM": job.token,
            "DIBS_TASKS_DIR": str(self.session.store.tasks_dir),
        }
        job.output.parent.mkdir(parents=True, exist_ok=True)  # .dibs may have been taken away
        try:
            child = Child(filled(self.options.command, job), job.output, {**environment(), **extra})
        except OSError as exc:
            return exc
        with self._attendance.at_work(job.task_id, job.token, child):
            if self._interrupted.is_set():  # while it was being started
                child.stop(INTERRUPTED)
            return child.wait(self.options.timeout)

    def _end(self, job: Job, ended: Ended | OSError) -> Outcome:
        """Complete, block or give back; or see how the program ended its task itself."""
        store = self.session.store
        try:
            return patiently(
                lambda: ended_by_itself(store, job.task_id, job.token) or self._report(job, ended),
                REPORT_SECONDS,
                self._interrupted,
            )
        except DibsError as error:
            return _outcome(job, "failed", f"{_told(ended)}, which could not be reported: {error.message}")

    def _report(self, job: Job, ended: Ended | OSError) -> Outcome:
        session, tail, seconds = self.session, tail_of(job.output), round(time.monotonic() - job.started, 1)
        what = outcomes.one_line(shlex.join(self.options.command))
        if isinstance(ended, Ended) and ended.why == INTERRUPTED:
            session.named(job.task_id, job.token)
            release_task(session, ReleaseRequest(id=job.task_id, claim_token=job.token), Call())
            return _outcome(job, "failed", f"{ended.why}; the task was given back")
        if isinstance(ended, Ended) and ended.code == 0 and not ended.why:
            last = last_line(tail)
            summary = f"`{what}` ended with exit code 0 after {seconds:g} s" + (f": {last}" if last else ".")
            complete_task(
                session,
                CompleteRequest(
                    id=job.task_id, claim_token=job.token, summary=summary, evidence=quoted(tail), ignore_checklist=True
                ),
                Call(),
            )
            return _outcome(job, "success", "", tail)
        told, last = _told(ended), last_line(tail)
        reason = f"`{what}` failed after {seconds:g} s: {told}" + (f"; it said: {last}" if last else "")
        block_task(
            session,
            BlockRequest(
                id=job.task_id, claim_token=job.token, reason=reason, kind="agent", evidence=quoted(tail),
                next_step=f"See `dibs logs {shlex.quote(job.task_id)}`; once it is mended, `dibs reopen` the task.",
            ),
            Call(),
        )  # fmt: skip
        return _outcome(job, "blocked", told, tail)


def filled(command: Sequence[str], job: Job) -> list[str]:
    """The words with what belongs in their places; where there is no place, the path comes last, as with xargs."""
    values = {"{path}": job.path, "{id}": job.task_id, "{title}": job.title, "{file}": job.file}
    if not any(place in word for word in command for place in PLACES):
        return [*command, job.path]
    return [fill(word, values) for word in command]


def _outcome(job: Job, status: OutcomeStatus, reason: str, tail: str = "") -> Outcome:
    return Outcome(task_id=job.task_id, status=status, title=job.title, reason=reason, summary=last_line(tail))


def _told(ended: Ended | OSError) -> str:
    return ended.told() if isinstance(ended, Ended) else f"it could not be started: {ended.strerror}"


def last_line(tail: str) -> str:
    return outcomes.one_line(tail.splitlines()[-1]) if tail.splitlines() else ""


def quoted(tail: str) -> str:
    """Output as a report takes it: quoted, so that nothing in it counts as a heading or a checklist of the task."""
    if not tail:
        return ""
    longest = max((len(run) for run in re.findall("`+", tail)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join(f"> {line}" for line in [f"{fence}text", *tail.splitlines(), fence])
