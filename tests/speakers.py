"""Sessions in processes of their own, called one line at a time; killed when the block ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from children import PATIENCE_SECONDS, PROGRAMS
from doors import Answer


@dataclass(frozen=True)
class Speaker:
    """A session far away. What it says is what the verb answered; an error has a ``code``."""

    process: subprocess.Popen[str]

    def ask(self, **request: Any) -> Answer:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the process died"
        answer: Answer = json.loads(line)
        return answer

    def call(self, name: str, **arguments: Any) -> Answer:
        return self.ask(name=name, arguments=arguments)

    def claim(self, task_id: str = "") -> str:
        """Claim a task, and be sure to have got it; returns the token."""
        answer = self.call("claim_next_task", id=task_id)
        assert answer.get("status") == "claimed", answer
        token = answer["claim_token"]
        assert isinstance(token, str)
        return token

    def die(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)


@contextmanager
def speaking(
    tasks_dir: Path, client: str = "gemini", *, ahead: float = 0, uid: int | None = None, entering: Sequence[str] = ()
) -> Iterator[Speaker]:
    """A session on its feet. ``ahead``: seconds its clock runs ahead; ``entering``: words that start it elsewhere."""
    words = [*entering, sys.executable, str(PROGRAMS / "speaker.py"), str(tasks_dir), client, str(ahead)]
    process = subprocess.Popen(
        words + ([str(uid)] if uid is not None else []),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), "it did not come to its feet"
        yield Speaker(process)
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)
