"""The judge finds each kind of breach in records made up for it, excuses what a disturbance excuses, and no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dibs_server.race.judge import Evidence, judge
from dibs_server.race.plan import Options, make_plan
from dibs_server.race.records import CLAIM, UNKNOWN, CallRecord, Death, Fault, LedgerLoss, Left, Records, Write
from dibs_server.race.sample import BYSTANDERS, Sample, make_sample

OPTIONS = Options(procs=2, tasks=10, kills=0, hand_edits=0, lease_seconds=3)
ONE = "race-00000"


def report(number: int, caller: str) -> str:
    return f"Report {number} of {caller} on {ONE}, to its last word."


def claimed(caller: str, token: str, at: float, **more: object) -> CallRecord:
    return replace(CallRecord(caller, ord(caller), CLAIM, ONE, token, "", at, at + 0.1, "ok"), **more)  # type: ignore[arg-type]


def ended(caller: str, token: str, at: float, number: int, **more: object) -> CallRecord:
    call = CallRecord(
        caller, ord(caller), "complete_task", ONE, token, report(number, caller), at, at + 0.1, "ok", "{}"
    )
    return replace(call, **more)  # type: ignore[arg-type]


GOOD = [claimed("a", "t-a", 1), ended("a", "t-a", 2, 1)]
DEAD = Death(ord("a"), "a", 1.5, 1.6, planned=True)


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return make_sample(tmp_path / "sample", OPTIONS.tasks, 3)


def done(content: bytes, caller: str = "a", number: int = 1) -> bytes:
    header = f"status: done\nassignee: {caller}\ncompleted_at: now"
    text = f"\n## Completion\n\n**By:** {caller}, now\n\n{report(number, caller)}\n"
    return content.replace(b"status: active", header.encode()) + text.encode()


def broken(
    sample: Sample, *calls: CallRecord, file: bytes | None = None, claims: tuple[str, ...] = (), **more: object
) -> set[str]:
    """The promises that the judge calls broken in a race for one task."""
    records = Records(calls=list(calls), **more)  # type: ignore[arg-type]
    files = {ONE: done(sample.tasks[0].content) if file is None else file}
    only = replace(sample, tasks=sample.tasks[:1])
    left = Left(files, dict(BYSTANDERS), claims)
    return {verdict.promise for verdict in judge(Evidence(OPTIONS, only, records, left)) if verdict.breaches}


def test_a_race_that_went_well_broke_nothing(sample: Sample) -> None:
    assert broken(sample, *GOOD) == set()


def test_two_owners_at_a_time(sample: Sample) -> None:
    assert "one owner at a time" in broken(sample, *GOOD, claimed("b", "t-b", 1.5))
    assert "one owner at a time" not in broken(sample, *GOOD, claimed("b", "t-b", 2.5))


@pytest.mark.parametrize(("at", "early"), [(2.0, True), (3.5, True), (4.2, False)])
def test_a_takeover_before_the_lease_has_passed(sample: Sample, at: float, early: bool) -> None:
    calls = [claimed("a", "t-a", 1), claimed("b", "t-b", at), ended("b", "t-b", 6, 1)]
    told = broken(sample, *calls, deaths=[DEAD], file=done(sample.tasks[0].content, "b"))
    assert told == ({"a dead server's task comes free after its lease, not before"} if early else set())


def test_who_resumes_its_own_claim_need_not_wait(sample: Sample) -> None:
    calls = [claimed("a", "t-a", 1), claimed("a", "t-2", 2, resume=True), ended("a", "t-2", 3, 1)]
    assert broken(sample, *calls, deaths=[DEAD]) == set()


def test_an_old_token_that_is_let_in(sample: Sample) -> None:
    late = [claimed("a", "t-a", 1), claimed("b", "t-b", 5), ended("a", "t-a", 6, 1)]
    assert "late and foreign tokens are refused" in broken(sample, *late, deaths=[DEAD])
    assert "late and foreign tokens are refused" in broken(sample, *GOOD, ended("a", "t-of-another", 3, 2))


def test_a_task_that_is_ended_twice(sample: Sample) -> None:
    twice = [*GOOD, claimed("b", "t-b", 3), ended("b", "t-b", 4, 1)]
    file = done(sample.tasks[0].content, "b")
    told = broken(sample, *twice, file=file)
    assert {"no task is ended twice", "what was answered ok is in the file, once"} <= told
    checkout = Write(ONE, "git", 2.5, 2.6, sample.tasks[0].content)
    assert broken(sample, *twice, file=file, writes=[checkout]) == set(), "git had taken the first ending away"
    before = replace(checkout, started=0.5, ended=0.6)
    assert "no task is ended twice" in broken(sample, *twice, file=file, writes=[before]), "that was before it"


def test_an_ending_that_is_lost(sample: Sample) -> None:
    lost = done(sample.tasks[0].content).replace(report(1, "a").encode(), report(2, "b").encode())
    assert "what was answered ok is in the file, once" in broken(sample, *GOOD, file=lost)


def test_a_refused_report_that_is_in_the_file(sample: Sample) -> None:
    refused = ended("b", "t-b", 3, 7, outcome="claim_lost", kept=True)
    file = done(sample.tasks[0].content, "b", 7)
    assert "what was answered ok is in the file, once" in broken(sample, *GOOD, refused, file=file)


def test_another_answer_to_the_same_ending(sample: Sample) -> None:
    again = ended("a", "t-a", 3, 1, outcome="claim_lost", answer="no", kept=True)
    assert "the same ending again gets the same answer" in broken(sample, *GOOD, again)
    assert broken(sample, *GOOD, again, losses=[LedgerLoss(2.5, 2.6)]) == set(), "endings are forgotten with .dibs"
    busy = ended("a", "t-a", 3, 1, outcome="busy", answer="call again", kept=True)
    assert broken(sample, *GOOD, busy) == set(), "that answer decides nothing"


def test_a_holder_that_is_turned_away(sample: Sample) -> None:
    calls = [claimed("a", "t-a", 1), ended("a", "t-a", 2, 1, outcome="claim_lost", kept=True)]
    by_hand = Write(ONE, "hand", 1.5, 1.6, sample.tasks[0].content.replace(b"active", b"done"), ends=True)
    assert "who holds a task can end it" in broken(sample, *calls)
    assert "who holds a task can end it" not in broken(sample, *calls, writes=[by_hand])


def test_a_report_that_is_kept_nowhere(sample: Sample) -> None:
    refused = ended("b", "t-b", 3, 7, outcome="claim_lost", kept=False)
    assert broken(sample, *GOOD, refused) == {"a refused report is kept"}


def test_a_torn_file(sample: Sample) -> None:
    assert "no file is torn or lost" in broken(sample, *GOOD, file=b"")
    assert "no file is torn or lost" in broken(sample, *GOOD, file=done(sample.tasks[0].content)[:-9])
    fault = Fault(ONE, 1.5, 1.6, "its header is not whole")
    assert broken(sample, *GOOD, faults=[fault]) == {"no file is torn or lost"}
    by_git = Write(ONE, "git", 1.4, 1.7, sample.tasks[0].content)
    assert broken(sample, *GOOD, faults=[fault], writes=[by_git]) == set(), "git writes in place"


@pytest.mark.parametrize("change", [(b"priority: 0", b"priority: 1"), (b"Do it", b"Do  it"), (b"\nid:", b"\n\nid:")])
def test_a_byte_that_is_not_dibs_to_change(sample: Sample, change: tuple[bytes, bytes]) -> None:
    file = done(sample.tasks[0].content).replace(*change)
    assert broken(sample, *GOOD, file=file) == {"no byte changes outside of what Dibs writes"}


def test_a_save_that_is_lost_or_does_not_count(sample: Sample) -> None:
    saved = Write(ONE, "hand", 0.1, 0.2, sample.tasks[0].content.replace(b"Do it", b"Please do it"))
    assert broken(sample, *GOOD, writes=[saved]) == {"what a person saved stays, and counts"}
    by_hand = Write(ONE, "hand", 0.1, 0.2, sample.tasks[0].content.replace(b"active", b"done"), ends=True)
    assert broken(sample, *GOOD, writes=[by_hand]) == {"what a person saved stays, and counts"}


def test_what_is_left_over(sample: Sample) -> None:
    assert broken(sample, *GOOD, claims=("x.lock",)) == {"nothing is stuck"}
    assert "nothing is stuck" in broken(sample, file=sample.tasks[0].content)
    with_claim = done(sample.tasks[0].content).replace(b"completed_at", b"claim: t-a\ncompleted_at")
    assert broken(sample, *GOOD, file=with_claim) == {"nothing is stuck"}


def test_a_server_that_dies_or_does_not_answer_in_its_own_words(sample: Sample) -> None:
    assert broken(sample, *GOOD, deaths=[replace(DEAD, last_alive=9, planned=False)]) == {"servers live on and answer"}
    assert broken(sample, *GOOD, claimed("b", "", 1, outcome="io", task_id="")) == {"servers live on and answer"}
    assert broken(sample, *GOOD, claimed("b", "", 1, outcome=UNKNOWN, task_id="")) == set()


def test_tasks_with_the_same_file_side_by_side(sample: Sample) -> None:
    one, other = (task for task in make_sample(sample.folder / "more", 20, 3).tasks if task.group == "src/part-0.txt")
    pair = replace(sample, tasks=(one, other))
    calls = [claimed("a", "t-a", 1, task_id=one.id), claimed("b", "t-b", 2, task_id=other.id)]
    left = Left({task.id: task.content for task in pair.tasks}, dict(BYSTANDERS), ())
    told = {
        verdict.promise for verdict in judge(Evidence(OPTIONS, pair, Records(calls=calls), left)) if verdict.breaches
    }
    assert "tasks that change the same file are kept apart" in told


def test_a_seed_is_a_plan() -> None:
    options = replace(OPTIONS, tasks=100, kills=10, hand_edits=10, seed=7)
    plans = [make_plan(options, frozenset(range(50)), git=True) for _ in range(2)]
    assert plans[0] == plans[1]
    assert plans[0] != make_plan(replace(options, seed=8), frozenset(range(50)), git=True)
    assert (len(plans[0].kills), len(plans[0].disturbances), len(plans[0].wills)) == (10, 10, 100)
    assert {edit.edit for edit in make_plan(options, frozenset(), git=False).disturbances} == {
        "body", "priority", "done", "active", "ledger",
    }  # fmt: skip
    assert not any(will.blocked for will in plans[0].wills[50:]), "others wait for these"
