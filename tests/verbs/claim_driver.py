"""What the state machine does in one step: call the real store, say what must come of it, compare."""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from claim_model import IDLE_SECONDS, LEASE_SECONDS, Process, Record, Sheet, TaskModel, World

from dibs.session import Call, Session
from dibs.store.claims import new_token
from dibs.store.errors import DibsError
from dibs.store.task_store import TaskStore
from support import MEMORY, Clock, age, call, write_file

ENDED = ("done", "cancelled", "failed")
VERBS = {
    "completed": ("complete_task", "summary"),
    "blocked": ("block_task", "reason"),
    "released": ("release_task", "note"),
    "taken_away": ("release_task", "note"),
}


@dataclass
class Belief:
    """What a caller was told: this task is mine until then."""

    task: TaskModel
    until: datetime


class Driver:
    """A directory, four processes, the model, and what every caller was told."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="dibs-machine-", dir=MEMORY if MEMORY.is_dir() else None))
        self.clock = Clock()
        self.world = World()
        self.processes = [
            self._process("server", "gemini"),
            self._process("server", "claude"),
            self._process("shell", "agent"),
            self._process("person", "agent"),
        ]
        self.beliefs: dict[str, Belief] = {}
        self.numbers = itertools.count(1)
        self.whole = True
        self.reported: dict[tuple[str, str], str] = {}

    def _process(self, kind: str, name: str) -> Process:
        client = {"gemini": "gemini-cli-mcp-client", "claude": "claude-code"}.get(name, "")

        def begin() -> Session:
            store = TaskStore(self.folder, now=self.clock, host="h1")
            return Session(store, client=client, server=kind == "server", person=kind == "person")

        return Process(kind, name, begin)

    def _one(self, at: int) -> Process:
        return self.processes[at % len(self.processes)]

    def _task(self, of: int) -> TaskModel:
        return list(self.world.tasks.values())[of % len(self.world.tasks)]

    def _learn(self, task_id: str, path: Path) -> None:
        content = age(path).read_bytes()
        self.world.tasks[task_id] = TaskModel(task_id, path, content, Sheet(content), saved=[content])

    def _foreign(self, task: TaskModel, content: bytes) -> None:
        write_file(task.path, content)
        task.content, task.sheet = content, Sheet(content)
        self._disown()

    def _disown(self) -> None:
        """A foreign hand may take a task from its holder: by ending it, or by taking both records away."""
        for token, belief in list(self.beliefs.items()):
            task = belief.task
            held = task.record is not None and task.record.token == token
            if task.sheet.word not in ("active", "in_progress") or not (held or task.says(token)):
                del self.beliefs[token]

    def _shorten(self, task: TaskModel) -> None:
        """What is planted for a lost record has a server's lease from then on, whatever its holder was told."""
        for belief in self.beliefs.values():
            if belief.task is task:
                belief.until = min(belief.until, self.clock.at + timedelta(seconds=LEASE_SECONDS["server"]))

    def _token(self, task: TaskModel, which: str) -> str:
        others = [token for other in self.world.tasks.values() if other is not task for token in other.tokens]
        given = {
            "right": task.tokens[-1:],
            "old": task.tokens[-2:-1],
            "any": task.tokens[:1],
            "other": others[-1:],
            "none": [""],
        }
        return next(iter(given.get(which, [])), "" if which == "none" else new_token("h1"))

    def _open(self, process: Process) -> None:
        """Before a call: time has gone on, and the caller has seen the files as they are."""
        self.whole = False
        self.clock.advance(1)
        for task in self.world.tasks.values():
            task.sheet, task.restored = Sheet(task.content), None
        process.session.store.refresh(after=time.monotonic())

    def _try(self, process: Process, name: str, on: Call | None = None, /, **arguments: Any) -> Any:
        """Call a verb; an error of another kind than ours is a bug and comes out."""
        try:
            return call(process.session, name, on, **arguments)
        except DibsError as error:
            return error

    def _claims(self) -> dict[str, dict[str, Any]]:
        found = {}
        for path in (self.folder / ".dibs" / "claims").glob("*.lock"):
            try:
                claim = json.loads(path.read_bytes())
            except ValueError:
                continue
            found[claim["id"]] = claim
        return found

    def _check(self) -> None:
        """Every file and every claim is as the model has it, and whoever was told that a task is theirs has it."""
        claims = self._claims()
        for task in self.world.tasks.values():
            content = task.path.read_bytes()
            task.sheet.check(task.content, content)
            assert task.restored in (None, content), (task.restored, content)
            self._check_claim(task, claims.get(task.id))
            if content != task.content:
                age(task.path)
            task.content, task.sheet = content, Sheet(content)
        for token, belief in self.beliefs.items():
            held = claims.get(belief.task.id, {}).get("token") == token or belief.task.says(token)
            assert held or self.clock.at >= belief.until, f"{belief.task.id} was taken from the holder of {token}"
        self.whole = True

    def _check_claim(self, task: TaskModel, found: dict[str, Any] | None) -> None:
        record = task.record
        if record is None or found is None:
            assert (record, found) == (None, None), (task.id, record, found)
            return
        server = record.process is not None and record.process.kind == "server"
        assert (found["token"], found["owner"]["caller"]) == (record.token, record.caller), (record, found)
        assert datetime.fromisoformat(found["lease_until"]) == record.lease_until, (record, found)
        assert (found["owner"]["alive"] is not None) == server, (record, found)

    # claiming

    def _expect_claim(
        self, process: Process, caller: str, given: bool, task: TaskModel | None, resume: bool
    ) -> tuple[str, TaskModel | None]:
        if resume:
            mine = [t for t in self.world.tasks.values() if _may_resume(process, caller, given, t)]
            mine = [t for t in mine if task in (None, t)]
            if mine:
                return ("resumed", mine[0]) if len(mine) == 1 else ("invalid_arguments", None)
        ready = list(self.world.ready(caller))
        if task is not None:
            return ("claimed", task) if task in ready else ("not_ready", None)
        return ("claimed", ready[0]) if ready else ("empty", None)

    def _record(self, process: Process, task: TaskModel, caller: str, token: str) -> Record:
        seconds = LEASE_SECONDS[process.kind]
        before = None if task.sheet.changed else task.content
        former = {key: task.sheet.raws[key] for key in ("status", "assignee", "claim")}
        if task.is_left_over:
            former, before = {**former, "assignee": None, "claim": None}, None
        until = self.clock.at + timedelta(seconds=seconds)
        made = Record(token, process, caller, until, seconds, self.clock.at, former, before, task.path.read_bytes())
        made.loose = frozenset(task.sheet.made)
        return made

    def _claimed(self, process: Process, task: TaskModel, caller: str, token: str, resumed: bool) -> None:
        assert token not in task.tokens
        record = self._record(process, task, caller, token)
        if resumed:
            old = task.record
            assert old is not None
            record.former, record.loose = old.former, old.loose
            record.before = old.before if old.after == task.content else None
            self.beliefs.pop(old.token, None)
            process.let_go(task.id, old.token)
        owners = [b for b in self.beliefs.values() if b.task is task and self.clock.at < b.until]
        assert not owners, f"{task.id} has two owners"
        task.claim(record)
        process.took(task.id, record)
        process.locked = process.kind == "server"
        self.beliefs[token] = Belief(task, record.lease_until)

    def _promise(self, task: TaskModel) -> None:
        """A renewed lease is a longer promise."""
        if task.record is not None and (belief := self.beliefs.get(task.record.token)) is not None:
            belief.until = task.record.lease_until

    def _adopted(self, process: Process, task: TaskModel, record: Record) -> None:
        """The right token from another process: it has the claim from now on, for no shorter time than before."""
        theirs = record.process if record.process and record.process.kind == "server" else None
        if theirs is not process and not (process.kind != "server" and theirs is not None and theirs.locked):
            if theirs is not None or process.kind == "server":
                record.lease_seconds = max(record.lease_seconds, LEASE_SECONDS[process.kind])
            record.process = process
            process.locked = process.kind == "server"
            if process.held.get(task.id) is None or process.held[task.id].token != record.token:
                process.took(task.id, record)
            process.unnamed.discard(record.token)
            process.last_call[record.caller] = self.clock.at
        task.record = record.renewed(self.clock.at, self.clock.at)
        if record.process is process:
            process.held[task.id] = task.record
        self._promise(task)

    def _renewed(self, process: Process, task: TaskModel, known: Record) -> None:
        now, record = self.clock.at, task.record
        last = max(process.last_call.get(known.caller, known.last_call), known.last_call)
        if now - last >= timedelta(seconds=IDLE_SECONDS):
            return
        adopted = record is not None and record.process not in (None, process) and record.process.kind == "server"
        lost = record is not None and record.token != known.token
        if (record is None and task.past(known.token)) or lost or adopted:
            process.let_go(task.id, known.token)
            return
        process.locked = True
        if record is not None:
            task.agree(now)
        if task.record is None and not (record is None and task.says(known.token)):
            process.let_go(task.id, known.token)
            return
        task.record = process.held[task.id] = known.renewed(now, last)
        self._promise(task)

    # ending

    def _expect_end(self, process: Process, task: TaskModel, token: str, how: str) -> set[str]:
        """What may come of a call that ends or renews a claim."""
        past = task.past(token) if token else None
        if past is not None and past.how == how and past.answers and not task.says(token):
            if task.record is not None and task.record.token == token:
                task.record = None
            return {"again"}
        task.agree(self.clock.at, process)
        if not token:
            return self._expect_without_token(process, task, how)
        if task.record is not None and task.record.token == token:
            return {"ok"}
        past = task.past(token)
        if past is not None and past.how == how:
            return {"again"}
        return {"late"} if task.record is None and task.late(token, how) else {"claim_lost"}

    def _expect_without_token(self, process: Process, task: TaskModel, how: str) -> set[str]:
        """Only the process that holds it, if it never held two at once or for two callers, nor an earlier claim on
        this task. A claim that was given up at once may have counted as held, or not."""
        if task.record is None:
            by_hand = {"taken_away": task.sheet.word == "in_progress", "renewed": False, "released": False}
            may = process.kind == "person" and by_hand.get(how, task.sheet.word not in ENDED)
            return {"ok"} if may else {"not_claimed"}
        mine = [t for t in self.world.tasks.values() if t.record is not None and t.record.process is process]
        once = len(process.ever.get(task.id, ())) <= 1
        if process.kind != "server" or mine != [task] or process.several or not once:
            return {"token_required"}
        sure = set(process.held) == {task.id} and task.id not in process.past and not process.gave_up
        return {"ok"} if sure else {"ok", "token_required"}

    def _end(self, process: Process, task: TaskModel, token: str, how: str, report: str) -> None:
        if how == "taken_away":
            task.agree(self.clock.at, process)
            token = task.record.token if task.record is not None else ""
        _name(process, task, token, self.clock.at)
        expected = self._expect_end(process, task, token, how)
        name, argument = VERBS[how]
        given = {"steal": True} if how == "taken_away" else {argument: report, "claim_token": token}
        result = self._try(process, name, id=task.id, **given)
        if isinstance(result, DibsError):
            assert result.code in expected, (how, expected, result)
            if report and (token or task.id in process.past or task.id in process.held):
                assert report in Path(str(result.facts["report"])).read_text(encoding="utf-8")
                self.world.reports_kept.add(report)
        elif expected == {"again"}:
            self._given_again(task, token, how, report, result)
        else:
            assert expected & {"ok", "late"}, (how, expected, result)
            record = task.record
            if expected == {"late"}:
                past = task.past(token)
                assert past is not None
                record = past.record
            self._ended(process, task, record, how, report, result)
        self._check()

    def _given_again(self, task: TaskModel, token: str, how: str, report: str, result: Any) -> None:
        """The same answer again; a report that is another one is kept."""
        past = task.past(token)
        assert past is not None
        plain = result.model_copy(update={"warnings": [w for w in result.warnings if "was kept in" not in w]})
        assert not past.answers or plain in past.answers, (past.answers, result)
        if report and (report != self.reported.get((token, how)) or not past.answers):
            assert "was kept in" in result.warnings[-1]
            self.world.reports_kept.add(report)

    def _ended(
        self, process: Process, task: TaskModel, record: Record | None, how: str, report: str, answer: Any
    ) -> None:
        sheet = task.sheet
        if record is not None and record.before is not None and record.after == task.content and not report:
            task.restored = record.before if how in ("released", "taken_away") else None
        if how == "completed":
            if record is not None and record.caller and sheet.value("claim") != record.token:
                sheet.set("assignee", record.caller)
            task.put_claim_back(record)
            sheet.set("status", "done")
            sheet.append("Completion", report)
        elif how == "blocked":
            task.put_assignee_back(record)
            task.put_claim_back(record)
            sheet.set("status", "blocked")
            sheet.append("Blocked", report)
        else:
            task.put_back(record)
            if report:
                sheet.append("Note", report)
        if record is not None:
            self.beliefs.pop(record.token, None)
            self.reported.setdefault((record.token, how), report)
            task.end(how, answer, record)
            process.let_go(task.id, record.token)

    def _reopened(self, task: TaskModel) -> None:
        last = task.endings[-1] if task.endings else None
        known = last is not None and last.left == task.sheet.word
        for key, value in (("status", "active"), ("claim", None), ("attempts", None)):
            task.sheet.set(key, value)
        if last is not None and known and last.record.former is not None:
            for key in last.record.former:
                task.sheet.put_back(key, last.record)
        if last is not None:
            task.end("reopened", record=last.record)


def _may_resume(process: Process, caller: str, given: bool, task: TaskModel) -> bool:
    """One's own claim whose server is gone, or one of this process that no call has named since."""
    record = task.record
    if record is None or record.caller != caller:
        return False
    if record.process is None or record.process.kind != "server":
        return given
    return record.token in process.unnamed if record.process is process else not record.process.locked


def _name(process: Process, task: TaskModel, token: str, now: datetime) -> None:
    """A call that names a task shows that its answer arrived, and that its caller lives."""
    held = process.held.get(task.id)
    if held is not None and token in ("", held.token):
        process.unnamed.discard(held.token)
        process.last_call[held.caller] = now
