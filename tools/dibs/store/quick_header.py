"""Reads the headers almost every task file has, many times quicker than YAML, and leaves all others to YAML.

What it takes: lines at the left edge of the form ``key: value``, the value being nothing, a plain or quoted text that
ends on that line, or a list ``[a, b]`` of such; ``- text`` lines below a key without a value; comments, blank lines.
It has no rules of its own: it gives what the full reader gives, and a property test holds the two together. In any
doubt, and when anything is wrong, it gives up: then the full reader decides, and says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from dibs.store.header import (
    CLOSING,
    MAX_FILE_BYTES,
    MAX_HEADER_CHARACTERS,
    NULLS,
    OPENING,
    Entry,
    Shape,
    TaskFile,
    Value,
)

# Tabs, lone CRs, marks that end a line for YAML alone, and what YAML refuses.
_UNCOMMON: Final = re.compile("[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
# In none of these can two parts share characters in more than one way: what does not fit is given up in linear time.
_WORD: Final = r"[^\n\ :]* (?: :(?=[^\n\ ]) [^\n\ :]* )*"
_LISTED: Final = r"""(?:[\w./(] [^\n\ ,\[\]{}:?\#'"]* (?: \ +[^\n\ ,\[\]{}:?\#'"]+ )* | '[^'\n]*' | "[^"\\\n]*")"""
_EACH_LISTED: Final = re.compile(_LISTED, re.VERBOSE)
_LINE: Final = re.compile(
    rf"""
    (?: ([A-Za-z_][A-Za-z0-9_-]{{0,99}}) : | (\ *) - )  # a key, or an item below one
    (?: \ +
        (?P<value> ( ~ | (?=[\w./(]) {_WORD} (?: \ +(?![\ \#\n]) {_WORD} )* )
          | ' ( [^'\n]* (?: '' [^'\n]* )* ) '
          | " ( [^"\\\n]* ) "
          | \[ \ * ( (?: {_LISTED} \ * (?: , \ * {_LISTED} \ * )* )? ) \]
        )
    )?
    (?: \ +\#[^\n]* )? \ *\n
    | \ * (?: \#[^\n]* )? \n
    """,
    re.VERBOSE,
)


_PLAIN: Final = (True, False)
_QUOTED: Final = (False, True)
_BEGIN: Final = ("SequenceStartEvent", None, None, True)
_END: Final = ("SequenceEndEvent", None)

Scalar = tuple[str | None, tuple[object, ...]]
"""A value, and its shape: what YAML's event of it would mean."""


class Uncommon(Exception):
    """The full reader should read this header."""


def read_quickly(data: bytes) -> TaskFile | None:
    """The task in ``data``, None when it is a note: its header has no ``status``.

    Raises:
        Uncommon: this reader cannot say.
    """
    opening = OPENING.match(data)
    if opening is None or len(data) > MAX_FILE_BYTES:
        raise Uncommon
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Uncommon from None
    prefix = opening.group()
    start = len(prefix.decode())
    closing = CLOSING.search(text, start)
    if closing is None or closing.start() - start > MAX_HEADER_CHARACTERS:
        raise Uncommon
    header = text[start : closing.start()]
    entries, shapes = _entries(header)
    if "status" not in entries:
        return None
    if isinstance(entries["status"].value, tuple):
        raise Uncommon
    pairs = tuple((key, (("scalar", key, None, None, _PLAIN), *shape)) for key, shape in shapes.items())
    return TaskFile(prefix, header, data[len(prefix) + len(header.encode()) :], MappingProxyType(entries), pairs, "")


def _entries(header: str) -> tuple[dict[str, Entry], dict[str, Shape]]:
    lines = header.replace("\r\n", "\n")
    crlf = len(lines) < len(header)
    if _UNCOMMON.search(lines) or (crlf and header.count("\n") > header.count("\r\n")):
        raise Uncommon
    entries: dict[str, Entry] = {}
    shapes: dict[str, Shape] = {}
    lists: dict[str, list[Scalar]] = {}
    ends: dict[str, int] = {}
    open_key = list_indent = None  # the key that the next line may be an item of, and how far its items are indented
    end, number = 0, 1
    while end < len(lines):
        line = _LINE.match(lines, end)
        if line is None:
            raise Uncommon
        returns = crlf * (number - 1)  # in front of this line: offsets count them
        end, number = line.end(), number + 1
        key, indent, value, plain, single, double, listed = line.groups()
        if key is not None:
            if key in entries:
                raise Uncommon
            said, shapes[key] = _said(plain, single, double) if listed is None else _list(_items(listed))
            start = line.end(1) + 1 + returns
            stop = start if value is None else line.end("value") + returns
            entries[key] = Entry(key, said, number, header[start:stop], start, stop, "")
            open_key, list_indent = (key if value is None else None), None
        elif indent is not None:
            if open_key is None or list_indent not in (None, indent) or listed is not None or value is None:
                raise Uncommon
            list_indent = indent
            lists.setdefault(open_key, []).append(_scalar(plain, single, double))
            ends[open_key] = line.end("value") + returns
    for key, items in lists.items():
        said, shapes[key] = _list(items)
        of, stop = entries[key], ends[key]
        entries[key] = Entry(key, said, of.line, header[of.start : stop], of.start, stop, "")
    return entries, shapes


def _said(plain: str | None, single: str | None, double: str | None) -> tuple[Value, Shape]:
    value, shape = _scalar(plain, single, double)
    return value, (shape,)


def _list(items: Sequence[Scalar]) -> tuple[Value, Shape]:
    return tuple(value for value, _ in items), (_BEGIN, *(shape for _, shape in items), _END)


def _scalar(plain: str | None, single: str | None, double: str | None) -> Scalar:
    quoted = double if single is None else single.replace("''", "'")
    if quoted is not None:
        return quoted, ("scalar", quoted, None, None, _QUOTED)
    text = plain or ""
    return None if text in NULLS else text, ("scalar", text, None, None, _PLAIN)


def _items(listed: str) -> list[Scalar]:
    return [
        _scalar(None, item[1:-1], None) if item[0] in "'\"" else _scalar(item, None, None)
        for item in _EACH_LISTED.findall(listed)
    ]
