"""A person who works in the same files while the race is on: edits by hand, git, and ``.dibs`` deleted.

One thing after the other, each written down with its times and with what it left in the file. Beside the person a
reader looks at files all the time, and writes down what is not whole.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from dibs_server.race import content
from dibs_server.race.course import Course
from dibs_server.race.plan import Disturbance, Edit
from dibs_server.race.records import Fault, LedgerLoss, Write
from dibs_server.race.repository import ELSEWHERE, Repository
from dibs_server.race.sample import SampleTask

SLOW_SAVE_SECONDS = 0.04
LOOK_SECONDS = 0.01
READ_PAUSE_SECONDS = 0.005
STASHED_AT_ONCE = 3
STATUS = re.compile(rb"^(status:[ \t]*)(['\"]?)([A-Za-z_ ]+?)(['\"]?)([ \t]*(?:#[^\r\n]*)?\r?)$", re.MULTILINE)
ONLY_FROM: dict[Edit, tuple[bytes, ...]] = {
    "active": (b"in_progress",),
    "done": (b"active", b"To Do", b"in_progress"),
}
"""A person takes a claim away, or ends a task that is not ended; what is done stays done."""
PRIORITY = re.compile(rb"^priority: (\d)", re.MULTILINE)


class Person:
    """Whoever shares the directory with the agents."""

    def __init__(self, course: Course, repository: Repository | None) -> None:
        self.course = course
        self.repository = repository
        self.tasks = course.sample.tasks
        self.elsewhere = course.sample.elsewhere()

    def work(self) -> None:
        """All of the plan's disturbances, each once so many tasks have ended."""
        try:
            for disturbance in self.course.plan.disturbances:
                while self.course.records.endings < disturbance.at_ending:
                    if self.course.last_lap.is_set() or self.course.stop.wait(LOOK_SECONDS):
                        return
                self._do(disturbance)
                self.course.records.edits[disturbance.edit] += 1
        finally:
            self.course.person_is_done.set()

    def _do(self, what: Disturbance) -> None:
        if what.edit == "ledger":
            self._delete_ledger()
        elif what.edit == "switch":
            self._switch()
        elif what.edit == "stash":
            first = int(what.pick * len(self.tasks))
            self._stash([self.tasks[(first + n) % len(self.tasks)] for n in range(STASHED_AT_ONCE)])
        elif what.edit == "checkout":
            self._checkout(self._picked(what))
        else:
            self._edit(self._picked(what), what.edit, what.in_place)

    def _picked(self, what: Disturbance) -> SampleTask:
        """A task of the plan, or the next one from there that this can be done to."""
        first = int(what.pick * len(self.tasks))
        order = [*self.tasks[first:], *self.tasks[:first]]
        if what.edit not in ONLY_FROM:
            return order[0]
        return next((task for task in order if _is_one_of(_bytes(task.path), ONLY_FROM[what.edit])), order[0])

    def _delete_ledger(self) -> None:
        started = time.monotonic()
        shutil.rmtree(self.course.sample.tasks_dir / ".dibs", ignore_errors=True)
        self.course.records.losses.append(LedgerLoss(started, time.monotonic()))

    # by hand

    def _edit(self, task: SampleTask, edit: Edit, in_place: bool) -> None:
        """As an editor does it: read, change, save."""
        started = time.monotonic()
        before = _bytes(task.path)
        said = f"A hand was here, for the {len(self.course.records.writes)}th time." if edit == "body" else ""
        after = _CHANGES[edit](before, said)
        if after == before:
            return
        saving = time.monotonic()
        (_in_place if in_place else _by_rename)(task.path, after)
        ended = time.monotonic()
        slow = in_place and ended - saving > SLOW_SAVE_SECONDS
        self.course.records.writes.append(Write(task.id, "hand", started, ended, after, ends=edit == "done", slow=slow))

    # with git

    def _checkout(self, task: SampleTask) -> None:
        """Let git take a file back to what the branch has."""
        assert self.repository is not None
        started = time.monotonic()
        if self.repository.git("checkout", "--quiet", "--", str(task.path)).returncode == 0:
            self._wrote(Write(task.id, "git", started, time.monotonic(), self._of_branch(task)))

    def _switch(self) -> None:
        """To the other branch. Where git refuses, because the tasks it would change are changed, nothing happens."""
        assert self.repository is not None
        started = time.monotonic()
        if not self.repository.switch():
            return
        ended = time.monotonic()
        for task in self.tasks:
            if task.id in self.elsewhere:
                self._wrote(Write(task.id, "git", started, ended, self._of_branch(task)))

    def _stash(self, tasks: list[SampleTask]) -> None:
        """Stash a few files and bring them back; where git refuses to, because they were changed, they are let go."""
        assert self.repository is not None
        names = {task.id: str(task.path.relative_to(self.repository.folder)) for task in tasks}
        started = time.monotonic()
        self.repository.git("stash", "push", "--quiet", "--", *names.values())
        ended = time.monotonic()
        kept = self.repository.git("stash", "show", "--name-only").stdout.decode().split()
        inside = [task for task in tasks if names[task.id] in kept]
        for task in inside:
            self._wrote(Write(task.id, "git", started, ended, self._of_branch(task)))
        if inside:
            self._bring_back(inside, names)

    def _bring_back(self, tasks: list[SampleTask], names: dict[str, str]) -> None:
        assert self.repository is not None
        stashed = {task.id: self.repository.git("show", f"stash@{{0}}:{names[task.id]}").stdout for task in tasks}
        started = time.monotonic()
        if self.repository.git("stash", "pop", "--quiet").returncode != 0:
            self.repository.git("stash", "drop", "--quiet")
            return
        ended = time.monotonic()
        for task in tasks:
            self._wrote(Write(task.id, "git", started, ended, stashed[task.id]))

    def _of_branch(self, task: SampleTask) -> bytes:
        """What the branch has that is checked out."""
        there = self.repository is not None and self.repository.branch == ELSEWHERE
        return self.elsewhere.get(task.id, task.content) if there else task.content

    def _wrote(self, write: Write) -> None:
        self.course.records.writes.append(write)


def _add_a_line(before: bytes, said: str) -> bytes:
    newline = b"\r\n" if b"---\r\n" in before else b"\n"
    return before.replace(content.LAST_LINE, said.encode() + newline + content.LAST_LINE, 1)


def _change_priority(before: bytes, said: str) -> bytes:
    return PRIORITY.sub(lambda found: b"priority: %d" % ((int(found[1]) + 1) % 5), before, count=1)


def _set_status(word: Edit) -> Callable[[bytes, str], bytes]:
    def change(before: bytes, said: str) -> bytes:
        if not _is_one_of(before, ONLY_FROM[word]):
            return before
        return STATUS.sub(rb"\g<1>" + word.encode() + rb"\g<5>", before, count=1)

    return change


def _is_one_of(data: bytes, words: tuple[bytes, ...]) -> bool:
    found = STATUS.search(data)
    return found is not None and found[3] in words


_CHANGES: dict[Edit, Callable[[bytes, str], bytes]] = {
    "body": _add_a_line,
    "priority": _change_priority,
    "done": _set_status("done"),
    "active": _set_status("active"),
}


def _by_rename(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.swp")
    beside.write_bytes(data)
    beside.replace(path)


def _in_place(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # git has it in hand
        return b""


def keep_reading(course: Course) -> None:
    """The reader: one file after the other, at random, for as long as the race goes on."""
    dice = random.Random(f"dibs race {course.options.seed}, reader")
    while not course.stop.wait(READ_PAUSE_SECONDS):
        task = dice.choice(course.sample.tasks)
        started = time.monotonic()
        data = _bytes(task.path)
        ended = time.monotonic()
        course.records.reads += 1
        try:
            content.read(data)
        except content.Torn as torn:
            course.records.faults.append(Fault(task.id, started, ended, str(torn)))
