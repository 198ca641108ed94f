"""The body of a task file: sections are appended, one line may be put in front, nothing else in it is ever changed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from dibs.store.errors import MalformedTask
from dibs.store.header import MAX_FILE_BYTES, TaskFile

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LIST_MARKER = re.compile(r"(?:[-*+]|\d{1,9}[.)])[ \t]+")
_UNTICKED = re.compile(r"\[ \][ \t]+(.+)")
_FENCE = re.compile(r"(`{3,}(?=[^`]*$)|~{3,})")
_BLANK_LAST_LINE = re.compile(r"\n[ \t\r]*\n\Z")
_COMMENT_END = re.compile(r"-->")
_MAY_HIDE = ("```", "~~~", "<!--")
_CODE_SPAN = re.compile(r"`[^`\n]*`")
_FRONT = re.compile(r"(?:[ \t\r]*\n)*(?P<title> {0,3}#[ \t][^\n]*\n?)?")
_BLANK_FIRST_LINE = re.compile(r"[ \t\r]*(?:\n|\Z)")


class _Read(NamedTuple):
    """What a body says: its unticked items, the line that closes what is still open at the end ("" when nothing is),
    and the lines outside of code blocks and comments."""

    unticked: Sequence[str]
    closing: str
    seen: Sequence[str]


def append_section(file: TaskFile, title: str, text: str) -> TaskFile:
    """The file with ``## title`` and ``text`` at its end, in its own line ends.

    A code fence or comment left open at the end of the body is closed first, so that the section can be seen. Control
    characters are dropped, lone surrogates become U+FFFD.

    Raises:
        MalformedTask: the file would become too large to be read again.
    """
    heading = " ".join(_clean(title).split())
    section = "\n\n".join(part for part in (f"## {heading}", _clean(text).strip("\n")) if part) + "\n"
    end = file.rest.decode()
    lead = "" if end.endswith("\n") else "\n"
    closing = _read_body(file.body).closing
    if closing:
        lead += f"{closing}\n"
    if not _BLANK_LAST_LINE.search(end + lead):
        lead += "\n"
    return _longer(file, file.rest + (lead + section).replace("\n", file.newline).encode())


def put_in_front(file: TaskFile, text: str) -> TaskFile:
    """The file with ``text`` as a line of its own at the top of the body, below the title if that stands there.

    Raises:
        MalformedTask: the file would become too large to be read again.
    """
    rest = file.rest.decode()
    front = _FRONT.match(rest, rest.find("\n") + 1 or len(rest))
    assert front is not None  # all of it is optional
    before, after = rest[: front.end()], rest[front.end() :]
    is_ended = before.endswith("\n")
    line = "\n" * (not is_ended) + "\n" * bool(front["title"]) + text + "\n" * is_ended
    if after and not _BLANK_FIRST_LINE.match(after):
        line += "\n"
    return _longer(file, (before + line.replace("\n", file.newline) + after).encode())


def _longer(file: TaskFile, rest: bytes) -> TaskFile:
    longer = replace(file, rest=rest)
    if len(longer.data) > MAX_FILE_BYTES:
        raise MalformedTask(f"the file would become larger than {MAX_FILE_BYTES // 1024 // 1024} MiB")
    return longer


def unticked_items(body: str) -> list[str]:
    """The texts of the checklist items of ``body`` that are not ticked, but for those in code blocks and comments."""
    return list(_read_body(body).unticked)


def prose(body: str) -> str:
    """The body without code and comments that take up lines of their own, and without code spans."""
    if any(mark in body for mark in _MAY_HIDE):
        body = "\n".join(_read_body(body).seen)
    return _CODE_SPAN.sub(" ", body) if "`" in body else body


def _clean(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", text))


def _read_body(body: str) -> _Read:
    """What a body says. As in CommonMark, only a line that *begins* with ``<!--`` hides the lines after it, and what a
    list item opens ends with the item. In doubt a checklist item counts: one too many is seen, one too few is not.
    """
    items: list[str] = []
    seen: list[str] = []
    columns: list[int] = []  # where the contents of the list items around this line begin
    ends: re.Pattern[str] | None = None  # what ends the open fence or comment
    closing = ""
    for line in body.split("\n"):
        rest = line.strip(" \t\r")
        text = line.expandtabs(4)
        column = len(text) - len(text.lstrip(" "))
        if ends and (not rest or not columns or column >= columns[-1]):
            if ends.search(line):
                ends, closing = None, ""
            continue
        seen.append(line)
        if not rest:
            continue
        ends, closing = None, ""
        while columns and column < columns[-1]:
            columns.pop()
        offset = 0
        while marker := _LIST_MARKER.match(rest, offset):
            column += marker.end() - offset
            offset = marker.end()
            columns.append(column)
        rest = rest[offset:]
        item = _UNTICKED.match(rest) if offset else None
        if item:
            items.append(item.group(1))
        elif column - (columns[-1] if columns else 0) <= 3 and (opened := _opened_by(rest)):
            ends, closing = opened[0], " " * (columns[-1] if columns else 0) + opened[1]
            seen.pop()
    return _Read(items, closing, seen)


def _opened_by(line: str) -> tuple[re.Pattern[str], str] | None:
    """What ends the code fence or comment that this line opens, and the line that would."""
    if fence := _FENCE.match(line):
        marks = fence.group(1)
        return re.compile(rf"^[ \t]*{marks[0]}{{{len(marks)},}}[ \t\r]*$"), marks
    if line.startswith("<!--") and "-->" not in line[2:]:
        return _COMMENT_END, "-->"
    return None
