"""One line put into a body: where it goes, and that every other byte stays; and what of a body is prose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dibs.store.body import prose, put_in_front
from dibs.store.errors import MalformedTask
from dibs.store.header import MAX_FILE_BYTES, TaskFile
from dibs.store.task_file import read_task_file

HEAD = "---\nstatus: active\n"
LINES = ["", "# T", "  # T", "    # T", "text", "- item", "```", "~~~", "<!--", "-->", "\t", "## S"]


def task(text: str) -> TaskFile:
    file = read_task_file(text.encode())
    assert file is not None
    return file


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("---\n", "---\nX\n"),
        ("---", "---\nX"),
        ("---\n\n", "---\n\nX\n"),
        ("---\ntext\n", "---\nX\n\ntext\n"),
        ("---\n\ntext", "---\n\nX\n\ntext"),
        ("---\n# T\n", "---\n# T\n\nX\n"),
        ("---\n# T", "---\n# T\n\nX"),
        ("---\n\n# T\n\ntext\n", "---\n\n# T\n\nX\n\ntext\n"),
        ("---\n# T\ntext\n", "---\n# T\n\nX\n\ntext\n"),
        ("---\n## S\n", "---\nX\n\n## S\n"),
        ("---\n#hash\n", "---\nX\n\n#hash\n"),
        ("---\n    # code\n", "---\nX\n\n    # code\n"),
        ("---\n```\n# T\n```\n", "---\nX\n\n```\n# T\n```\n"),
    ],
)
def test_the_line_goes_below_the_title_or_on_top(before: str, after: str) -> None:
    assert put_in_front(task(HEAD + before), "X").data.decode() == HEAD + after


@pytest.mark.parametrize("body", ["# T\r\ntext\r\n", "\r\ntext", "# T", ""])
def test_line_ends_stay_those_of_the_file(body: str) -> None:
    made = put_in_front(task("---\r\nstatus: active\r\n---\r\n" + body), "X").data
    assert b"\n" not in made.replace(b"\r\n", b"")
    assert made.endswith(b"\r\n") == (body.endswith("\n") or not body)


@given(st.lists(st.sampled_from(LINES)), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_the_line_is_prose_and_every_other_byte_stays(lines: list[str], newline: str, ended: bool) -> None:
    text = newline.join(["---", "status: active", "---", *lines]) + newline * ended
    made = put_in_front(task(text), "X").data.decode()
    before, found, after = made.partition(f"X{newline}" if f"X{newline}" in made else "X")
    assert found
    blanks = after.removeprefix(newline) if not text.endswith(after) else after
    assert text.endswith(blanks)
    assert text.startswith(before.rstrip("\r\n"))
    assert (before + blanks).replace("\r", "").replace("\n", "") == text.replace("\r", "").replace("\n", "")
    assert "X" in prose(task(made).body).replace("\r", "").split("\n")


def test_a_file_that_could_not_be_read_again_is_refused() -> None:
    head = "---\nstatus: active\n---\n"
    file = task(head + "x" * (MAX_FILE_BYTES - len(head)))
    with pytest.raises(MalformedTask, match="larger than 8 MiB"):
        put_in_front(file, "X")


@pytest.mark.parametrize(
    "hidden",
    [
        "```\nX\n```",
        "~~~~ md\nX\n```\n~~~~",
        "<!-- a\nX\n-->",
        "<!-- X\n-->",
        "``` X\n```",
        "- item\n  ```\n  X\n  ```",
        "a `X` b",
    ],
)
def test_code_and_comments_are_no_prose_and_what_follows_is(hidden: str) -> None:
    assert prose(f"one\n\n{hidden}\n\nX\n").count("X") == 1
    assert "one" in prose(f"one\n\n{hidden}")


def test_code_that_is_never_closed_is_no_prose() -> None:
    assert "X" not in prose("one\n```\nX\n\nX")


def test_prose_without_code_is_the_body_itself() -> None:
    body = "# T\r\n\r\n    indented\n> quoted\n"
    assert prose(body) == body
