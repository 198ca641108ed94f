"""docs/claims.md as a dictionary: what each task file and each claim file must say after each call.

Nothing here imports the store. Files are read by splitting lines, claims are read as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, TypeGuard

OURS = ("status", "assignee", "claim", "attempts", "completed_at", "outcome", "commit")
CLAIM_KEYS = ("status", "assignee", "claim")
WORDS = {"To Do": "active", "todo": "active", "Completed": "done"}
MAX_ATTEMPTS = 3
IDLE_SECONDS = 7200
LEASE_SECONDS = {"server": 120.0, "shell": 3600.0, "person": 3600.0}
LEFT_BY = {"done": "completed", "blocked": "blocked"}


class Text:
    """A task file: header lines by key, and the body."""

    def __init__(self, content: bytes) -> None:
        text = content.decode()
        self.newline = "\r\n" if text.startswith("---\r\n") else "\n"
        fence = f"---{self.newline}"
        head, end, self.body = text.removeprefix(fence).partition(self.newline + fence)
        assert text.startswith(fence) and end, text
        self.raws: dict[str, str] = {}
        key = ""
        for line in head.split(self.newline):
            if found := re.match(r"(\w+):", line):
                key = found[1]
                assert key not in self.raws, text
                self.raws[key] = line.removeprefix(f"{key}:")
            else:
                self.raws[key] += self.newline + line

    @property
    def fixed(self) -> list[tuple[str, str]]:
        """What belongs to the user alone, in its order."""
        return [(key, raw) for key, raw in self.raws.items() if key not in OURS]

    def values(self, key: str) -> tuple[str, ...]:
        return values_of(self.raws.get(key))

    def with_raw(self, key: str, raw: str) -> bytes:
        """The file after an editor changed one key."""
        lines = [f"{name}:{text}" for name, text in {**self.raws, key: raw}.items()]
        return self.newline.join(["---", *lines, "---", self.body]).encode()


def values_of(raw: str | None) -> tuple[str, ...]:
    """The values of a key: one for a scalar, several for a list in either style."""
    raw = re.sub(r"\s+#.*", "", raw or "").strip()
    parts = raw.strip("[]").split(",") if raw.startswith("[") else re.split(r"^\s*- ", raw, flags=re.MULTILINE)
    return tuple(value for part in parts if (value := part.strip().strip("'\"")))


def bare(raw: str | None) -> str | None:
    """The text of a key without the comment of its line, which belongs to the line whatever the value."""
    return re.sub(r"\s+#.*", "", raw) if is_scalar(raw) else raw


def is_scalar(raw: str | None) -> TypeGuard[str]:
    return raw is not None and not raw.strip().startswith(("[", "-"))


class Sheet:
    """What a task file must say after this call: the keys of ours by value, or, put back, byte for byte."""

    def __init__(self, content: bytes) -> None:
        self.before = Text(content)
        self.raws = {key: self.before.raws.get(key) for key in OURS}
        self.exact: set[str] = set()
        self.made: set[str] = set()
        self.changed = False
        self.sections: list[str] = []
        self.texts: list[str] = []

    def set(self, key: str, value: str | None) -> None:
        self.raws[key] = None if value is None else f" {value}"
        self.exact.discard(key)
        self.made.add(key)
        self.changed = True

    def put_back(self, key: str, record: Record | None) -> None:
        """As the user wrote it; what Dibs itself had written just before the claim keeps the user's quotes only."""
        self.raws[key] = ((record and record.former) or {}).get(key)
        self.exact.add(key)
        if record is not None and key in record.loose:
            self.exact.discard(key)
        self.changed = True

    def append(self, heading: str, text: str = "") -> None:
        self.sections.append(heading)
        self.texts.append(text)
        self.changed = True

    def value(self, key: str) -> str:
        return next(iter(values_of(self.raws[key])), "")

    @property
    def word(self) -> str:
        return WORDS.get(self.value("status"), self.value("status"))

    @property
    def attempts(self) -> int:
        return int(self.value("attempts") or 0)

    def check(self, before: bytes, content: bytes) -> None:
        """The promises about bytes: only our keys change, the body only grows by what we append."""
        if not self.changed:
            assert content == before, (before.decode(), content.decode())
            return
        got = Text(content)
        assert got.fixed == self.before.fixed, (before.decode(), content.decode())
        for key in (*CLAIM_KEYS, "attempts"):
            want, found = self.raws[key], got.raws.get(key)
            same = bare(want) == bare(found) if key in self.exact else values_of(want) == values_of(found)
            assert same, (key, want, found, content.decode())
        assert got.body.startswith(self.before.body), (before.decode(), content.decode())
        appended = got.body[len(self.before.body) :]
        assert re.findall(r"^## (.*?)\r?$", appended, re.MULTILINE) == self.sections, content.decode()
        assert bool(self.sections) == bool(appended), content.decode()
        assert all(text in appended for text in self.texts), (self.texts, content.decode())


@dataclass
class Record:
    """A claim file. ``process`` None: no server renews it. ``before`` and ``after``: the task file around the claim."""

    token: str
    process: Process | None
    caller: str
    lease_until: datetime
    lease_seconds: float
    last_call: datetime
    former: dict[str, str | None] | None = None
    before: bytes | None = None
    after: bytes | None = None
    loose: frozenset[str] = frozenset()

    def renewed(self, now: datetime, last_call: datetime) -> Record:
        made = copy(self)
        made.lease_until, made.last_call = now + timedelta(seconds=self.lease_seconds), last_call
        return made

    def from_the_future(self, now: datetime) -> bool:
        """The clock was set back: the lease starts again."""
        return self.lease_until - timedelta(seconds=self.lease_seconds) > now + timedelta(seconds=5)


@dataclass
class Past:
    """How a claim ended, what it left and what was answered."""

    record: Record
    how: str
    left: str
    answers: list[Any] = field(default_factory=list)


@dataclass(eq=False)
class Process:
    """A server or a shell: what it believes to hold, and what it ever held. It opens its store when it first calls."""

    kind: str
    name: str
    begin: Callable[[], Any]
    locked: bool = False
    held: dict[str, Record] = field(default_factory=dict)
    past: set[str] = field(default_factory=set)
    unnamed: set[str] = field(default_factory=set)
    last_call: dict[str, datetime] = field(default_factory=dict)
    ever: dict[str, set[str]] = field(default_factory=dict)
    callers: set[str] = field(default_factory=set)
    several: bool = False
    gave_up: bool = False

    @cached_property
    def session(self) -> Any:
        return self.begin()

    def die(self) -> None:
        self.locked = False
        if "session" in vars(self):
            self.session.close()

    def took(self, task_id: str, record: Record) -> None:
        if task_id in self.held:
            self.past.add(task_id)
        self.held[task_id] = record
        self.callers.add(record.caller)
        self.several = self.several or len(self.held) > 1 or len(self.callers) > 1
        self.unnamed.add(record.token)
        self.ever.setdefault(task_id, set()).add(record.token)

    def let_go(self, task_id: str, token: str) -> None:
        self.past.add(task_id)
        self.unnamed.discard(token)
        if task_id in self.held and self.held[task_id].token == token:
            del self.held[task_id]


@dataclass(eq=False)
class TaskModel:
    """One task: its file as last seen, its claim file, its endings, and every token that was ever given out for it."""

    id: str
    path: Any
    content: bytes
    sheet: Sheet
    record: Record | None = None
    endings: list[Past] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    saved: list[bytes] = field(default_factory=list)
    restored: bytes | None = None

    def past(self, token: str) -> Past | None:
        """How the claim of this token ended, as far as the task was not reopened since."""
        for past in reversed(self.endings):
            if past.how == "reopened":
                return None
            if past.record.token == token:
                return past
        return None

    def end(self, how: str, answer: Any = None, record: Record | None = None) -> None:
        """The claim is over; the same ending twice is one."""
        over = record or self.record
        assert over is not None
        last = self.endings[-1] if self.endings else None
        if last is None or (last.record.token, last.how) != (over.token, how):
            last = Past(over, how, self.sheet.word)
            self.endings.append(last)
        if answer is not None:
            last.answers.append(answer)
        if self.record is not None and self.record.token == over.token:
            self.record = None

    @property
    def is_left_over(self) -> bool:
        """What a claim wrote whose record is lost, in a task that somebody set to active."""
        return self.sheet.word == "active" and re.fullmatch(r"[a-z]\w{3}-\w{11}", self.sheet.value("claim")) is not None

    # the two records, row by row

    def says(self, token: str) -> bool:
        return self.sheet.word == "in_progress" and self.sheet.value("claim") == token

    def agree(self, now: datetime, by: Process | None = None) -> None:
        """Make task file and claim file agree; ``by``: a process that may know the record if it is lost."""
        if self.record is None and self.sheet.word == "in_progress" and self.sheet.value("claim"):
            self.plant(now, by)
        word, record = self.sheet.word, self.record
        if record is None:
            return
        if record.from_the_future(now):
            self.record = record = record.renewed(now, now)
        if word == "active":
            if self.past(record.token) is not None:
                self.record = None
        elif word != "in_progress":
            by_hand = self.sheet.value("claim") == record.token
            if by_hand:
                self.put_claim_back(record)
            self.end("by_hand" if by_hand else LEFT_BY.get(word, "by_hand"))

    def plant(self, now: datetime, by: Process | None) -> None:
        token = self.sheet.value("claim")
        own = by.held.get(self.id) if by is not None else None
        past = self.past(token)
        if own is not None and own.token == token and past is None:
            assert by is not None
            self.record = by.held[self.id] = own.renewed(now, now)
            self.record.process = by  # though another process may have adopted it before the record was lost
            by.locked = by.kind == "server"
            return
        caller = self.sheet.value("assignee").removeprefix("@")
        seconds = LEASE_SECONDS["server"]
        former = past.record.former if past is not None else None
        loose = past.record.loose if past is not None else frozenset()
        self.record = Record(token, None, caller, now + timedelta(seconds=seconds), seconds, now, former, loose=loose)

    def put_back(self, record: Record | None) -> None:
        """As before the claim, as far as that is known."""
        self.put_assignee_back(record)
        self.put_claim_back(record)
        if record is not None and record.former is not None:
            self.sheet.put_back("status", record)
        else:
            self.sheet.set("status", "active")

    def put_assignee_back(self, record: Record | None) -> None:
        """An assignee that somebody wrote meanwhile stays."""
        if record is None or not is_scalar(self.sheet.raws["assignee"]):
            return
        if self.sheet.value("assignee") == record.caller:
            self.sheet.put_back("assignee", record)

    def put_claim_back(self, record: Record | None) -> None:
        self.sheet.put_back("claim", record)

    def reap_if_due(self, now: datetime) -> None:
        record = self.record
        if record is None or now < record.lease_until:
            return
        alive = record.process is not None and record.process.kind == "server" and record.process.locked
        if alive and now - record.last_call < timedelta(seconds=IDLE_SECONDS):
            return
        by_claim = self.sheet.word == "in_progress"
        if by_claim or self.sheet.value("claim") == record.token:
            attempts = self.sheet.attempts + 1
            if by_claim:
                self.put_back(record)
            else:  # somebody set it to active: that stays, and what the claim wrote besides goes
                self.put_assignee_back(record)
                self.put_claim_back(record)
            self.sheet.set("attempts", str(attempts))
            self.sheet.append(f"Attempt {attempts}")
            if attempts >= MAX_ATTEMPTS:
                self.sheet.set("status", "blocked")
                self.sheet.append("Blocked")
        self.end("reaped")

    def claim(self, record: Record) -> None:
        """A new claim, or a claim taken up under a new token."""
        self.sheet.set("status", "in_progress")
        self.sheet.set("assignee", record.caller)
        self.sheet.set("claim", record.token)
        self.record = record
        self.tokens.append(record.token)

    def late(self, token: str, how: str) -> bool:
        """Whether a claim that is over may still end: reaped, nobody claimed since, and nobody's hand was on it."""
        past = self.past(token)
        if past is None or self.endings[-1].record.token != token or self.sheet.word != past.left:
            return False
        if how not in ("completed", "blocked"):
            return False
        return past.how == "reaped" or (past.how == "by_hand" and LEFT_BY.get(past.left) == how)


@dataclass
class World:
    """All tasks, in the order of their ids."""

    tasks: dict[str, TaskModel] = field(default_factory=dict)
    reports_kept: set[str] = field(default_factory=set)

    def look(self, now: datetime) -> None:
        """What every claim call does first: nothing that is due stays held, nothing that is lost stays lost."""
        for task in self.tasks.values():
            known = task.record is not None
            task.agree(now)
            if known:
                task.reap_if_due(now)

    def ready(self, caller: str) -> Iterator[TaskModel]:
        """What ``caller`` may have now, best first."""
        for task in sorted(self.tasks.values(), key=lambda t: (int(t.sheet.before.values("priority")[0]), t.id)):
            names = {name.removeprefix("@") for name in values_of(task.sheet.raws["assignee"])} - {"bot"}
            names = set() if task.is_left_over else names
            waits = [d for d in task.sheet.before.values("depends_on") if self.tasks[d].sheet.word != "done"]
            if task.sheet.word == "active" and task.record is None and not waits and (not names or caller in names):
                yield task

    def lose_ledger(self) -> None:
        for task in self.tasks.values():
            task.record, task.endings = None, []
        self.reports_kept.clear()
