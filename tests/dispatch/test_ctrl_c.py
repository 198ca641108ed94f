"""Ctrl-C on a terminal: nothing more is started, and it is asked once what is to become of what runs."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from shell import PATIENCE_SECONDS
from waves import Project
from wire import DIBS

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there"),
]

PAUSE_SECONDS = 1.0
QUESTION = "put their tasks back?"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, pid: int, end: int) -> None:
        self._pid = pid
        self._end = end
        self.text = ""

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def until(self, *words: str) -> None:
        """Read until all of this stands there."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not all(word in self.text for word in words):
            assert self._read(deadline - time.monotonic()), f"it ended, or waits, after: {self.text[-2000:]}"

    def ended(self, answer: str = "") -> int:
        """Read to the end; the exit code. The answer is typed as often as it takes: a key that comes just as a program
        begins to wait for one may not wake it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := os.waitpid(self._pid, os.WNOHANG)) == (0, 0):
            assert time.monotonic() < deadline, f"it does not end after: {self.text[-2000:]}"
            if not self._read(PAUSE_SECONDS) and answer:
                with suppress(OSError):
                    self.type(answer)
        return os.waitstatus_to_exitcode(found[1])

    def _read(self, seconds: float) -> bool:
        if not select.select([self._end], [], [], max(0.0, seconds))[0]:
            return False
        with suppress(OSError):  # the other end is closed
            if found := os.read(self._end, 65_536):
                self.text += ESCAPES.sub("", found.decode("utf-8", "replace"))
                return True
        return False


@contextmanager
def on_terminal(project: Project, *words: str) -> Iterator[Terminal]:
    pid, end = pty.fork()
    if pid == 0:
        os.chdir(project.folder)
        os.environ["TERM"] = "xterm-256color"
        os.execv(DIBS, [str(DIBS), *map(str, project.words(*words))])
    try:
        yield Terminal(pid, end)
    finally:
        os.close(end)


@pytest.fixture
def wave(project: Project) -> str:
    return str(project.wave([{"taskId": "a", "title": "hold"}, {"taskId": "b", "title": "fine"}], maxParallel=1))


def test_a_no_lets_what_runs_be_finished(project: Project, wave: str) -> None:
    with on_terminal(project, "wave", "run", wave) as terminal:
        project.until_begun("a")
        terminal.type("\x03")
        terminal.until(QUESTION)
        terminal.type("n\n")
        terminal.until("nothing more is started")
        project.go()
        assert terminal.ended() == 4
    assert project.header("a")["status"] == "done"
    assert project.header("b")["status"] == "active"
    assert project.of("begin") == ["a"]


@pytest.mark.parametrize("answer", ["y\n", "\x03"], ids=["yes", "ctrl-c again"])
def test_a_yes_or_another_ctrl_c_puts_it_back(project: Project, wave: str, answer: str) -> None:
    with on_terminal(project, "wave", "run", wave) as terminal:
        project.until_begun("a")
        terminal.type("\x03")
        terminal.until(QUESTION)
        assert terminal.ended(answer) == 4
    assert [project.header(task_id)["status"] for task_id in "ab"] == ["active", "active"]
    assert (project.reservations(), project.left_running()) == ([], [])
    assert "Traceback" not in terminal.text
