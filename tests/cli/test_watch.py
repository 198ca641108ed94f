"""``dibs watch`` as people and programs run it: lines in a pipe, a live view on a terminal, and an orderly end."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from test_terminal import COLOUR, HARMFUL, nasty_directory

from dibs.session import Session
from dibs.store.task_store import TaskStore
from doors import run_dibs
from support import call, write_file, write_task

fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
PATIENCE_SECONDS = 60
SCREEN, NO_SCREEN = "\x1b[?1049h", "\x1b[?1049l"
HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"
HOME = "\x1b[H"
Line = dict[str, Any]
processes = pytest.mark.processes


def command(tasks_dir: Path, *words: str) -> list[str]:
    program = [sys.executable, "-m", "dibs_server", "watch", "--interval", "0.1"]
    return [*program, "--tasks-dir", str(tasks_dir), *words]


@pytest.fixture
def shell(tasks_dir: Path) -> Session:
    return Session(TaskStore(tasks_dir), client="probe", person=True)


@contextmanager
def watching(tasks_dir: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """``dibs watch`` at one end of a pipe; gone at the end of the block."""
    process = subprocess.Popen(
        command(tasks_dir, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)


def lines_until(process: subprocess.Popen[str], wanted: Callable[[Line], bool]) -> Line:
    """The next line of that kind. The suite's time limit bounds the wait; a dead child ends it."""
    assert process.stdout is not None
    for line in process.stdout:
        seen: Line = json.loads(line)
        assert line == json.dumps(seen, ensure_ascii=False, separators=(",", ":")) + "\n"
        if wanted(seen):
            return seen
    raise AssertionError(f"it ended: {process.stderr.read() if process.stderr else ''}")


def is_overview(seen: Line) -> bool:
    return "counts" in seen


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for its end: the exit code, and what it said on stderr."""
    process.wait(timeout=PATIENCE_SECONDS)
    assert process.stderr is not None
    return process.returncode, process.stderr.read()


@processes
def test_a_line_tells_of_a_claim_and_one_of_its_end(tasks_dir: Path, shell: Session) -> None:
    write_task(tasks_dir, "t-1", title="Größe")
    with watching(tasks_dir) as process:
        first = lines_until(process, is_overview)
        assert (first["workers"], first["counts"]["ready"], first["tasks_dir"]) == ([], 1, str(tasks_dir))
        claimed = call(shell, "claim_next_task", caller="bob")
        seen = lines_until(process, lambda line: bool(line["workers"]) and line["counts"]["ready"] == 0)
        (worker,) = seen["workers"]
        assert (worker["caller"], worker["id"], worker["title"]) == ("bob", "t-1", "Größe")
        assert worker["lease"] == "running"
        call(shell, "complete_task", id="t-1", claim_token=claimed.claim_token, summary="s")
        seen = lines_until(process, lambda line: line["workers"] == [] and bool(line["recent"]))
        assert [(one["how"], one["id"], one["caller"]) for one in seen["recent"]] == [("completed", "t-1", "bob")]
        assert (seen["counts"]["done"], seen["rate"]["last_hour"]) == (1, 1)


@processes
@pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_ends_quietly_when_told_to_and_has_made_nothing(
    number: signal.Signals, exit_code: int, tasks_dir: Path
) -> None:
    write_task(tasks_dir, "t-1")
    with watching(tasks_dir) as process:
        lines_until(process, is_overview)
        process.send_signal(number)
        assert ended(process) == (exit_code, "")
    assert [path.name for path in tasks_dir.iterdir()] == ["t-1.md"]


@processes
@pytest.mark.skipif(not hasattr(select, "poll"), reason="nothing tells there that a reader has gone")
def test_it_ends_when_nobody_reads_any_more_though_nothing_happens(tasks_dir: Path) -> None:
    with watching(tasks_dir) as process:
        lines_until(process, is_overview)
        assert process.stdout is not None
        process.stdout.close()
        assert ended(process) == (0, "")


@processes
def test_what_goes_wrong_meanwhile_is_told_and_watching_goes_on(tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    with watching(tasks_dir) as process:
        lines_until(process, is_overview)
        write_file(tasks_dir / "settings.json", '{"colour": "red"}')
        assert lines_until(process, lambda line: "error" in line)["error"]["code"] == "settings"
        (tasks_dir / "settings.json").unlink()
        assert lines_until(process, is_overview)["counts"]["ready"] == 1
        tasks_dir.rename(tasks_dir.with_name("away"))
        error = lines_until(process, lambda line: "error" in line)["error"]
        assert (error["code"], str(tasks_dir) in error["message"]) == ("io", True)
        tasks_dir.with_name("away").rename(tasks_dir)
        assert lines_until(process, is_overview)["counts"]["ready"] == 1


@pytest.mark.parametrize("words", [["--once"], ["--once", "--json"]], ids=" ".join)
def test_once_prints_one_line_and_ends(words: list[str], tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    result = run_dibs("watch", *words, "--tasks-dir", str(tasks_dir))
    assert (result.exit_code, result.stderr, result.stdout.count("\n")) == (0, "", 1)
    assert json.loads(result.stdout)["counts"]["ready"] == 1


def test_no_directory_is_the_usual_error(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    result = run_dibs("watch", "--tasks-dir", nowhere)
    assert (result.exit_code, result.stdout) == (6, "")
    assert "nowhere does not exist" in result.stderr
    result = run_dibs("watch", "--json", "--tasks-dir", nowhere)
    assert (result.exit_code, result.stderr, result.stdout.count("\n")) == (6, "", 1)
    assert json.loads(result.stdout)["error"]["code"] == "settings"


def test_broken_settings_at_the_start_are_the_usual_error(tasks_dir: Path) -> None:
    write_file(tasks_dir / "settings.json", "{")
    result = run_dibs("watch", "--tasks-dir", str(tasks_dir))
    assert (result.exit_code, result.stdout) == (6, "")


def test_lines_are_harmless_on_a_terminal_and_are_lines_everywhere(tasks_dir: Path) -> None:
    nasty_directory(tasks_dir)
    write_task(tasks_dir, "t-2", "in_progress", assignee="maria", title='"a\\u2028b\\u0085c"')
    result = run_dibs("watch", "--once", "--tasks-dir", str(tasks_dir))
    assert HARMFUL.findall(result.stdout) == []
    assert len(result.stdout.splitlines()) == 1
    assert json.loads(result.stdout)["workers"][0]["caller"] == "maria"


# on a terminal


@dataclass
class Terminal:
    """A terminal with ``dibs watch`` on it, and all that came out so far."""

    process: subprocess.Popen[bytes]
    master: int
    text: str = field(default="")

    def until(self, wanted: Callable[[str], bool]) -> str:
        """Read on until what is there is as wanted; returns all of it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not wanted(self.text):
            left = deadline - time.monotonic()
            assert left > 0, self.text
            if not select.select([self.master], [], [], left)[0]:
                continue
            try:
                self.text += os.read(self.master, 65_536).decode("utf-8", "replace")
            except OSError:  # all who had the terminal open have ended
                assert wanted(self.text), self.text
        return self.text

    def frame(self, wanted: Callable[[list[str]], bool]) -> list[str]:
        """The lines of the next whole frame that is as wanted, without colours."""
        found: list[str] = []

        def seen(text: str) -> bool:
            nonlocal found
            for frame in text.split(HOME)[2:-1]:
                found = COLOUR.sub("", frame).split("\r\n")
                if wanted(found):
                    return True
            return False

        self.until(seen)
        self.text = HOME + self.text.rpartition(HOME)[2]
        return found

    def to_the_end(self) -> str:
        """All that came until the program ended."""
        self.process.wait(timeout=PATIENCE_SECONDS)
        while select.select([self.master], [], [], 0)[0]:
            try:
                self.text += os.read(self.master, 65_536).decode("utf-8", "replace")
            except OSError:
                break
        return self.text

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


@contextmanager
def terminal(
    tasks_dir: Path, *words: str, columns: int = 80, lines: int = 24, kind: str = "xterm"
) -> Iterator[Terminal]:
    """A terminal of that size and kind with ``dibs watch`` on it; gone at the end of the block."""
    unwanted = ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted} | {"TERM": kind}
    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        command(tasks_dir, *words), stdin=slave, stdout=slave, stderr=slave, env=environment
    )  # fmt: skip
    try:
        yield Terminal(process, master)
        assert termios.tcgetattr(slave)[3] & termios.ECHO
    finally:
        process.kill()
        process.wait(timeout=PATIENCE_SECONDS)
        os.close(slave)
        os.close(master)


def has(*words: str) -> Callable[[list[str]], bool]:
    return lambda frame: all(word in " ".join(" ".join(frame).split()) for word in words)


@processes
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_live_view_follows_and_gives_the_terminal_back(
    number: signal.Signals, exit_code: int, tasks_dir: Path, shell: Session
) -> None:
    write_task(tasks_dir, "t-1", title="First thing")
    with terminal(tasks_dir) as screen:
        frame = screen.frame(has("1 ready", "nobody is at work"))
        assert len(frame) == 24
        claimed = call(shell, "claim_next_task", caller="bob")
        frame = screen.frame(has("bob", "0 ready"))
        (row,) = [line for line in frame if line.startswith("bob")]
        assert re.search(r"^bob +t-1 +\d:\d\d +\d+:\d\d left +First thing *$", row)
        call(shell, "complete_task", id="t-1", claim_token=claimed.claim_token, summary="s")
        screen.frame(has("nobody is at work", "completed", "1/1 done", "1 in the last hour"))
        screen.process.send_signal(number)
        end = screen.to_the_end()
    assert screen.process.returncode == exit_code
    assert end.endswith(SHOWN + NO_SCREEN)
    assert "Traceback" not in end


@processes
def test_the_live_view_begins_on_the_other_screen_and_shows_nothing_raw(tasks_dir: Path) -> None:
    nasty_directory(tasks_dir)
    write_task(tasks_dir, "t-2", "in_progress", title=r'"\e]0;owned\a\e[2Jred\x9b31m \u202Eback \x7f\b"')
    with terminal(tasks_dir, columns=200) as screen:
        screen.frame(has("t-2", "1 invalid", "red"))
        screen.process.send_signal(signal.SIGINT)
        end = screen.to_the_end()
    ours = re.compile("|".join(map(re.escape, (SCREEN, NO_SCREEN, HIDDEN, SHOWN, HOME, "\r\n"))))
    assert HARMFUL.findall(COLOUR.sub("", ours.sub("", end))) == []


@processes
def test_a_new_size_and_an_error_are_shown_and_an_error_goes_away(tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "in_progress", assignee="maria")
    with terminal(tasks_dir) as screen:
        assert len(screen.frame(has("maria"))) == 24
        screen.resize(100, 30)
        screen.frame(lambda frame: (len(frame), len(frame[0])) == (30, 100))
        write_file(tasks_dir / "settings.json", '{"colour": "red"}')
        frame = screen.frame(has("unknown key 'colour'"))
        assert has("seen last", "maria")(frame)
        (tasks_dir / "settings.json").unlink()
        screen.frame(lambda frame: has("maria")(frame) and not has("colour")(frame))


@processes
def test_while_it_is_stopped_the_terminal_is_the_shell_s(tasks_dir: Path) -> None:
    with terminal(tasks_dir) as screen:
        screen.frame(has("no tasks yet"))
        screen.process.send_signal(signal.SIGTSTP)
        screen.until(lambda text: text.endswith(SHOWN + NO_SCREEN))
        _, status = os.waitpid(screen.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        screen.text = ""
        screen.process.send_signal(signal.SIGCONT)
        screen.until(lambda text: SCREEN in text and "no tasks yet" in text)


@processes
def test_once_on_a_terminal_prints_everything_and_no_other_screen(tasks_dir: Path) -> None:
    for number in range(40):
        write_task(tasks_dir, f"t-{number:02}", "in_progress", assignee="maria")
    with terminal(tasks_dir, "--once", lines=10) as screen:
        end = screen.to_the_end()
    assert screen.process.returncode == 0
    assert SCREEN not in end
    assert all(f"t-{number:02}" in end for number in range(40))


@processes
def test_json_on_a_terminal_is_lines(tasks_dir: Path) -> None:
    with terminal(tasks_dir, "--once", "--json") as screen:
        end = screen.to_the_end()
    assert json.loads(end)["counts"]["total"] == 0


@processes
def test_a_terminal_that_cannot_be_written_over_gets_one_view_after_the_other(tasks_dir: Path) -> None:
    with terminal(tasks_dir, kind="dumb") as screen:
        screen.until(lambda text: "no tasks yet" in text)
        write_task(tasks_dir, "t-1")
        screen.until(lambda text: "1 ready" in text)
        screen.process.send_signal(signal.SIGINT)
        end = screen.to_the_end()
    assert screen.process.returncode == 0
    assert "\x1b" not in end
