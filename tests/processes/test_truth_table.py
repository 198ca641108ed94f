"""Every pair of records of docs/claims.md, "Who holds it", made by a killed process or by hand; and what it means.

Of each pair three things are asked, each on a copy of its own: what another one gets at once, what another one gets a
day later, and what the holder's completion comes to.
"""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from children import PATIENCE_SECONDS, child
from dibs.session import Session
from dibs.store.errors import DibsError
from dibs.store.ledger import Ledger
from dibs.store.task_store import TaskStore
from support import age, call, edit, header, orphans, write_file

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there"),
]

REPORT = "the holder's report"
FORMER = "---\nid: t-1\nstatus: To Do\nassignee:\n  - '@victim'\n  - '@heir'\n---\nbody\n"


def killed(step: str, *verbs: str) -> Callable[[Path], None]:
    """A real process that dies at this step."""

    def make(tasks_dir: Path) -> None:
        with child("victim.py", tasks_dir, step, *verbs) as process:
            said = process.communicate(timeout=PATIENCE_SECONDS)[0]
        assert process.returncode == -signal.SIGKILL, said

    return make


def then(make: Callable[[Path], None], change: Callable[[Path], None]) -> Callable[[Path], None]:
    def made(tasks_dir: Path) -> None:
        make(tasks_dir)
        change(tasks_dir)

    return made


def by_hand(old: str, new: str) -> Callable[[Path], None]:
    return lambda tasks_dir: void(edit(tasks_dir / "t-1.md", old, new))


def void(_: object) -> None:
    return None


def take_back(tasks_dir: Path) -> None:
    write_file(tasks_dir / "t-1.md", FORMER)


def drop_claim_file(tasks_dir: Path) -> None:
    for path in (tasks_dir / ".dibs" / "claims").iterdir():
        path.unlink()


def drop_claim_line(tasks_dir: Path) -> None:
    path = tasks_dir / "t-1.md"
    edit(path, f"claim: {header(path)['claim']}\n", "")


def other_token(tasks_dir: Path) -> None:
    token = header(tasks_dir / "t-1.md")["claim"]
    assert token is not None
    edit(tasks_dir / "t-1.md", token, token[:5] + token[:4:-1])


def foreign_token(tasks_dir: Path) -> None:
    drop_claim_file(tasks_dir)
    token = header(tasks_dir / "t-1.md")["claim"]
    assert token is not None
    edit(tasks_dir / "t-1.md", token, "h" + ("000" if token[1:4] != "000" else "111") + token[4:])


def once(make: Callable[[Path], None]) -> Callable[[Path], None]:
    """Run it once, and give every later caller the files that came of it."""
    files: dict[Path, bytes] = {}

    def made(tasks_dir: Path) -> None:
        if not files:
            make(tasks_dir)
            files.update(
                {path.relative_to(tasks_dir): path.read_bytes() for path in tasks_dir.rglob("*") if path.is_file()}
            )
        for path, content in files.items():
            write_file(tasks_dir / path, content)

    return made


CLAIMED = once(killed("claim.journal", "claim_next_task"))


@dataclass(frozen=True)
class Pair:
    """A pair of records. ``later``: what a claim a day after gets; ``completion``: how the holder's ends, a code or a
    status; ``attempts`` that are counted by then."""

    make: Callable[[Path], None]
    later: str
    completion: str
    attempts: int = 0


PAIRS = {
    "active, X, by a death": Pair(killed("claim.claim_file", "claim_next_task"), "claimed", "done"),
    "active, X, by hand": Pair(then(CLAIMED, take_back), "claimed", "done"),
    "X and X, by a death before the journal": Pair(killed("claim.task_file", "claim_next_task"), "claimed", "done", 1),
    "X and X, by a death after it": Pair(CLAIMED, "claimed", "done", 1),
    "X and Y, by a death": Pair(killed("resume.claim_file", "claim_next_task", "resume"), "claimed", "done", 1),
    "X and Y, by hand": Pair(then(CLAIMED, other_token), "claimed", "done", 1),
    "in progress without a claim": Pair(by_hand("To Do", "in_progress"), "empty", "not_claimed"),
    "in progress without its line, X": Pair(then(CLAIMED, drop_claim_line), "claimed", "done", 1),
    "X and none": Pair(then(CLAIMED, drop_claim_file), "claimed", "done", 1),
    "X of another machine and none": Pair(then(CLAIMED, foreign_token), "empty", "claim_lost"),
    "done by hand, X": Pair(then(CLAIMED, by_hand("in_progress", "done")), "empty", "done"),
    "blocked by hand, X": Pair(then(CLAIMED, by_hand("in_progress", "blocked")), "empty", "claim_lost"),
    "put aside by hand, X": Pair(then(CLAIMED, by_hand("in_progress", "on_hold")), "empty", "claim_lost"),
    "done, X, by a death": Pair(killed("end.task_file", "claim_next_task", "complete_task"), "empty", "done"),
    "blocked, X, by a death": Pair(killed("end.journal", "claim_next_task", "block_task"), "empty", "claim_lost"),
}


@pytest.fixture
def opened() -> Iterator[Callable[[Path, timedelta], Session]]:
    made: list[Session] = []

    def open_session(tasks_dir: Path, ahead: timedelta = timedelta(0)) -> Session:
        age(tasks_dir / "t-1.md")
        store = TaskStore(tasks_dir, now=lambda: datetime.now(UTC) + ahead)
        made.append(Session(store, client="heir", server=True))
        return made[-1]

    yield open_session
    for session in made:
        session.close()


def held_by(tasks_dir: Path) -> str:
    """The token that holds the task, by the claim file; else by the task file."""
    claim = Ledger(tasks_dir).claim("t-1")
    return claim.token if claim is not None else header(tasks_dir / "t-1.md").get("claim") or ""


@pytest.mark.parametrize("pair", PAIRS.values(), ids=list(PAIRS))
def test_what_a_pair_of_records_means(
    tasks_dir: Path, tmp_path: Path, opened: Callable[..., Session], pair: Pair
) -> None:
    write_file(tasks_dir / "t-1.md", FORMER)
    pair.make(tasks_dir)
    copies = {name: tmp_path / name for name in ("now", "later", "completion")}
    for folder in copies.values():
        shutil.copytree(tasks_dir, folder)
    token = held_by(tasks_dir)

    now = opened(copies["now"])
    assert call(now, "claim_next_task").status == "empty", "nobody else gets it at once"
    with pytest.raises(DibsError, match="cannot be claimed"):
        call(now, "claim_next_task", id="t-1")

    later = opened(copies["later"], timedelta(days=1))
    call(later, "claim_next_task", project="none")  # plants what is lost; its lease begins now
    later = opened(copies["later"], timedelta(days=2))
    result = call(later, "claim_next_task")
    assert (result.status, result.task.attempts if result.task else 0) == (pair.later, pair.attempts)
    if result.status == "claimed":
        assert held_by(copies["later"]) == result.claim_token == header(copies["later"] / "t-1.md")["claim"]

    check_completion(opened(copies["completion"]), copies["completion"], token, pair.completion)


def check_completion(session: Session, tasks_dir: Path, token: str, expected: str) -> None:
    """The holder's completion: done, with its report somewhere; or refused, and then the report is kept."""
    path = tasks_dir / "t-1.md"
    before = path.read_bytes()
    arguments = {"id": "t-1", "claim_token": token, "summary": REPORT}
    if expected != "done":
        with pytest.raises(DibsError) as told:
            call(session, "complete_task", **arguments)
        assert told.value.code == expected
        assert path.read_bytes() in (before, before.replace(f"claim: {token}\n".encode(), b"")), (
            "the hand's word stands"
        )
        assert orphans(tasks_dir) == [] if not token else REPORT in orphans(tasks_dir)[0]
        return
    assert call(session, "complete_task", **arguments).task.status == "done"
    assert header(path)["status"] == "done"
    assert "claim" not in header(path)
    text = path.read_text(encoding="utf-8")
    assert text.count(REPORT) + sum(REPORT in kept for kept in orphans(tasks_dir)) == 1
    assert text.count("body\n") == 1
    assert Ledger(tasks_dir).claims() == []
