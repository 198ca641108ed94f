"""A claim: the record of who holds a task, and the arithmetic of its lease. Pure, apart from making tokens.

The fencing token is random, not counted: a counter that starts again after ``.dibs`` is lost would make an old claim
pass for a new one. Its first part marks the host, so that a task file that came from another machine with a claim in
it is recognised. (The idea of fencing tokens: Kleppmann, "How to do distributed locking", 2016.)
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from dibs.store.processes import ProcessMark

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
TOKEN = re.compile(r"[a-z][0-9a-z]{3}-[0-9a-z]{11}")
CLOCK_TOLERANCE_SECONDS = 5.0
ENDINGS_KEPT = 16
CLAIM_VERSION: Literal[1] = 1
MAX_LEASE_SECONDS = 10 * 366 * 86_400.0


def _reckonable(moment: datetime) -> datetime:
    if not 2000 <= moment.year <= 9000:
        raise ValueError("no lease begins or ends then")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_reckonable)]


class Record(BaseModel):
    """What the ledger keeps. Keys it does not know are let go."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Owner(Record):
    """Who holds a claim. ``alive`` names the server's alive lock; None: no server renews this claim. ``started_by`` is
    the process that started that server, the client."""

    caller: str
    client: str = ""
    host: str = ""
    pid: int | None = None
    alive: str | None = None
    started_by: ProcessMark | None = None


class Claim(Record):
    """The content of a claim file.

    ``former`` has the raw header text of each key the claim changed, as the user wrote it (None: there was none), and
    is None itself where it is not known any more. ``earlier`` are the tokens it had before it was taken up again;
    ``planted``: made for a lost record, so that nobody knows when the task was really claimed.
    """

    version: Literal[1] = CLAIM_VERSION
    id: str
    path: str
    token: str
    owner: Owner
    claimed_at: Moment
    lease_until: Moment
    lease_seconds: float = Field(gt=0, le=MAX_LEASE_SECONDS, allow_inf_nan=False)
    last_call_at: Moment
    files: tuple[str, ...] = ()
    batch: str | None = None
    earlier: tuple[str, ...] = ()
    planted: bool = False
    former: dict[str, str | None] | None = None

    def renewed(
        self, now: datetime, *, lease_seconds: float | None = None, last_call_at: datetime | None = None
    ) -> Claim:
        seconds = self.lease_seconds if lease_seconds is None else lease_seconds
        return self.model_copy(
            update={
                "lease_seconds": seconds,
                "lease_until": now + timedelta(seconds=seconds),
                "last_call_at": last_call_at or now,
            }
        )

    def clock_went_back(self, now: datetime) -> bool:
        """The lease began after now: the clock was set back, and the claim would be honoured far too long."""
        began = self.lease_until - timedelta(seconds=self.lease_seconds)
        return began > now + timedelta(seconds=CLOCK_TOLERANCE_SECONDS)

    def lease_passed(self, now: datetime) -> bool:
        return now >= self.lease_until

    def idle(self, now: datetime, max_idle_seconds: float) -> bool:
        return now - self.last_call_at >= timedelta(seconds=max_idle_seconds)


@dataclass(frozen=True)
class NewerClaim:
    """A claim file that a newer Dibs wrote: it holds its task, and only such a Dibs may change it."""

    version: int
    id: str


def read_claim(content: bytes) -> Claim | NewerClaim | None:
    """The content of a claim file; None: it is damaged."""
    try:
        return Claim.model_validate_json(content)
    except ValidationError:
        pass
    try:
        given = json.loads(content)
    except (ValueError, RecursionError):
        return None
    version = given.get("version") if isinstance(given, dict) else None
    if not isinstance(version, int) or version <= CLAIM_VERSION:
        return None
    return NewerClaim(version, str(given.get("id", "")))


How = Literal["completed", "blocked", "released", "reaped", "by_hand", "taken_away", "reopened"]


class Ending(Record):
    """How one claim ended: the verb, its answer (to give again), and the status it left in the task file.

    ``report`` is the digest of what the caller reported, "" when that was nothing or is not known.
    """

    claim: Claim
    how: How
    at: AwareDatetime
    left_status: str = ""
    answer: dict[str, object] | None = None
    report: str = ""


class Endings(Record):
    """The last endings of one task, oldest first."""

    version: Literal[1] = 1
    id: str
    endings: tuple[Ending, ...] = ()

    @property
    def since_reopening(self) -> tuple[Ending, ...]:
        """The endings that still count: what was before the task was reopened does not."""
        reopened = [number for number, ending in enumerate(self.endings) if ending.how == "reopened"]
        return self.endings[reopened[-1] + 1 :] if reopened else self.endings

    def of(self, token: str) -> Ending | None:
        """How the claim of this token ended."""
        return next((ending for ending in reversed(self.since_reopening) if ending.claim.token == token), None)

    @property
    def completion(self) -> Ending | None:
        """The last time the task was completed."""
        return next((ending for ending in reversed(self.since_reopening) if ending.how == "completed"), None)

    @property
    def last(self) -> Ending | None:
        return self.endings[-1] if self.endings else None

    def with_ending(self, ending: Ending) -> Endings:
        return self.model_copy(update={"endings": (*self.endings, ending)[-ENDINGS_KEPT:]})


def stamp(at: datetime) -> str:
    """A moment (aware, UTC) as task files and messages show it."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def host_name() -> str:
    return socket.gethostname()


def host_mark(host: str) -> str:
    digest = hashlib.sha256(host.encode("utf-8", "replace")).hexdigest()
    return "h" + digest[:3]


def new_token(host: str) -> str:
    """A new fencing token: the host's mark and 54 random bits, short enough for an agent to copy."""
    return f"{host_mark(host)}-{''.join(secrets.choice(ALPHABET) for _ in range(11))}"


def is_token(text: str) -> bool:
    return TOKEN.fullmatch(text) is not None


def slug(task_id: str) -> str:
    """A file name for an id: readable, and unique by its hash. Ids equal but for case are one task."""
    readable = re.sub(r"[^a-z0-9]+", "-", task_id.casefold()).strip("-")[:40].strip("-")
    digest = hashlib.sha256(task_id.casefold().encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{readable}-{digest}" if readable else digest
