"""A state machine over the real store: servers, shells, a person's hand and git, compared with the model."""

from __future__ import annotations

import shutil

from claim_driver import Driver
from claim_model import IDLE_SECONDS, Process, TaskModel, Text
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dibs.renewing import renew_claims
from dibs.session import Call
from dibs.store.errors import DibsError
from support import write_file

KINDS = {
    "list": "---\nid: {id}\nstatus: To Do\nassignee:\n  - '@gemini'\n  - claude\n  - bob\npriority: 1\n---\n{text}\n",
    "stem": "---\ntitle: no id here\nstatus: active\npriority: 2\n---\n\n# A heading\n\n- [x] ticked\n\n{text}\n",
    "comment": '---\nid: {id}\nstatus: "todo"   # mine\nassignee: gemini # and mine\npriority: 0\n---\n{text}',
    "windows": "---\r\nid: {id}\r\nstatus: active\r\npriority: 3\r\nassignee: bot\r\n---\r\n{text}\r\n",
    "late": "---\nid: {id}\nstatus: active\nassignee: [mate, bob]\npriority: 2\ndepends_on: [t-0]\n---\n{text}\n\n",
    "person": "---\nid: {id}\nstatus: in_progress\nassignee: nic\npriority: 2\nestimate: 1.10\n---\n{text}\n",
}
HOWS = ("completed", "blocked", "released")

EDITS = (" done", " blocked", " active", " in_progress", " Completed  # by hand", " on_hold")

some = st.integers(0, 5)
claimed_once = precondition(lambda self: any(task.tokens for task in self.world.tasks.values()))
held = precondition(lambda self: any(task.record for task in self.world.tasks.values()))
kinds = st.sampled_from(sorted(KINDS))
tokens = st.sampled_from(["right"] * 5 + ["none", "none", "old", "old", "any", "any", "other", "unknown"])


class ClaimMachine(Driver, RuleBasedStateMachine):
    """Every rule is one act of one process, or of somebody who does not know of Dibs."""

    @initialize(first=st.lists(kinds, max_size=1))
    def tasks_to_begin_with(self, first: list[str]) -> None:
        for kind in ("stem", *first):
            self._write(kind)

    # everyday calls

    @precondition(lambda self: len(self.world.tasks) < 3)
    @rule(kind=st.one_of(kinds, st.just("added")), at=some)
    def add(self, kind: str, at: int) -> None:
        if kind != "added" or any("added" in task.path.name for task in self.world.tasks.values()):
            self._write(kind if kind in KINDS else "stem")
            return
        process = self._one(at)
        self._open(process)
        added = self._try(process, "add_task", title="Added by a tool", priority=4, body="text of it")
        self._learn(added.task.id, self.folder / added.task.path)
        self._check()

    @rule(at=some, of=some, by_id=st.booleans(), mate=st.sampled_from(["", "", "mate", "bob"]), resume=st.booleans(),
          given_up=st.sampled_from([False, False, False, True]))  # fmt: skip
    def claim(self, at: int, of: int, by_id: bool, mate: str, resume: bool, given_up: bool) -> None:
        process, task = self._one(at), self._task(of)
        given_up = given_up and not resume
        caller = mate or process.name
        self._open(process)
        self.world.look(self.clock.at)
        process.last_call[caller] = self.clock.at
        expected, meant = self._expect_claim(process, caller, bool(mate), task if by_id else None, resume)
        called = Call()
        result = self._try(process, "claim_next_task", called, id=task.id if by_id else "", caller=mate, resume=resume)
        if isinstance(result, DibsError):
            assert result.code == expected, (expected, result)
        elif meant is None:
            assert result.status == expected == "empty", result
        else:
            assert result.status == "claimed" and result.task.id == meant.id, (meant.id, result)
            if given_up:
                undo = called.cancel()
                assert undo is not None
                undo()
                if meant.is_left_over:  # what a lost claim left is not put back
                    meant.sheet.put_back("assignee", None)
                    meant.sheet.put_back("claim", None)
                process.past.add(meant.id)
                process.held.pop(meant.id, None)
                process.gave_up = True
                process.locked = process.kind == "server"
            else:
                self._claimed(process, meant, caller, result.claim_token, expected == "resumed")
        self._check()

    @precondition(lambda self: any(task.sheet.word == "active" for task in self.world.tasks.values()))
    @rule(at=some)
    def claim_next(self, at: int) -> None:
        self.claim(at, 0, by_id=False, mate="", resume=False, given_up=False)

    @precondition(lambda self: any(task.record and task.record.process for task in self.world.tasks.values()))
    @rule(of=some, how=st.sampled_from(HOWS))
    def end_in_order(self, of: int, how: str) -> None:
        """What mostly happens: the holder ends its claim, with its token."""
        tasks = [task for task in self.world.tasks.values() if task.record and task.record.process]
        task = tasks[of % len(tasks)]
        self._open(task.record.process)
        self._end(task.record.process, task, task.record.token, how, f"report {next(self.numbers)}.")

    @rule(at=some, of=some)
    def claim_and_give_back(self, at: int, of: int) -> None:
        """From then on nobody's earlier token counts."""
        task = self._task(of)
        self.claim(at, of, by_id=True, mate="", resume=False, given_up=False)
        if task.record is not None and task.record.process is self._one(at):
            self._open(self._one(at))
            self._end(self._one(at), task, task.record.token, "released", "")

    @held
    @rule(of=some, by=some, stolen=st.booleans(), renews=st.booleans())
    def change_hands(self, of: int, by: int, stolen: bool, renews: bool) -> None:
        """A person takes the task away, or nobody called for too long; another gets it, and the first lives on."""
        task = self._busy_task(of)
        first = task.record.process if task.record else None
        if stolen:
            self.take_away(of)
        else:
            self.clock.advance(IDLE_SECONDS)
        at = list(self.world.tasks.values()).index(task)
        for number in range(1 if stolen else 2):
            self.claim(by + number, at, by_id=True, mate="", resume=False, given_up=False)
        if first is not None and first.kind == "server" and renews:
            self._renew(first)

    @held
    @rule(of=some)
    def interrupt(self, of: int) -> None:
        """The holder dies, and its heir takes the claim up."""
        held = [task.record for task in self.world.tasks.values() if task.record and task.record.process]
        if held and (record := held[of % len(held)]).process in self.processes:
            at = self.processes.index(record.process)
            self.die(at)
            self.claim(at, 0, by_id=False, mate=record.caller, resume=True, given_up=False)

    @held
    @rule(at=some)
    def look(self, at: int) -> None:
        """A claim call for which there is nothing: it only takes back what is due."""
        process = self._one(at)
        self._open(process)
        self.world.look(self.clock.at)
        process.last_call["nobody"] = self.clock.at
        result = self._try(process, "claim_next_task", caller="nobody", project="none")
        assert result.status == "empty"
        self._check()

    @precondition(lambda self: any(process.held for process in self.processes[:2]))
    @rule(at=some)
    def renew_all(self, at: int) -> None:
        """A server's own renewal."""
        servers = [process for process in self.processes[:2] if process.held]
        self._renew(servers[at % len(servers)])

    def _renew(self, process: Process) -> None:
        self._open(process)
        renew_claims(process.session)
        for task_id, known in list(process.held.items()):
            self._renewed(process, self.world.tasks[task_id], known)
        self._check()

    @claimed_once
    @rule(at=some, of=some, which=tokens)
    def renew_one(self, at: int, of: int, which: str) -> None:
        process, task = self._one(at), self._busy_task(of)
        token = self._token(task, which)
        self._open(process)
        expected = self._expect_end(process, task, token, "renewed")
        result = self._try(process, "renew_task", id=task.id, claim_token=token)
        outcome = result.code if isinstance(result, DibsError) else "ok"
        if outcome == "ok" and task.record is not None:
            self._adopted(process, task, task.record)
        assert outcome in expected, (outcome, expected, result)
        self._check()

    @claimed_once
    @rule(at=some, of=some, how=st.sampled_from(HOWS), which=tokens, same=st.booleans(), silent=st.booleans())
    def end(self, at: int, of: int, how: str, which: str, same: bool, silent: bool) -> None:
        process, task = self._one(at), self._busy_task(of)
        token = self._token(task, which)
        report = self.reported.get((token, how), "") if same else ""
        report = report or ("" if silent and how != "blocked" else f"report {next(self.numbers)}.")
        self._open(process)
        self._end(process, task, token, how, report)

    @held
    @rule(of=some)
    def take_away(self, of: int) -> None:
        process, task = self.processes[3], self._busy_task(of)
        self._open(process)
        self._end(process, task, "", "taken_away", "")

    @precondition(lambda self: any(task.sheet.word != "active" for task in self.world.tasks.values()))
    @rule(of=some)
    def reopen(self, of: int) -> None:
        process, task = self.processes[3], self._task(of)
        self._open(process)
        task.agree(self.clock.at, process)
        result = self._try(process, "reopen_task", id=task.id)
        if task.record is not None:
            assert isinstance(result, DibsError) and result.code == "not_ready"
        elif task.sheet.word != "active":
            self._reopened(task)
        self._check()

    # time and death

    @held
    @rule(seconds=st.sampled_from([30, 30, 121, 121, 3601, IDLE_SECONDS]))
    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @held
    @rule()
    def clock_set_back(self) -> None:
        self.beliefs = {token: b for token, b in self.beliefs.items() if self.clock.at < b.until}
        self.clock.advance(-86_400)
        for task in self.world.tasks.values():
            self._shorten(task)

    @held
    @rule(of=some, by=some)
    def lapse(self, of: int, by: int) -> None:
        """The holder dies, its lease passes, and somebody looks."""
        tasks = [task for task in self.world.tasks.values() if task.record]
        process = tasks[of % len(tasks)].record.process
        if process in self.processes:
            self.die(self.processes.index(process))
        self.clock.advance(3601)
        self.look(by)

    @rule(at=some)
    def die(self, at: int) -> None:
        at %= len(self.processes)
        dead = self.processes[at]
        dead.die()
        self.processes[at] = self._process(dead.kind, dead.name)

    # hands that know nothing of Dibs

    @claimed_once
    @rule(of=some, word=st.sampled_from(EDITS))
    def edit_status(self, of: int, word: str) -> None:
        task = self._busy_task(of)
        self._foreign(task, Text(task.content).with_raw("status", word))

    @claimed_once
    @rule(of=some, name=st.sampled_from([" maria", "\n  - codex\n  - bob", " gemini"]))
    def edit_assignee(self, of: int, name: str) -> None:
        task = self._busy_task(of)
        text = Text(task.content)
        self._foreign(task, text.with_raw("assignee", name.replace("\n", text.newline)))

    @claimed_once
    @rule(of=some)
    def edit_body(self, of: int) -> None:
        task = self._busy_task(of)
        self._foreign(task, task.content + f"a line of the user, {next(self.numbers)}\n".encode())

    @rule(of=some)
    def save_to_git(self, of: int) -> None:
        task = self._busy_task(of)
        task.saved.append(task.content)

    @precondition(lambda self: any(task.saved for task in self.world.tasks.values()))
    @rule(of=some, which=some)
    def take_back_from_git(self, of: int, which: int) -> None:
        tasks = [task for task in self.world.tasks.values() if task.saved]
        task = tasks[of % len(tasks)]
        self._foreign(task, task.saved[which % len(task.saved)])

    @held
    @rule()
    def lose_ledger(self) -> None:
        if not (self.folder / ".dibs").is_dir():
            return
        shutil.rmtree(self.folder / ".dibs")
        self.world.lose_ledger()
        for process in self.processes:
            process.locked = False
        for task in self.world.tasks.values():
            self._shorten(task)
        self._disown()

    @held
    @rule(of=some, content=st.sampled_from([None, b"", b'{"version": 1, "id": "t']))
    def lose_claim_file(self, of: int, content: bytes | None) -> None:
        task = self._busy_task(of)
        for path in (self.folder / ".dibs" / "claims").glob("*.lock"):
            if task.record is not None and task.record.token.encode() in path.read_bytes():
                path.unlink() if content is None else write_file(path, content)
                task.record = None
                self._shorten(task)
        self._disown()

    # what holds after every step

    @invariant()
    def nothing_but_tasks_outside_the_ledger(self) -> None:
        names = {path.name for path in self.folder.iterdir()} - {".dibs"}
        assert names == {task.path.name for task in self.world.tasks.values()}

    def teardown(self) -> None:
        try:
            if self.world.tasks and self.whole:
                self._all_die_and_everything_is_taken_up()
        finally:
            for process in self.processes:
                process.die()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _all_die_and_everything_is_taken_up(self) -> None:
        """No claim is stuck: after a lease, and one more for claims whose record was lost, all is free again."""
        for at in range(len(self.processes)):
            self.die(at)
        for _ in range(2):
            self.clock.advance(10_000_000)
            self.look(0)
        for task in self.world.tasks.values():
            assert task.sheet.word != "in_progress" or not task.sheet.value("claim"), task.content.decode()
        assert not self._claims()
        kept = "".join(path.read_text() for path in (self.folder / ".dibs" / "orphans").glob("*.md"))
        assert all(report in kept for report in self.world.reports_kept)
        heir = self.processes[0]
        for caller in ("gemini", "mate", "maria", "codex"):
            for task in list(self.world.ready(caller)):
                self._open(heir)
                result = self._try(heir, "claim_next_task", id=task.id, caller=caller)
                assert not isinstance(result, DibsError), result
                task.claim(self._record(heir, task, caller, result.claim_token))
                self._check()

    def _busy_task(self, of: int) -> TaskModel:
        """Mostly one that is held, where most can go wrong."""
        tasks = list(self.world.tasks.values())
        for pool in ([t for t in tasks if t.record], [t for t in tasks if t.tokens]):
            if pool and of < 4:
                return pool[of % len(pool)]
        return tasks[of % len(tasks)]

    def _write(self, kind: str) -> None:
        task_id = f"t-{len(self.world.tasks)}"
        content = KINDS[kind].format(id=task_id, text=f"text of {task_id}")
        self._learn(task_id, write_file(self.folder / f"{task_id}.md", content.encode()))
