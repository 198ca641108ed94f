"""``dibs run-one``: carries out one order, whoever gave it. Claims the task, starts the agent, and sees it to its end.

It lives in a session of its own and holds a lock for life, so a dispatcher may die meanwhile and another one find it.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from dibs import outcomes
from dibs.claim_next_task import ClaimRequest, ClaimResult, claim_next_task
from dibs.given_claim import sign_of
from dibs.session import Call, Session
from dibs.store.errors import DibsError
from dibs.store.processes import mark_of
from dibs.store.runs import output_path
from dibs.store.settings import CLAIM_FILE_VARIABLE, environment
from dibs.store.task_store import TaskStore
from dibs.waves.prompt import agent_prompt
from dibs_server.dispatch.agent_output import read_report
from dibs_server.dispatch.agents import Start, command_of, environment_of, has_server, write_places
from dibs_server.dispatch.attendance import CLAIM_SECONDS, Attendance, patiently
from dibs_server.dispatch.child import Child, Ended
from dibs_server.dispatch.judging import conclude
from dibs_server.dispatch.leftovers import end_leftovers
from dibs_server.dispatch.records import Order, Progress, RunFolder, read

INTERRUPTED = "it was interrupted"


def run_one(words: Sequence[str]) -> int:
    """Carry out the order in the file that is the only word; 0 unless there is none."""
    order_file = Path(words[0]).absolute() if len(words) == 1 else None
    order = read(order_file, Order) if order_file is not None else None
    if order_file is None or order is None:
        return 1
    store = TaskStore(order_file.parents[3])
    session = Session(store, client="dibs", server=True)
    supervisor = Supervisor(session, RunFolder(order_file.parent), order)
    signal.signal(signal.SIGTERM, supervisor.interrupt)
    supervisor.go()
    session.close()
    return 0


@dataclass
class Supervisor:
    """Whoever sees one order through; ``progress`` is what it has written of that."""

    session: Session
    folder: RunFolder
    order: Order
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        self._interrupted = threading.Event()
        self._child: Child | None = None
        self._has_server = False
        self.progress = Progress(
            task_id=self.order.task_id,
            agent=self.order.agent,
            attempt=self.order.attempt,
            process=mark_of(os.getpid()),
            alive=self.session.alive_name or "",
            started_at=self.session.store.now(),
        )

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """End the agent, and put its task back."""
        self._interrupted.set()
        if self._child is not None:
            self._child.stop(INTERRUPTED)

    def go(self) -> None:
        self.folder.note(self.progress)
        try:
            claimed = patiently(self._claim, CLAIM_SECONDS, self._interrupted)
        except DibsError as error:
            # the last sentence of a message says what its caller should do
            told = error.message.rpartition(". ")[0] or error.message
            self._note(how="refused", told=told, code=error.code, ended_at=self.session.store.now())
            return
        token = claimed.claim_token or ""
        output = output_path(self.folder.path, self.order.task_id, token)
        self._note(token=token, output=output.name)
        with Attendance(self.session) as attendance:
            ended = self._run_agent(claimed, output, attendance)
            end_leftovers(CLAIM_FILE_VARIABLE, str(self.progress.claim_file))
            self._conclude(ended, output)
        shutil.rmtree(self.progress.scratch, ignore_errors=True)

    def _claim(self) -> ClaimResult:
        order = self.order
        request = ClaimRequest(id=order.task_id, caller=order.agent, batch=order.batch, files=list(order.files))
        return claim_next_task(self.session, request, Call())

    def _run_agent(self, claimed: ClaimResult, output: Path, attendance: Attendance) -> Ended | str:
        """How the agent ended; or why it could not be started."""
        token = claimed.claim_token or ""
        try:
            self._note(scratch=tempfile.mkdtemp(prefix="dibs-"))
            agent = self.order.setup
            start = self._start_of(claimed)
            write_places(agent, start, environment())
            self._has_server = has_server(agent)
            around = environment_of(agent, self.order.inherits, start, environment())
            child = Child(command_of(agent, start), output, around, start.cwd)
        except OSError as exc:
            return f"{self.order.setup.command[0]} could not be started: {exc.strerror}"
        except DibsError as error:
            return f"it could not be started: {error.message}"
        self._child = child
        if self._interrupted.is_set():  # while it was being started
            child.stop(INTERRUPTED)
        with attendance.at_work(self.order.task_id, token, child):
            return child.wait(self.order.timeout_seconds)

    def _start_of(self, claimed: ClaimResult) -> Start:
        assert claimed.task is not None
        store, order, task = self.session.store, self.order, claimed.task
        files = [*dict.fromkeys((*task.files, *order.files))]
        return Start(
            task_id=task.id,
            task_file=task.path,
            token=claimed.claim_token or "",
            model=order.model,
            prompt=agent_prompt(task.id, task.title, order.context, files, self._done_before(task.depends_on)),
            tasks_dir=store.tasks_dir.absolute(),
            cwd=store.repository,
            scratch=Path(self.progress.scratch),
        )

    def _done_before(self, ids: list[str]) -> dict[str, str]:
        """What came of the tasks it depends on."""
        store = self.session.store
        found = {}
        for task_id in ids:
            task = store.index.tasks.get(task_id.casefold())
            if task is not None and task.status == "done":
                found[task.id] = outcomes.ended(store, task.id, task.path, task.status).outcome.summary
        return found

    def _conclude(self, ended: Ended | str, output: Path) -> None:
        told = ended if isinstance(ended, str) else ended.told()
        report = read_report(output)
        said = report.error or report.last_words
        told += f"; it said: {outcomes.one_line(said)}" if said else ""
        ended_by_itself = isinstance(ended, Ended) and not ended.why
        if self._has_server and ended_by_itself and not sign_of(self.progress.claim_file).exists():
            told += " (it did not ask its server `dibs` for the task)"
        self._note(tokens=report.tokens, cost_usd=report.cost_usd)
        self.progress = conclude(
            self.session, self.folder, self.order, self.progress, told, output,
            interrupted=self._interrupted.is_set(), stopped=self._interrupted,
        )  # fmt: skip

    def _note(self, **changed: object) -> None:
        self.progress = self.progress.model_copy(update=changed)
        self.folder.note(self.progress)
