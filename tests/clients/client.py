"""A real client program in a home, a project and a temporary folder of its own, with a scripted model behind it.

    run = gemini.run("Work until the queue is empty.", script)     # waits for the end of the program
    run.turns                                                      # what the model was asked, turn by turn
    run.text                                                       # what the program printed as its answer

    with gemini.started("…", script) as running:                   # goes on beside the test
        running.kill()                                             # the program and all that it started
        run = running.ended()

``client.tool("get_task")`` is the name under which the model sees a tool, ``client.call(*words)`` any other command of
the program. ``home`` and ``project`` are its folders. What the configurations say is what docs/clients.md shows.
"""

from __future__ import annotations

import json
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil
from installed import PATH, PROGRAMS
from model_service import Dialect, ModelService, serving
from scripts import Script, Turn

from documents import fenced
from wire import DIBS

PATIENCE_SECONDS = 240
ASKED_AGAIN = 5
PAGE = Path(__file__).resolve().parents[2] / "docs" / "clients.md"
SERVER = "dibs"
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Run:
    """A run that ended well: what the model was asked, and the program's own last words."""

    turns: list[Turn]
    text: str

    @property
    def results(self) -> list[str]:
        """What the model read after each of its calls."""
        return [result.text for turn in self.turns for result in turn.results]


@dataclass(frozen=True)
class Program:
    """An installed program with folders of its own, and an environment that has nothing of the one who runs the tests
    but where programs are."""

    home: Path
    project: Path

    name: ClassVar[str]

    def environment(self) -> dict[str, str]:
        scratch = self.home / "tmp"
        scratch.mkdir(exist_ok=True)
        return {"PATH": PATH, "HOME": str(self.home), "TMPDIR": str(scratch), "LANG": "C.UTF-8", "NO_COLOR": "1"}

    def install_dibs(self) -> None:
        """Put ``dibs`` where pipx puts it."""
        local = self.home / ".local" / "bin"
        local.mkdir(parents=True)
        (local / "dibs").symlink_to(DIBS)

    def command(self, *words: str | Path) -> list[str]:
        return [str(PROGRAMS / self.name), *map(str, words)]

    def call(self, *words: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the program to its end, which must be with this exit status."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.project,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done


class Client(Program, ABC):
    """A program with a model, whose service is ours."""

    dialect: ClassVar[Dialect]
    prefix: ClassVar[str]

    @abstractmethod
    def prepare_home(self) -> None:
        """Write what a person has done once: signed in, and approved what projects configure."""

    @abstractmethod
    def configure(self, **entry: object) -> None:
        """Give the project our server, ``dibs serve`` of this interpreter, with these keys in its entry besides."""

    @abstractmethod
    def prompt_words(self, prompt: str) -> list[str]:
        """The arguments of a run without a person."""

    @abstractmethod
    def served_by(self, url: str) -> Mapping[str, str]:
        """What the environment must have so that the model is asked at ``url``."""

    def service_words(self, url: str) -> list[str]:
        """The arguments that say so, for a program that does not look into the environment."""
        return []

    @abstractmethod
    def answer(self, stdout: str) -> str:
        """The program's last words, out of what it printed."""

    def tool(self, name: str, server: str = SERVER) -> str:
        return self.prefix.format(server=server) + name

    def environment(self) -> dict[str, str]:
        return {**super().environment(), **self.served_by(NOWHERE)}

    def run(self, prompt: str, script: Script, *arguments: str | Path) -> Run:
        """Give the program a prompt, its model a script; returns when it has ended well and the script is through."""
        with self.started(prompt, script, *arguments) as running:
            return running.ended()

    @contextmanager
    def started(self, prompt: str, script: Script, *arguments: str | Path) -> Iterator[Running]:
        """The same, beside the test. Killed when the block ends, if it still lives."""
        with serving(self.dialect, script) as service:
            process = subprocess.Popen(
                self.command(*self.prompt_words(prompt), *self.service_words(service.url), *arguments),
                cwd=self.project,
                env={**self.environment(), **self.served_by(service.url)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
            running = Running(self, service, process)
            try:
                yield running
            finally:
                running.kill()
                process.communicate(timeout=PATIENCE_SECONDS)


@dataclass(frozen=True)
class Running:
    """A program at work."""

    client: Client
    service: ModelService
    process: subprocess.Popen[str]

    def kill(self) -> None:
        """Kill the program and all that it started, its server too, with no time for last words."""
        if self.process.poll() is not None:
            return
        with suppress(psutil.NoSuchProcess):
            program = psutil.Process(self.process.pid)
            family = [program, *program.children(recursive=True)]
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            psutil.wait_procs(family[1:], timeout=PATIENCE_SECONDS)
        self.process.wait(timeout=PATIENCE_SECONDS)

    def ended(self) -> Run:
        """Wait for the end, which must be a good one."""
        stdout, stderr = self.process.communicate(timeout=PATIENCE_SECONDS)
        self.service.check()
        assert self.process.returncode == 0, (
            f"{self.client.name} ended with {self.process.returncode}: {stdout}{stderr}"
        )
        return Run(self.service.turns, self.client.answer(stdout))


def shown(language: str, number: int = 0) -> str:
    """A configuration of the page, with our program at its place."""
    return fenced(PAGE, language)[number].replace("/path/to/dibs", str(DIBS))


def servers_shown(number: int, **entry: object) -> dict[str, dict[str, object]]:
    """A configuration of the page in JSON, with these keys in our entry besides."""
    document: dict[str, dict[str, dict[str, object]]] = json.loads(shown("json", number))
    document["mcpServers"][SERVER] |= entry
    return document


def write_json(path: Path, value: object) -> None:
    """A file of settings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
