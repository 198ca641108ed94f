"""The orders of a wave: which of its tasks may be started, again or not at all, and its reviews."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from dibs.add_task import add_all
from dibs.planning import PlannedTask, WavePlan, agent_faults, planned
from dibs.session import Call, Session
from dibs.store.errors import DibsError, InvalidArguments
from dibs.store.reading import StoredTask
from dibs.waves.plan import Unit, choose
from dibs.waves.shape import WaveTask
from dibs_server.dispatch.attendance import REPORT_SECONDS, patiently
from dibs_server.dispatch.crew import AtWork
from dibs_server.dispatch.records import Order, Progress, RunFolder
from dibs_server.dispatch.reviewing import CHANGES_REQUESTED, fix_of, give_to, outcome_of, review_id, review_of
from dibs_server.dispatch.run_result import Book, Fault, ReviewRow, RowStatus, RunResult, TaskRow

NEVER = threading.Event()
AGAIN = "; mend that (`dibs reopen` the review where it is blocked), and run the wave again"
FAILED = ("failed", "given_back")
OVER = (*FAILED, "blocked", "refused")


class WaveSource:
    """A wave being worked off. A task is in one of: ``waiting``, at work, ``deferred`` until the others have ended, or
    the book."""

    def __init__(
        self, session: Session, folder: RunFolder, plan: WavePlan, begun_at: datetime, *, strict: bool
    ) -> None:
        self._session = session
        self._plan = plan
        self._dispatch = session.store.settings.dispatch
        self._begun_at = begun_at
        self._strict = strict
        self._book = Book(session, folder)
        self._asked = {task.unit.key: task.asked for task in plan.tasks}
        self._to_review = {task.unit.key for task in plan.tasks if task.review}
        self._units = {task.unit.key: task.unit for task in plan.tasks}
        self._reviews: dict[str, str] = {}
        self._done: set[str] = set()
        self._overtaken: set[str] = set()
        self._failures: Counter[str] = Counter()
        self._deferred: dict[str, str] = {}
        self._second_round = False
        self._skipped: list[str] = []
        self._warnings = list(plan.warnings)
        self.waiting: list[Unit] = []
        for task in plan.tasks:
            self._place(task)

    def _place(self, task: PlannedTask) -> None:
        if task.may_start:
            self.waiting.append(self._units[task.unit.key])
        elif task.state == "done":
            self._done.add(task.unit.key)
            self._skipped.append(task.unit.id)
            self._book.close(task.unit.id, "completed")
        else:
            self._deferred[task.unit.key] = task.why

    def make_missing(self) -> None:
        """Make a file for each task that has none. Raises DibsError; then none was made."""
        tasks = enumerate(self._plan.tasks)
        requests = {
            f"tasks[{number}].": task.new_file()
            for number, task in tasks
            if task.task is None and task.state in ("new", "waiting") and not self._is_closed(task.unit.key)
        }
        if requests:
            add_all(self._session, requests, Call())

    # what is to be started

    def next_orders(self, at_work: Mapping[str, AtWork]) -> list[Order]:
        self._skip_what_waits_in_vain()
        running = [self._units[key] for key in at_work if key in self._units]
        if self._strict and running:
            return []
        waiting = [unit for unit in self.waiting if unit.key not in at_work]
        choice = choose(
            waiting, running, self._plan.limits, self._done, overtaken=self._overtaken, overlaps=self._plan.overlaps
        )
        self._overtaken |= {postponed.unit.key for postponed in choice.postponed}
        started = {unit.key for unit in choice.start}
        self.waiting = [unit for unit in self.waiting if unit.key not in started]
        return [self._order(unit) for unit in choice.start]

    def _order(self, unit: Unit) -> Order:
        asked = self._asked.get(unit.key)
        return Order(
            task_id=unit.id,
            agent=unit.agent,
            setup=self._dispatch.agents[unit.agent],
            inherits=self._dispatch.inherits,
            model=unit.model,
            attempt=self._book.attempts(unit.id) + 1,
            last=self._failures[unit.key] >= self._dispatch.retries,
            again_after_conflict=not self._second_round,
            timeout_seconds=unit.timeout_seconds,
            files=unit.files,
            context=asked.context if asked is not None else {},
        )

    def _skip_what_waits_in_vain(self) -> None:
        """Close the tasks whose dependencies in the wave have ended, and are not done."""
        while True:
            over = {key for key in self._units if key not in self._done and self._is_closed(key)}
            vain = next((unit for unit in self.waiting if unit.after & over), None)
            if vain is None:
                return
            for_it = next(self._units[key].id for key in vain.after & over)
            self.waiting.remove(vain)
            self._book.close(vain.id, "skipped", f"it waits for {for_it}, which was not completed")

    def _is_closed(self, key: str) -> bool:
        return self._units[key].id in self._book.rows

    def goes_on(self) -> bool:
        if self._deferred and not self._second_round:
            self._second_round = True
            self._place_deferred()
            return True
        for unit in self.waiting:  # nothing that runs could set them free any more
            self._book.close(unit.id, "skipped", "what it waits for was not completed")
        self.waiting.clear()
        return False

    def _place_deferred(self) -> None:
        """The others have ended: what had to wait for something else is looked at once more."""
        deferred, self._deferred = self._deferred, {}
        for task in self._seen_again([asked for key, asked in self._asked.items() if key in deferred], deferred):
            self._place(task)
            if why := self._deferred.pop(task.unit.key, ""):
                self._book.close(task.unit.id, "skipped", why)
        self.waiting += [self._units[key] for key in deferred if key in self._reviews]

    def _seen_again(self, asked: Sequence[WaveTask], whys: Mapping[str, str]) -> Iterator[PlannedTask]:
        """These tasks as they stand now; what one of them cannot be any more is no fault of the others, and is told
        with why it had to wait."""
        wave = self._plan.wave.model_copy(update={"tasks": list(asked)})
        try:
            yield from patiently(lambda: planned(self._session, wave), REPORT_SECONDS, NEVER).tasks if asked else ()
        except DibsError as error:
            if len(asked) == 1:
                self._book.close(self._units[asked[0].key].id, "skipped", whys[asked[0].key] or error.message)
                return
            for one in asked:
                yield from self._seen_again([one], whys)

    # what came of it

    def taken_over(self, ended: Sequence[Progress], at_work: Mapping[str, AtWork]) -> None:
        """The file has the last word: what is active there is done again, what a person did stands."""
        tries: dict[str, list[Progress]] = {}
        for progress in ended:
            self._book.note(progress)
            tries.setdefault(progress.key, []).append(progress)
        # reviews last: they are known once what they review is
        for key, before in sorted(tries.items(), key=lambda item: item[0] not in self._units):
            if (unit := self._units.get(key)) is not None:
                self._failures[key] = self._failed(unit, before)
                if key not in at_work:
                    self._remember(unit, before[-1])
        for key in at_work:
            self._deferred.pop(key, None)

    def _failed(self, unit: Unit, tries: Sequence[Progress]) -> int:
        """How often it failed since it was last reopened."""
        endings = self._session.store.ledger.endings(unit.id).since_reopening
        tokens = {ending.claim.token for ending in endings}
        return sum(progress.how in FAILED and progress.token in tokens for progress in tries)

    def _remember(self, unit: Unit, progress: Progress) -> None:
        """Say what the last try came to, where the file does not say something else by now."""
        task = self._session.store.index.tasks.get(unit.key)
        waiting = any(other.key == unit.key for other in self.waiting)
        if task is None and waiting:
            if progress.how == "completed":  # people put done files away
                self._over(unit, "completed")
            elif progress.token:
                told = f"{progress.told}; its file is gone, and what was begun is not made anew"
                self._over(unit, _status_of(progress), told)
        elif task is not None and task.status == "done" and progress.token and unit.key not in self._reviews:
            self._complete(unit)
        elif (task is None or task.status == "blocked") and progress.how in ("failed", "blocked"):
            self._settle(progress)
        elif waiting and progress.how == "conflict":
            self._defer(progress)

    def ended(self, progress: Progress) -> None:
        if progress.key not in self._units:
            return  # a review whose task is not of this wave any more
        self._book.note(progress)
        self._failures[progress.key] += progress.how in FAILED
        failed_for_good = self._failures[progress.key] > self._dispatch.retries
        if progress.how == "interrupted" or (progress.how in FAILED and not failed_for_good):
            unit = self._units[progress.key]
            self.waiting = [unit, *(other for other in self.waiting if other.key != unit.key)]
        elif progress.how == "conflict" or (progress.how == "refused" and not self._second_round):
            self._defer(progress)
        else:
            self._settle(progress)

    def _defer(self, progress: Progress) -> None:
        """It is tried again when the others have ended, then for those files too that it met a conflict about."""
        unit = self._units[progress.key]
        self._units[unit.key] = replace(unit, files=tuple(dict.fromkeys((*unit.files, *progress.files))))
        self._leave(unit)
        self._deferred[unit.key] = progress.told

    def _settle(self, progress: Progress) -> None:
        unit = self._units[progress.key]
        if unit.key in self._reviews:
            self._leave(unit)
            self._review_step(self._reviews[unit.key], lambda: self._reviewed(unit, progress))
        elif progress.how == "completed":
            self._complete(unit)
        else:
            self._over(unit, _status_of(progress), progress.told)

    def _complete(self, unit: Unit) -> None:
        self._skipped = [task_id for task_id in self._skipped if task_id != unit.id]
        self._over(unit, "completed")
        if unit.key in self._to_review:
            self._review_step(unit.id, lambda: self._have_reviewed(unit))

    def _over(self, unit: Unit, status: RowStatus, told: str = "") -> None:
        self._leave(unit)
        if status == "completed":
            self._done.add(unit.key)
        self._book.close(unit.id, status, told)

    def _leave(self, unit: Unit) -> None:
        """It waits for nothing any more."""
        self._deferred.pop(unit.key, None)
        self.waiting = [other for other in self.waiting if other.key != unit.key]

    def _completion(self, unit: Unit) -> str:
        """The token of the claim that completed it, whosever that was."""
        past = self._session.store.ledger.endings(unit.id).completion
        return past.claim.token if past is not None else self._book.token(unit.id)

    # reviews

    def _review_step(self, task_id: str, step: Callable[[], None]) -> None:
        try:
            patiently(step, REPORT_SECONDS, NEVER)
        except DibsError as error:
            self._book.faults[task_id] = Fault(task_id=task_id, message=f"it was not reviewed: {error.message}")

    def _have_reviewed(self, unit: Unit) -> None:
        store, dispatch = self._session.store, self._dispatch
        token = self._completion(unit)
        known = store.index.tasks.get(review_id(unit.id, token).casefold())
        if known is None or known.status == "active":
            self._refuse_reviewer()
        task_id = review_of(self._session, store.find(unit.id), token, dispatch.reviewer)
        review = Unit(task_id, dispatch.reviewer, kind="review", timeout_seconds=dispatch.timeout_seconds)
        self._units[review.key], self._reviews[review.key] = review, unit.id
        found = store.find(task_id)
        if found.task.status == "done":
            self._note_review(review, found)
        elif found.task.status == "active":
            give_to(self._session, found, dispatch.reviewer, dispatch.agents)
            self.waiting = [*(other for other in self.waiting if other.key != review.key), review]
        elif found.task.status != "in_progress":
            self._book.review(unit.id, ReviewRow(task_id=task_id, status="skipped"))
            told = f"its review {task_id} is {found.task.status.replace('_', ' ')}{AGAIN}"
            self._book.faults[unit.id] = Fault(task_id=unit.id, message=told)

    def _refuse_reviewer(self) -> None:
        """Raise InvalidArguments where the reviewer of now cannot be started."""
        store = self._session.store
        if faults := list(agent_faults(self._dispatch.reviewer, store.settings, store.repository)):
            raise InvalidArguments("; ".join(faults))

    def _reviewed(self, review: Unit, progress: Progress) -> None:
        if progress.how == "completed":
            self._note_review(review, self._session.store.find(review.id))
            return
        task_id = self._reviews[review.key]
        self._book.review(task_id, ReviewRow(task_id=review.id, status=_status_of(progress)))
        message = f"its review {review.id} was not completed: {progress.told}{AGAIN}"
        self._book.faults[task_id] = Fault(task_id=task_id, message=message)

    def _note_review(self, review: Unit, found: StoredTask) -> None:
        task_id = self._reviews[review.key]
        outcome, fix = outcome_of(found), ""
        if outcome == CHANGES_REQUESTED:
            task = self._session.store.find(task_id)
            fix = fix_of(self._session, task, found, self._completion(review), self._dispatch.bug_fixer)
            status = self._session.store.find(fix).task.status
            if status != "done":
                self._warnings.append(f"the review of {task_id} asks for changes: see {fix} ({status})")
        elif not outcome:
            told = f"its review {review.id} ended without the outcome approved or changes_requested{AGAIN}"
            self._book.faults[task_id] = Fault(task_id=task_id, message=told)
        self._done.add(review.key)
        self._book.review(task_id, ReviewRow(task_id=review.id, status="completed", outcome=outcome, fix_task=fix))

    # the result

    def result(self, at_work: Mapping[str, AtWork], *, finished: bool) -> RunResult:
        rows = {task.unit.id: self._row(task.unit, at_work, finished=finished) for task in self._plan.tasks}
        return self._book.result(
            self._plan.wave.wave, rows, self._begun_at, self._skipped, finished=finished, warnings=self._warnings
        )

    def _row(self, unit: Unit, at_work: Mapping[str, AtWork], *, finished: bool) -> TaskRow:
        if (row := self._book.rows.get(unit.id)) is not None:
            return row
        if finished:
            return TaskRow(status="skipped", summary="the run was stopped before it was done", agent=unit.agent)
        status: RowStatus = "running" if unit.key in at_work else "waiting"
        return TaskRow(status=status, agent=unit.agent, attempts=self._book.attempts(unit.id))


def _status_of(progress: Progress) -> RowStatus:
    match progress.how:
        case "blocked":
            return "blocked"
        case "refused":
            return "skipped"
        case _:
            return "failed"
