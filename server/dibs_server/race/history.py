"""The records of a race put in order: who held what from when to when, and what had happened to it meanwhile.

Here stands what each disturbance excuses, and nothing else is excused:

- *a server killed*: its claim may be taken over once the lease that it was promised has passed, at once by its own
  caller with ``resume``. A call in flight then may or may not have been carried out.
- *a task ended by hand*: its claim is over from the person's save on.
- *a file set back* (git, or a save of what was read before an ending): what had been written into it before is gone,
  and it is handed out again. Only endings that began before the file was written are excused, and of a person's saves
  only those that overlap with reading and saving.
- *``.dibs`` deleted*: endings are forgotten. A claim is honoured for a lease from then on, longer if its server lives.
- *both at once* (``.dibs`` deleted and the token gone from the file, within one claim): the claim is forgotten.
- *a slow save in place*: the file may be cut; nothing is said about its text.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from dibs_server.race.plan import Options
from dibs_server.race.records import CLAIM, ENDINGS, OK, UNKNOWN, CallRecord, Death, Records, Write

CLOCK_SECONDS = 0.05


@dataclass(frozen=True)
class Hold:
    """A claim as its caller knows it: asked for, heard of, and believed in until it ended it or lost it rightly."""

    task_id: str
    caller: str
    server: int
    token: str
    asked: float
    since: float
    until: float
    resume: bool

    def __str__(self) -> str:
        return f"{self.caller} with token {self.token}"


class History:
    """All records, by task and by token."""

    def __init__(self, options: Options, records: Records) -> None:
        self.lease_seconds = options.lease_seconds
        self.records = records
        self.deaths = {death.server: death for death in records.deaths}
        self.writes: dict[str, list[Write]] = defaultdict(list)
        for write in records.writes:
            self.writes[write.task_id].append(write)
        self.calls = sorted(records.calls, key=lambda call: call.started)
        self.endings: dict[tuple[str, str], list[CallRecord]] = defaultdict(list)
        for call in self.calls:
            if call.tool in ENDINGS:
                self.endings[call.task_id, call.token].append(call)
        self.unheard = [call for call in self.calls if call.tool == CLAIM and call.outcome == UNKNOWN]
        self.claims: dict[str, list[CallRecord]] = defaultdict(list)
        for call in self.calls:
            if call.tool == CLAIM and call.outcome == OK:
                self.claims[call.task_id].append(call)
        self.holds = {
            task_id: sorted(map(self._hold, claims), key=lambda hold: hold.since)
            for task_id, claims in self.claims.items()
        }

    def _hold(self, claim: CallRecord) -> Hold:
        return Hold(
            task_id=claim.task_id,
            caller=claim.caller,
            server=claim.server,
            token=claim.token,
            asked=claim.started,
            since=claim.ended,
            until=min(self._ends_of(claim), default=math.inf),
            resume=claim.resume,
        )

    def _ends_of(self, claim: CallRecord) -> list[float]:
        """Each moment from which somebody else may have the task."""
        calls = self.endings.get((claim.task_id, claim.token), [])
        ends = [call.started for call in calls[:1]]
        ends += [
            other.started
            for other in self.claims[claim.task_id]
            if other.resume and other.caller == claim.caller and other.started > claim.ended
        ]
        if (death := self.deaths.get(claim.server)) is not None:
            ends.append(max(death.last_alive, claim.started + self.lease_seconds - CLOCK_SECONDS))
        losses = [loss for loss in self.records.losses if loss.ended >= claim.started]
        ends += [max(loss.started, claim.started) + self.lease_seconds - CLOCK_SECONDS for loss in losses]
        for write in self.writes[claim.task_id]:
            if write.ended < claim.started:
                continue
            if write.ends:
                ends.append(write.started)
            if claim.token.encode() not in write.content:
                ends += [max(write.started, loss.started) for loss in losses]
        return ends

    def died_before(self, server: int, moment: float) -> bool:
        """Whether a server may have been dead at a moment."""
        death: Death | None = self.deaths.get(server)
        return death is not None and death.last_alive <= moment

    def ledger_lost(self, since: float, until: float) -> bool:
        return any(loss.ended >= since and loss.started <= until for loss in self.records.losses)

    def ended_by_hand(self, task_id: str, since: float, until: float) -> bool:
        """Whether a person's save ended the task in this time."""
        return any(write.ended >= since and write.started <= until and write.ends for write in self.writes[task_id])

    def written(self, task_id: str, since: float, until: float) -> bool:
        """Whether somebody else wrote the file in this time."""
        return any(write.ended >= since and write.started <= until for write in self.writes[task_id])

    def may_be_undone(self, call: CallRecord) -> bool:
        """Whether what a call wrote may be gone from the file, by git or by a person's save."""
        report = call.report.encode()
        return any(
            write.ended >= call.started
            and report not in write.content
            and (write.by == "git" or write.slow or write.started <= call.ended)
            for write in self.writes[call.task_id]
        )

    def successful(self, *tools: str) -> list[CallRecord]:
        """The first call with each token that ended its claim, by these tools."""
        found = []
        for calls in self.endings.values():
            first = next((call for call in calls if call.outcome == OK and call.tool in tools), None)
            found += [first] if first is not None else []
        return sorted(found, key=lambda call: call.ended)
