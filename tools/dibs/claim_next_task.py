"""claim_next_task: the product. Exactly one caller gets a task."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from dibs.answers import Request, Result, TaskView, Texts, WaitingOn, view
from dibs.batch_items import MAX_NAME_CHARACTERS, open_batch
from dibs.fence import locate
from dibs.given_claim import GivenClaim, TheClaim
from dibs.holding import held_and_turns, held_now, keep_turns
from dibs.matching import Wanted, is_below
from dibs.nothing_ready import why_nothing_is_ready
from dibs.reconcile import reap_due, reconcile
from dibs.resuming import resumable
from dibs.session import Call, Session
from dibs.store.claims import Claim, stamp
from dibs.store.errors import ClaimError, FileConflict, InvalidArguments, MalformedTask, NotReady
from dibs.store.ledger import Hold
from dibs.store.readiness import Obstacle, obstacles
from dibs.store.reading import Row, StoredTask
from dibs.store.reservations import NOTHING_HELD, Held, Turns
from dibs.store.snapshot import ancestors
from dibs.store.task import ComplexityOrNone, Task
from dibs.store.task_store import FileChanged
from dibs.taking import Taker, give_up, roll_back, take, take_up, with_files

CANDIDATES_A_HOLD = 32
TRIES_A_FILE = 3
MAX_WAIT_SECONDS = 50
PAUSE_SECONDS = 0.5


class ClaimRequest(Request):
    caller: Annotated[str, Field(max_length=200, description="A short name of your own.")] = ""
    project: Annotated[str, Field(max_length=200, description="Only this project.")] = ""
    complexity: Annotated[ComplexityOrNone, Field(description="Only this complexity.")] = ""
    type: Annotated[str, Field(max_length=100, description="Only this type, such as bug.")] = ""
    tags: Annotated[Texts, Field(description="Has all of these.")] = []
    skip_tags: Annotated[Texts, Field(description="Has none of these.")] = []
    parent: Annotated[str, Field(max_length=128, description="Only below this task.")] = ""
    batch: Annotated[str, Field(max_length=MAX_NAME_CHARACTERS, description="Only from this batch.")] = ""
    id: Annotated[str, Field(max_length=128, description="Only this task.")] = ""
    files: Annotated[
        Texts, Field(description="With id: reserve these too.", json_schema_extra={"shell_only": True})
    ] = []
    resume: Annotated[bool, Field(description="Take up your own interrupted claim.")] = False
    wait_seconds: Annotated[int, Field(ge=0, le=MAX_WAIT_SECONDS, description="Wait for work, at most 50.")] = 0
    lease: Annotated[
        float,
        Field(
            ge=0,
            le=31_536_000,
            description="Lease in seconds; 0: as the settings say.",
            json_schema_extra={"shell_only": True},
        ),
    ] = 0


class ClaimResult(Result):
    status: Literal["claimed", "empty"]
    task: TaskView | None
    claim_token: str | None
    lease_until: str | None
    message: str
    waiting_on: WaitingOn
    also_held: list[str]
    retry_after_seconds: float | None


@dataclass
class _Attempt:
    """One call's attempt to claim, over all its tries."""

    session: Session
    request: ClaimRequest
    caller: str
    call: Call
    wanted: Wanted
    warnings: dict[str, str] = field(default_factory=dict)
    disturbed: Counter[str] = field(default_factory=Counter)
    held: Held = NOTHING_HELD
    turns: Turns = field(default_factory=Turns)
    passed_over: list[Task] = field(default_factory=list)
    moved: bool = False

    @property
    def lease_seconds(self) -> float:
        return self.session.lease_seconds(self.request.lease)

    def by(self) -> Taker:
        batch = self.wanted.batch.name if self.wanted.batch is not None else None
        return Taker(self.caller, self.call, self.lease_seconds, batch, tuple(self.request.files))


@dataclass(frozen=True)
class _Taken:
    """A claim with its answer; ``before`` is the claim it takes up, if it does."""

    claim: Claim
    task: Task
    result: ClaimResult
    before: Claim | None = None


def claim_next_task(session: Session, request: ClaimRequest, call: Call) -> ClaimResult:
    """Take the next ready task; it is yours alone until you end it. Keep claim_token for ending it. Status "empty":
    nothing is ready for you; stop and report, do not poll."""
    caller = session.caller(request.caller)
    session.called(caller)
    if request.files and not request.id:
        raise InvalidArguments("files are reserved with the task of an id only; nothing was claimed, give the id too")
    attempt = _Attempt(session, request, caller, call, _wanted(session, request))
    if session.given is not None:
        return _hand_over(attempt, session.given)
    started = time.monotonic()
    session.store.refresh(behind=session.alive_name is not None)
    taken = session.store.change(lambda hold: _claim(attempt, hold))
    if taken is None:
        # the index may be older than this call, or than a rename: look once more before saying that there is nothing
        session.store.refresh(after=time.monotonic() if attempt.moved else started)
        taken = session.store.change(lambda hold: _claim(attempt, hold))
    if taken is None:
        return _empty(attempt)
    call.finish(lambda: roll_back(session, taken.claim, taken.before))
    return taken.result


def _hand_over(attempt: _Attempt, given: GivenClaim) -> ClaimResult:
    """Hand over the one claim that this agent was started with, once; after that there is nothing for it."""
    session, request = attempt.session, attempt.request
    mine = given.read()
    told = f"You were started for {mine.id} alone, and it has been given to you: finish it if you have not, then stop"
    if request.id.strip().casefold() in ("", mine.id.casefold()) and (request.resume or not given.handed_over):
        session.store.refresh(after=time.monotonic())
        taken = session.store.change(lambda hold: _standing(attempt, hold, mine))
        if taken is not None:
            given.hand_over()
            return taken.result
        told = f"You were started for {mine.id} alone, and your claim on it is over: change nothing for it, and stop"
    return _nothing(told)


def _standing(attempt: _Attempt, hold: Hold, mine: TheClaim) -> _Taken | None:
    """The claim, if it still stands."""
    stored, claim = locate(attempt.session, hold, mine.id, mine.claim_token)
    if claim is None or claim.token != mine.claim_token:
        return None
    return _Taken(claim, stored.task, _claimed(attempt, hold, claim, stored, "Handed over"))


def _wanted(session: Session, request: ClaimRequest) -> Wanted:
    return Wanted(
        project=request.project,
        type=request.type,
        complexity=request.complexity,
        parent=request.parent,
        tags=request.tags,
        skip_tags=request.skip_tags,
        batch=session.store.batches.get(request.batch) if request.batch else None,
    )


def pause_before_next(request: ClaimRequest, result: ClaimResult, waited_seconds: float) -> float | None:
    """How long to sleep before asking again for a caller who waits; None: answer now."""
    if result.status == "claimed" or waited_seconds >= request.wait_seconds:
        return None
    return min(PAUSE_SECONDS, request.wait_seconds - waited_seconds)


def _claim(attempt: _Attempt, hold: Hold) -> _Taken | None:
    """Under the mutex: take back what is due, then take the best task that is ready on the bytes of its file."""
    session, request, store = attempt.session, attempt.request, attempt.session.store
    attempt.call.check()
    if attempt.wanted.batch is not None:
        open_batch(store, hold, attempt.wanted.batch)
    reap_due(store, hold, store.index)
    if request.resume and (found := resumable(session, hold, attempt.caller, bool(request.caller), request.id)):
        before = found[1]
        claim, stored = take_up(session, hold, *found, attempt.caller, attempt.call, attempt.lease_seconds)
        return _answered(attempt, hold, claim, stored, "Resumed", before)
    if request.id:
        return _claim_this(attempt, hold)
    attempt.held, attempt.turns = held_and_turns(store, store.index, hold.standing())
    taken = _claim_best(attempt, hold)
    if taken is not None:
        keep_turns(store, hold, attempt.turns, attempt.passed_over, taken.task)
    return taken


def _claim_best(attempt: _Attempt, hold: Hold) -> _Taken | None:
    for _ in range(CANDIDATES_A_HOLD):
        attempt.passed_over.clear()
        task = next(_candidates(attempt), None)
        if task is None:
            return None
        if (taken := _try_candidate(attempt, hold, task)) is not None:
            return taken
    raise FileChanged(str(attempt.session.store.tasks_dir))


def _candidates(attempt: _Attempt) -> Iterator[Task]:
    """The ready tasks the caller asked for, best first, as the index has them."""
    store = attempt.session.store
    index, settings = store.index, store.settings
    caller = settings.caller_name(attempt.caller)
    for task in index.handed_out(attempt.wanted.asked(caller)):
        if task.path in attempt.warnings or not is_below(task, attempt.wanted.parent, index):
            continue
        obstacle = next(obstacles(task, index, settings, caller=attempt.caller, held=attempt.held), None)
        if obstacle is None:
            yield task
        elif obstacle.kind == "files":
            attempt.passed_over.append(task)


def _try_candidate(attempt: _Attempt, hold: Hold, task: Task) -> _Taken | None:
    """Take what the index proposed, if the files agree. None: they do not, or cannot be written; look at the next."""
    session, index = attempt.session, attempt.session.store.index
    try:
        if _relatives_changed(attempt, task):
            return None
        stored = session.store.read(task.path)
        if stored is None or stored.task != task:
            attempt.moved = True
            return None
        claim, taken = take(session, hold, stored, attempt.by())
        return _answered(attempt, hold, claim, taken, "Claimed")
    except MalformedTask as error:
        row = index.row(task.path)
        if row is not None:
            index.put(task.path, Row(row.signature, error, row.racy))
        attempt.warnings[task.path] = f"passed over {task.id}: {error.message}"
    except PermissionError as exc:
        where = str(exc.filename2 or exc.filename)
        if Path(where).is_relative_to(session.store.ledger.folder):
            raise  # no task of this directory can be claimed
        attempt.warnings[task.path] = f"passed over {task.id}: {where} cannot be written"
    except FileChanged:
        attempt.disturbed[task.path] += 1
        if attempt.disturbed[task.path] < TRIES_A_FILE:
            raise
        attempt.warnings[task.path] = f"passed over {task.id}: somebody is writing {task.path} just now"
    return None


def _relatives_changed(attempt: _Attempt, task: Task) -> bool:
    """Look again at the files the decision rests on besides the task's own: dependencies, ancestors, children."""
    index = attempt.session.store.index
    near = [found for dep in task.depends_on if (found := index.tasks.get(dep.casefold())) is not None]
    near += [*ancestors(task, index), *index.children.get(task.key, ())]
    return sum(index.look_again(other.path) for other in near) > 0


def _claim_this(attempt: _Attempt, hold: Hold) -> _Taken:
    """Claim the one task that was asked for.

    Raises:
        TaskNotFound, MalformedTask
        NotReady: with everything that stands in its way, and who holds it.
        FileConflict: only its files do; with the task they are reserved for.
    """
    session, store = attempt.session, attempt.session.store
    stored = store.find(attempt.request.id)
    _relatives_changed(attempt, stored.task)
    claim = reconcile(store, hold, stored, hold.claim(stored.task.id))
    index = store.index
    held = held_now(store, index, hold.standing())
    wanted = with_files(stored.task, tuple(attempt.request.files))
    in_the_way = list(obstacles(wanted, index, store.settings, caller=attempt.caller, held=held))
    if not in_the_way:
        taken, stored = take(session, hold, stored, attempt.by())
        return _answered(attempt, hold, taken, stored, "Claimed")
    raise _refusal(attempt, stored.task.id, claim, in_the_way)


def _refusal(attempt: _Attempt, task_id: str, claim: Claim | None, in_the_way: list[Obstacle]) -> ClaimError:
    advice = "Claim another one, or report this and stop"
    if claim is None:
        why, owner = "; ".join(obstacle.text for obstacle in in_the_way), in_the_way[0].owner
    else:
        owner = claim.owner.caller
        why = f"it is held by {owner or 'somebody'} until {stamp(claim.lease_until)} at least"
        if owner == attempt.caller:
            advice = "If that is you, after an interruption, call again with resume; else claim another one"
    message = f"{task_id} cannot be claimed: {why}. {advice}"
    if claim is None and in_the_way[0].kind == "files":
        return FileConflict(message, task_id=task_id, owner=owner, held_by_task=in_the_way[0].task_ids[0])
    return NotReady(message, task_id=task_id, owner=owner)


def _answered(
    attempt: _Attempt, hold: Hold, claim: Claim, stored: StoredTask, verb: str, before: Claim | None = None
) -> _Taken:
    """The claim with its answer. One that cannot be answered for is taken back: nobody would know that it is theirs."""
    try:
        return _Taken(claim, stored.task, _claimed(attempt, hold, claim, stored, verb), before)
    except OSError:
        give_up(attempt.session, hold, claim, before)
        raise


def _claimed(attempt: _Attempt, hold: Hold, claim: Claim, stored: StoredTask, verb: str) -> ClaimResult:
    session, task = attempt.session, stored.task
    attempt.warnings.update(_warnings(hold, task, session))
    until = stamp(claim.lease_until)
    kept = "renewed by itself while this session lives" if session.alive_name else "renew it with `dibs renew`"
    return ClaimResult(
        status="claimed",
        task=view(session, stored),
        claim_token=claim.token,
        lease_until=until,
        message=(
            f"{verb} {task.id} for {attempt.caller} until {until} ({kept}). Do the work, then complete_task with this "
            "id, the claim_token and a summary; if you cannot, block_task with a reason"
        ),
        waiting_on=WaitingOn(),
        also_held=_also_held(attempt, hold.claims(), claim.token),
        retry_after_seconds=None,
        warnings=list(attempt.warnings.values()),
    )


def _also_held(attempt: _Attempt, claims: list[Claim], but: str = "") -> list[str]:
    """What this caller holds besides: claims of this server, or, at a shell, claims that no server renews."""
    mine = (claim for claim in claims if claim.owner.alive == attempt.session.alive_name and claim.token != but)
    return sorted(claim.id for claim in mine if claim.owner.caller == attempt.caller)


def _warnings(hold: Hold, task: Task, session: Session) -> dict[str, str]:
    found: dict[str, str] = {}
    done = hold.endings(task.id).completion
    if done is not None:
        found["completed"] = (
            f"{task.id} was completed by {done.claim.owner.caller} at {stamp(done.at)}, but its file is active again "
            "(a git checkout?); see whether the work is there before you do it again"
        )
    soft = [dep for dep in task.soft_depends_on if not _is_done(dep, session)]
    if soft:
        found["soft"] = f"not done yet, and good to know about: {', '.join(soft)}"
    return found


def _is_done(task_id: str, session: Session) -> bool:
    task = session.store.index.tasks.get(task_id.casefold())
    return task is not None and task.status == "done"


def _empty(attempt: _Attempt) -> ClaimResult:
    """Say why there is nothing, and that polling will not change it."""
    store, wanted = attempt.session.store, attempt.wanted
    snapshot, standing, now = store.index.load(), store.ledger.standing(), store.now()
    held, claims = held_now(store, snapshot, standing), standing.claims
    why = why_nothing_is_ready(wanted, snapshot, store.settings, held, claims, attempt.caller)
    also_held = _also_held(attempt, claims)
    return ClaimResult(
        status="empty",
        task=None,
        claim_token=None,
        lease_until=None,
        message=why.told(attempt.caller, wanted.told(), also_held),
        waiting_on=why.waiting_on,
        also_held=also_held,
        retry_after_seconds=_seconds_until(why.free_at, now) if why.free_at is not None else None,
        warnings=list(attempt.warnings.values()),
    )


def _nothing(message: str) -> ClaimResult:
    return ClaimResult(
        status="empty",
        task=None,
        claim_token=None,
        lease_until=None,
        message=message,
        waiting_on=WaitingOn(),
        also_held=[],
        retry_after_seconds=None,
    )


def _seconds_until(moment: datetime, now: datetime) -> float:
    return max(1.0, round((moment - now).total_seconds(), 1))
