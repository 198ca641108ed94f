"""How an overview is put on a page: nothing is wider or higher than the place, whatever the place and the overview."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from dibs.answers import WaitingOn
from dibs.overview import Counts, Ended, LeaseState, Overview, Rate, Worker
from dibs.store.errors import StoreFailure
from dibs_server.cli.watch_command import _looks, _news
from dibs_server.cli.watch_view import WatchView
from support import NOON

LEASES: list[LeaseState] = ["renewed", "running", "passed", "over", "by_hand", "no_record"]


def worker(number: int, *, lease: LeaseState = "renewed", caller: str = "claude", title: str = "A title") -> Worker:
    return Worker(
        caller=caller,
        client="claude-code",
        id=f"page-{number:04}",
        title=title,
        since=None if lease in ("by_hand", "no_record") else NOON - timedelta(seconds=42),
        lease_until=None if lease in ("by_hand", "no_record") else NOON + timedelta(seconds=60),
        lease=lease,
    )


def seen(workers: list[Worker], recent: int = 0, total: int = 100, rate: float = 0) -> Overview:
    return Overview(
        at=NOON,
        tasks_dir="/home/of/somebody/tasks",
        counts=Counts(
            total=total, ready=7, waiting_on=WaitingOn(human=2), by_status={"active": 9, "done": 4, "cancelled": 20},
            done=4, invalid=1, stale=3,
        ),
        workers=workers,
        recent=[Ended(at=NOON, how="completed", id=f"old-{n}", caller="bob", title="T") for n in range(recent)],
        rate=Rate(per_minute=rate, last_hour=5),
    )  # fmt: skip


def page(view: WatchView, width: int = 80, height: int = 24) -> list[str]:
    """What a terminal of that size gets."""
    text = io.StringIO()
    Console(file=text, width=width, height=height, color_system=None, highlight=False, legacy_windows=False).print(view)
    return text.getvalue().splitlines()


def test_everything_is_on_the_page() -> None:
    lines = page(WatchView(seen([worker(1), worker(2, lease="by_hand", caller="maria")], recent=1, rate=1.25)))
    text = "\n".join(lines)
    for words in (
        "/home/of/somebody/tasks", "100 tasks", "7 ready", "2 in progress", "2 waiting", "1 invalid", "3 stale",
        "9 active", "2 human", "4/80 done", "1.25 a minute, 5 in the last hour", "A title", "renewed", "maria",
        "by hand", "completed", "old-0",
    ):  # fmt: skip
        assert words in text


@pytest.mark.parametrize("lease", LEASES)
def test_each_lease_has_its_words(lease: LeaseState) -> None:
    words = {
        "running": "1:00 left", "passed": "passed 0:00", "over": "ended by hand", "by_hand": "by hand",
        "no_record": "no record", "renewed": "renewed",
    }  # fmt: skip
    assert words[lease] in "\n".join(page(WatchView(seen([worker(1, lease=lease)]))))


@pytest.mark.parametrize("height", [12, 24, 50])
def test_fifty_workers_stay_on_the_screen_and_the_rest_is_counted(height: int) -> None:
    lines = page(WatchView(seen([worker(number) for number in range(50)], recent=10)), height=height)
    assert len(lines) <= height
    rows = sum("page-" in line for line in lines)
    assert f"… {50 - rows} more" in lines
    assert rows >= 3


def test_a_long_title_gives_way_first() -> None:
    (row,) = [line for line in page(WatchView(seen([worker(1, title="word " * 60)]))) if "page-0001" in line]
    assert all(words in row for words in ("claude", "page-0001", "0:42", "renewed", "word word word", "…"))
    assert len(row) <= 80


def test_a_long_id_keeps_its_beginning_and_its_end() -> None:
    long = worker(1).model_copy(update={"id": "a-project-with-a-long-name-f7458c85"})
    (row,) = [line for line in page(WatchView(seen([long])), width=66) if "renewed" in line]
    assert row.split()[1].startswith("a-proj")
    assert row.split()[1].endswith("f7458c85")
    assert "…" in row.split()[1]


@pytest.mark.parametrize(
    ("seconds", "age"), [(0, "0:00"), (42, "0:42"), (190, "3:10"), (3730, "1:02:10"), (187_200, "2 d 04 h")]
)
def test_ages_are_short(seconds: int, age: str) -> None:
    one = worker(1).model_copy(update={"since": NOON - timedelta(seconds=seconds)})
    assert f" {age} " in "\n".join(page(WatchView(seen([one]))))


def test_an_error_stands_above_what_was_seen_last() -> None:
    lines = page(WatchView(seen([worker(1)]), "it went\x1b[2J away"))
    assert lines[0] == "dibs: it went\ufffd[2J away"
    assert any("page-0001" in line for line in lines)


@given(
    width=st.integers(1, 220),
    height=st.integers(1, 60),
    workers=st.integers(0, 60),
    recent=st.integers(0, 10),
    lease=st.sampled_from(LEASES),
    caller=st.text(),
    title=st.text(),
    total=st.integers(0, 100_000),
    error=st.sampled_from(["", "something is wrong, and it takes a good many words to say what it is"]),
)
@settings(max_examples=100, deadline=None)
def test_no_page_is_wider_or_higher_than_the_terminal(
    width: int, height: int, workers: int, recent: int, lease: LeaseState, caller: str, title: str, total: int,
    error: str,
) -> None:  # fmt: skip
    console = Console(width=width, height=height, color_system=None, legacy_windows=False)
    rows = [worker(number, lease=lease, caller=caller, title=title) for number in range(workers)]
    lines = console.render_lines(WatchView(seen(rows, recent, total), error), console.options, pad=False)
    assert len(lines) <= height
    assert all(sum(segment.cell_length for segment in line) <= width for line in lines)


def test_only_news_makes_a_line() -> None:
    first, later = seen([worker(1)]), seen([worker(1)], rate=2)
    wrong, as_wrong = StoreFailure("it is gone"), StoreFailure("it is gone")
    other = seen([])
    looks = [first, first, later, wrong, as_wrong, later, other]
    assert list(_news(iter(looks))) == [first, wrong, later, other]


def test_looks_that_cost_much_come_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.001, 1.0, 1.5])
    monkeypatch.setattr("time.process_time", lambda: next(clock))
    rests: list[float] = []

    class Place:
        def look(self) -> Overview:
            return seen([])

    def rest(seconds: float) -> bool:
        rests.append(seconds)
        return len(rests) < 3

    assert len(list(_looks(Place(), seen([]), 1.0, rest))) == 3  # type: ignore[arg-type]
    assert rests == [1.0, 1.0, 4.5]
