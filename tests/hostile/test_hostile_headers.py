"""Any bytes as a task file: reading is bounded by size, what is read stays small in answers, edits do what they say."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
import yaml
from fuzzing import tries
from hypothesis import given
from hypothesis import strategies as st

from dibs.store.errors import MalformedTask
from dibs.store.header import MAX_HEADER_CHARACTERS
from dibs.store.settings import Settings
from dibs.store.task import make_task
from dibs.store.task_file import edit_header, read_task_file
from doors import function_door
from support import write_file

ROOM = MAX_HEADER_CHARACTERS - 100
MEGABYTES_PER_READING = 250
BOMB = "".join(f"k{i}: &k{i} [{', '.join([f'*k{i - 1}'] * 9)}]\n" for i in range(1, 40))
LARGE = {
    "open brackets": "x: " + "[" * ROOM,
    "a flow mapping": f"x: {{{'a,' * (ROOM // 2)}}}",
    "keys": "".join(f"k{number}:\n" for number in range(ROOM // 8)),
    "100,000 keys": "".join(f"k{number}: 1\n" for number in range(100_000)),
    "items": "x:\n" + "- a\n" * (ROOM // 4),
    "one long word": "x: " + "y" * ROOM,
    "ten megabytes": "x: " + "y" * 10_000_000,
    "a line of blanks": " " * ROOM + "x",
    "blanks inside": "x: a" + " " * (ROOM - 10) + "\\: ",
    "a list left open": f"x: [{'a, ' * (ROOM // 3)}\\",
    "quotes in quotes": f"x: '{chr(39) * 2 * (ROOM // 2)}",
    "a bomb": f"k0: &k0 x\n{BOMB}tags: *k39",
}


@pytest.mark.parametrize("header", LARGE.values(), ids=LARGE)
def test_memory_is_bounded_whatever_the_header_holds(header: str) -> None:
    data = f"---\nstatus: active\n{header}\n---\n".encode()
    tracemalloc.start()
    try:
        file = read_task_file(data)
        assert file is not None
        make_task(file, "t.md", Settings())
    except MalformedTask as error:
        assert len(error.cause) < 500
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEGABYTES_PER_READING * 1_000_000


def test_a_bomb_in_a_header_stays_small_in_every_answer(tasks_dir: Path) -> None:
    write_file(tasks_dir / "t-1.md", f"---\nstatus: active\nk0: &k0 x\n{BOMB}---\n")
    write_file(tasks_dir / "t-2.md", f"---\nstatus: active\nk0: &k0 x\n{BOMB}tags: *k39\n---\n")
    with function_door(tasks_dir) as entrance:
        claimed = entrance.call("claim_next_task")
        assert claimed["task"]["id"] == "t-1"
        done = entrance.call("complete_task", id="t-1", claim_token=claimed["claim_token"], summary="Did it.")
        refused = entrance.call("get_task", id="t-2")
        assert refused["code"] == "invalid_task"
        stats = entrance.call("get_index_stats")
        assert stats["invalid"]["count"] == 1
        assert all(len(json.dumps(answer)) < 5_000 for answer in (claimed, done, refused, stats))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_files_in_other_encodings_are_no_tasks(encoding: str) -> None:
    try:
        assert read_task_file("---\nstatus: active\ntitle: é\n---\n".encode(encoding)) is None
    except MalformedTask as error:
        assert "UTF" in error.cause


PIECES = st.sampled_from(
    [
        *"\n\r\t :#-'\"[],{}&*!|>?~\\a\x00\x85\u2028\ufeff😀",
        "---",
        "- ",
        "x: ",
        "a: &b c\n",
        "*b",
        "|\n  a\n",
        "!!int 1",
    ]
)
LINES = st.sampled_from(
    [
        *("id: t-1", "title: 'a''b' # c", 'note: "x\\n"', "tags: [a, 'b']", "list:\n  - a\n  - b", "empty:", "# c"),
        *("m: {a: b}", "block: |\n  a\n\n", "folded: a\n  b", "größe: 1", "date: 2026-01-22", "  ", "k: !t v", "n: ~"),
        *("- a", "é: &é 1"),
    ]
)


@st.composite
def damaged_files(draw: st.DrawFn) -> bytes:
    """Task files with a few pieces put somewhere, in any line end, cut anywhere."""
    lines = draw(st.permutations([*draw(st.lists(LINES, max_size=5)), "status: active"]))
    newline = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    text = draw(st.sampled_from(["", "\ufeff"])) + "\n".join(["---", *lines, "---", "body", ""])
    for piece, place in draw(st.lists(st.tuples(PIECES, st.integers(0, 150)), max_size=2)):
        text = text[:place] + piece + text[place:]
    data = text.replace("\n", newline).encode()
    return data[: draw(st.one_of(st.none(), st.none(), st.integers(0, len(data))))]


def as_others_read(header: str) -> object:
    """What a YAML reader that is none of ours makes of a header, every scalar as text."""
    return yaml.load(header, Loader=yaml.BaseLoader)


@tries(250)
@given(damaged_files(), st.sampled_from(["status", "title", "tags", "list", "claim", "é"]), st.text(max_size=8))
def test_an_edit_is_refused_or_changes_this_key_for_every_yaml_reader(data: bytes, key: str, value: str) -> None:
    try:
        file = read_task_file(data)
        after = edit_header(file, {key: value}) if file else None
    except MalformedTask:
        return
    if file is None or after is None:
        return
    assert (after.prefix, after.rest) == (file.prefix, file.rest)
    assert after.entries[key].value == value
    before, now = as_others_read(file.header), as_others_read(after.header)
    assert isinstance(before, dict)
    assert isinstance(now, dict)
    before[key] = value
    assert now == before
