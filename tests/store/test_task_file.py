"""What reading and editing a task file may change: the bytes asked for, and no other."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dibs.store.body import append_section, unticked_items
from dibs.store.errors import MalformedTask
from dibs.store.header import MAX_FILE_BYTES, MAX_HEADER_CHARACTERS, NESTED, Change, Raw, TaskFile
from dibs.store.task_file import edit_header, read_task_file

BOM = b"\xef\xbb\xbf"


def task(data: bytes | str) -> TaskFile:
    file = read_task_file(data.encode() if isinstance(data, str) else data)
    assert file is not None
    return file


def edited(text: str, **changes: Change) -> str:
    """The text after the edit, once the restore invariant has been seen to hold for it."""
    before = task(text)
    after = edit_header(before, changes)
    former: dict[str, Change] = {
        key: Raw(before.entries[key].raw) if key in before.entries else None for key in changes
    }
    assert edit_header(after, former).data == before.data
    return after.data.decode()


def refusal(data: bytes | str) -> MalformedTask:
    with pytest.raises(MalformedTask) as caught:
        read_task_file(data.encode() if isinstance(data, str) else data)
    return caught.value


# --- one field changes, and nothing else ---------------------------------------------------------------------------

SAMPLES = {
    "plain": "---\nid: 1\nstatus: active\n---\nbody\n",
    "crlf": "---\r\nid: 1\r\nstatus: active\r\n---\r\nbody\r\n",
    "mixed line ends": "---\nid: 1\r\nstatus: active\nz: 1\r\n---\r\nbody\n",
    "byte order mark": "\ufeff---\nstatus: active\n---\nbody\n",
    "no final newline": "---\nstatus: active\n---\nbody",
    "closing fence ends the file": "---\nstatus: active\n---",
    "blanks after the fences": "--- \t\nstatus: active\n---  \nbody\n",
    "many blank lines": "---\nstatus: active\n---\n\n\n\nbody\n\n\n\n",
    "fence in the body": "---\nstatus: active\n---\na\n---\nstatus: active\n---\n",
    "four dashes in a value": "---\na: |\n  ----\n  ...\nstatus: active\n---\n",
    "comments": "---\n# top\nid: 1 # one\n\n# why\nstatus: active # now\n# end\n---\n",
    "key order": "---\nz: 1\nstatus: active\na: 2\n---\n",
    "quotes of others": "---\na: 'x'\nb: \"y\"\nstatus: active\nc: 'it''s'\n---\n",
    "quoted key": '---\n"status": active\n---\n',
    "nested status": "---\nmeta:\n  status: active too\nstatus: active\n---\n",
    "status in a block scalar": "---\nnote: |\n  status: active too\nstatus: active\nmore: >-\n  x\n---\n",
    "status in the body": "---\nstatus: active\n---\nstatus: active too\n",
    "non-ASCII": "---\ntitle: Größe äöü 漢字\nstatus: active\n---\nä\n",
    "emoji before the key": "---\n😀: 👩‍👩‍👧 🎉\nstatus: active # 😀\n---\n",
    "line separators YAML knows": "---\ntitle: 'a\u2028b\x85c'\nstatus: active\n---\n",
    "dates and numbers": "---\nd: 2026-01-22\nt: 2026-01-22T10:00:00Z\nn: 00123\nv: 1.10\nstatus: active\n---\n",
    "nulls": "---\na: ~\nb:\nc: null\nstatus: active\n---\n",
    "list indented by 4": "---\nlabels:\n    - a\n    - b\nstatus: active\n---\n",
    "list indented by 0": "---\nlabels:\n- a\n- b\nstatus: active\n---\n",
    "odd spacing": "---\nid   :   1\nstatus:    active   # x\nz:  2\n---\n",
    "flow lists": "---\nlabels: [a,  'b',\n  c]\ndeps: []\nstatus: active\nm: {a: [1]}\n---\n",
    "long line": "---\ntitle: " + "word " * 200 + "\nstatus: active\n---\n",
    "folded plain": "---\ntitle: a\n  b\n  c\nstatus: active\n---\n",
    "trailing spaces": "---\nid: 1   \nstatus: active   \n---   \n",
    "indented root": "---\n  id: 1\n  status: active\n---\n",
    "complex key": "---\n? [a, b]\n: x\n? y\n: z\nstatus: active\n---\n",
    "anchors elsewhere": "---\na: &x 1\nb: *x\n<<: *x\nstatus: active\n---\n",
    "tags elsewhere": "---\na: !!int 1\nb: !mine {c: d}\nstatus: active\n---\n",
    "directive": "---\n%YAML 1.1\n--- # x\nstatus: active\n---\n",
    "keys of python-frontmatter": "---\ncontent: a\nhandler: b\n1: c\nno: d\nstatus: active\n---\n",
}


@pytest.mark.parametrize("name", SAMPLES)
def test_an_edit_changes_the_status_and_no_other_byte(name: str) -> None:
    text = SAMPLES[name]
    places = [line for line in text.splitlines(keepends=True) if line.lstrip(' "').startswith("status")]
    own = next(line for line in places if "active too" not in line)
    expected = text.replace(own, own.replace("active", "in_progress"), 1)
    assert edited(text, status="in_progress") == expected
    assert task(text).text("status") == "active"


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - {"directive"}))
def test_a_new_key_is_one_line_before_the_closing_fence(name: str) -> None:
    text = SAMPLES[name]
    before = task(text)
    line = f"{before.indent}claim: codex{before.newline}"
    after = edit_header(before, {"claim": "codex"})
    assert (after.prefix, after.header, after.rest) == (before.prefix, before.header + line, before.rest)
    assert edit_header(after, {"claim": None}).data == before.data


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("status: active", "status: in_progress"),
        ("status:   active", "status:   in_progress"),
        ("status:\tactive", "status:\tin_progress"),
        ("status: 'active'", "status: 'in_progress'"),
        ('status: "active"  # x', 'status: "in_progress"  # x'),
        ("status:", "status: in_progress"),
        ("status:  # soon", "status: in_progress  # soon"),
        ("status: ~", "status: in_progress"),
        ("status: null # c", "status: in_progress # c"),
        ("status: ''", "status: 'in_progress'"),
        ("status: To Do", "status: in_progress"),
        ("status:\n  active", "status: in_progress"),
        ("status: to\n  do # c", "status: in_progress # c"),
        ('status: "to\n  do"', "status: in_progress"),
        ("status: !!str active", "status: in_progress"),
    ],
)
def test_the_value_is_replaced_in_the_style_it_has(before: str, after: str) -> None:
    if "\n" in before and '"' in before:
        after = 'status: "in_progress"'
    assert edited(f"---\na: 1\n{before}\nz: 2\n---\nb\n", status="in_progress") == f"---\na: 1\n{after}\nz: 2\n---\nb\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("assignee:\n  - '@codex'\n", "assignee: claude\n"),
        ("assignee:\n- '@codex'\n- b\n", "assignee: claude\n"),
        ("assignee:\n    - a\n    - b # who\n# next\n", "assignee: claude # who\n# next\n"),
        ("assignee: []\n", "assignee: claude\n"),
        ("assignee: [a,\n  b] # c\n", "assignee: claude # c\n"),
        ("assignee:\n-\n-\n", "assignee: claude\n"),
        ("assignee:\n  -\n", "assignee: claude\n"),
        ("assignee:\r\n  - a\r\n", "assignee: claude\r\n"),
        ("assignee: 2026-01-22\n", "assignee: claude\n"),
    ],
)
def test_a_list_is_replaced_as_a_whole_and_comes_back_as_it_was(before: str, after: str) -> None:
    assert edited(f"---\n{before}status: active\n---\n", assignee="claude") == f"---\n{after}status: active\n---\n"


def test_a_new_key_gets_the_line_end_and_the_indentation_of_the_header() -> None:
    assert edited("---\r\n  status: active\r\n---\nb", claim="x") == "---\r\n  status: active\r\n  claim: x\r\n---\nb"


def test_a_new_key_may_be_put_as_raw_text() -> None:
    assert edited("---\nstatus: a\n---\n", labels=Raw(" [x]")) == "---\nstatus: a\nlabels: [x]\n---\n"


def test_a_deleted_key_takes_its_lines_and_its_trailing_comment_along() -> None:
    file = task("---\na: 1 # one\nlabels:\n  - x\n  - y # two\n# mine\nstatus: active\n---\n")
    assert edit_header(file, {"a": None, "labels": None}).data == b"---\n# mine\nstatus: active\n---\n"


def test_several_changes_at_once_do_not_disturb_each_other() -> None:
    text = "---\na: 1\nstatus: active # s\nb:\n  - x\nc: 3\n---\n"
    assert edited(text, b="codex", status="done", new="nine", a="long value") == (
        "---\na: long value\nstatus: done # s\nb: codex\nc: 3\nnew: nine\n---\n"
    )


@pytest.mark.parametrize("changes", [{}, {"status": "active"}, {"gone": None}, {"labels": Raw(" [x,  y]")}, {"d": "1"}])
def test_changes_that_change_nothing_return_the_same_file(changes: dict[str, Change]) -> None:
    file = task("---\nstatus:   active # c\nlabels: [x,  y]\nd: !!int 1\n---\n")
    assert edit_header(file, changes) is file


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("in_progress", "in_progress"),
        ("In Progress", "In Progress"),
        ("claude/sonnet-4.5", "claude/sonnet-4.5"),
        ("yes", '"yes"'),
        ("No", '"No"'),
        ("null", '"null"'),
        ("~", '"~"'),
        ("", '""'),
        (" x ", '" x "'),
        ("1.0", '"1.0"'),
        ("2026-01-22", '"2026-01-22"'),
        ("a: b", '"a: b"'),
        ("a #b", '"a #b"'),
        ("@codex", '"@codex"'),
        ("- a", '"- a"'),
        ("größer 😀", '"größer 😀"'),
        ("two\nlines\t", '"two\\nlines\\t"'),
        ('say "hi" \\', '"say \\"hi\\" \\\\"'),
        ("\x00\x7f\x85\u2028\ufeff\uffff", '"\\u0000\\u007f\\u0085\\u2028\\ufeff\\uffff"'),
    ],
)
def test_a_value_is_quoted_unless_every_reader_takes_it_as_text(value: str, written: str) -> None:
    assert edited("---\nstatus: a\n---\n", note=value) == f"---\nstatus: a\nnote: {written}\n---\n"


@pytest.mark.parametrize(
    ("old", "value", "written"),
    [("'a'", "it's", "'it''s'"), ("'a'", "1.0", "'1.0'"), ("'a'", "x\ny", '"x\\ny"'), ('"a"', "b", '"b"')],
)
def test_quotes_stay_unless_the_new_value_needs_escapes(old: str, value: str, written: str) -> None:
    assert edited(f"---\nstatus: {old}\n---\n", status=value) == f"---\nstatus: {written}\n---\n"


@pytest.mark.parametrize(
    ("header", "key", "cause"),
    [
        ("a: &x 1\nb: *x", "a", "anchor"),
        ("a: &x 1\nb: *x", "b", "alias"),
        ("a: [&x 1]\nb: *x", "a", "anchor"),
        ("&x a: 1", "a", "anchor"),
        ("a: !!int 1", "a", "tag"),
        ("a: |\n  x", "a", "block scalar"),
        ("a:\n  - >\n    x", "a", "block scalar"),
        ("a:\n  b: c", "a", "neither"),
        ("a: [[b]]", "a", "neither"),
        ("? a\n: b", "a", "colon"),
    ],
)
@pytest.mark.parametrize("change", ["x", None])
def test_a_value_that_is_not_simple_is_not_edited(header: str, key: str, cause: str, change: Change) -> None:
    file = task(f"---\nstatus: a\n{header}\n---\n")
    with pytest.raises(MalformedTask, match=cause) as caught:
        edit_header(file, {key: change})
    assert f"`{key}`" in caught.value.cause
    assert caught.value.line == (4 if key == "b" else 3)
    assert edit_header(file, {"status": "done"}).data == f"---\nstatus: done\n{header}\n---\n".encode()


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("---\nstatus: a\n...\n---\n", {"new": "x"}),
        ("---\nstatus: a\n---\n", {"new": Raw(" 1\nother: 2")}),
        ("---\nstatus: a\nb: 1\n---\n", {"b": Raw(" 1\n---")}),
        ("---\nstatus: a\nb: 1\n---\n", {"b": Raw(" *x\n  [")}),
        ("---\nstatus: a\n---\n", {"status": None}),
        ("---\nstatus: a\n---\n", {"status": Raw(" |\n  a")}),
        ("---\nstatus: a\rb: 1\nc: 2\n---\n", {"b": None}),
        ("---\nstatus: a\n---\n", {"new": "lone \ud800 surrogate"}),
        ("---\nstatus: a\n---\n", {"new": Raw(" \ud800")}),
        ("---\nstatus: a\n---\n", {"k" * 2000: "too long for a key on one line"}),
        ("---\nstatus: a\n---\n", {"new": "x" * MAX_HEADER_CHARACTERS}),
    ],
)
def test_an_edit_that_would_do_damage_is_refused(text: str, changes: dict[str, Change]) -> None:
    with pytest.raises(MalformedTask, match="cannot be edited without damage"):
        edit_header(task(text), changes)


# --- what is a task, what is a note, what is malformed ----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# A note\nstatus: active\n",
        "---\n---\nempty header\n",
        "---\n# only a comment\n---\n",
        "---\ntitle: no status\n---\n",
        "---\nmeta:\n  status: nested\n---\n",
        "---\n- a\n- list\n---\n",
        "---\njust words\n---\n",
        "---\n{title: x}\n---\n",
        "---\nnot: [yaml\n---\n",
        "---\ntitle: a\ntitle: b\n---\n",
        "---\ntitle: a\n--- # second\nx: b\n---\n",
        "\n---\nstatus: blank first line\n---\n",
        " ---\nstatus: active\n---\n",
        "--- # c\nstatus: active\n---\n",
        "----\nstatus: active\n----\n",
        "---\na thematic break opens this note\n",
        "---\rstatus: a lone CR ends no line\r---\r",
        "---",
        "---\n" + "x\n" * 100 + "status: late\n",
    ],
)
def test_a_file_without_a_status_in_a_header_is_a_note(text: str) -> None:
    assert read_task_file(text.encode()) is None


@pytest.mark.parametrize(
    ("data", "line", "cause"),
    [
        ("---\nstatus: a\nx: 1\nstatus: b\n---\n", 4, "`status` stands in line 2 and again in line 4"),
        ("---\nstatus: a\nx: 1\n'x': 2\n---\n", 4, "`x` stands in line 3"),
        ("---\nstatus: a\nx: [1\n---\n", 4, "not YAML"),
        ("---\nstatus: a\nx: a: b\n---\n", 3, "not YAML: mapping values are not allowed"),
        ("---\nstatus: a\nx:\n\t- b\n---\n", 4, "tab"),
        ("---\nstatus: a\n<<<<<<< HEAD\nx: 1\n=======\nx: 2\n>>>>>>> b\n---\n", 4, "merge conflict"),
        ("---\nstatus: a\nx: \x00\n---\n", 3, r"U\+0000"),
        ("---\nx: é😀\nstatus: a\x07\n---\n", 3, r"U\+0007"),
        ("---\n\ufeffstatus: a\n---\n", 2, "byte order mark"),
        ("---\n{status: a, x: 1}\n---\n", 2, "write one key a line"),
        ("---\n# c\n{x: 1, status: a}\n---\n", 3, "write one key a line"),
        ("---\nstatus: a\n--- # second\nb: c\n---\n", 3, "second YAML document"),
        ("---\nwords\nstatus: a\n---\n", 3, "not YAML"),
        ('---\n"words\n\nstatus: a"\n---\n', 2, "not a mapping"),
        ("---\nstatus: a\nx: 1\n", 1, "never closed"),
        ("---\nstatus: a\nx: 1\n----\n...\n", 1, "never closed"),
        ("---\nx: 1\nstatus: [a]\n---\n", 3, "`status` is a list"),
        ("---\nstatus:\n  a: b\n---\n", 2, "`status` is neither"),
        ("---\nstatus: |\n  a\n---\n", 2, "`status` is a block scalar"),
        ("---\nstatus: &x a\n---\n", 2, "`status` uses an anchor"),
        ("---\nx: &x a\nstatus: *x\n---\n", 3, "`status` uses an anchor or an alias"),
        ("---\nstatus: !mine a\n---\n", 2, "`status` has the tag !mine"),
        ("---\nstatus: a\nx: " + "[" * 100 + "]" * 100 + "\n---\n", 3, "nested deeper"),
        ("---\nstatus: a\nx: " + "y" * MAX_HEADER_CHARACTERS + "\n---\n", 1, "header is longer"),
        (b"---\nstatus: a\n---\n" + b"x" * MAX_FILE_BYTES, 1, "larger than 8 MiB"),
        (b"---\nstatus: caf\xe9\n---\n", 2, "not UTF-8 .byte 0xe9 at offset 15."),
        (BOM + b"---\nstatus: a\n---\n\xff\n", 4, "not UTF-8"),
        ("---\nstatus: a\n---\n".encode("utf-16"), 1, "UTF-16; save it as UTF-8"),
        (b"\xfe\xff" + "---\nstatus: a\n---\n".encode("utf-16-be"), 1, "UTF-16"),
    ],
)
def test_a_task_that_cannot_be_read_says_why_and_where(data: bytes | str, line: int, cause: str) -> None:
    error = refusal(data)
    assert error.line == line
    with pytest.raises(MalformedTask, match=cause):
        raise error


def test_bytes_that_are_neither_text_nor_a_header_are_a_note() -> None:
    assert read_task_file(b"\x89PNG\r\n\xff") is None
    assert read_task_file(b"x" * (MAX_FILE_BYTES + 1)) is None


def test_aliases_are_read_without_being_expanded() -> None:
    bomb = "".join(f"k{i}: &k{i} [{', '.join([f'*k{i - 1}'] * 9)}]\n" for i in range(1, 40))
    file = task(f"---\nk0: &k0 x\n{bomb}status: a\n---\n")
    assert file.entries["k39"].value is NESTED


def test_values_keep_the_text_they_have_in_the_file() -> None:
    file = task(
        "---\nid: 00123\nv: 1.10\nn: no\nd: 2026-01-22\nempty:\ntilde: ~\nquoted: ''\n"
        "word: 'null'\nlist:\n  - a\n  - ~\n  -\n  - 'x'\nflow: [1.0, \"\"]\nnone: []\n"
        "map: {a: b}\nblock: |\n  x\nstatus:  a b \n---\n"
    )
    assert {key: entry.value for key, entry in file.entries.items()} == {
        "id": "00123",
        "v": "1.10",
        "n": "no",
        "d": "2026-01-22",
        "empty": None,
        "tilde": None,
        "quoted": "",
        "word": "null",
        "list": ("a", None, None, "x"),
        "flow": ("1.0", ""),
        "none": (),
        "map": NESTED,
        "block": "x\n",
        "status": "a b",
    }
    assert file.text("tilde") is file.text("missing") is None
    assert file.text("block") == "x"
    with pytest.raises(MalformedTask, match="`list` must be one text") as caught:
        file.text("list")
    assert caught.value.line == 10


def test_an_entry_knows_its_line_and_its_raw_text() -> None:
    file = task(
        "---\r\nt: 'é\u2028😀'\r\nstatus:  To Do # c\r\nx: \"y\"  \r\nl:\r\n  - '@codex' # c\r\ne:\r\nf: []\r\n---\r\n"
    )
    assert {key: (entry.line, entry.raw) for key, entry in file.entries.items()} == {
        "t": (2, " 'é\u2028😀'"),
        "status": (3, "  To Do"),
        "x": (4, ' "y"'),
        "l": (5, "\r\n  - '@codex'"),
        "e": (7, ""),
        "f": (8, " []"),
    }


def test_the_body_and_the_line_end_are_those_of_the_file() -> None:
    assert task("---\nstatus: a\n--- \r\n\n b \r\n").body == "\n b \r\n"
    assert task("---\nstatus: a\n---").body == ""
    assert task("---\r\nstatus: a\n---\n").newline == "\r\n"
    assert task("---\nstatus: a\r\n---\n").newline == "\n"


# --- the body ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "added"),
    [
        ("", "\n## Report\n\ndone\n"),
        ("text\n", "\n## Report\n\ndone\n"),
        ("text", "\n\n## Report\n\ndone\n"),
        ("text\n\n", "## Report\n\ndone\n"),
        ("text\n \t\n", "## Report\n\ndone\n"),
        ("```py\nx\n", "```\n\n## Report\n\ndone\n"),
        ("~~~~\nx\n```\n~~~", "\n~~~~\n\n## Report\n\ndone\n"),
        ("- a\n  ```\n  x\n", "  ```\n\n## Report\n\ndone\n"),
        ("<!-- hidden\nx", "\n-->\n\n## Report\n\ndone\n"),
        ("<!-- seen -->\n```\nx\n```\n", "\n## Report\n\ndone\n"),
    ],
)
def test_a_section_is_appended_where_it_can_be_seen(body: str, added: str) -> None:
    file = task(f"---\nstatus: a\n---\n{body}")
    assert append_section(file, "Report", "done").data.decode() == f"---\nstatus: a\n---\n{body}{added}"


def test_a_section_follows_a_closing_fence_that_ends_the_file() -> None:
    assert append_section(task("---\nstatus: a\n---"), "T", "x").data == b"---\nstatus: a\n---\n\n## T\n\nx\n"


def test_a_section_is_written_in_the_line_ends_of_the_file() -> None:
    file = task("---\r\nstatus: a\r\n---\r\nb\r\n")
    assert append_section(file, "T", "x\ny\r\nz\r").data == file.data + b"\r\n## T\r\n\r\nx\r\ny\r\nz\r\n"


def test_a_section_drops_what_cannot_be_shown() -> None:
    file = task("---\nstatus: a\n---\n")
    section = append_section(file, " T\x00\nU\ud800 ", "\n\x1b[31mred\x7f\x85\tok\udfff\n\n").rest.decode()
    assert section == "---\n\n## T U\ufffd\n\n[31mred\tok\ufffd\n"
    assert append_section(file, "T", "\x00").rest == b"---\n\n## T\n"


def test_a_section_does_not_make_the_file_too_large_to_be_read() -> None:
    with pytest.raises(MalformedTask, match="larger than 8 MiB"):
        append_section(task("---\nstatus: a\n---\n"), "T", "x" * MAX_FILE_BYTES)


@pytest.mark.parametrize(
    ("body", "items"),
    [
        ("- [ ] a\n* [ ] b\n+ [ ] c\n1. [ ] d\n12) [ ] e", ["a", "b", "c", "d", "e"]),
        ("- [x] a\n- [X] b\n- [ ] c \r\n- [] d\n- [ ]e\n- [ ]\n", ["c"]),
        ("- a\n  - [ ] b\n      - [ ] c\n\t- [ ] d\n", ["b", "c", "d"]),
        ("text - [ ] a\n[ ] b\n", []),
        ("```\n- [ ] a\n```\n- [ ] b\n", ["b"]),
        ("~~~~ md\n- [ ] a\n~~~\n```\n- [ ] b\n~~~~\n- [ ] c\n", ["c"]),
        ("```\n- [ ] never closed\n", []),
        ("``` `not a fence`\n- [ ] a\n", ["a"]),
        ("- x\n  ```\n  - [ ] a\n  ```\n- [ ] b\n", ["b"]),
        ("- x\n  ```\n  - [ ] a\n- [ ] the fence ended with its list item\n", ["the fence ended with its list item"]),
        ("- ```\n  - [ ] a\n  ```\n- [ ] b\n", ["b"]),
        ("      ```\n- [ ] an indented fence opens nothing\n", ["an indented fence opens nothing"]),
        ("<!--\n- [ ] a\n-->\n- [ ] b\n", ["b"]),
        ("<!-- x -->\n- [ ] a\n", ["a"]),
        ("  <!-- x\n- [ ] a\n- [ ] b --> - [ ] c\n- [ ] d\n", ["d"]),
        ("`<!--` is how a comment begins\n- [ ] a\n", ["a"]),
        ("- [ ] a <!-- mine -->\n", ["a <!-- mine -->"]),
    ],
)
def test_unticked_items_are_those_a_reader_sees(body: str, items: list[str]) -> None:
    assert unticked_items(body) == items


# --- properties -------------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(["active", "To Do", "a-b", "x", "00123", "1.10", "no", "2026-01-22", "größe", "😀 b", "it"])
SCALARS = st.one_of(
    WORDS,
    WORDS.map(lambda word: f"'{word}'"),
    WORDS.map(lambda word: f'"{word}\\n"'),
    st.sampled_from(["", "~", "''", '""', "null"]),
)
ITEMS = st.lists(st.one_of(WORDS, WORDS.map(lambda word: f"'{word}'")), max_size=3)
COMMENTS = st.sampled_from(["", "", " # c", "  # é: 'x' 😀", "   "])


@st.composite
def lines_of_a_key(draw: st.DrawFn, key: str, newline: str, *, simple: bool) -> str:
    kinds = ["scalar", "scalar", "block list", "flow list", "folded"]
    kind = draw(st.sampled_from(kinds if simple else [*kinds, "block scalar", "mapping", "anchor"]))
    comment = draw(COMMENTS)
    if kind == "scalar":
        return f"{key}:{draw(st.sampled_from([' ', '   ']))}{draw(SCALARS)}{comment}{newline}"
    if kind == "block list":
        indent = draw(st.sampled_from(["", "  ", "    "]))
        rows = [f"{indent}- {item}{draw(COMMENTS)}{newline}" for item in draw(ITEMS) or ["x"]]
        return f"{key}:{comment}{newline}{''.join(rows)}"
    if kind == "flow list":
        return f"{key}: [{draw(st.sampled_from([', ', f',{newline}   '])).join(draw(ITEMS))}]{comment}{newline}"
    if kind == "folded":
        return f"{key}: a{newline}  b{comment}{newline}"
    if kind == "block scalar":
        return f"{key}: |+{newline}  status: x{newline}{newline}  # no comment{newline}{newline}"
    if kind == "mapping":
        return f"{key}:{newline}  status: nested{newline}  m: [a, {{b: c}}]{comment}{newline}"
    return f"{key}: &{key} a{newline}alias-{key}: *{key}{comment}{newline}"


@st.composite
def task_texts(draw: st.DrawFn) -> tuple[list[str], list[str], str]:
    """Keys that may be edited, the lines of each top-level key in the file, and its bytes as text."""
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    names = draw(st.lists(st.sampled_from(["id", "title", "größe", "x-1", "'q k'", "😀"]), unique=True, max_size=5))
    fixed = draw(st.lists(st.sampled_from(["note", "meta", "other"]), unique=True, max_size=2))
    blocks = [draw(lines_of_a_key(name, newline, simple=True)) for name in names]
    blocks += [draw(lines_of_a_key(name, newline, simple=False)) for name in fixed]
    blocks.append(f"status: {draw(WORDS)}{draw(COMMENTS)}{newline}")
    blocks = draw(st.permutations(blocks))
    header = "".join(draw(st.sampled_from(["", "", f"# c{newline}", newline])) + block for block in blocks)
    body = draw(st.text(alphabet=st.sampled_from("ab \n\r-`#é😀"), max_size=30))
    text = f"{draw(st.sampled_from(['', BOM.decode()]))}---{newline}{header}---{newline}{body}"
    return [name.strip("'") for name in [*names, "status"]], blocks, text


TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
ANY_TEXTS = st.one_of(TEXTS, WORDS, st.text(alphabet="\n\r\t\x00\x7f\x85\u2028\ufeff\uffff'\"\\: #-", max_size=8))


@settings(deadline=None, max_examples=200)
@given(task_texts(), st.data())
def test_an_edit_can_be_taken_back_to_the_last_byte(
    sample: tuple[list[str], list[str], str], data: st.DataObject
) -> None:
    editable, _, text = sample
    before = task(text)
    assert before.data == text.encode()
    keys = data.draw(st.lists(st.sampled_from([*editable, "claim", "new key"]), unique=True))
    changes = {key: data.draw(ANY_TEXTS) for key in keys}
    former = {key: Raw(before.entries[key].raw) if key in before.entries else None for key in keys}
    after = edit_header(before, changes)
    assert {key: after.entries[key].value for key in keys} == changes
    assert edit_header(after, former).data == before.data


@settings(deadline=None, max_examples=200)
@given(task_texts(), st.data())
def test_only_the_lines_of_the_changed_key_differ(
    sample: tuple[list[str], list[str], str], data: st.DataObject
) -> None:
    editable, blocks, text = sample
    key = data.draw(st.sampled_from(editable))
    block = next(block for block in blocks if block.startswith((f"{key}:", f"'{key}':")))
    start = text.index(f"\n{block}") + 1
    after = edit_header(task(text), {key: data.draw(ANY_TEXTS)}).data.decode()
    assert after.startswith(text[:start])
    assert after.endswith(text[start + len(block) :])


@settings(deadline=None, max_examples=200)
@given(ANY_TEXTS, st.sampled_from(["", " a", " 'a'", ' "a"', "\n  - a"]))
@example("'\ufeff", " 'a'")
def test_every_text_reads_back_as_it_was_set(value: str, raw: str) -> None:
    file = task(f"---\nstatus: a\nnote:{raw} # c\nz: 1\n---\n")
    after = edit_header(file, {"note": value})
    assert after.entries["note"].value == value
    if value == "":
        assert after.entries["note"].raw.strip() in ("''", '""')


@settings(deadline=None, max_examples=200)
@given(TEXTS)
def test_a_new_key_may_be_any_text(key: str) -> None:
    assume(key != "status")
    after = edit_header(task("---\nstatus: a\n---\n"), {key: "x"})
    assert list(after.entries) == ["status", key]


FRAGMENTS = st.sampled_from(
    [b"---", b"...", b"%YAML 1.1", BOM, "😀".encode(), b"\xff", b"\x00", b"\xc2\x85", b"\\U00110000", b"\\ud800"]
    + [b"status", b"status: a", b"a", b"b: c\n", b"\n", b"\r\n", b"\r", b"\t", b"  ", b"&x ", b"*x", b"!t "]
    + [bytes([byte]) for byte in b"[]{}'\"|>#,"]
    + [b": ", b"- ", b"? "]
)
BYTES = st.one_of(
    st.binary(max_size=60),
    st.lists(FRAGMENTS, max_size=14).map(b"".join),
    st.lists(FRAGMENTS, max_size=14).map(lambda parts: b"---\n" + b"".join(parts) + b"\nstatus: a\n---\n"),
    st.lists(FRAGMENTS, max_size=14).map(lambda parts: b"---\nstatus: a\n" + b"".join(parts) + b"\n---\n"),
)


@settings(deadline=None, max_examples=1000)
@given(BYTES)
@example(b"---\nstatus: a\nx: '\xef\xbf\xbf'\n---\n")
def test_reading_gives_a_task_or_none_or_malformed_task_for_any_bytes(data: bytes) -> None:
    try:
        file = read_task_file(data)
    except MalformedTask as error:
        assert error.cause
        assert error.line is None or 1 <= error.line <= data.count(b"\n") + 1
        return
    if file is None:
        return
    assert file.data == data
    changes: dict[str, Change] = dict.fromkeys([*file.entries, "extra"], "new")
    former = {key: Raw(file.entries[key].raw) if key in file.entries else None for key in changes}
    try:
        after = edit_header(file, changes)
    except MalformedTask:
        return
    assert edit_header(after, former).data == data


BODIES = st.lists(
    st.sampled_from(["```", "~~~~", "<!--", "-->", "- ", "  ", "\n", "\n", "\r\n", "text", "- [ ] x", "\t", "1. "]),
    max_size=14,
).map("".join)


@settings(deadline=None, max_examples=200)
@given(BODIES, TEXTS, ANY_TEXTS)
def test_an_appended_section_leaves_the_file_before_it_as_it_was(body: str, title: str, text: str) -> None:
    file = task(f"---\nstatus: a\n---\n{body}")
    after = append_section(file, title, text)
    assert after.data.startswith(file.data)
    assert task(after.data).entries == file.entries
    assert after.data.endswith(b"\n")
    section = after.body[len(body) :]
    assert section.lstrip("\n`~-> ").startswith("##")
    assert unticked_items(body) == unticked_items(after.body)[: len(unticked_items(body))]


@settings(deadline=None, max_examples=200)
@given(BODIES)
def test_what_is_appended_can_be_seen_after_any_body(body: str) -> None:
    after = append_section(task(f"---\nstatus: a\n---\n{body}"), "Left", "- [ ] visible")
    assert unticked_items(after.body) == [*unticked_items(body), "visible"]
