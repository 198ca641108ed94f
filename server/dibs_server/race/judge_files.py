"""What the files say at the end of a race, byte for byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from dibs_server.race import content
from dibs_server.race.content import Content, Section, Torn
from dibs_server.race.history import History
from dibs_server.race.records import OK, UNKNOWN, CallRecord, Left
from dibs_server.race.sample import BYSTANDERS, Sample, SampleTask
from dibs_server.race.verdict import Verdict

TOOLS = {"Completion": "complete_task", "Blocked": "block_task", "Note": "release_task"}


def judge_files(sample: Sample, history: History, left: Left, *, cut_short: bool) -> list[Verdict]:
    """The verdicts on all files that the race began with."""
    whole: dict[str, Content] = {}
    torn = list(_torn_while_read(history))
    for task_id, data in left.files.items():
        try:
            whole[task_id] = content.read(data)
        except Torn as exc:
            if not any(write.slow for write in history.writes[task_id]):
                torn.append(f"{task_id}: at the end {exc}")
    return [
        Verdict("no file is torn or lost", history.records.reads + len(left.files), torn),
        _endings_kept(history, whole),
        _only_written_lines(sample, history, whole, left),
        _persons_words(sample, history, whole),
        _nothing_stuck(sample, history, whole, left, cut_short),
    ]


def _torn_while_read(history: History) -> Iterator[str]:
    for fault in history.records.faults:
        if not history.written(fault.task_id, fault.started, fault.ended):
            yield f"{fault.task_id}: while the race was on {fault.what}"


def _endings_kept(history: History, whole: dict[str, Content]) -> Verdict:
    """What was answered "ok" is in the file, once, and no report that was refused."""
    ended = history.successful(*TOOLS.values())
    breaches = []
    for call in ended:
        file = whole.get(call.task_id)
        found = sum(section.report == call.report for section in file.sections) if file else 0
        if file is not None and (found > 1 or (found == 0 and not history.may_be_undone(call))):
            breaches.append(
                f"{call.task_id}: {call.tool} of {call.caller} was answered ok; its report is there {found} times"
            )
    calls = {call.report: call for call in history.calls if call.report and call.outcome in (OK, UNKNOWN)}
    for task_id, file in whole.items():
        breaches += [f"{task_id}: {what}" for what in _wrong_sections(file, task_id, calls)]
    return Verdict("what was answered ok is in the file, once", len(ended), breaches)


def _wrong_sections(file: Content, task_id: str, calls: dict[str, CallRecord]) -> Iterator[str]:
    for section in file.sections:
        call = calls.get(section.report)
        if section.report and not _is_of(section, call, task_id):
            yield f"{section.title} with a report that nobody was told ok for: {section.report}"
    if file.count("Completion") + file.count("Blocked") > 1:
        yield "it was ended more than once"
    last = next((section for section in file.sections if section.title == "Completion"), None)
    if last is not None and (file.status, file.values.get("assignee")) != ("done", last.who):
        yield f"completed by {last.who}, and its header says {file.values}"


def _is_of(section: Section, call: CallRecord | None, task_id: str) -> bool:
    return call is not None and (call.task_id, call.tool, call.caller) == (task_id, TOOLS[section.title], section.who)


def _only_written_lines(sample: Sample, history: History, whole: dict[str, Content], left: Left) -> Verdict:
    breaches = [
        f"{name}: nobody may touch it, and it was changed"
        for name, data in left.bystanders.items()
        if data != BYSTANDERS[name]
    ]
    compared = len(left.bystanders)
    for task in sample.tasks:
        writes, file = history.writes[task.id], whole.get(task.id)
        if file is None or any(write.by == "hand" for write in writes):
            continue
        compared += 1
        breaches += _differences(task, writes[-1].content if writes else task.content, file)
    return Verdict("no byte changes outside of what Dibs writes", compared, breaches)


def _differences(task: SampleTask, data: bytes, file: Content) -> Iterator[str]:
    was = content.read(data)
    if file.theirs != was.theirs:
        gone = [line for line in was.theirs if line not in file.theirs]
        more = [line for line in file.theirs if line not in was.theirs]
        yield f"{task.id}: gone {gone}, new {more}, or in another order"
    attempts = file.values.get("attempts", "0")
    if attempts != str(file.count("Attempt")):
        yield f"{task.id}: attempts is {attempts}, and {file.count('Attempt')} notes tell of one"


def _persons_words(sample: Sample, history: History, whole: dict[str, Content]) -> Verdict:
    """What a person saved is there, and who ended a task by hand has ended it."""
    saved = 0
    breaches: list[str] = []
    for task in sample.tasks:
        writes, file = history.writes[task.id], whole.get(task.id)
        by_hand = [write for write in writes if write.by == "hand"]
        saved += len(by_hand)
        if not by_hand or any(write.slow for write in writes):
            continue
        if file is not None:
            breaches += _differences(task, writes[-1].content, file)
        breaches += _claimed_in_spite(history, task)
    return Verdict("what a person saved stays, and counts", saved, breaches)


def _claimed_in_spite(history: History, task: SampleTask) -> Iterator[str]:
    writes = history.writes[task.id]
    for number, write in enumerate(writes):
        if not write.ends:
            continue
        until = writes[number + 1].started if number + 1 < len(writes) else float("inf")
        for hold in history.holds.get(task.id, []):
            if hold.asked > write.ended and hold.since < until:
                yield f"{task.id}: {hold} got it, though a person had set it to done"


def _nothing_stuck(sample: Sample, history: History, whole: dict[str, Content], left: Left, cut_short: bool) -> Verdict:
    """At the end all is done, or blocked by who had it, and nobody holds anything."""
    if cut_short:
        return Verdict("nothing is stuck", 0, [])
    breaches = [f"claim file {name} is left over" for name in left.claim_files]
    for task in sample.tasks:
        file = whole.get(task.id)
        by_hand = any(write.ends for write in history.writes[task.id])
        if file is None or (_is_ended(file, by_hand) and "claim" not in file.values):
            continue
        breaches.append(f"{task.id} is {file.status} at the end, {dict(Counter(s.title for s in file.sections))}")
    return Verdict("nothing is stuck", len(sample.tasks), breaches)


def _is_ended(file: Content, by_hand: bool) -> bool:
    if file.status == "done":
        return by_hand or file.count("Completion") == 1
    return file.status == "blocked" and file.count("Blocked") == 1
