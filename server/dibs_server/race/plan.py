"""What a race is to be: everything that is decided before it begins, from the seed alone. Pure.

What the seed cannot decide is the order in which the operating system lets the processes run: the same plan meets
another interleaving each time.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Phase = Literal["claim", "hold", "end"]
After = Literal["resume", "finish", "late", "forget"]
Edit = Literal["body", "priority", "done", "active", "checkout", "stash", "switch", "ledger"]
PHASES: tuple[Phase, ...] = ("claim", "hold", "end")
AFTERS: tuple[After, ...] = ("resume", "finish", "late", "forget")
BY_HAND: tuple[Edit, ...] = ("body", "priority", "done", "active", "ledger")
WITH_GIT: tuple[Edit, ...] = ("checkout", "stash", "switch")
LAST_MARK = 0.8
MOST_SECONDS_A_FILE = 0.005
LONG_HOLDS = 3
LONGEST_WORK_SECONDS = 0.02


@dataclass(frozen=True)
class Options:
    """How large a race is, and how rough. ``seconds`` None: until all is done."""

    procs: int = 8
    tasks: int = 400
    kills: int = 5
    hand_edits: int = 10
    seconds: float | None = None
    seed: int = 0
    lease_seconds: float = 3.0

    @property
    def patience_seconds(self) -> float:
        """How long nothing may happen: at first every server reads every file, on however few processors."""
        return 90 + self.procs * self.tasks * MOST_SECONDS_A_FILE


@dataclass(frozen=True)
class Will:
    """What becomes of a task, whoever gets it."""

    work_seconds: float
    blocked: bool
    given_back_first: bool
    said_twice: bool
    wrong_token_first: bool


@dataclass(frozen=True)
class Kill:
    """A server's death: at the race's n-th claim, before, in or after which call, and what its agent does then.

    ``share`` of a usual call's duration passes between sending the call and the kill.
    """

    at_claim: int
    phase: Phase
    share: float
    after: After


@dataclass(frozen=True)
class Disturbance:
    """Something a person does once so many tasks have ended; ``pick`` chooses the task."""

    at_ending: int
    edit: Edit
    pick: float
    in_place: bool


@dataclass(frozen=True)
class Plan:
    wills: tuple[Will, ...]
    kills: tuple[Kill, ...]
    disturbances: tuple[Disturbance, ...]


def make_plan(options: Options, leaves: frozenset[int], *, git: bool) -> Plan:
    """The plan of a seed. ``leaves`` are the tasks that no other waits for: only they may be blocked for good."""
    dice = random.Random(f"dibs race {options.seed}")
    wills = _wills(dice, options, leaves)
    last = max(1, int(options.tasks * LAST_MARK))
    kills = sorted((_kill(dice, number, last) for number in range(options.kills)), key=lambda kill: kill.at_claim)
    edits = _deck(dice, options.hand_edits, (*BY_HAND, *WITH_GIT) if git else BY_HAND)
    marks = sorted(dice.randint(1, last) for _ in edits)
    disturbances = [
        Disturbance(at, edit, dice.random(), dice.random() < 0.5) for at, edit in zip(marks, edits, strict=True)
    ]
    return Plan(tuple(wills), tuple(kills), tuple(disturbances))


def _wills(dice: random.Random, options: Options, leaves: frozenset[int]) -> list[Will]:
    long = set(dice.sample(range(options.tasks), min(LONG_HOLDS, options.tasks // 10)))
    return [
        Will(
            work_seconds=1.5 * options.lease_seconds if number in long else dice.uniform(0, LONGEST_WORK_SECONDS),
            blocked=dice.random() < 0.1 and number in leaves,
            given_back_first=dice.random() < 0.05,
            said_twice=dice.random() < 0.1,
            wrong_token_first=dice.random() < 0.05,
        )
        for number in range(options.tasks)
    ]


def _kill(dice: random.Random, number: int, last: int) -> Kill:
    phase = PHASES[number % len(PHASES)]
    return Kill(dice.randint(1, last), phase, dice.uniform(0, 1.2), AFTERS[dice.randrange(len(AFTERS))])


def _deck(dice: random.Random, size: int, kinds: tuple[Edit, ...]) -> list[Edit]:
    """``size`` edits in random order, of all kinds equally many."""
    deck: list[Edit] = []
    while len(deck) < size:
        deck += dice.sample(kinds, len(kinds))
    return deck[:size]
