"""Reads the headers almost every task file has, many times quicker than YAML, and leaves all others to YAML.

What it takes: lines at the left edge of the form ``key: value``, the value being nothing, a plain or quoted text that
ends on that line, or a list ``[a, b]`` of such; ``- text`` lines below a key without a value; comments, blank lines.
It has no rules of its own: it gives what ``read_task_file`` gives, and a property test holds the two together. In any
doubt, and when anything is wrong, it gives None: then ``read_task_file`` decides, and says what is wrong.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from dibs.store.task_file import CLOSING, MAX_FILE_BYTES, MAX_HEADER_CHARACTERS, NULLS, OPENING, Header, Said

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
        (?: ( ~ | (?=[\w./(]) {_WORD} (?: \ +(?![\ \#\n]) {_WORD} )* )
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


class _Uncommon(Exception):
    """Somebody else should read this header."""


def read_quickly(data: bytes) -> Header | None:
    """The header of a file and what follows it, if it is of the common kind; one without ``status`` is a note's."""
    opening = OPENING.match(data)
    if opening is None or len(data) > MAX_FILE_BYTES:
        return None
    try:
        text = data.decode()
        start = len(opening.group().decode())
        closing = CLOSING.search(text, start)
        if closing is None or closing.start() - start > MAX_HEADER_CHARACTERS:
            return None
        header = text[start : closing.start()]
        entries = _entries(header.replace("\r\n", "\n"))
    except (UnicodeDecodeError, _Uncommon):
        return None
    if "status" in entries and isinstance(entries["status"].value, tuple):
        return None
    return Header(MappingProxyType(entries), data[opening.end() + len(header.encode()) :])


def _entries(header: str) -> dict[str, Said]:
    if _UNCOMMON.search(header):
        raise _Uncommon
    entries: dict[str, Said] = {}
    lists: dict[str, list[str | None]] = {}
    open_key = list_indent = None  # the key that the next line may be an item of, and how far its items are indented
    end, number = 0, 1
    while end < len(header):
        line = _LINE.match(header, end)
        if line is None:
            raise _Uncommon
        end, number = line.end(), number + 1
        key, indent, plain, single, double, listed = line.groups()
        if key is not None:
            if key in entries:
                raise _Uncommon
            value = _scalar(plain, single, double) if listed is None else _items(listed)
            entries[key] = Said(value, number)
            open_key, list_indent = (key if line.lastindex == 1 else None), None
        elif indent is not None:
            if open_key is None or list_indent not in (None, indent) or listed is not None or line.lastindex == 2:
                raise _Uncommon
            list_indent = indent
            lists.setdefault(open_key, []).append(_scalar(plain, single, double))
    for key, items in lists.items():
        entries[key] = Said(tuple(items), entries[key].line)
    return entries


def _scalar(plain: str | None, single: str | None, double: str | None) -> str | None:
    if plain is not None:
        return None if plain in NULLS else plain
    return double if single is None else single.replace("''", "'")


def _items(listed: str) -> tuple[str | None, ...]:
    return tuple(
        item[1:-1] if item[0] in "'\"" else None if item in NULLS else item for item in _EACH_LISTED.findall(listed)
    )
