"""The quick reader of common headers says what the full one says, or nothing; and it does take the common ones."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_task_file import BYTES, SAMPLES, task_texts

from dibs.store.header import MAX_FILE_BYTES, MAX_HEADER_CHARACTERS, TaskFile
from dibs.store.quick_header import Uncommon, read_quickly
from dibs.store.yaml_header import read_by_yaml


def quickly(data: bytes) -> TaskFile | str | None:
    try:
        return read_quickly(data)
    except Uncommon:
        return "uncommon"


def agree(data: bytes) -> bool:
    """True: the quick reader took it, and said what the full one says."""
    quick = quickly(data)
    if isinstance(quick, str):
        return False
    assert quick == read_by_yaml(data)
    return True


COMMON = {
    "as Dibs writes them": "id: t-1\ntitle: Do it\nstatus: active\npriority: 1\ndepends_on: [t-0, t-2]\nclaim: x-1",
    "as Backlog.md writes them": (
        "id: BACK-1\ntitle: 'It''s: a title'\nstatus: To Do\nassignee:\n  - '@codex'\n"
        "created_date: '2025-08-03 10:00'\nlabels: []\ndependencies:\n  - BACK-2\n  - BACK-3\nordinal: 1000"
    ),
    "as Obsidian writes them": 'tags:\n  - a/b\ndue: 2026-01-22\nlink: "[[Other note]]"\nstatus: todo\ndone:',
    "comments and blank lines": "# top\nstatus: active  # now\n\nlist:   # of\n\n  - a # one\n  # no item\n  - b\n",
    "nulls": "status: active\na:\nb: ~\nc: null\nd: [NULL]\ne: ''\nf: [null, '']\n",
    "unindented list": "status: active\nlist:\n- a\n- 'b c'\n- \"d\"\nnext: 1",
    "words, numbers, paths": "status: Größe 漢字\nn: 00123\nv: 1.10\nurl: https://x.org/a?b=c#d\nfiles: [src/**, a.ts]",
    "blanks at the end": "status: active   \nlist: [ a , 'b' ]  \ntitle: 'x'  \n   \n",
}


@pytest.mark.parametrize("header", COMMON.values(), ids=COMMON)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_common_headers_are_taken(header: str, newline: str, mark: str) -> None:
    text = f"{mark}---\n{header}\n---\n# Heading\nbody\n".replace("\n", newline)
    assert agree(text.encode())


@pytest.mark.parametrize(
    "text", ["---\ntitle: no status\n---\n", "---\n---\nempty\n", "---\n# c\n---\n", "---\nstatus: a\n---"]
)
def test_notes_and_files_without_a_body_are_taken(text: str) -> None:
    assert agree(text.encode())


UNCOMMON = [
    *("x: &a 1", "x: *a", "x: !t 1", "x: |\n  a", "x: >-\n  a", "x: a\n  b", 'x: "\\n"', "x: {a: b}", "x: [[a]]"),
    *("x: [a,\n  b]", "x: a: b", "x: 'a", "x:\n  y: z", "x:\n  - y: z", "x:\n  - - z", "x:\n  - a\n   - b"),
    *("? x\n: 1", "x : 1", "x:\ty", "x: \x85", "x: \u2028", "x: \ufeff", "x: a\rb", "x: \x00", "- x", "  x: 1"),
    *("x: 1\n  - a", "x: 1\nx: 2", "x: -", "x:\n  -", "x: @a", "x: `a`", "x: %a", "...", "%YAML 1.1", "--- # c"),
]


@pytest.mark.parametrize("line", UNCOMMON)
def test_what_is_not_common_is_left_to_yaml(line: str) -> None:
    for header in (f"status: a\n{line}", f"{line}\nstatus: a"):
        assert not agree(f"---\n{header}\n---\n".encode())


def test_files_out_of_bounds_and_without_a_status_word_are_left_to_yaml() -> None:
    assert not agree(b"---\nstatus: a\n---\n" + b"x" * MAX_FILE_BYTES)
    assert not agree(b"---\nstatus: a\nx: " + b"y" * MAX_HEADER_CHARACTERS + b"\n---\n")
    assert not agree(b"---\nstatus: a\n---\n\xff")
    assert not agree(b"---\nstatus: a\n")
    assert not agree(b"---\nstatus: [a]\n---\n")
    assert not agree(b"---\nstatus:\n  - a\n---\n")
    assert not agree(b"# no header")


@pytest.mark.parametrize("text", SAMPLES.values(), ids=SAMPLES)
def test_both_readers_agree_on_the_samples_of_the_full_one(text: str) -> None:
    agree(text.encode())


KEYS = st.sampled_from(
    ["status", "id", "title", "priority", "depends_on", "labels", "x-1", "due", "null", "no", "order"]
)
PLAIN = st.text(st.sampled_from("ab1 .:/#-_,'\"[]{}?&*!|>%@`~()=+é漢😀\xa0"), max_size=12)
QUOTED = st.one_of(PLAIN.map(lambda text: "'" + text.replace("'", "''") + "'"), PLAIN.map('"{}"'.format))
WORDS = st.sampled_from(
    ["active", "To Do", "done", "a", "00123", "no", "null", "~", "2026-01-22", "t-1", "P1", "1e3", ""]
)
TEXTS = st.one_of(WORDS, QUOTED, PLAIN)
LISTS = st.lists(TEXTS, max_size=3).map(lambda items: f"[{', '.join(items)}]")
ITEMS = st.tuples(
    st.sampled_from(["", "  ", "    "]), st.lists(st.tuples(TEXTS, st.booleans()), min_size=1, max_size=3)
)
BLOCKS = ITEMS.map(lambda drawn: "".join(f"\n{drawn[0]}- {text}{'  # c' * comment}" for text, comment in drawn[1]))
VALUES = st.one_of(TEXTS, TEXTS, LISTS, BLOCKS)
GAPS = st.sampled_from(["", "", "", "\n", "  # c\n", "   \n", "\n# c: d\n"])
LINES = st.tuples(KEYS, st.sampled_from([" ", " ", "", "   "]), VALUES, GAPS).map(
    lambda parts: f"{parts[0]}:{parts[1]}{parts[2]}{parts[3].rstrip(chr(10))}\n" + ("\n" if "\n" in parts[3] else "")
)
HEADERS = st.lists(LINES, max_size=5).map("".join)
MUTATIONS = st.tuples(
    st.integers(0, 200),
    st.integers(0, 2),
    st.sampled_from([*"\n\r\t :#-'\"[],{}&*!|>?~\\a\x85\u2028\ufeff", "---", "- "]),
)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Files with headers of common lines, some of them damaged in a few places."""
    text = f"---\n{draw(HEADERS)}{draw(st.sampled_from(['', 'status: active']))}\n---\n# Heading\nbody"
    for place, cut, put in draw(st.lists(MUTATIONS, max_size=3)):
        at = min(place, len(text))
        text = text[:at] + put + text[at + cut :]
    return text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n"]))).encode()


@settings(deadline=None, max_examples=600)
@given(files())
@example(b"---\nstatus: a\nx: 'a''\n---\n")
def test_both_readers_agree_or_the_quick_one_is_silent(data: bytes) -> None:
    agree(data)


@settings(deadline=None, max_examples=300)
@given(st.one_of(BYTES, task_texts().map(lambda sample: sample[2].encode())))
def test_both_readers_agree_on_what_the_full_one_is_tried_with(data: bytes) -> None:
    agree(data)
