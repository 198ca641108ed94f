"""A session: who calls, for as long as one process does, and what that process holds.

A server's session keeps an alive lock and renews its claims; a session without one (a shell command) does neither.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from datetime import datetime

from dibs.given_claim import GivenClaim
from dibs.store.alive import AliveLock
from dibs.store.claims import Claim, Owner
from dibs.store.errors import InvalidArguments
from dibs.store.ledger import Hold
from dibs.store.processes import mark_of
from dibs.store.task_store import TaskStore

MAX_CALLER_CHARACTERS = 64


class CallCancelled(Exception):
    """The caller gave up on this call; whatever it did was taken back."""


class Call:
    """One call that its caller may give up on, from another thread, at any moment.

    Whatever the verb did is undone exactly once: by the verb while it runs, by whoever cancels once it has returned.
    ``on_progress`` is told by a verb that goes through many tasks: what it does, how many are through, of how many.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._undo: Callable[[], None] | None = None
        self.cancelled = False
        self.on_progress: Callable[[str, int, int], None] = lambda doing, through, of: None

    def check(self) -> None:
        if self.cancelled:
            raise CallCancelled

    def finish(self, undo: Callable[[], None]) -> None:
        """The verb's last act. Raises CallCancelled, after undoing, when the call was cancelled before."""
        with self._lock:
            if not self.cancelled:
                self._undo = undo
                return
        undo()
        raise CallCancelled

    def cancel(self) -> Callable[[], None] | None:
        """Cancel; returns what is left to undo when the verb had finished already."""
        with self._lock:
            self.cancelled = True
            return self._undo


class Session:
    """Who calls. ``client`` is the program's name, the default caller; ``person``: a shell, where people have rights
    that no agent has; ``server``: this process lives on and renews; ``given``: the one claim that whoever started this
    agent made for it."""

    def __init__(
        self,
        store: TaskStore,
        *,
        client: str = "",
        person: bool = False,
        server: bool = False,
        given: GivenClaim | None = None,
    ) -> None:
        self.store = store
        self.given = given
        self.client = client
        self.person = person
        self.alive_name = uuid.uuid4().hex if server else None
        self._started_by = mark_of(os.getppid()) if server else None
        self._alive: AliveLock | None = None
        self._lock = threading.Lock()
        self._held: dict[str, Claim] = {}
        self._past: set[str] = set()
        self._several = False
        self._callers: set[str] = set()
        self._unnamed: set[str] = set()
        self._last_call: dict[str, datetime] = {}
        self._left: dict[str, tuple[Claim, Claim | None]] = {}

    # who

    def caller(self, given: str) -> str:
        """The caller's name, else the client's through the aliases.

        Raises:
            InvalidArguments: it is not 1 to 64 printable characters.
        """
        name = given.strip().removeprefix("@").strip() or self.store.settings.caller_name(self.client) or "agent"
        if len(name) > MAX_CALLER_CHARACTERS or not name.isprintable():
            raise InvalidArguments(
                f"caller must be 1 to {MAX_CALLER_CHARACTERS} printable characters; give a short name of your own"
            )
        return name

    def owner(self, caller: str) -> Owner:
        return Owner(
            caller=caller,
            client=self.client,
            host=self.store.host,
            pid=os.getpid(),
            alive=self.alive_name,
            started_by=self._started_by,
        )

    def lease_seconds(self, asked: float | None = None) -> float:
        claims = self.store.settings.claims
        return asked or (claims.lease_seconds if self.alive_name else claims.cli_lease_seconds)

    def keep_alive(self, hold: Hold) -> None:
        """Hold the alive lock from the first claim on. Under the mutex (``hold`` is the proof)."""
        hold.check()
        if self.alive_name is None:
            return
        if self._alive is None:
            self._alive = self.store.ledger.alive_lock(self.alive_name)
        self._alive.keep()

    def close(self) -> None:
        """Let go of the alive lock, as death would. Leases stay as they are."""
        if self._alive is not None:
            self._alive.drop()

    # what it holds

    def took(self, claim: Claim) -> None:
        with self._lock:
            if (held := self._held.get(claim.id.casefold())) is not None and held.token != claim.token:
                # an earlier claim of this process was lost unnoticed, and its caller may still speak for it
                self._past.add(claim.id.casefold())
            self._held[claim.id.casefold()] = claim
            self._callers.add(claim.owner.caller.casefold())
            # two at once, or two callers: several agents are behind this server, and will be when one is left over
            self._several = self._several or len(self._held) > 1 or len(self._callers) > 1
            self._unnamed.add(claim.token)

    def renewed(self, claim: Claim) -> None:
        with self._lock:
            if claim.id.casefold() in self._held:
                self._held[claim.id.casefold()] = claim

    def let_go(self, claim: Claim) -> None:
        """This claim is over; from now on only a token can say whose call about its task this is."""
        with self._lock:
            self._past.add(claim.id.casefold())
            self._unnamed.discard(claim.token)
            # a later claim on the same task, made while this news was on its way, stays
            if (held := self._held.get(claim.id.casefold())) is not None and held.token == claim.token:
                del self._held[claim.id.casefold()]

    def leave(self, claim: Claim, before: Claim | None) -> None:
        """A claim that nobody was told of, and that could not be taken back yet; see ``taking.take_back``."""
        self.let_go(claim)
        with self._lock:
            self._left[claim.token] = (claim, before)

    def left(self) -> list[tuple[Claim, Claim | None]]:
        with self._lock:
            return list(self._left.values())

    def cleared(self, claim: Claim) -> None:
        with self._lock:
            self._left.pop(claim.token, None)

    def once_held(self, task_id: str) -> bool:
        """Whether this process holds the task, or ever did."""
        with self._lock:
            return task_id.casefold() in self._past or task_id.casefold() in self._held

    def held(self) -> list[Claim]:
        """The claims of this process, as it last wrote them."""
        with self._lock:
            return list(self._held.values())

    def is_ours(self, claim: Claim) -> bool:
        return self.alive_name is not None and claim.owner.alive == self.alive_name

    def may_speak_without_token(self, claim: Claim) -> bool:
        """One claim, never two at once or for two callers, never an earlier one on this task: then a call without a
        token can only mean this one."""
        with self._lock:
            only = not self._several and claim.id.casefold() in self._held
            return self.is_ours(claim) and only and claim.id.casefold() not in self._past

    def is_unnamed(self, claim: Claim) -> bool:
        """A claim of this process whose answer may never have arrived: no call has named it since."""
        with self._lock:
            return self.is_ours(claim) and claim.token in self._unnamed

    def named(self, task_id: str, token: str = "") -> None:
        """A call named this task: its claim has arrived, and its caller lives."""
        with self._lock:
            claim = self._held.get(task_id.strip().casefold())
            if claim is not None and token in ("", claim.token):
                self._unnamed.discard(claim.token)
                self._last_call[claim.owner.caller.casefold()] = self.store.now()

    def called(self, caller: str) -> None:
        with self._lock:
            self._last_call[caller.casefold()] = self.store.now()

    def last_call(self, claim: Claim) -> datetime:
        with self._lock:
            return max(self._last_call.get(claim.owner.caller.casefold(), claim.last_call_at), claim.last_call_at)
