"""Standing by while programs work under claims: the claims are renewed, and a program whose claim is over is ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TypeVar

from dibs import outcomes
from dibs.outcomes import Outcome
from dibs.renewing import renew_claims
from dibs.session import Session
from dibs.store.errors import DibsError
from dibs.store.task_store import TaskStore
from dibs_server.dispatch.child import Child

LOOK_SECONDS = 1.0
CLAIM_SECONDS, REPORT_SECONDS = 10.0, 60.0
"""How long a claim, and the report on what was done, are tried when something is in the way that may pass."""
PARTING_SECONDS = 60.0
"""How long a program may go on once it has reported, at the least: it has last words to say, and what its run took."""
MAY_PASS = ("settings", "busy", "io", "task_changed")
REPORTS = ("completed", "blocked")

T = TypeVar("T")


class Attendance:
    """The renewing of a session's claims, for as long as the block lasts."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._running: dict[str, tuple[str, Child]] = {}
        self._renewer = threading.Thread(target=self._stand_by, name="dibs-renew", daemon=True)

    def __enter__(self) -> Attendance:
        self._renewer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._renewer.join()

    @contextmanager
    def at_work(self, task_id: str, token: str, child: Child) -> Iterator[None]:
        """The program works under this claim, within the block."""
        with self._lock:
            self._running[token] = (task_id, child)
        try:
            yield
        finally:
            with self._lock:
                del self._running[token]

    @property
    def children(self) -> list[Child]:
        with self._lock:
            return [child for _, child in self._running.values()]

    def _stand_by(self) -> None:
        while not self._over.wait(self._renew_seconds()):
            self.renew()

    def renew(self) -> None:
        """Renew the claims of what runs, and end what has none any more."""
        with self._lock:
            running = dict(self._running)
        for claim in self._session.held():
            if claim.token in running:
                self._session.named(claim.id, claim.token)
        with suppress(DibsError, OSError):
            renew_claims(self._session)
        held = {claim.token for claim in self._session.held()}
        for token, (task_id, child) in running.items():
            if token not in held and (why := self._why_end(task_id, token)):
                child.stop(why)

    def _why_end(self, task_id: str, token: str) -> str:
        """Why a program is to be ended that this session holds no claim for; "" when it may go on: with a server of
        its own it may have taken the claim over, or have reported."""
        ledger = self._session.store.ledger
        try:
            claim, ending = ledger.claim(task_id), ledger.endings(task_id).of(token)
        except (DibsError, OSError):
            return ""  # nobody knows
        if claim is not None and claim.token == token:
            return ""
        if ending is None or ending.how not in REPORTS:
            return "its claim is over"
        since = (self._session.store.now() - ending.at).total_seconds()
        return "" if since < PARTING_SECONDS else "it had reported, and did not end"

    def _renew_seconds(self) -> float:
        try:
            return self._session.store.settings.claims.renew_seconds
        except DibsError:
            return 40.0


def patiently(act: Callable[[], T], seconds: float, stopped: threading.Event) -> T:
    """Do it, and again while something is in the way that may pass: settings that are just being saved, a busy
    directory, a full disk. Raises the DibsError after so many seconds, or once ``stopped``."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return act()
        except DibsError as error:
            if error.code not in MAY_PASS or time.monotonic() > deadline or stopped.is_set():
                raise
        stopped.wait(LOOK_SECONDS)


def ended_by_itself(store: TaskStore, task_id: str, token: str) -> Outcome | None:
    """What a program reported itself, by the claim it was told; None: that was not what ended the claim."""
    past = store.ledger.endings(task_id).of(token)
    if past is None or past.how not in REPORTS:
        return None
    return outcomes.ended(store, task_id, past.claim.path, past.left_status).outcome
