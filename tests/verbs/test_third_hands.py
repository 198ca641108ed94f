"""A hand on the files at every step of a call: what the user does stays, and no report is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from place import Place, Results, claiming, code, ending, looking
from stage import Play

from dibs.renewing import renew_claims
from support import age, call, claim, edit, header, orphans, write_file

InEveryOrder = Callable[[Callable[[], Play]], int]
pytestmark = pytest.mark.timeout(300)


def claimed(place: Place) -> tuple[Any, str]:
    session = place.session()
    return session, claim(session, "t-1").claim_token


def a_claim(place: Place) -> Callable[[], Any]:
    return claiming(place.session())


def a_claim_by_id(place: Place) -> Callable[[], Any]:
    return claiming(place.session(), id="t-1")


def completing(place: Place) -> Callable[[], Any]:
    session, token = claimed(place)
    return ending(session, "complete_task", token)


def blocking(place: Place) -> Callable[[], Any]:
    session, token = claimed(place)
    return ending(session, "block_task", token)


def releasing(place: Place) -> Callable[[], Any]:
    session, token = claimed(place)
    return ending(session, "release_task", token)


def taking_away(place: Place) -> Callable[[], Any]:
    claimed(place)
    person = place.session("", server=False, person=True)
    return lambda: call(person, "release_task", id="t-1", steal=True)


def completing_late(place: Place) -> Callable[[], Any]:
    session, token = place.expired()
    looking(place.session("claude-code"))()
    return ending(session, "complete_task", token)


def reaping(place: Place) -> Callable[[], Any]:
    place.expired()
    return looking(place.session("claude-code"))


def reaping_and_claiming(place: Place) -> Callable[[], Any]:
    place.expired()
    return claiming(place.session("claude-code"))


def resuming(place: Place) -> Callable[[], Any]:
    session, _ = claimed(place)
    session.close()
    return claiming(place.session(), resume=True)


def renewing(place: Place) -> Callable[[], Any]:
    session, _ = claimed(place)
    return lambda: renew_claims(session)


CALLS = (a_claim, a_claim_by_id, completing, blocking, releasing, taking_away, completing_late, reaping,
         reaping_and_claiming, resuming, renewing)  # fmt: skip
REPORTING = (completing, blocking, releasing, completing_late)
each_call = pytest.mark.parametrize("a_call", CALLS, ids=lambda a_call: a_call.__name__)


def task_file(place: Place) -> Path:
    (path,) = place.dir.glob("*.md")
    return path


def no_report_is_lost(place: Place, a_call: Callable[..., Any]) -> None:
    if a_call in REPORTING:
        text = task_file(place).read_text(encoding="utf-8")
        assert [text.count("my report"), len(orphans(place.dir))] in ([1, 0], [0, 1])


@each_call
def test_a_line_the_user_writes_during_a_call_stays(
    stage_dir: Path, in_every_order: InEveryOrder, a_call: Callable[[Place], Callable[[], Any]]
) -> None:
    def make() -> Play:
        place = Place(stage_dir)

        def check(results: Results) -> None:
            assert place.path.read_text(encoding="utf-8").count("a line of the user\n") == 1
            assert code(results["caller"]) in (("empty",) if a_call is reaping else ("ok", "claimed"))
            no_report_is_lost(place, a_call)

        hand = lambda: write_file(place.path, place.path.read_bytes() + b"\na line of the user\n")  # noqa: E731
        return place.play(check, caller=a_call(place), hand=hand)

    assert in_every_order(make) > 4


@each_call
def test_done_by_hand_during_a_call_stays_done(
    stage_dir: Path, in_every_order: InEveryOrder, a_call: Callable[[Place], Callable[[], Any]]
) -> None:
    def make() -> Play:
        place = Place(stage_dir)

        def check(results: Results) -> None:
            assert header(place.path)["status"] == "done"
            no_report_is_lost(place, a_call)

        hand = lambda: edit(place.path, f"status: {header(place.path)['status']}", "status: done")  # noqa: E731
        return place.play(check, caller=a_call(place), hand=hand)

    assert in_every_order(make) > 4


@each_call
def test_a_file_renamed_during_a_call_is_the_same_task(
    stage_dir: Path, in_every_order: InEveryOrder, a_call: Callable[[Place], Callable[[], Any]]
) -> None:
    def make() -> Play:
        place = Place(stage_dir)
        new = place.dir / "folder" / "renamed.md"

        def hand() -> None:
            new.parent.mkdir()
            place.path.rename(new)

        def check(results: Results) -> None:
            assert not place.path.exists()
            assert code(results["caller"]) in (("empty",) if a_call is reaping else ("ok", "claimed"))
            if code(results["caller"]) == "claimed":
                assert header(new)["claim"] == results["caller"].claim_token
            place.path = new.rename(place.path)
            new.parent.rmdir()
            no_report_is_lost(place, a_call)

        return place.play(check, caller=a_call(place), hand=hand)

    assert in_every_order(make) > 4


@each_call
def test_a_file_deleted_during_a_call_stays_deleted(
    stage_dir: Path, in_every_order: InEveryOrder, a_call: Callable[[Place], Callable[[], Any]]
) -> None:
    def make() -> Play:
        place = Place(stage_dir)

        def check(results: Results) -> None:
            assert list(place.dir.rglob("*.md")) == list(place.dir.glob(".dibs/orphans/*.md"))
            if a_call in REPORTING and isinstance(results["caller"], Exception):
                assert "my report" in orphans(place.dir)[0]

        return place.play(check, caller=a_call(place), hand=place.path.unlink)

    assert in_every_order(make) > 4


# the ledger is taken away


def lose_ledger(place: Place) -> None:
    shutil.rmtree(place.dir / ".dibs", ignore_errors=True)


@pytest.mark.parametrize("tasks", [1, 2])
def test_of_two_claims_each_task_has_one_winner_though_the_ledger_goes(
    stage_dir: Path, in_every_pair_of_steps: InEveryOrder, tasks: int
) -> None:
    def make() -> Play:
        place = Place(stage_dir, tasks)

        def check(results: Results) -> None:
            won = [results[name] for name in ("one", "two") if code(results[name]) == "claimed"]
            assert len(won) == tasks, [code(result) for result in results.values()]
            assert {header(Path(r.task.path))["claim"] for r in won} == {r.claim_token for r in won}

        one, two = claiming(place.session()), claiming(place.session("claude-code"))
        return place.play(check, one=one, two=two, hand=lambda: lose_ledger(place))

    assert in_every_pair_of_steps(make) > 50


@pytest.mark.parametrize("swapped", [False, True], ids=["call first", "claim first"])
@pytest.mark.parametrize("a_call", [completing, blocking, releasing, renewing, taking_away],
                         ids=lambda a_call: a_call.__name__)  # fmt: skip
def test_what_a_holder_does_is_done_once_though_the_ledger_goes(
    stage_dir: Path,
    in_every_pair_of_steps: InEveryOrder,
    a_call: Callable[[Place], Callable[[], Any]],
    swapped: bool,
) -> None:
    def make() -> Play:
        place = Place(stage_dir)
        caller, claimer = a_call(place), claiming(place.session("claude-code"))
        names = ("two", "one") if swapped else ("one", "two")

        def check(results: Results) -> None:
            mine, theirs = (results[name] for name in names)
            text = place.path.read_text(encoding="utf-8")
            assert code(mine) == "ok", mine
            assert text.count("my report") == (a_call in REPORTING)
            assert code(theirs) in (("empty", "claimed") if a_call in (releasing, taking_away) else ("empty",))
            if code(theirs) == "claimed":
                assert header(place.path)["claim"] == theirs.claim_token

        actors = dict(zip(names, (caller, claimer), strict=True))
        return place.play(check, **actors, hand=lambda: lose_ledger(place))

    assert in_every_pair_of_steps(make) > 50


@pytest.mark.parametrize("swapped", [False, True], ids=["late first", "claim first"])
def test_late_work_or_the_next_claim_though_the_ledger_goes(
    stage_dir: Path, in_every_pair_of_steps: InEveryOrder, swapped: bool
) -> None:
    def make() -> Play:
        place = Place(stage_dir)
        session, token = place.expired()
        late, claimer = ending(session, "complete_task", token), claiming(place.session("claude-code"))
        names = ("two", "one") if swapped else ("one", "two")

        def check(results: Results) -> None:
            mine, theirs = (code(results[name]) for name in names)
            text = age(place.path).read_text(encoding="utf-8")
            assert (mine, theirs) in [("ok", "empty"), ("claim_lost", "claimed")]
            assert text.count("my report") == (mine == "ok")

        actors = dict(zip(names, (late, claimer), strict=True))
        return place.play(check, **actors, hand=lambda: lose_ledger(place))

    assert in_every_pair_of_steps(make) > 50


@pytest.mark.parametrize("swapped", [False, True], ids=["old first", "heir first"])
def test_the_old_token_or_the_heir_though_the_ledger_goes(
    stage_dir: Path, in_every_pair_of_steps: InEveryOrder, swapped: bool
) -> None:
    def make() -> Play:
        place = Place(stage_dir)
        dead, token = claimed(place)
        dead.close()
        old, heir = ending(dead, "complete_task", token), claiming(place.session(), caller="gemini", resume=True)
        names = ("two", "one") if swapped else ("one", "two")

        def check(results: Results) -> None:
            mine, theirs = (code(results[name]) for name in names)
            assert (mine, theirs) in [("ok", "empty"), ("claim_lost", "claimed")]
            assert place.path.read_text(encoding="utf-8").count("my report") == (mine == "ok")

        actors = dict(zip(names, (old, heir), strict=True))
        return place.play(check, **actors, hand=lambda: lose_ledger(place))

    assert in_every_pair_of_steps(make) > 50
