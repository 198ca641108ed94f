"""The judge: each promise held against the callers' own records and the bytes of the files, and against nothing else.

It uses no code of what it judges, neither to read a task file nor to know who holds a task, and never looks into
``.dibs`` but to see that no claim is left. What it excuses stands in ``history.py``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from dibs_server.race.history import History, Hold
from dibs_server.race.judge_files import judge_files
from dibs_server.race.plan import Options
from dibs_server.race.records import CLAIM, EMPTY, OK, UNKNOWN, CallRecord, Left, Records
from dibs_server.race.sample import Sample
from dibs_server.race.verdict import Verdict

DECIDES_NOTHING = (UNKNOWN, "busy", "task_changed")
"""Nothing was changed, or nobody heard: the caller is to call again."""
ALWAYS_RIGHT = (OK, EMPTY, *DECIDES_NOTHING, "claim_lost")
AFTER_A_FOREIGN_WRITE = ("not_found", "invalid_task")
LOOKED_AT_AGAIN_SECONDS = 5.0
REPORT_KEPT = ("claim_lost", "not_found", "invalid_task", "task_changed")


@dataclass(frozen=True)
class Evidence:
    """All that is known of a race. ``cut_short``: it ended before the work did. ``servers_may_die``: who started the
    race lets servers die by themselves."""

    options: Options
    sample: Sample
    records: Records
    left: Left
    cut_short: bool = False
    servers_may_die: bool = False


def judge(evidence: Evidence) -> list[Verdict]:
    """One verdict a promise."""
    history = History(evidence.options, evidence.records)
    return [
        _one_owner(history),
        _leases_honoured(history),
        _files_apart(history, evidence.sample),
        _fenced(history),
        _never_twice(history),
        _same_answer_again(history),
        _holders_admitted(history),
        _reports_kept(history),
        *judge_files(evidence.sample, history, evidence.left, cut_short=evidence.cut_short),
        _answers(history, evidence.servers_may_die),
    ]


def _overlapping(holds: list[Hold]) -> Iterator[tuple[Hold, Hold]]:
    """Pairs of which the second got what the first still held. ``holds`` are in the order they were heard of."""
    standing: list[Hold] = []
    for hold in holds:
        standing = [other for other in standing if other.until > hold.since]
        yield from ((other, hold) for other in standing)
        standing.append(hold)


def _one_owner(history: History) -> Verdict:
    breaches = [
        f"{second.task_id}: {second} got it while {first} held it"
        for holds in history.holds.values()
        for first, second in _overlapping(holds)
        if not history.died_before(first.server, second.since)
    ]
    return Verdict("one owner at a time", sum(map(len, history.holds.values())), breaches)


def _leases_honoured(history: History) -> Verdict:
    taken_over, breaches = 0, []
    for holds in history.holds.values():
        early = {
            (first.token, second.token)
            for first, second in _overlapping(holds)
            if history.died_before(first.server, second.since)
        }
        for number, second in enumerate(holds):
            for first in holds[:number]:
                taken_over += history.died_before(first.server, second.since) and first.caller != second.caller
                if (first.token, second.token) in early:
                    after = second.since - first.asked
                    breaches.append(f"{first.task_id}: {second} got it {after:.2f} s after {first} asked for it")
    return Verdict("a dead server's task comes free after its lease, not before", taken_over, breaches)


def _files_apart(history: History, sample: Sample) -> Verdict:
    groups: dict[str, list[Hold]] = defaultdict(list)
    for task in sample.tasks:
        if task.group:
            groups[task.group] += history.holds.get(task.id, [])
    breaches = [
        f"{group}: {second} got {second.task_id} while {first} held {first.task_id}"
        for group, holds in groups.items()
        for first, second in _overlapping(sorted(holds, key=lambda hold: hold.since))
        if first.task_id != second.task_id
    ]
    return Verdict("tasks that change the same file are kept apart", sum(map(len, groups.values())), breaches)


def _fenced(history: History) -> Verdict:
    """A token counts for the one claim it was given for, and no more once somebody has claimed the task since."""
    tried, breaches = 0, []
    for (task_id, token), calls in history.endings.items():
        own = next((hold for hold in history.holds.get(task_id, []) if hold.token == token), None)
        for number, call in enumerate(calls):
            if own is None:
                tried += 1
                if call.outcome == OK:
                    breaches.append(f"{task_id}: {call.tool} by {call.caller} with {token}, a token of another task")
                continue
            later = [hold for hold in history.holds[task_id] if hold.asked > own.since and hold.since < call.started]
            tried += bool(later)
            if later and call.outcome == OK and not _counted_again(history, call, calls[:number], later[0]):
                breaches.append(
                    f"{task_id}: {call.tool} by {call.caller} with {token}, though {later[-1]} got it since"
                )
    return Verdict("late and foreign tokens are refused", tried, breaches)


def _counted_again(history: History, call: CallRecord, before: list[CallRecord], later: Hold) -> bool:
    """Whether an old token may be answered "ok": it ended its claim before, or its file was brought back."""
    if any(first.outcome == OK for first in before):
        return True
    writes = history.writes[call.task_id]
    if any(call.token.encode() in write.content and write.ended >= later.asked for write in writes):
        return True
    return any(first.outcome == UNKNOWN and history.may_be_undone(first) for first in before)


def _never_twice(history: History) -> Verdict:
    breaches, ended = [], history.successful("complete_task", "block_task")
    last: dict[str, CallRecord] = {}
    for call in ended:
        first = last.get(call.task_id)
        if first is not None and not history.may_be_undone(first):
            breaches.append(f"{call.task_id}: ended by {first.caller}, and again by {call.caller}")
        last[call.task_id] = call
    return Verdict("no task is ended twice", len(ended), breaches)


def _same_answer_again(history: History) -> Verdict:
    again, breaches = 0, []
    for calls in history.endings.values():
        first = next((number for number, call in enumerate(calls) if call.outcome == OK), len(calls))
        for call in calls[first + 1 :]:
            if call.outcome in DECIDES_NOTHING:
                continue
            again += 1
            since = calls[first].started
            excused = history.ledger_lost(since, call.ended) or history.written(call.task_id, since, call.ended)
            if call.answer != calls[first].answer and not excused:
                breaches.append(f"{call.task_id}: {call.tool} with {call.token} again was answered {call.outcome}")
    return Verdict("the same ending again gets the same answer", again, breaches)


def _holders_admitted(history: History) -> Verdict:
    """Who holds a task can end it."""
    tried, breaches = 0, []
    for holds in history.holds.values():
        for hold in holds:
            calls = history.endings.get((hold.task_id, hold.token), [])
            tried += bool(calls)
            if not calls or any(call.outcome == OK for call in calls) or calls[-1].outcome == UNKNOWN:
                continue
            if not _rightly_refused(history, hold, calls[-1]):
                breaches.append(f"{hold.task_id}: {hold} was answered {calls[-1].outcome}: {calls[-1].answer[:300]}")
    return Verdict("who holds a task can end it", tried, breaches)


def _rightly_refused(history: History, hold: Hold, call: CallRecord) -> bool:
    since, until = hold.asked, call.ended
    if any(o is not hold and o.since >= since and o.asked <= until for o in history.holds[hold.task_id]):
        return True
    if history.ended_by_hand(hold.task_id, since, until):
        return True
    dead, lost = history.died_before(hold.server, until), history.ledger_lost(since, until)
    unheard = dead and any(claim.ended >= since and claim.started <= until for claim in history.unheard)
    return unheard or (lost and (dead or history.written(hold.task_id, since, until)))


def _reports_kept(history: History) -> Verdict:
    refused = [
        call for calls in history.endings.values() for call in calls if call.outcome in REPORT_KEPT and call.report
    ]
    breaches = [
        f"{call.task_id}: the report of {call.caller}, refused with {call.outcome}, is nowhere"
        for call in refused
        if not call.kept and not history.ledger_lost(call.started, call.ended)
    ]
    return Verdict("a refused report is kept", len(refused), breaches)


def _answers(history: History, servers_may_die: bool) -> Verdict:
    breaches = [
        f"the server of {death.caller} ended by itself"
        for death in history.records.deaths
        if not (death.planned or servers_may_die)
    ]
    breaches += [
        f"{call.caller}: {call.tool} {call.task_id} was answered {call.outcome}: {call.answer[:300]}"
        for call in history.calls
        if not _is_right(history, call)
    ]
    return Verdict("servers live on and answer", len(history.calls), breaches)


def _is_right(history: History, call: CallRecord) -> bool:
    if call.outcome in ALWAYS_RIGHT or (call.resume and call.outcome == "invalid_arguments"):
        return True
    if call.outcome in AFTER_A_FOREIGN_WRITE and call.tool != CLAIM:
        return history.written(call.task_id, call.started - LOOKED_AT_AGAIN_SECONDS, call.ended)
    return call.outcome == "io" and history.ledger_lost(call.started, call.ended)
