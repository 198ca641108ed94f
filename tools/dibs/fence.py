"""The fence: who may end, release or renew a claim.

A token speaks for one claim of one task. Without one, a call can only mean the single claim of the process it came
from. Nothing an agent can pass lifts the fence.
"""

from __future__ import annotations

from dataclasses import dataclass

from dibs.reconcile import HOW_OF_STATUS, reconcile
from dibs.session import Session
from dibs.store.claims import Claim, Ending, How, stamp
from dibs.store.errors import ClaimLost, MalformedTask, NotClaimed, TaskNotFound, TokenRequired
from dibs.store.ledger import Hold
from dibs.store.reading import StoredTask
from dibs.store.task import ENDED

WORDS: dict[How, str] = {
    "completed": "ended at {at}: it was completed",
    "blocked": "ended at {at}: it was blocked",
    "released": "ended at {at}: it was given back",
    "reaped": "was taken back at {at}, its lease had passed",
    "taken_away": "was taken away by a person at {at}",
    "by_hand": "ended at {at}: the task was changed by hand",
}


@dataclass(frozen=True)
class Admitted:
    """A call that may act: on this task, for this claim. ``claim`` None: nobody held it, and a person acts.

    ``late``: the claim was over already, but nobody has claimed the task since.
    """

    stored: StoredTask
    claim: Claim | None
    late: bool = False


def admit(session: Session, hold: Hold, task_id: str, token: str, how: How | None) -> Admitted | Ending:
    """Decide about a call that ends a claim as ``how``; an Ending: it did so before, give the same answer again.

    ``how`` None: the call does not end it.

    Raises:
        TaskNotFound, MalformedTask, ClaimLost, NotClaimed, TokenRequired
    """
    token = token.strip()
    past = hold.endings(task_id).of(token) if token else None
    if past is not None and past.how == how and past.answer is not None and not _stands_again(session, past):
        _finish(hold, past)
        return past
    stored, claim = locate(session, hold, task_id, token)
    if token:
        return _renamed_since(session, hold, stored, claim, token, how) or _with_token(hold, stored, claim, token, how)
    if claim is None and session.person:
        return Admitted(stored, None)
    if claim is None:
        raise NotClaimed(_nobody(stored), task_id=stored.task.id)
    if not session.may_speak_without_token(claim):
        raise TokenRequired(
            f"{claim.id} is held by {claim.owner.caller or 'somebody'}; give the claim_token you got when you claimed "
            "it. If you did not claim it, leave it alone",
            task_id=claim.id,
            owner=claim.owner.caller,
        )
    return Admitted(stored, claim)


def adopt(session: Session, hold: Hold, admitted: Admitted) -> Claim | None:
    """The call had the right token and did not end the claim: its process has the claim from now on, and the lease
    begins anew, never shorter than it was. A shell, which renews nothing, leaves a claim to a server that lives."""
    claim = admitted.claim
    if claim is None or admitted.late or session.is_ours(claim) or (not session.alive_name and hold.is_alive(claim)):
        return claim
    session.keep_alive(hold)
    from_shell_to_shell = claim.owner.alive is None and session.alive_name is None
    seconds = claim.lease_seconds if from_shell_to_shell else max(claim.lease_seconds, session.lease_seconds())
    adopted = claim.model_copy(update={"owner": session.owner(claim.owner.caller)})
    adopted = adopted.renewed(session.store.now(), lease_seconds=seconds)
    hold.replace(adopted)
    session.took(adopted)
    session.named(adopted.id, adopted.token)
    return adopted


def _stands_again(session: Session, past: Ending) -> bool:
    """Whether the file says that the claim still holds, though it ended: git took the file back to that time."""
    try:
        stored = session.store.read(past.claim.path)
    except MalformedTask:
        return False
    return stored is not None and stored.task.status == "in_progress" and stored.task.token == past.claim.token


def _finish(hold: Hold, past: Ending) -> None:
    """Take the last step of an ending that did not come to it: the claim file goes."""
    claim = hold.claim(past.claim.id)
    if claim is not None and claim.token == past.claim.token:
        hold.end(past)


def require_open(admitted: Admitted) -> None:
    """Refuse to end by hand what has ended already: that would only write a second report."""
    task = admitted.stored.task
    if admitted.claim is None and task.status in ENDED:
        raise NotClaimed(
            f"{task.id} is {task.status} already; nothing was changed. `dibs reopen {task.id}` sets it to active",
            task_id=task.id,
        )


def locate(session: Session, hold: Hold, task_id: str, token: str = "") -> tuple[StoredTask, Claim | None]:
    """The task of an id and the claim that holds it, both records made to agree.

    A claimed task is found by its claim, wherever its file is now.

    Raises:
        TaskNotFound, MalformedTask
    """
    store = session.store
    claim = hold.claim(task_id)
    stored = store.find_claimed(claim) if claim is not None else _find(session, hold, task_id, token)
    claim = claim or hold.claim(stored.task.id) or _claim_of_token(session, hold, stored) or _own(session, hold, stored)
    standing = reconcile(store, hold, stored, claim)
    return store.again(stored), standing


def _claim_of_token(session: Session, hold: Hold, stored: StoredTask) -> Claim | None:
    """The claim that holds a task under an earlier name, if its file was renamed and not copied."""
    token = stored.task.token
    claim = next((claim for claim in hold.claims() if token and claim.token == token), None)
    renamed = claim is not None and session.store.find_claimed(claim).task.path == stored.task.path
    return claim if renamed else None


def _own(session: Session, hold: Hold, stored: StoredTask) -> Claim | None:
    """The claim that this very process holds on a task whose claim file is lost: it still knows all of the record."""
    task = stored.task
    claim = next((claim for claim in session.held() if task.token and claim.token == task.token), None)
    if claim is None or task.status != "in_progress" or hold.endings(task.id).of(task.token) is not None:
        return None
    session.keep_alive(hold)
    hold.set_aside_damaged()
    claim = claim.renewed(session.store.now())
    hold.create(claim)
    session.renewed(claim)
    return claim


def _find(session: Session, hold: Hold, task_id: str, token: str) -> StoredTask:
    """The task of an id; or, where the record of its claim is lost and its name changed, the one the token stands in.

    Raises:
        TaskNotFound: also when the token is a known claim's on another task: nobody is guessed to have meant that.
    """
    try:
        return session.store.find(task_id)
    except (TaskNotFound, MalformedTask) as error:
        meant = next((claim.id for claim in hold.claims() if token and claim.token == token), None)
        if meant is not None:
            if isinstance(error, MalformedTask):
                raise
            raise TaskNotFound(
                f"there is no task {task_id}; your claim_token is that of {meant}. Call again with id={meant}",
                task_id=task_id,
            ) from error
        for task in session.store.index.tasks.values():
            if token and task.token == token and (stored := session.store.read(task.path)) is not None:
                return stored
        raise


def _renamed_since(
    session: Session, hold: Hold, stored: StoredTask, claim: Claim | None, token: str, how: How | None
) -> Ending | None:
    """How the claim of this token ended, if that was on this task under a name that no task has any more."""
    if claim is not None or hold.endings(stored.task.id).of(token) is not None:
        return None
    past = hold.ending_of(token)
    if past is None or past.how != how or past.left_status != stored.task.status:
        return None
    index, key = session.store.index, past.claim.id.casefold()
    return None if key in index.tasks or key in index.invalid_keys else past


def _with_token(hold: Hold, stored: StoredTask, claim: Claim | None, token: str, how: How | None) -> Admitted | Ending:
    if claim is not None and claim.token == token:
        return Admitted(stored, claim)
    endings = hold.endings(stored.task.id)
    past = endings.of(token)
    if past is not None and past.how == how:
        return past
    if claim is not None:
        raise _held_by_another(hold, claim, token, past)
    task = stored.task
    unclaimed_since = past is not None and endings.last is not None and endings.last.claim.token == token
    if past is not None and unclaimed_since and task.status == past.left_status and _counts_late(past, how):
        return Admitted(stored, past.claim, late=True)
    what = (
        f"your claim on it {WORDS[past.how].format(at=stamp(past.at))}" if past else "this claim_token is unknown here"
    )
    again = "" if task.status in ENDED else f" If it is still to be done, claim it again: id={task.id}"
    raise ClaimLost(
        f"{task.id} is {task.status} and nobody holds it; {what}. "
        f"Stop work on it and change nothing more for it.{again}",
        task_id=task.id,
        owner="",
    )


def _held_by_another(hold: Hold, claim: Claim, token: str, past: Ending | None) -> ClaimLost:
    since = f"{claim.id} is now held by {claim.owner.caller or 'somebody else'} since {stamp(claim.claimed_at)}"
    of = next((other.id for other in hold.claims() if other.token == token), None)
    if token in claim.earlier:
        told = (
            "the claim was taken up again (resume) under a new token since. If that was you, pass the new one; if not, "
            "stop work on it at once and change nothing more for it"
        )
    elif past is not None:
        told = "your claim on it is over. Stop work on it at once and change nothing more for it"
    elif of is not None:
        told = f"this claim_token is that of {of}, not of {claim.id}. Pass the token you got with this task"
    else:
        told = (
            "this claim_token is not known here. If you are the holder, see that you copied it whole; "
            "if not, stop work on it at once and change nothing more for it"
        )
    return ClaimLost(f"{since}; {told}", task_id=claim.id, owner=claim.owner.caller)


def _counts_late(past: Ending, how: How | None) -> bool:
    """Whether an ending still counts that comes after the claim was over: work does after a reaping; after somebody's
    hand only the report on what that hand did, because a person has the last word. Giving back never does."""
    if how not in ("completed", "blocked"):
        return False
    return past.how == "reaped" or (past.how == "by_hand" and HOW_OF_STATUS.get(past.left_status) == how)


def _nobody(stored: StoredTask) -> str:
    task = stored.task
    if task.status == "in_progress":
        return f"{task.id} is in progress, but not by a claim of this directory: it is a person's work. Leave it alone"
    if task.status in ENDED:
        return f"{task.id} is {task.status} already, there is nothing to do for it. Claim the next task, or stop"
    return f"nobody holds {task.id} (it is {task.status}); claim it first: claim_next_task with id={task.id}"
