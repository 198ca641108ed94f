"""Where the plays of a few actors are set: a directory of tasks, made anew for each performance."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stage import Play

from dibs.session import CallCancelled, Session
from dibs.store.errors import DibsError
from dibs.store.task_store import TaskStore
from support import NOON, Clock, age, call, claim, header, held_ids, write_file

CONTENT = "---\nid: {id}\nstatus: To Do\nassignee:\n  - '@gemini'\n  - claude\n  - heir\n---\ntext of {id}\n"
RANDOM = re.compile(rb"h[0-9a-f]{3}-[0-9a-z]{11}|[0-9a-f]{32}")
REPORTS = {"complete_task": "summary", "block_task": "reason", "release_task": "note"}
Results = Mapping[str, Any]
worked_off: set[frozenset[tuple[str, bytes]]] = set()


class Place:
    """A directory with tasks, made anew for each performance, and the sessions on it."""

    def __init__(self, tasks_dir: Path, tasks: int = 1) -> None:
        shutil.rmtree(tasks_dir, ignore_errors=True)
        self.dir = tasks_dir
        self.clock = Clock(at=NOON)
        self.made: list[Session] = []
        self.paths = [write_file(tasks_dir / f"t-{n}.md", CONTENT.format(id=f"t-{n}")) for n in range(1, tasks + 1)]
        self.path = self.paths[0]

    def session(self, client: str = "gemini-cli-mcp-client", *, server: bool = True, person: bool = False) -> Session:
        store = TaskStore(self.dir, now=self.clock, host="h1")
        self.made.append(Session(store, client=client, server=server, person=person))
        return self.made[-1]

    def expired(self) -> tuple[Session, str]:
        """A claim whose server is gone and whose lease has passed: its session and its token."""
        session = self.session()
        token = claim(session, "t-1").claim_token
        session.close()
        self.clock.advance(121)
        self.grow_old()
        return session, token

    def grow_old(self) -> None:
        for path in self.dir.glob("*.md"):
            age(path)

    def play(self, check: Callable[[Results], None], *, touches: str = "", **actors: Callable[[], Any]) -> Play:
        self.grow_old()

        def check_all(results: Results) -> None:
            for result in results.values():
                if isinstance(result, Exception) and not isinstance(result, DibsError | CallCancelled):
                    raise result
            check(results)
            left = self.what_is_left()
            if left not in worked_off:  # many orders leave the same behind
                self.work_off()
                worked_off.add(left)

        return Play(self.dir, actors, check_all, self.grow_old, hands=("hand",), touches=touches)

    def what_is_left(self) -> frozenset[tuple[str, bytes]]:
        """Files, claims and endings, whatever the tokens are called."""
        kinds = ("*.md", ".dibs/claims/*", ".dibs/ended/*")
        paths = [path for kind in kinds for path in self.dir.glob(kind)]
        return frozenset((path.name, RANDOM.sub(b"", path.read_bytes())) for path in paths)

    def work_off(self) -> None:
        """Whatever was left can be done by somebody who comes later, and everything is there once."""
        for session in self.made:
            session.close()
        heir = self.session("heir")
        for _ in range(2):
            self.clock.advance(10_000)
            self.grow_old()
            call(heir, "claim_next_task", caller="nobody", project="none")
        self.grow_old()
        while (result := call(heir, "claim_next_task")).status == "claimed":
            call(heir, "complete_task", id=result.task.id, claim_token=result.claim_token, summary="at last")
            self.grow_old()
        heir.close()
        assert held_ids(heir) == []
        for path in self.dir.glob("*.md"):
            text = path.read_text(encoding="utf-8")
            assert header(path)["status"] in ("done", "blocked"), text
            assert "claim" not in header(path), text
            assert len(re.findall(r"^text of t-\d$", text, re.MULTILINE)) == 1, text
            assert text.count("my report") <= 1, text
        assert {path.name for path in self.dir.iterdir()} <= {".dibs", *(path.name for path in self.dir.glob("*.md"))}


def code(result: Any) -> str:
    """How a call came out: the error's code, else a claim's status, else "ok"."""
    if isinstance(result, CallCancelled):
        return "cancelled"
    return getattr(result, "code", None) or getattr(result, "status", None) or "ok"


def ending(session: Session, name: str, token: str, **arguments: str) -> Callable[[], Any]:
    """A call that ends the claim on t-1 with a report."""
    return lambda: call(session, name, id="t-1", claim_token=token, **{REPORTS[name]: "my report"}, **arguments)


def claiming(session: Session, **arguments: Any) -> Callable[[], Any]:
    return lambda: call(session, "claim_next_task", **arguments)


def looking(session: Session) -> Callable[[], Any]:
    """A claim call for which there is nothing: it takes back what is due."""
    return claiming(session, caller="nobody", project="none")
