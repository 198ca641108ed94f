"""Rounds, and filling freed places: one rule decides both, and what holds of it holds whatever the wave."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dibs.store.overlap import overlap
from dibs.waves.plan import Choice, Limits, Postponed, Unit, choose, rounds_of

FILES = ("a.py", "b.py", "src/c.py", "src/d.py", "src/**", "*.py", "docs/")
KINDS = ("", "", "research", "planning", "implementation", "review")
NO_KINDS = Limits(5, {})


def unit(unit_id: str, *files: str, kind: str = "", after: str = "") -> Unit:
    return Unit(unit_id, "claude", kind=kind, files=files, after=frozenset(after.split()))


def ids(units: Sequence[Unit]) -> list[str]:
    return [each.id for each in units]


def rounds(units: Sequence[Unit], limits: Limits = NO_KINDS) -> list[list[str]]:
    found, stuck = rounds_of(units, limits)
    assert not stuck
    return [ids(each.units) for each in found]


@st.composite
def waves(draw: st.DrawFn) -> list[Unit]:
    """Units that come after earlier ones only, shuffled: no circle, and any order in the wave."""
    made = [
        Unit(
            f"t-{number}",
            "claude",
            kind=draw(st.sampled_from(KINDS)),
            files=tuple(draw(st.lists(st.sampled_from(FILES), max_size=2))),
            after=frozenset(
                f"t-{n}" for n in draw(st.sets(st.integers(0, number - 1), max_size=2) if number else NONE)
            ),
        )
        for number in range(draw(st.integers(1, 12)))
    ]
    return draw(st.permutations(made))


NONE: st.SearchStrategy[set[int]] = st.just(set())
LIMITS = st.builds(
    Limits,
    st.integers(1, 6),
    st.fixed_dictionaries({kind: st.integers(1, 3) for kind in sorted(set(KINDS) - {""})}) | st.just({}),
)


def hold_together(units: Sequence[Unit], limits: Limits, done: set[str]) -> None:
    """What must hold of all that run at the same moment."""
    assert len(units) <= limits.most
    kinds = Counter(each.kind for each in units)
    assert all(kinds[kind] <= most for kind, most in limits.kinds.items())
    for number, one in enumerate(units):
        assert one.after <= done
        for other in units[:number]:
            assert not any(overlap(file, theirs) for file in one.files for theirs in other.files)


# rounds


def test_no_round_has_more_than_it_may() -> None:
    assert rounds([unit(f"t-{n}") for n in range(5)], Limits(2, {})) == [["t-0", "t-1"], ["t-2", "t-3"], ["t-4"]]


def test_of_a_kind_with_a_limit_no_more_are_in_a_round_and_others_take_the_place() -> None:
    units = [*(unit(f"i-{n}", kind="implementation") for n in range(3)), unit("r", kind="research"), unit("any")]
    assert rounds(units, Limits(5, {"implementation": 1})) == [["i-0", "r", "any"], ["i-1"], ["i-2"]]


def test_who_would_change_a_file_of_an_earlier_one_moves_to_the_next_round_and_is_named() -> None:
    found, _ = rounds_of([unit("a", "src/**"), unit("b", "docs/x.md", "src/api.py"), unit("c", "docs/y.md")], NO_KINDS)
    assert [ids(each.units) for each in found] == [["a", "c"], ["b"]]
    assert [late.told() for late in found[0].postponed] == ["b waits for a: both may change src/api.py"]
    assert found[1].postponed == ()


def test_who_comes_after_another_is_in_a_later_round_however_the_wave_lists_them() -> None:
    assert rounds([unit("c", after="b"), unit("b", after="a"), unit("A")]) == [["A"], ["b"], ["c"]]


def test_those_that_wait_for_each_other_are_in_no_round() -> None:
    found, stuck = rounds_of([unit("a", after="b"), unit("b", after="a"), unit("c"), unit("d", after="a")], NO_KINDS)
    assert ([ids(each.units) for each in found], ids(stuck)) == ([["c"]], ["a", "b", "d"])


@settings(deadline=None, max_examples=60)
@given(waves(), LIMITS)
def test_every_unit_is_in_one_round_in_which_it_may_run(wave: list[Unit], limits: Limits) -> None:
    found, stuck = rounds_of(wave, limits)
    assert stuck == ()
    assert sorted(each.id for round in found for each in round.units) == sorted(ids(wave))
    done: set[str] = set()
    for round in found:
        assert round.units
        hold_together(round.units, limits, done)
        done |= {each.key for each in round.units}


@settings(deadline=None, max_examples=60)
@given(waves(), LIMITS)
def test_only_who_shares_a_file_with_one_of_the_round_is_postponed_from_it(wave: list[Unit], limits: Limits) -> None:
    for round in rounds_of(wave, limits)[0]:
        for late in round.postponed:
            (other,) = [each for each in round.units if each.id == late.other]
            assert late.unit not in round.units
            assert any(overlap(late.file, theirs) for theirs in other.files)


# filling freed places


def test_a_freed_place_goes_to_the_first_of_the_wave_that_may_start() -> None:
    running = [unit("a", "x.py"), unit("b")]
    waiting = [unit("c", "x.py"), unit("d", after="a"), unit("e"), unit("f")]
    choice = choose(waiting, running, Limits(3, {}), {"z"})
    assert ids(choice.start) == ["e"]
    assert choice.postponed == (Postponed(waiting[0], "a", "x.py"),)


def test_who_was_postponed_once_is_not_overtaken_for_its_files() -> None:
    running, waiting = [unit("a", "x.py")], [unit("both", "x.py", "y.py"), unit("late", "y.py"), unit("free", "z.py")]
    assert ids(choose(waiting, running, NO_KINDS, ()).start) == ["late", "free"]
    choice = choose(waiting, running, NO_KINDS, (), overtaken={"both"})
    assert ids(choice.start) == ["free"]
    assert [(late.unit.id, late.other) for late in choice.postponed] == [("both", "a"), ("late", "both")]


def test_who_waits_for_another_to_be_done_keeps_nobody_from_its_files() -> None:
    waiting = [unit("later", "y.py", after="a"), unit("now", "y.py")]
    assert ids(choose(waiting, [unit("a")], NO_KINDS, (), overtaken={"later"}).start) == ["now"]


def test_nothing_starts_where_there_is_no_room() -> None:
    assert choose([unit("b")], [unit("a")], Limits(1, {}), ()).start == ()


def test_who_has_no_place_is_compared_with_nobody_and_not_postponed() -> None:
    """Five hundred tasks with twenty files each took minutes."""
    compared: list[str] = []

    def noted(one: str, other: str) -> bool:
        compared.append(one)
        return overlap(one, other)

    waiting = [unit(f"t-{n}", "x.py") for n in range(5)]
    assert choose(waiting, [unit("a", "x.py")], Limits(1, {}), (), overlaps=noted) == Choice((), ())
    assert compared == []


@dataclass
class Run:
    """A dispatcher that fills freed places, and whose agents take as long as they are told to."""

    waiting: list[Unit]
    limits: Limits
    running: dict[Unit, int] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    overtaken: set[str] = field(default_factory=set)
    at: int = 0

    def start(self, seconds_of: Callable[[Unit], int]) -> None:
        """Start whoever may, and see that none of them overtakes one who was overtaken before."""
        before = set(self.overtaken)
        choice = choose(self.waiting, list(self.running), self.limits, self.done, overtaken=before)
        for each in choice.start:
            place = self.waiting.index(each)
            for earlier in self.waiting[:place]:
                if earlier.key in before and earlier.after <= self.done and earlier not in choice.start:
                    assert not any(overlap(file, theirs) for file in each.files for theirs in earlier.files)
        self.overtaken |= {late.unit.key for late in choice.postponed}
        self.running |= {each: self.at + seconds_of(each) for each in choice.start}
        self.waiting = [each for each in self.waiting if each not in choice.start]
        hold_together(list(self.running), self.limits, self.done)

    def pass_time(self) -> None:
        """Until the next one ends, or several at once."""
        self.at = min(self.running.values())
        ended = {each for each, until in self.running.items() if until == self.at}
        self.done |= {each.key for each in ended}
        self.running = {each: until for each, until in self.running.items() if each not in ended}

    def to_its_end(self, seconds_of: Callable[[Unit], int]) -> int:
        self.start(seconds_of)
        while self.running:
            self.pass_time()
            self.start(seconds_of)
        assert self.waiting == []
        return self.at


@settings(deadline=None, max_examples=100)
@given(waves(), LIMITS, st.randoms(use_true_random=False))
def test_with_any_durations_everything_runs_and_nobody_is_overtaken_twice(
    wave: list[Unit], limits: Limits, chance: random.Random
) -> None:
    run = Run(wave, limits)
    run.to_its_end(lambda each: chance.randint(1, 9))
    assert run.done == {each.key for each in wave}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 6))
def test_where_only_places_are_scarce_filling_them_at_once_ends_no_later_than_rounds(
    seconds: list[int], most: int
) -> None:
    wave, limits = [unit(f"t-{number}") for number in range(len(seconds))], Limits(most, {})
    seconds_of = dict(zip(wave, seconds, strict=True))
    found, _ = rounds_of(wave, limits)
    in_rounds = sum(max(seconds_of[each] for each in round.units) for round in found)
    assert Run(wave, limits).to_its_end(lambda each: seconds_of[each]) <= in_rounds


@settings(deadline=None, max_examples=60)
@given(waves(), LIMITS)
def test_without_files_and_with_equal_durations_filling_freed_places_makes_the_rounds(
    wave: list[Unit], limits: Limits
) -> None:
    wave = [replace(each, files=()) for each in wave]
    assert Run(wave, limits).to_its_end(lambda each: 1) == len(rounds_of(wave, limits)[0])


def test_one_with_many_files_is_not_kept_waiting_by_many_with_few() -> None:
    """They never end at the same moment: if it did not hold its place, ``all`` would be last."""
    few = [unit(f"t-{n}", FILES[n % 2]) for n in range(20)]
    run = Run([*few[:2], unit("all", *FILES[:2]), *few[2:]], Limits(3, {}))
    seconds = {each.id: 2 if number % 2 else 3 for number, each in enumerate(few)}
    run.start(lambda each: seconds.get(each.id, 1))
    while "all" not in ids(list(run.running)):
        run.pass_time()
        run.start(lambda each: seconds.get(each.id, 1))
    assert len(run.done) == 2


@pytest.mark.parametrize("most", [1, 2, 100])
def test_many_that_change_the_same_file_run_one_after_another(most: int) -> None:
    assert rounds([unit(f"t-{n}", "a.py") for n in range(60)], Limits(most, {})) == [[f"t-{n}"] for n in range(60)]
