"""Making the two records of a claim agree, and taking back claims whose holder is gone.

What each pair of records means is said by the truth table (``store/truth.py``); here it is acted on, under the mutex.
"""

from __future__ import annotations

from dibs import reports
from dibs.notifying import post_if_wanted
from dibs.store.claims import Claim, Ending, How, Owner, slug
from dibs.store.errors import MalformedTask, TaskNotFound
from dibs.store.ledger import Hold
from dibs.store.notices import Notice
from dibs.store.reading import StoredTask
from dibs.store.snapshot import Around
from dibs.store.steps import reached
from dibs.store.task import Task
from dibs.store.task_file import edit_header
from dibs.store.task_store import FileChanged, TaskStore
from dibs.store.truth import Standing, judge

HOW_OF_STATUS: dict[str, How] = {"done": "completed", "blocked": "blocked", "active": "released"}


def reconcile(store: TaskStore, hold: Hold, stored: StoredTask, claim: Claim | None) -> Claim | None:
    """Make the task file and the claim file agree; returns the claim that holds the task, None when nobody's does."""
    standing = judge(stored.task, claim, store.host)
    if standing is Standing.LOST_RECORD:
        if any(other.token == stored.task.token for other in hold.claims()):
            return None  # a copy, or its name changed while it is held: the record is there, for another id
        if _is_leftover_copy(hold, stored.task):
            return None
        return _plant(store, hold, stored.task)
    if standing is Standing.ENDED_BY_HAND and claim is not None:
        _finish_record(store, hold, stored, claim)
        return None
    if standing is Standing.UNWRITTEN and claim is not None and (past := _ended(hold, claim)) is not None:
        hold.end(past)
        return None
    if claim is not None and claim.clock_went_back(store.now()):
        claim = claim.renewed(store.now(), last_call_at=store.now())
        hold.replace(claim)
    return claim


def _is_leftover_copy(hold: Hold, task: Task) -> bool:
    """Whether the token in a task file is that of a claim on another task, which is over: "task (conflicted copy).md".

    Nobody works on it, and nobody may be sent to do the same work again: a person has to say what it is.
    """
    task_id = hold.ended_task(task.token)
    return task_id is not None and task_id.casefold() != task.key


def _ended(hold: Hold, claim: Claim) -> Ending | None:
    """How a claim ended whose file is still there: its giver-back died, or the disk failed, before the last step."""
    return hold.endings(claim.id).of(claim.token)


def _plant(store: TaskStore, hold: Hold, task: Task) -> Claim:
    """A claim file for the token in the task file: its server takes it up at its next renewal, else it is reaped."""
    now = store.now()
    past = hold.endings(task.id).of(task.token)
    claim = Claim(
        id=task.id,
        path=task.path,
        token=task.token,
        owner=Owner(caller=task.assignees[0] if task.assignees else "", host=store.host),
        claimed_at=now,
        lease_until=now,
        lease_seconds=store.settings.claims.lease_seconds,
        last_call_at=now,
        files=task.files,
        former=past.claim.former if past is not None else None,
        planted=True,
    ).renewed(now)
    hold.set_aside_damaged()  # a record that was damaged is lost too, and stands in the new one's place
    hold.create(claim)
    hold.note(now, "planted", id=task.id, token=task.token)
    return claim


def _finish_record(store: TaskStore, hold: Hold, stored: StoredTask, claim: Claim) -> None:
    """The task was ended while claimed: by us, if the token is out of the file already; else by a person's hand."""
    by_hand = stored.task.token == claim.token
    if by_hand:
        stored = store.write(
            hold, stored, edit_header(stored.file, reports.former_changes(stored.file, claim, "claim"))
        )
    how: How = "by_hand" if by_hand else HOW_OF_STATUS.get(stored.task.status, "by_hand")
    end_claim(store, hold, claim, how, stored.task.status)


def end_claim(
    store: TaskStore,
    hold: Hold,
    claim: Claim,
    how: How,
    status: str,
    *,
    answer: dict[str, object] | None = None,
    report: str = "",
) -> None:
    """The last two steps of every ending: journal, then the claim file moves to the endings."""
    now = store.now()
    hold.note(now, how, id=claim.id, token=claim.token, caller=claim.owner.caller, status=status)
    notice = Notice(id=claim.id, path=claim.path, status=status, caller=claim.owner.caller, at=now)
    post_if_wanted(store, hold, notice, claim.token)
    reached("end.journal")
    hold.end(Ending(claim=claim, how=how, at=now, left_status=status, answer=answer, report=report))
    reached("end.claim_file")


def reap_due(store: TaskStore, hold: Hold, around: Around) -> list[Claim]:
    """Take back every claim that is due, and settle what was ended by hand or lost its record. Returns the reaped."""
    hold.set_aside_damaged()
    claims = {claim.id.casefold(): claim for claim in hold.claims()}
    tokens = {claim.token for claim in claims.values()}
    newer, in_progress = hold.standing().newer, {task.key: task for task in around.in_progress}
    for key, task in in_progress.items():
        if key not in claims and task.token not in tokens and slug(task.id) not in newer:
            _settle_lost(store, hold, task)
    return [
        claim
        for key, claim in claims.items()
        if _settle(store, hold, claim, in_progress.get(key) or around.tasks.get(key))
    ]


def _settle_lost(store: TaskStore, hold: Hold, task: Task) -> None:
    if judge(task, None, store.host) is not Standing.LOST_RECORD:
        return
    try:
        stored = store.read(task.path)
    except MalformedTask:
        return
    if stored is not None and hold.claim(stored.task.id) is None:
        reconcile(store, hold, stored, None)


def _settle(store: TaskStore, hold: Hold, claim: Claim, task: Task | None) -> bool:
    """True: the claim was reaped. A file that cannot be read or written just now is left to the next call."""
    now = store.now()
    ended = task is not None and (
        task.status not in ("active", "in_progress") or (task.status == "active" and _ended(hold, claim) is not None)
    )
    passed = claim.lease_passed(now)
    if not (ended or passed or claim.clock_went_back(now)):
        return False
    idle = claim.idle(now, store.settings.claims.max_idle_seconds)
    due = passed and (idle or not hold.is_alive(claim))
    try:
        stored = store.find_claimed(claim)
        if reconcile(store, hold, stored, claim) is None or not due:
            return False
        return reap(store, hold, stored, claim)
    except TaskNotFound:
        if passed:  # also where its server lives: that does not renew what is not there
            end_claim(store, hold, claim, "by_hand", "deleted")
        return False
    except (FileChanged, MalformedTask, PermissionError):
        return False


def reap(store: TaskStore, hold: Hold, stored: StoredTask, claim: Claim) -> bool:
    """Put the task back exactly as it was, one attempt more. A task file that never said it was claimed stays as is."""
    in_progress = stored.task.status == "in_progress"
    if in_progress or stored.task.token == claim.token:
        limit, attempts = store.settings.claims.max_attempts, stored.task.attempts + 1
        file = reports.reaped(stored.file, claim, store.now(), attempts, limit, by_claim=in_progress)
        reached("reap.read")
        stored = store.write(hold, stored, file)
        reached("reap.task_file")
    end_claim(store, hold, claim, "reaped", stored.task.status)
    return True
