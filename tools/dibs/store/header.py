"""What a file's header says, and where it says it: the values that its readers give and its editor takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from dibs.store.errors import MalformedTask

MAX_FILE_BYTES: Final = 8 * 1024 * 1024
MAX_HEADER_CHARACTERS: Final = 256 * 1024
OPENING: Final = re.compile(rb"(?:\xef\xbb\xbf)?---[ \t]*\r?\n")
CLOSING: Final = re.compile(r"^---[ \t]*(?:\r?\n|\Z)", re.MULTILINE)
NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})


class Nested(Enum):
    """The type of :data:`NESTED`."""

    NESTED = "nested"


NESTED: Final = Nested.NESTED
"""The value of a key that is neither a scalar nor a list of scalars: a mapping, a nested list, an alias."""

Value = str | None | tuple[str | None, ...] | Nested
Shape = tuple[tuple[object, ...], ...]
"""What the events of a key and its value mean, without their places: equal shapes load as equal data."""


class Entry(NamedTuple):
    """One top-level key of the header.

    ``line`` counts from 1 in the file. ``raw`` is the text between the colon and the end of the value, exactly as it
    stands; trailing comments and line ends are outside. ``flaw`` says why the value cannot be edited ("" when it can).
    """

    key: str
    value: Value
    line: int
    raw: str
    start: int
    """Where ``raw`` begins in the header; -1 when no colon follows the key on its line."""
    end: int
    flaw: str


@dataclass(frozen=True)
class Raw:
    """An :attr:`Entry.raw` to put back exactly."""

    text: str


Change = str | Raw | None
"""str: set the key to this scalar; Raw: put this text back; None: delete the key."""


@dataclass(frozen=True)
class TaskFile:
    """A file that is a task: ``prefix + header + rest`` are its bytes, ``entries`` what the header says."""

    prefix: bytes
    header: str
    rest: bytes
    entries: Mapping[str, Entry]
    pairs: tuple[tuple[str | None, Shape], ...]
    """Every key and its shape in order, also (as None) the keys that are not a scalar."""
    indent: str

    @property
    def data(self) -> bytes:
        return self.prefix + self.header.encode() + self.rest

    @property
    def newline(self) -> str:
        return "\r\n" if self.prefix.endswith(b"\r\n") else "\n"

    @property
    def body(self) -> str:
        """The text after the closing fence line, as it is."""
        return self.rest.partition(b"\n")[2].decode()

    def text(self, key: str) -> str | None:
        """The scalar under ``key`` without surrounding whitespace; None when it is absent or null."""
        entry = self.entries.get(key)
        if entry is None or entry.value is None:
            return None
        if not isinstance(entry.value, str):
            raise MalformedTask(f"`{key}` must be one text, not a list or a mapping", line=entry.line)
        return entry.value.strip()
