"""Two calls at once, in every order of their steps: one winner, nothing lost, and what is left can be worked off."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from stage import Play, Stage, every_order

from dibs.renewing import renew_claims
from dibs.session import Call, CallCancelled, Session
from dibs.store import steps
from dibs.store.errors import DibsError
from dibs.store.task_store import TaskStore
from support import NOON, Clock, age, call, claim, endings, header, held_ids, orphans, write_file

MEMORY = Path("/dev/shm")
CONTENT = "---\nid: {id}\nstatus: To Do\nassignee:\n  - '@gemini'\n  - claude\n  - heir\n---\ntext of {id}\n"
RANDOM = re.compile(rb"h[0-9a-f]{3}-[0-9a-z]{11}|[0-9a-f]{32}")
worked_off: set[frozenset[tuple[str, bytes]]] = set()
Results = Mapping[str, Any]
pytestmark = pytest.mark.timeout(300)


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

    def play(self, check: Callable[[Results], None], **actors: Callable[[], Any]) -> Play:
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

        return Play(self.dir, actors, check_all, self.grow_old, hands=("hand",))

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
            assert text.count(f"text of {path.stem}\n") == 1, text
            assert text.count("my report") <= 1, text
        assert {path.name for path in self.dir.iterdir()} <= {".dibs", *(path.name for path in self.dir.glob("*.md"))}


def code(result: Any) -> str:
    """How a call came out: the error's code, else a claim's status, else "ok"."""
    if isinstance(result, CallCancelled):
        return "cancelled"
    return getattr(result, "code", None) or getattr(result, "status", None) or "ok"


@pytest.fixture
def tasks_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # nobody pulls the plug here
    folder = (MEMORY if MEMORY.is_dir() else tmp_path) / f"dibs-actors-{os.getpid()}"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def in_every_order(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Play]], int]:
    """Perform a play in every order its actors can take turns in; returns how many there were."""

    def perform(make: Callable[[], Play]) -> int:
        performances = 0
        for choose in every_order():
            stage = Stage(make())
            monkeypatch.setattr(steps, "hook", stage.hook)
            stage.perform(choose)
            monkeypatch.setattr(steps, "hook", None)
            performances += 1
        return performances

    return perform


InEveryOrder = Callable[[Callable[[], Play]], int]


def ending(session: Session, name: str, token: str, **arguments: str) -> Callable[[], Any]:
    """A call that ends the claim on t-1 with a report."""
    argument = {"complete_task": "summary", "block_task": "reason", "release_task": "note"}[name]
    return lambda: call(session, name, id="t-1", claim_token=token, **{argument: "my report"}, **arguments)


def claiming(session: Session, **arguments: Any) -> Callable[[], Any]:
    return lambda: call(session, "claim_next_task", **arguments)


def looking(session: Session) -> Callable[[], Any]:
    """A claim call for which there is nothing: it takes back what is due."""
    return claiming(session, caller="nobody", project="none")


@pytest.mark.parametrize("tasks", [1, 2])
@pytest.mark.parametrize("by_id", [False, True], ids=["next", "by id"])
def test_of_two_claims_each_task_has_one_winner(
    tasks_dir: Path, in_every_order: InEveryOrder, tasks: int, by_id: bool
) -> None:
    def make() -> Play:
        place = Place(tasks_dir, tasks)
        one, two = place.session(), place.session("claude-code")
        arguments = {"id": "t-1"} if by_id else {}

        def check(results: Results) -> None:
            won = [result for result in results.values() if code(result) == "claimed"]
            lost = {code(result) for result in results.values()} - {"claimed"}
            assert len(won) == (1 if by_id else tasks)
            assert lost == (set() if len(won) == 2 else {"not_ready" if by_id else "empty"})
            assert len({result.task.id for result in won}) == len(won)
            assert {header(Path(r.task.path))["claim"] for r in won} == {r.claim_token for r in won}

        return place.play(check, one=claiming(one, **arguments), two=claiming(two, **arguments))

    assert in_every_order(make) > 5


def test_an_expired_claim_is_reaped_once(tasks_dir: Path, in_every_order: InEveryOrder) -> None:
    def make() -> Play:
        place = Place(tasks_dir)
        place.expired()

        def check(results: Results) -> None:
            assert code(results["claimer"]) == "claimed"
            assert place.path.read_text(encoding="utf-8").count("## Attempt") == 1
            assert header(place.path)["attempts"] == "1"

        claimer, looker = place.session("claude-code"), place.session()
        return place.play(check, claimer=claiming(claimer), looker=looking(looker))

    assert in_every_order(make) > 5


@pytest.mark.parametrize("name", ["complete_task", "block_task"])
def test_late_work_counts_whether_or_not_it_is_reaped_meanwhile(
    tasks_dir: Path, in_every_order: InEveryOrder, name: str
) -> None:
    def make() -> Play:
        place = Place(tasks_dir)
        session, token = place.expired()

        def check(results: Results) -> None:
            assert code(results["late"]) == "ok"
            text = place.path.read_text(encoding="utf-8")
            assert text.count("my report") == 1
            assert text.count("## Attempt") <= 1
            assert header(place.path)["status"] in ("done", "blocked")

        return place.play(check, late=ending(session, name, token), looker=looking(place.session("claude-code")))

    assert in_every_order(make) > 5


@pytest.mark.parametrize("name", ["complete_task", "block_task", "release_task"])
def test_late_work_or_the_next_claim_but_not_both(tasks_dir: Path, in_every_order: InEveryOrder, name: str) -> None:
    def make() -> Play:
        place = Place(tasks_dir)
        session, token = place.expired()

        def check(results: Results) -> None:
            late, claimed = code(results["late"]), code(results["claimer"])
            assert (late, claimed) in [("claim_lost", "claimed"), ("ok", "claimed" if "release" in name else "empty")]
            if claimed == "claimed":
                assert header(place.path)["claim"] == results["claimer"].claim_token
            text = place.path.read_text(encoding="utf-8")
            kept = orphans(tasks_dir)
            assert [text.count("my report"), len(kept)] == ([1, 0] if late == "ok" else [0, 1])

        claimer = claiming(place.session("claude-code"))
        return place.play(check, late=ending(session, name, token), claimer=claimer)

    assert in_every_order(make) > 5


def test_what_is_given_back_is_there_for_whoever_comes_after(tasks_dir: Path, in_every_order: InEveryOrder) -> None:
    seen: set[str] = set()

    def make() -> Play:
        place = Place(tasks_dir)
        session = place.session()
        before = place.path.read_bytes()
        token = claim(session).claim_token

        def check(results: Results) -> None:
            assert code(results["giver"]) == "ok"
            seen.add(code(results["claimer"]))
            if code(results["claimer"]) == "empty":
                assert place.path.read_bytes() == before
            else:
                assert header(place.path)["claim"] == results["claimer"].claim_token
            assert [e.how for e in endings(session, "t-1")] == ["released"]

        giver = lambda: call(session, "release_task", id="t-1", claim_token=token)  # noqa: E731
        return place.play(check, giver=giver, claimer=claiming(place.session("claude-code")))

    assert in_every_order(make) > 5
    assert seen == {"empty", "claimed"}


def test_a_renewal_or_the_reaper_comes_first(tasks_dir: Path, in_every_order: InEveryOrder) -> None:
    seen: set[str] = set()

    def make() -> Play:
        place = Place(tasks_dir)
        server = place.session()
        claim(server)
        place.clock.advance(7200)  # its server lives, but nobody called for too long; now somebody does
        server.called("gemini")

        def check(results: Results) -> None:
            status = str(header(place.path)["status"])
            seen.add(status)
            held = ["t-1"] if status == "in_progress" else []
            assert (held_ids(server), [c.id for c in server.held()]) == (held, held)
            assert ("attempts" in header(place.path)) == (status == "To Do")

        looker = looking(place.session("claude-code"))
        return place.play(check, renewer=lambda: renew_claims(server), looker=looker)

    assert in_every_order(make) > 5
    assert seen == {"in_progress", "To Do"}


@pytest.mark.parametrize("name", ["complete_task", "block_task", "release_task"])
def test_who_resumes_or_who_has_the_old_token_but_not_both(
    tasks_dir: Path, in_every_order: InEveryOrder, name: str
) -> None:
    def make() -> Play:
        place = Place(tasks_dir)
        dead = place.session()
        token = claim(dead).claim_token
        dead.close()

        def check(results: Results) -> None:
            old, heir = code(results["old"]), code(results["heir"])
            assert (old, heir) in [("claim_lost", "claimed"), ("ok", "claimed" if "release" in name else "empty")]
            if heir == "claimed":
                assert header(place.path)["claim"] == results["heir"].claim_token
            assert len(orphans(tasks_dir)) == (old == "claim_lost")

        heir = claiming(place.session(), resume=True)
        return place.play(check, old=ending(dead, name, token), heir=heir)

    assert in_every_order(make) > 5


@pytest.mark.parametrize("name", ["complete_task", "block_task", "release_task"])
def test_the_same_ending_twice_at_once_is_one_ending(tasks_dir: Path, in_every_order: InEveryOrder, name: str) -> None:
    def make() -> Play:
        place = Place(tasks_dir)
        session = place.session()
        token = claim(session).claim_token

        def check(results: Results) -> None:
            assert results["one"] == results["two"]
            assert code(results["one"]) == "ok"
            assert place.path.read_text(encoding="utf-8").count("my report") == 1
            assert len(endings(session, "t-1")) == 1
            assert orphans(tasks_dir) == []

        two = ending(place.session(), name, token)
        return place.play(check, one=ending(session, name, token), two=two)

    assert in_every_order(make) > 5


@pytest.mark.parametrize("resume", [False, True], ids=["claim", "resume"])
def test_a_claim_given_up_at_any_step_is_nobodys(tasks_dir: Path, in_every_order: InEveryOrder, resume: bool) -> None:
    def make() -> Play:
        place = Place(tasks_dir)
        if resume:
            dead = place.session()
            claim(dead)
            dead.close()
        before, on, session = age(place.path).read_bytes(), Call(), place.session()

        def give_up() -> None:
            if (undo := on.cancel()) is not None:
                undo()

        def check(results: Results) -> None:
            assert code(results["claimer"]) in ("cancelled", "claimed")
            assert place.path.read_bytes() == before
            assert (held_ids(session), session.held()) == (["t-1"] if resume else [], [])

        claimer = lambda: call(session, "claim_next_task", on, resume=resume)  # noqa: E731
        return place.play(check, claimer=claimer, hand=give_up)

    assert in_every_order(make) > 5


def test_a_claim_given_up_while_another_one_is_made_leaves_the_task_to_that_one(
    tasks_dir: Path, in_every_order: InEveryOrder
) -> None:
    def make() -> Play:
        place = Place(tasks_dir)
        before, on, session = place.path.read_bytes(), Call(), place.session()

        def check(results: Results) -> None:
            if code(results["claimer"]) == "claimed":
                undo = on.cancel()
                place.grow_old()
                if undo is not None:
                    undo()
            if code(results["other"]) == "claimed":
                assert header(place.path)["claim"] == results["other"].claim_token
            else:
                assert place.path.read_bytes() == before
            assert session.held() == []

        claimer = lambda: call(session, "claim_next_task", on, id="t-1")  # noqa: E731
        other = claiming(place.session("claude-code"))
        return place.play(check, claimer=claimer, other=other, hand=lambda: on.cancel() and None)

    assert in_every_order(make) > 5
