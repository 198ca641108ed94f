"""The body of a task file: sections are appended, checklists are read, nothing else in it is ever changed."""

from __future__ import annotations

import re
from dataclasses import replace

from dibs.store.errors import MalformedTask
from dibs.store.header import MAX_FILE_BYTES, TaskFile

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LIST_MARKER = re.compile(r"(?:[-*+]|\d{1,9}[.)])[ \t]+")
_UNTICKED = re.compile(r"\[ \][ \t]+(.+)")
_FENCE = re.compile(r"(`{3,}(?=[^`]*$)|~{3,})")
_BLANK_LAST_LINE = re.compile(r"\n[ \t\r]*\n\Z")
_COMMENT_END = re.compile(r"-->")


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
    closing = _read_body(file.body)[1]
    if closing:
        lead += f"{closing}\n"
    if not _BLANK_LAST_LINE.search(end + lead):
        lead += "\n"
    longer = replace(file, rest=file.rest + (lead + section).replace("\n", file.newline).encode())
    if len(longer.data) > MAX_FILE_BYTES:  # it could not be read again
        raise MalformedTask(f"the file would become larger than {MAX_FILE_BYTES // 1024 // 1024} MiB")
    return longer


def unticked_items(body: str) -> list[str]:
    """The texts of the checklist items of ``body`` that are not ticked, but for those in code blocks and comments."""
    return _read_body(body)[0]


def _clean(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", text))


def _read_body(body: str) -> tuple[list[str], str]:
    """The unticked items, and the line that closes what is still open at the end ("" when nothing is).

    As in CommonMark, only a line that *begins* with ``<!--`` hides the lines after it, and what a list item opens ends
    with the item. In doubt a checklist item counts: one too many is seen, one too few is not.
    """
    items: list[str] = []
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
    return items, closing


def _opened_by(line: str) -> tuple[re.Pattern[str], str] | None:
    """What ends the code fence or comment that this line opens, and the line that would."""
    if fence := _FENCE.match(line):
        marks = fence.group(1)
        return re.compile(rf"^[ \t]*{marks[0]}{{{len(marks)},}}[ \t\r]*$"), marks
    if line.startswith("<!--") and "-->" not in line[2:]:
        return _COMMENT_END, "-->"
    return None
