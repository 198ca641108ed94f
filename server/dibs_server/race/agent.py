"""A scripted agent with a real server of its own. It does what the plan says, and writes down every call it makes."""

from __future__ import annotations

import json
import queue
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dibs_server.race.course import Course
from dibs_server.race.plan import AFTERS, After, Kill, Will
from dibs_server.race.records import CLAIM, EMPTY, OK, UNKNOWN, CallRecord, Death
from dibs_server.race.wire import Answer, ServerGone, Wire

TO_BE_TRIED_AGAIN = ("busy", "task_changed", "not_found", "invalid_task", "io")
TRIES = 40
PAUSE_SECONDS = 0.1
USUAL_SECONDS = 0.02
WAIT_SECONDS = 1
FINISHED = Will(work_seconds=0, blocked=False, given_back_first=False, said_twice=False, wrong_token_first=False)


@dataclass(frozen=True)
class Hand:
    """A claim in hand, and how it is to end."""

    task_id: str
    token: str
    tool: str
    report: str


@dataclass
class Agent:
    """One agent; its server may be killed under it again and again, then it goes on with a new one."""

    course: Course
    name: str
    folder: Path
    hand: Hand | None = None
    late: list[Hand] = field(default_factory=list)
    other_token: str = ""
    kill: Kill | None = None
    after: After = "forget"
    server: int = 0
    last_alive: float = 0.0
    nothing_left: bool = False
    usual: dict[str, float] = field(default_factory=dict)

    def work(self) -> None:
        """Until nothing is left to do, or the race is stopped."""
        first = True
        while not self.course.stop.is_set():
            try:
                with self.course.server(self.folder) as wire:
                    self.server, self.last_alive = self.course.number(), time.monotonic()
                    if first:
                        self.course.all_are_here()
                        first = False
                    self._come_back(wire)
                    self._drain(wire)
                    return
            except (ServerGone, OSError):
                self._found_dead()
            except queue.Empty:
                self.course.records.add(self._record("a call", {}, time.monotonic(), "no_answer"))
                return

    def _found_dead(self) -> None:
        """The server is gone: by our kill, which is written down already, or by itself."""
        if self.course.stop.is_set() or any(death.server == self.server for death in self.course.records.deaths):
            return
        self.course.died(Death(self.server, self.name, self.last_alive, time.monotonic(), planned=False))
        self.after = AFTERS[self.server % len(AFTERS)]

    # what it does

    def _come_back(self, wire: Wire) -> None:
        """With a new server: see to what was in hand when the last one died."""
        hand, self.hand = self.hand, None
        if hand is not None and self.after == "finish":
            self._end(wire, hand)
        elif hand is not None and self.after == "late":
            self.late.append(hand)
        elif self.after == "resume" and self._claim(wire, resume=True):
            self._do(wire)
        self.after = "forget"

    def _drain(self, wire: Wire) -> None:
        while not self.course.last_lap.is_set():
            nothing_more_to_come = self.course.person_is_done.is_set()
            self.kill = self.kill or self.course.next_kill()
            if self._claim(wire, resume=False):
                self._do(wire)
            elif self.hand is None and self.nothing_left and nothing_more_to_come:
                break
            self._be_late(wire, [hand for hand in self.late if self._is_overtaken(hand)])
        if self.kill is not None:
            self.course.hand_on(self.kill)
            self.kill = None
        self._be_late(wire, list(self.late))

    def _claim(self, wire: Wire, *, resume: bool) -> bool:
        """Claim; True: a task is in hand."""
        given: dict[str, Any] = {"caller": self.name, "wait_seconds": WAIT_SECONDS}
        answer = self._call(wire, CLAIM, given | ({"resume": True} if resume else {}), kill_in="claim")
        self.nothing_left = answer.get("status") == EMPTY and answer["retry_after_seconds"] is None
        if answer.get("status") != "claimed":
            return False
        task_id, token = answer["task"]["id"], answer["claim_token"]
        will = self.course.will(task_id) or FINISHED
        tool = "block_task" if will.blocked else "complete_task"
        self.hand = Hand(task_id, token, tool, self._report(task_id))
        return True

    def _report(self, task_id: str) -> str:
        return f"Report {self.course.number()} of {self.name} on {task_id}, to its last word."

    def _do(self, wire: Wire) -> None:
        """Do what is in hand, as the plan wants it."""
        hand = self.hand
        assert hand is not None
        will = self.course.will(hand.task_id) or FINISHED
        if self.kill is not None and self.kill.phase == "hold":
            self._kill(wire, self.kill)
        if self.course.to_give_back(hand.task_id):
            self._end(wire, Hand(hand.task_id, hand.token, "release_task", hand.report))
            return
        self.course.stop.wait(will.work_seconds)
        if will.wrong_token_first and self.other_token:
            wrong = Hand(hand.task_id, self.other_token, "complete_task", self._report(hand.task_id))
            self._call_end(wire, wrong, kill_in="")
        self._end(wire, hand)
        if will.said_twice:
            self._insist(wire, hand, kill_in="")
        self.other_token = hand.token

    def _end(self, wire: Wire, hand: Hand) -> None:
        self.hand = hand
        self._insist(wire, hand, kill_in="end")
        self.hand = None

    def _insist(self, wire: Wire, hand: Hand, *, kill_in: str) -> None:
        """Call until there is an answer that decides."""
        for _ in range(TRIES):
            if self._call_end(wire, hand, kill_in=kill_in).get("code") not in TO_BE_TRIED_AGAIN:
                break
            self.course.stop.wait(PAUSE_SECONDS)

    def _be_late(self, wire: Wire, hands: list[Hand]) -> None:
        """End with the old tokens of claims that others may have by now."""
        for hand in hands:
            self.late.remove(hand)
            self._end(wire, hand)

    def _is_overtaken(self, hand: Hand) -> bool:
        return self.course.records.was_claimed_after(hand.task_id, hand.token)

    # how it calls

    def _call_end(self, wire: Wire, hand: Hand, *, kill_in: str) -> Answer:
        words = {"complete_task": "summary", "block_task": "reason", "release_task": "note"}
        given = {"id": hand.task_id, "claim_token": hand.token, words[hand.tool]: hand.report}
        if hand.tool == "block_task":
            given["kind"] = "agent"
        return self._call(wire, hand.tool, given, kill_in=kill_in)

    def _call(self, wire: Wire, tool: str, given: dict[str, Any], *, kill_in: str) -> Answer:
        """Call a tool, perhaps kill the server meanwhile, and write down what came of it."""
        started = time.monotonic()
        number = wire.start_call(tool, **given)
        try:
            if self.kill is not None and self.kill.phase == kill_in:
                time.sleep(self.kill.share * self.usual.get(tool, USUAL_SECONDS))
                self._kill(wire, self.kill, at_once=False)
            answer = wire.result(number)
        except ServerGone:
            self.course.records.add(self._record(tool, given, started, UNKNOWN))
            raise
        outcome = answer.get("code") or (EMPTY if answer.get("status") == EMPTY else OK)
        record = self._record(tool, given, started, outcome, answer)
        self.course.records.add(record)
        self.last_alive = record.ended
        if outcome == OK:
            self.usual[tool] = record.ended - started
        return answer

    def _record(
        self, tool: str, given: dict[str, Any], started: float, outcome: str, answer: Answer | None = None
    ) -> CallRecord:
        heard = answer or {}
        claimed = tool == CLAIM and outcome == OK
        report = given.get("summary") or given.get("reason") or given.get("note") or ""
        return CallRecord(
            caller=self.name,
            server=self.server,
            tool=tool,
            task_id=heard["task"]["id"] if claimed else given.get("id", ""),
            token=heard["claim_token"] if claimed else given.get("claim_token", ""),
            report=report,
            started=started,
            ended=time.monotonic(),
            outcome=outcome,
            answer=json.dumps(heard, sort_keys=True) if tool != CLAIM else str(heard.get("message", "")),
            resume=bool(given.get("resume")),
            kept=_is_kept(heard["report"], report) if heard.get("report") else None,
        )

    def _kill(self, wire: Wire, kill: Kill, *, at_once: bool = True) -> None:
        """Kill the own server. What it answered before may still be heard, unless ``at_once``."""
        last_alive = time.monotonic()
        wire.process.kill()
        wire.process.wait()
        self.course.died(Death(self.server, self.name, last_alive, time.monotonic(), planned=True))
        self.kill, self.after = None, kill.after
        if at_once:
            raise ServerGone


def _is_kept(path: str, report: str) -> bool:
    with suppress(OSError):
        return report in Path(path).read_text(encoding="utf-8")
    return False
