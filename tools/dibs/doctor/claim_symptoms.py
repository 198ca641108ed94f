"""What the doctor finds in claims, and in tasks that somebody holds or should come for. Pure, as for tasks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from dibs.doctor.findings import Symptom, named
from dibs.doctor.task_symptoms import Seen
from dibs.store.claims import Claim, stamp
from dibs.store.readiness import is_claimable, reserved_for
from dibs.store.reservations import Held, Reservation
from dibs.store.task import Task
from dibs.store.truth import Standing, judge

FUTURE = timedelta(minutes=1)


def nobody_comes(seen: Seen) -> Iterator[Symptom]:
    """Tasks that are reserved for callers who never called; people are not meant."""
    settings = seen.settings
    known = {settings.caller_name(name).casefold() for name in seen.callers}
    known |= {name.casefold() for name in settings.assignees.humans}
    others = f", as {named(seen.callers)} did" if seen.callers else ""
    for task, names in reserved(seen):
        if known & {name.casefold() for name in names}:
            continue
        who = " or ".join(names)
        never = (
            f"who never claimed anything here{others}" if seen.callers else "and nobody has claimed anything here yet"
        )
        yield Symptom(
            "reserved",
            "warning" if seen.callers else "note",
            f"{task.id} is reserved for {who}, {never}",
            mend=f"if no {names[0]} is to come: change `assignee`, or name {names[0]} in settings.json "
            "under `assignees` (in `humans`, `anyone`, or `aliases` of a caller)",
            many=f"tasks are reserved for {who}, {never}",
            cause=who.casefold(),
            task_ids=(task.id,),
        )


def reserved(seen: Seen) -> Iterator[tuple[Task, tuple[str, ...]]]:
    """The active tasks that somebody could take, but not everybody; and who."""
    for task in seen.tasks:
        if task.status == "active" and is_claimable(task, seen.settings):
            names = reserved_for(task, seen.settings)
            if names:
                yield task, names


def claims_in_disorder(seen: Seen) -> Iterator[Symptom]:
    """Claims whose lease has passed, or whose task file says something else."""
    for claim in seen.claims:
        task = seen.of_claim(claim)
        owner, until, ids = claim.owner.caller or "somebody", stamp(claim.lease_until), (claim.id,)
        standing = judge(task, claim, seen.host) if task is not None else None
        unwritten = standing is Standing.UNWRITTEN
        if (unwritten and seen.ended.get(claim.token) == claim.id) or standing is Standing.ENDED_BY_HAND:
            yield Symptom(
                "ended",
                "warning",
                f"{claim.id} is {task.status if task else ''}, but the claim of {owner} on it still stands",
                mend="`dibs doctor --fix` ends the claim, and so does whoever claims next",
                many="tasks are held by claims that have ended by what the task files say",
                task_ids=ids,
                done="the claim on {ids} was ended, its `claim` line taken out of the file",
            )
        elif task is None and not seen.is_unreadable(claim):
            yield _gone(seen, claim, owner)
        elif claim.lease_passed(seen.now):
            yield _stale(claim, owner)
        elif unwritten:
            yield Symptom(
                "unwritten",
                "note",
                f"{claim.id} is held by {owner} until {until} at least, though its file says active: a crash between "
                "two steps, or git took the file back",
                mend=f"nothing, if {owner} is at work: ending the claim mends the file; else `dibs release {{id}} "
                "--steal`",
                task_ids=ids,
            )


def _stale(claim: Claim, owner: str) -> Symptom:
    left = (
        "left alone: its server still lives, or its file cannot be changed; `dibs release {id} --steal` takes it away"
    )
    return Symptom(
        "stale",
        "warning",
        f"{claim.id} is held by {owner}, whose lease passed at {stamp(claim.lease_until)}",
        mend="`dibs doctor --fix` takes it back, and so does whoever claims next, unless its server still lives",
        many=f"tasks are held by {owner}, whose leases have passed",
        cause=owner.casefold(),
        task_ids=(claim.id,),
        left=left,
        done=f"{{ids}} {{was}} taken back from {owner}",
    )


def _gone(seen: Seen, claim: Claim, owner: str) -> Symptom:
    passed = claim.lease_passed(seen.now)
    mend = f"put its file ({claim.path}) back, or wait: the claim ends when its lease has passed"
    if passed:
        mend = "`dibs doctor --fix` ends the claim, and so does whoever claims next"
    return Symptom(
        "gone",
        "warning",
        f"{owner} {'held' if passed else 'holds'} {claim.id} until {stamp(claim.lease_until)}, but there is no such "
        "task any more",
        mend=mend,
        task_ids=(claim.id,),
        done="the claim on {ids} was ended" if passed else "",
    )


def work_without_record(seen: Seen) -> Iterator[Symptom]:
    """Tasks in progress that no claim file is about: by hand, by a lost claim, by one of another machine, copies."""
    holders = {claim.token: claim for claim in seen.claims}
    for task in seen.unrecorded():
        standing = judge(task, None, seen.host)
        holder = holders.get(task.token)
        past = seen.ended.get(task.token, "")
        if holder is not None:
            if holder.id.casefold() in seen.snapshot.tasks:
                yield _copy(task, f"{holder.id}, which {holder.owner.caller or 'somebody'} holds")
        elif standing is Standing.PERSON:
            yield _by_hand(task)
        elif standing is Standing.ELSEWHERE:
            yield _elsewhere(task)
        elif past and past.casefold() != task.key:
            yield _copy(task, f"{past}, which is over")
        else:
            yield _lost(task)


def _elsewhere(task: Task) -> Symptom:
    return Symptom(
        "elsewhere",
        "warning",
        f"{task.id} is in progress by a claim of another machine, whose record is not here",
        mend="if nobody works on it there, `dibs release {id} --steal`",
        many="tasks are in progress by claims of other machines, whose records are not here",
        task_ids=(task.id,),
    )


def _lost(task: Task) -> Symptom:
    return Symptom(
        "lost",
        "warning",
        f"{task.id} is in progress by a claim whose record is lost",
        mend="`dibs doctor --fix` makes a new record, and so does whoever claims next",
        many="tasks are in progress by claims whose records are lost",
        task_ids=(task.id,),
        done="a new record was made: whoever holds {ids} goes on, or it comes back when the lease has passed",
    )


def _copy(task: Task, of: str) -> Symptom:
    return Symptom(
        "copy",
        "warning",
        f"{task.id} is in progress by the claim of {of}: its file is a copy",
        mend=f"delete {task.path}, or set its status and take its `claim` out",
        task_ids=(task.id,),
    )


def _by_hand(task: Task) -> Symptom:
    return Symptom(
        "by_hand",
        "note",
        f"{task.id} is in progress by hand{f' by {named(task.assignees)}' if task.assignees else ''}, and never "
        "taken back",
        mend="nothing while somebody works on it; else `dibs release {id} --steal` makes it active again",
        many="tasks are in progress by hand, and never taken back",
        task_ids=(task.id,),
    )


def claim_files(seen: Seen) -> Iterator[Symptom]:
    """Claim files that cannot be read, or not by this version."""
    for path in seen.damaged:
        yield Symptom(
            "damaged",
            "warning",
            "this claim file cannot be read, and holds nothing",
            mend="`dibs doctor --fix` sets it aside, and so does whoever claims next",
            path=path,
            done="it was moved to .dibs/orphans",
        )
    for claim in seen.newer.values():
        yield Symptom(
            "newer",
            "warning",
            f"{claim.id} is held by a claim of a newer Dibs (version {claim.version})",
            mend="update Dibs here; until then the task is left alone",
            many=f"tasks are held by claims of a newer Dibs (version {claim.version})",
            task_ids=(claim.id,),
        )


def future_leases(seen: Seen) -> Iterator[Symptom]:
    for claim in seen.claims:
        began = claim.lease_until - timedelta(seconds=claim.lease_seconds)
        if began > seen.now + FUTURE:
            yield Symptom(
                "clock",
                "warning",
                f"the lease of {claim.owner.caller or 'somebody'} on {claim.id} begins in the future, at "
                f"{stamp(began)}: the clock was set back",
                mend="see that the clock is right; `dibs doctor --fix` lets the lease begin now",
                many="leases begin in the future: the clock was set back",
                cause="leases",
                task_ids=(claim.id,),
                done="the lease on {ids} begins now",
            )


def files_kept_by_hand(seen: Seen) -> Iterator[Symptom]:
    """Work by hand whose files others wait for."""
    by_hand = {
        task.key: task
        for task in seen.unrecorded()
        if judge(task, None, seen.host) is Standing.PERSON and task.type not in seen.settings.container_types
    }
    kept = tuple(Reservation(t.id, ", ".join(t.assignees), t.files) for t in by_hand.values() if t.files)
    held = Held(frozenset(by_hand), kept, roots=seen.roots, fold=seen.fold)
    for task in seen.tasks if kept else ():
        if task.status == "active" and (found := held.in_the_way(task)) is not None:
            first = found[0].task_id
            yield Symptom(
                "files",
                "note",
                f"{task.id} waits for files of {first}, which is in progress by hand",
                mend=f"when nobody works on {first}: `dibs release {first} --steal`",
                many=f"tasks wait for files of {first}, which is in progress by hand",
                task_ids=(task.id,),
            )


EXAMINATIONS = (
    nobody_comes,
    claims_in_disorder,
    work_without_record,
    claim_files,
    future_leases,
    files_kept_by_hand,
)
