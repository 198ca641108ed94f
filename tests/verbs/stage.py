"""A stage for a few actors on threads of their own, one of which moves at a time, from one named step to the next.

The director walks all orders in which they can take turns, each from scratch. Where an actor waits for the mutex that
another one holds, it has no turn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 20.0
STEPS_AT_MOST = 40
WRITES = ("claim.claim_file", "resume.claim_file", "reap.read", "end.read")
"""Steps after which a task file is written."""


class Abandoned(BaseException):
    """The play was stopped; the thread goes home."""


class Actor:
    """One thread that stops at every step. ``at`` is where it is: "begin", the name of a step, or "end"."""

    def __init__(self, name: str, act: Callable[[], Any]) -> None:
        self.name = name
        self.at = "begin"
        self.result: Any = None
        self.inode: int | None = None
        self._act = act
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        try:
            self._wait()
            self.result = self._act()
        except Abandoned:
            pass
        except Exception as error:
            self.result = error
        self.at = "end"
        self._stopped.release()

    def _wait(self) -> None:
        assert self._go.acquire(timeout=PATIENCE_SECONDS)
        if self._abandoned:
            raise Abandoned

    def start(self) -> None:
        self._thread.start()

    def stop_at(self, step: str) -> None:
        """Called on the actor's thread: give the turn back, and wait for the next one."""
        self.at = step
        self._stopped.release()
        self._wait()

    def move(self) -> None:
        """Called by the director: let it go on to its next step, or to its end."""
        self._go.release()
        assert self._stopped.acquire(timeout=PATIENCE_SECONDS), f"{self.name} hangs after {self.at}"

    def abandon(self) -> None:
        self._abandoned = True
        self._go.release()
        self._thread.join(PATIENCE_SECONDS)

    def is_me(self) -> bool:
        return threading.current_thread() is self._thread


@dataclass
class Play:
    """Who acts, in which directory, and what must hold when all are done: ``check`` gets the results by name."""

    tasks_dir: Path
    actors: Mapping[str, Callable[[], Any]]
    check: Callable[[Mapping[str, Any]], None]
    between: Callable[[], None] = lambda: None
    """What passes while nobody holds the mutex, such as time."""
    hands: tuple[str, ...] = ()
    """Who is not a call of ours, and acts in one go."""
    touches: str = ""
    """The one actor whom a hand is about, if it is about nothing else: the steps of others make no difference to it."""


@dataclass
class Stage:
    """One performance."""

    play: Play
    trace: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.actors = {name: Actor(name, act) for name, act in self.play.actors.items()}
        self._news = True
        self._last = ""
        self._mutex = self.play.tasks_dir / ".dibs" / "mutex"

    def hook(self, step: str) -> None:
        actor = next((actor for actor in self.actors.values() if actor.is_me()), None)
        if actor is None:
            return
        if step == "mutex.held":
            actor.inode = self._mutex.stat().st_ino
        elif step == "mutex.freed":
            actor.inode = None
            if all(other.inode is None for other in self.actors.values()):
                self.play.between()
        actor.stop_at(step)

    def can_move(self, name: str) -> bool:
        actor = self.actors[name]
        if actor.at != "mutex.wanted":
            return actor.at != "end"
        try:
            inode = self._mutex.stat().st_ino
        except FileNotFoundError:
            return True
        return all(other.inode != inode for other in self.actors.values() if other is not actor)

    def has_reason(self, name: str) -> bool:
        """Until it wants the mutex a call only reads task files: it may as well begin just after one was written."""
        if name in self.play.hands:
            return not self.play.touches or self._last in ("", self.play.touches)
        return self.actors[name].at != "begin" or self._news

    def move(self, name: str) -> None:
        actor = self.actors[name]
        self._news = name in self.play.hands or actor.at in WRITES
        self._last = name
        self.trace.append(f"{name} goes on after {actor.at}")
        actor.move()

    def perform(self, choose: Callable[[list[str]], str]) -> None:
        """All actors to their ends, each turn as ``choose`` says; then the check."""
        for actor in self.actors.values():
            actor.start()
        try:
            while able := [name for name in self.actors if self.can_move(name)]:
                self.move(choose([name for name in able if self.has_reason(name)] or able))
            left = [actor.name for actor in self.actors.values() if actor.at != "end"]
            assert not left, f"{left} wait for one another"
            self.play.check({name: actor.result for name, actor in self.actors.items()})
        except BaseException as error:
            error.add_note("\n".join(self.trace))
            raise
        finally:
            for actor in self.actors.values():
                if actor.at != "end":
                    actor.abandon()


def every_order() -> Iterator[Callable[[list[str]], str]]:
    """Choosers, one a performance, that together take every turn in every order."""
    path: list[int] = []
    while True:
        taken: list[tuple[int, int]] = []

        def choose(able: list[str], taken: list[tuple[int, int]] = taken, path: list[int] = path) -> str:
            turn = path[len(taken)] if len(taken) < len(path) else 0
            taken.append((turn, len(able)))
            return able[turn]

        yield choose
        while taken and taken[-1][0] + 1 == taken[-1][1]:
            taken.pop()
        if not taken:
            return
        path = [turn for turn, _ in taken[:-1]] + [taken[-1][0] + 1]


class Plan:
    """A chooser that moves the actors in turn, each so many times at most; who cannot move is passed over."""

    def __init__(self, *turns: tuple[str, int]) -> None:
        self._turns = [[name, most, 0] for name, most in turns]
        self._at = 0

    def __call__(self, able: list[str]) -> str:
        while self._at < len(self._turns):
            turn = self._turns[self._at]
            if turn[0] in able and turn[2] < turn[1]:
                turn[2] += 1
                return str(turn[0])
            self._at += 1
        return able[0]

    def cut_short(self, at: int) -> bool:
        """Whether the turn of this number was shorter than planned: longer ones would be the same."""
        _, most, moved = self._turns[at]
        return moved < most


def every_pair() -> Iterator[Plan]:
    """Plans: ``one`` to each of its steps, the ``hand``, ``two`` to each of its own, ``one`` to its end, ``two`` too.

    Each once with ``two`` waiting for the mutex beforehand, and once with ``two`` coming later.
    """
    for early in (0, 1):
        for one in range(STEPS_AT_MOST):
            for two in range(STEPS_AT_MOST):
                plan = Plan(("two", early), ("one", one), ("hand", 1), ("two", two), ("one", 99))
                yield plan
                if plan.cut_short(3):
                    break
            if plan.cut_short(1):
                break
