"""Two calls at once, in every order of their steps: one winner, nothing lost, and what is left can be worked off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from place import Place, Results, claiming, code, ending, looking
from stage import Play

from dibs.renewing import renew_claims
from dibs.session import Call
from support import age, call, claim, endings, header, held_ids, orphans

pytestmark = pytest.mark.timeout(300)


InEveryOrder = Callable[[Callable[[], Play]], int]


@pytest.mark.parametrize("tasks", [1, 2])
@pytest.mark.parametrize("by_id", [False, True], ids=["next", "by id"])
def test_of_two_claims_each_task_has_one_winner(
    stage_dir: Path, in_every_order: InEveryOrder, tasks: int, by_id: bool
) -> None:
    def make() -> Play:
        place = Place(stage_dir, tasks)
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


def test_an_expired_claim_is_reaped_once(stage_dir: Path, in_every_order: InEveryOrder) -> None:
    def make() -> Play:
        place = Place(stage_dir)
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
    stage_dir: Path, in_every_order: InEveryOrder, name: str
) -> None:
    def make() -> Play:
        place = Place(stage_dir)
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
def test_late_work_or_the_next_claim_but_not_both(stage_dir: Path, in_every_order: InEveryOrder, name: str) -> None:
    def make() -> Play:
        place = Place(stage_dir)
        session, token = place.expired()

        def check(results: Results) -> None:
            late, claimed = code(results["late"]), code(results["claimer"])
            assert (late, claimed) in [("claim_lost", "claimed"), ("ok", "claimed" if "release" in name else "empty")]
            if claimed == "claimed":
                assert header(place.path)["claim"] == results["claimer"].claim_token
            text = place.path.read_text(encoding="utf-8")
            kept = orphans(stage_dir)
            assert [text.count("my report"), len(kept)] == ([1, 0] if late == "ok" else [0, 1])

        claimer = claiming(place.session("claude-code"))
        return place.play(check, late=ending(session, name, token), claimer=claimer)

    assert in_every_order(make) > 5


def test_what_is_given_back_is_there_for_whoever_comes_after(stage_dir: Path, in_every_order: InEveryOrder) -> None:
    seen: set[str] = set()

    def make() -> Play:
        place = Place(stage_dir)
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


def test_a_renewal_or_the_reaper_comes_first(stage_dir: Path, in_every_order: InEveryOrder) -> None:
    seen: set[str] = set()

    def make() -> Play:
        place = Place(stage_dir)
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
    stage_dir: Path, in_every_order: InEveryOrder, name: str
) -> None:
    def make() -> Play:
        place = Place(stage_dir)
        dead = place.session()
        token = claim(dead).claim_token
        dead.close()

        def check(results: Results) -> None:
            old, heir = code(results["old"]), code(results["heir"])
            assert (old, heir) in [("claim_lost", "claimed"), ("ok", "claimed" if "release" in name else "empty")]
            if heir == "claimed":
                assert header(place.path)["claim"] == results["heir"].claim_token
            assert len(orphans(stage_dir)) == (old == "claim_lost")

        heir = claiming(place.session(), resume=True)
        return place.play(check, old=ending(dead, name, token), heir=heir)

    assert in_every_order(make) > 5


@pytest.mark.parametrize("name", ["complete_task", "block_task", "release_task"])
def test_the_same_ending_twice_at_once_is_one_ending(stage_dir: Path, in_every_order: InEveryOrder, name: str) -> None:
    def make() -> Play:
        place = Place(stage_dir)
        session = place.session()
        token = claim(session).claim_token

        def check(results: Results) -> None:
            assert results["one"] == results["two"]
            assert code(results["one"]) == "ok"
            assert place.path.read_text(encoding="utf-8").count("my report") == 1
            assert len(endings(session, "t-1")) == 1
            assert orphans(stage_dir) == []

        two = ending(place.session(), name, token)
        return place.play(check, one=ending(session, name, token), two=two)

    assert in_every_order(make) > 5


@pytest.mark.parametrize("resume", [False, True], ids=["claim", "resume"])
def test_a_claim_given_up_at_any_step_is_nobodys(stage_dir: Path, in_every_order: InEveryOrder, resume: bool) -> None:
    def make() -> Play:
        place = Place(stage_dir)
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
    stage_dir: Path, in_every_order: InEveryOrder
) -> None:
    def make() -> Play:
        place = Place(stage_dir)
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
        hand = lambda: on.cancel() and None  # noqa: E731
        return place.play(check, claimer=claimer, other=other, hand=hand, touches="claimer")

    assert in_every_order(make) > 5
