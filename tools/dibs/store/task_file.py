"""Reads the header of a Markdown file and changes only the bytes that must change.

A task file is ``---``, a YAML mapping with a ``status``, ``---``, and a body that belongs to the user. Bytes come in
and bytes go out; nothing here touches the disk. Comments, key order, quoting, line ends, a byte order mark and a
missing final newline survive every edit; an edit that would change the meaning of any other key is refused.

The header is read as YAML *events*: nothing is constructed, so aliases cannot expand, values keep the text they have
in the file (``00123``, ``1.10``, ``no``), and marks say where each value stands. Whether a value makes sense is for
others to say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

import frontmatter
import yaml
from frontmatter.default_handlers import BaseHandler
from yaml import events as ev

from dibs.store.errors import MalformedTask

MAX_FILE_BYTES: Final = 8 * 1024 * 1024
MAX_HEADER_CHARACTERS: Final = 256 * 1024
# libyaml needs quadratic time for flow collections nested in one another: 200 kB of "[" took it two minutes.
MAX_NESTING: Final = 64
UNCLOSED_HEADER_LINES: Final = 100

_LOADER: Final = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_STR_TAG: Final = "tag:yaml.org,2002:str"
_DEPTH: Final[Mapping[type[ev.Event], int]] = {
    ev.SequenceStartEvent: 1,
    ev.MappingStartEvent: 1,
    ev.SequenceEndEvent: -1,
    ev.MappingEndEvent: -1,
}
OPENING = re.compile(rb"(?:\xef\xbb\xbf)?---[ \t]*\r?\n")
CLOSING = re.compile(r"^---[ \t]*(?:\r?\n|\Z)", re.MULTILINE)
_STATUS_LIKE = re.compile(r"""^[ \t\r\ufeff{,"'?]*status["']?[ \t\r]*:""", re.MULTILINE)
_STATUS_LINE = re.compile(r"status\s*:")
_CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7})(?: |\r?$)", re.MULTILINE)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COLON = re.compile(r"[ \t]*:")
NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_SAFE_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./@+-]*(?: [A-Za-z0-9_./@+-]+)*")
_BLOCK_STYLES: Final = frozenset({"|", ">"})
_YAML_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
# JSON leaves these as they are; YAML refuses them, or reads them as line breaks.
_TO_ESCAPE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class Nested(Enum):
    """The type of :data:`NESTED`."""

    NESTED = "nested"


NESTED: Final = Nested.NESTED
"""The value of a key that is neither a scalar nor a list of scalars: a mapping, a nested list, an alias."""

Value = str | None | tuple[str | None, ...] | Nested
Shape = tuple[tuple[object, ...], ...]
"""What the events of a key and its value mean, without their places: equal shapes load as equal data."""


@dataclass(frozen=True)
class Said:
    """What one top-level key of the header says, and in which line of the file, counted from 1."""

    value: Value
    line: int


@dataclass(frozen=True)
class Entry(Said):
    """One top-level key of the header, with its place.

    ``raw`` is the text between the colon and the end of the value, exactly as it stands; trailing comments and line
    ends are outside. ``flaw`` says why the value cannot be edited ("" when it can).
    """

    key: str
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
class Header:
    """What the header of a file says; ``rest`` is the closing fence and all that follows."""

    entries: Mapping[str, Said]
    rest: bytes

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


@dataclass(frozen=True)
class TaskFile(Header):
    """A file that is a task: ``prefix + header + rest`` are its bytes, ``entries`` what the header says and where."""

    entries: Mapping[str, Entry]
    prefix: bytes
    header: str
    pairs: tuple[tuple[str | None, Shape], ...]
    """Every key and its shape in order, also (as None) the keys that are not a scalar."""
    indent: str

    @property
    def data(self) -> bytes:
        return self.prefix + self.header.encode() + self.rest

    @property
    def newline(self) -> str:
        return "\r\n" if self.prefix.endswith(b"\r\n") else "\n"


class HeaderHandler(BaseHandler):
    """python-frontmatter's reader with strict fences and values that stay text.

    ``frontmatter.parse`` strips the text and turns CRLF into LF before it splits, so the handler is given the exact
    text beforehand and splits that one: offsets must fit the bytes of the file. One handler reads one file.
    """

    FM_BOUNDARY = CLOSING
    START_DELIMITER = END_DELIMITER = "---"

    def __init__(self, text: str, header_start: int) -> None:
        super().__init__()
        self._text = text
        self._header_start = header_start
        self.header = ""
        self.indent = ""
        self.pairs: tuple[tuple[str | None, Shape], ...] = ()
        self.entries: dict[str, Entry] = {}

    def split(self, text: str) -> tuple[str, str]:
        closing = CLOSING.search(self._text, self._header_start)
        if closing is None:
            lines = self._text.split("\n", UNCLOSED_HEADER_LINES)[:UNCLOSED_HEADER_LINES]
            if any(_STATUS_LINE.match(line) for line in lines):
                raise MalformedTask("the header opened in line 1 is never closed by a line `---`", line=1)
            raise ValueError("no header")  # the answer frontmatter.parse takes for "this text has none"
        return self._text[self._header_start : closing.start()], self._text[closing.end() :]

    def load(self, fm: str) -> dict[str, Value]:
        self.header = fm
        if len(fm) > MAX_HEADER_CHARACTERS:
            raise MalformedTask(f"the header is longer than {MAX_HEADER_CHARACTERS} characters", line=1)
        try:
            root, nodes = _parse(fm)
        except MalformedTask:
            if _STATUS_LIKE.search(fm):
                raise
            return {}
        self._keep(root, nodes)
        return {key: entry.value for key, entry in self.entries.items()}

    def _keep(self, root: ev.MappingStartEvent | None, nodes: Sequence[Sequence[ev.Event]]) -> None:
        """Make entries of the nodes of the root mapping, if one of its keys is ``status``."""
        keys = [_scalar_text(node) for node in nodes[::2]]
        if root is None or "status" not in keys:
            return
        if root.flow_style:
            raise MalformedTask("the header is one {...}; write one key a line", line=_line(self.header, _start(root)))
        self.pairs = tuple(
            (key, tuple(map(_shape, (*key_node, *value_node))))
            for key, key_node, value_node in zip(keys, nodes[::2], nodes[1::2], strict=True)
        )
        offset, line = 0, 2
        for key, key_node, value_node in zip(keys, nodes[::2], nodes[1::2], strict=True):
            place = _start(key_node[0])
            line += self.header.count("\n", offset, place)
            offset = place
            if key is None:
                continue
            if key in self.entries:
                first = self.entries[key].line
                raise MalformedTask(f"`{key}` stands in line {first} and again in line {line}; keep one", line=line)
            self.entries[key] = _entry(self.header, key, line, key_node, value_node)
        self.indent = self.header[self.header.rfind("\n", 0, _start(root)) + 1 : _start(root)]
        status = self.entries["status"]
        if status.flaw or isinstance(status.value, tuple):
            raise MalformedTask(f"`status` {status.flaw or 'is a list'}; write one word", line=status.line)


def read_task_file(data: bytes) -> TaskFile | None:
    """The task in ``data``, or None when it is a note: it has no header, or its header no ``status``.

    Raises:
        MalformedTask: it looks like a task and cannot be read.
    """
    opening = OPENING.match(data)
    if opening and len(data) > MAX_FILE_BYTES:
        raise MalformedTask(f"the file is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB", line=1)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise MalformedTask("UTF-16; save it as UTF-8", line=1)
    if not data.startswith((b"---", b"\xef\xbb\xbf---")):
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        cause = f"not UTF-8 (byte 0x{data[error.start]:02x} at offset {error.start}); save it as UTF-8"
        raise MalformedTask(cause, line=1 + data.count(b"\n", 0, error.start)) from error
    if opening is None:
        return None
    prefix = opening.group()
    reader = HeaderHandler(text, len(prefix.decode()))
    frontmatter.parse(text, handler=reader)
    if "status" not in reader.entries:
        return None
    rest = data[len(prefix) + len(reader.header.encode()) :]
    return TaskFile(MappingProxyType(reader.entries), rest, prefix, reader.header, reader.pairs, reader.indent)


def edit_header(file: TaskFile, changes: Mapping[str, Change]) -> TaskFile:
    """The file with these keys changed and every other byte as it was; a new key goes before the closing fence.

    Raises:
        MalformedTask: that cannot be done without damage; the cause names the key.
    """
    wanted = {key: change for key, change in changes.items() if not _holds(file.entries.get(key), change)}
    if not wanted:
        return file
    patches, added = [], ""
    for key, change in wanted.items():
        entry = file.entries.get(key)
        if entry is None:
            value = change.text if isinstance(change, Raw) else f" {_scalar(change or '', '')}"
            added += f"{file.indent}{_scalar(key, '')}:{value}{file.newline}"
        elif entry.flaw or entry.start < 0:
            flaw = entry.flaw or "has no colon on its line"
            raise MalformedTask(f"`{key}` {flaw}, so it cannot be edited without damage", line=entry.line)
        else:
            patches.append(_patch(file.header, entry, change))
    header = file.header
    for start, end, new in sorted(patches, reverse=True):
        header = header[:start] + new + header[end:]
    return _checked(file, header + added, wanted)


def _line(header: str, offset: int) -> int:
    """The line of the file at this offset; YAML's own count also breaks lines at U+0085, U+2028 and a lone CR."""
    return 2 + header.count("\n", 0, offset)


def _start(event: ev.Event) -> int:
    return event.start_mark.index if event.start_mark else 0


def _end(event: ev.Event) -> int:
    return event.end_mark.index if event.end_mark else 0


def _parse(header: str) -> tuple[ev.MappingStartEvent | None, list[Sequence[ev.Event]]]:
    """The root mapping of the header and its nodes, keys and values in turn; no root when nothing is written there."""
    if header.startswith("\ufeff"):  # libyaml skips it without counting it, so every offset would be off by one
        raise MalformedTask("a byte order mark opens the header; remove it", line=2)
    try:
        events = list(_events(header))
    except yaml.reader.ReaderError as error:
        found = _UNPRINTABLE.search(header)
        line = _line(header, found.start()) if found else None
        character = f"U+{ord(found.group()):04X}" if found else str(error.reason)
        raise MalformedTask(f"the header holds a character YAML does not allow: {character}", line=line) from error
    except yaml.MarkedYAMLError as error:
        offset = error.problem_mark.index if error.problem_mark else 0
        raise MalformedTask(_plain_cause(header, error), line=_line(header, offset)) from error
    except (yaml.YAMLError, ValueError) as error:  # without libyaml an escape like "\UFFFFFFFF" is refused by chr()
        raise MalformedTask("the header is not YAML", line=2) from error
    if len(events) == 2:  # the start and the end of a stream without a document
        return None, []
    root = events[2]
    second = next((event for event in events[2:] if type(event) is ev.DocumentStartEvent), None)
    if second:
        raise MalformedTask("the header holds a second YAML document", line=_line(header, _start(second)))
    if not isinstance(root, ev.MappingStartEvent):
        raise MalformedTask("the header is not a mapping; write `key: value` lines", line=_line(header, _start(root)))
    return root, list(_nodes(events[3:-3]))


def _events(header: str) -> Iterator[ev.Event]:
    depth = 0
    for event in yaml.parse(header, Loader=_LOADER):
        depth += _DEPTH.get(type(event), 0)
        if depth > MAX_NESTING:
            raise MalformedTask(f"the header is nested deeper than {MAX_NESTING}", line=_line(header, _start(event)))
        yield event


def _nodes(events: Sequence[ev.Event]) -> Iterator[Sequence[ev.Event]]:
    """The events inside a collection, one list for each of its nodes."""
    depth = first = 0
    for last, event in enumerate(events):
        depth += _DEPTH.get(type(event), 0)
        if depth == 0:
            yield events[first : last + 1]
            first = last + 1


def _plain_cause(header: str, error: yaml.MarkedYAMLError) -> str:
    if _CONFLICT.search(header):
        return "the header holds merge conflict markers; resolve the conflict"
    if "\t" in header and "cannot start any token" in (error.problem or ""):
        return "the header is not YAML: found character that cannot start any token (a tab? indent with spaces)"
    return f"the header is not YAML: {error.problem or error.context or 'unknown problem'}"


def _shape(event: ev.Event) -> tuple[object, ...]:
    if isinstance(event, ev.ScalarEvent):
        return ("scalar", event.value, event.tag, event.anchor, event.implicit)
    if isinstance(event, ev.CollectionStartEvent):
        return (type(event).__name__, event.tag, event.anchor, event.implicit)
    return (type(event).__name__, getattr(event, "anchor", None))


def _scalar_text(node: Sequence[ev.Event]) -> str | None:
    return node[0].value if isinstance(node[0], ev.ScalarEvent) else None


def _value(node: Sequence[ev.Event]) -> Value:
    first, *items = node
    if isinstance(first, ev.ScalarEvent):
        return _scalar_or_null(first)
    inside = [item for item in items[:-1] if isinstance(item, ev.ScalarEvent)]
    if isinstance(first, ev.SequenceStartEvent) and len(inside) == len(node) - 2:
        return tuple(_scalar_or_null(item) for item in inside)
    return NESTED


def _scalar_or_null(event: ev.ScalarEvent) -> str | None:
    return None if event.implicit[0] and event.value in NULLS else event.value


def _entry(header: str, key: str, line: int, key_node: Sequence[ev.Event], node: Sequence[ev.Event]) -> Entry:
    colon = _COLON.match(header, _end(key_node[0]))
    start = colon.end() if colon else _start(node[0])
    # The end of a block collection is marked at the next token, after comments, and with no width: do not ask there.
    end = max(_end(event) for event in node if _DEPTH.get(type(event)) != -1 or _start(event) < _end(event))
    raw = header[start:end]
    if raw.endswith("\n"):  # of a block scalar
        raw = raw.rstrip("\r\n")
    flaw = next((flaw for event in (*key_node, *node) if (flaw := _event_flaw(event))), "")
    value = _value(node)
    if value is NESTED and not flaw:
        flaw = "is neither a text nor a list of texts"
    return Entry(value, line, key, raw, start if colon else -1, start + len(raw), flaw)


def _event_flaw(event: ev.Event) -> str:
    if not isinstance(event, ev.NodeEvent):
        return ""
    if event.anchor is not None:
        return "uses an anchor or an alias"
    if isinstance(event, ev.ScalarEvent | ev.CollectionStartEvent) and event.tag not in (None, _STR_TAG):
        return f"has the tag {event.tag}"
    return "is a block scalar (| or >)" if isinstance(event, ev.ScalarEvent) and event.style in _BLOCK_STYLES else ""


def _holds(entry: Entry | None, change: Change) -> bool:
    if entry is None or change is None:
        return entry is None and change is None
    return entry.raw == change.text if isinstance(change, Raw) else entry.value == change


def _patch(header: str, entry: Entry, change: Change) -> tuple[int, int, str]:
    """The range of the header to replace, and the text that goes there."""
    if change is None:
        return header.rfind("\n", 0, entry.start) + 1, header.find("\n", entry.end) + 1, ""
    if isinstance(change, Raw):
        return entry.start, entry.end, change.text
    old = entry.raw.lstrip(" \t")
    gap = entry.raw.removesuffix(old) if old and "\n" not in entry.raw else " "
    return entry.start, entry.end, gap + _scalar(change, old[:1] if old.startswith(("'", '"')) else "")


def _scalar(text: str, quote: str) -> str:
    """``text`` as a one-line YAML scalar: in the wanted quotes, or without if every YAML reader takes that as text."""
    if quote == "'" and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    if not quote and _SAFE_PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _TO_ESCAPE.sub(lambda found: f"\\u{ord(found.group()):04x}", quoted)


def _checked(file: TaskFile, header: str, changes: Mapping[str, Change]) -> TaskFile:
    """The file with the new header, once reading it again has shown that only ``changes`` made a difference."""
    names = ", ".join(f"`{key}`" for key in changes)
    line = next((file.entries[key].line for key in changes if key in file.entries), None)
    refusal = MalformedTask(f"{names} cannot be edited without damage to the header", line=line)
    try:
        after = read_task_file(file.prefix + header.encode() + file.rest)
    except (UnicodeEncodeError, MalformedTask) as error:
        # a lone surrogate has no bytes, and libyaml refuses its escape
        raise refusal from error
    if after is None or (after.prefix, after.header, after.rest) != (file.prefix, header, file.rest):
        raise refusal
    asked = all(_holds(after.entries.get(key), change) for key, change in changes.items())
    others_before = [pair for pair in file.pairs if pair[0] not in changes]
    deleted = {key for key, change in changes.items() if change is None}
    keys = [key for key, _ in file.pairs if key not in deleted] + [key for key in changes if key not in file.entries]
    others_after = [pair for pair in after.pairs if pair[0] not in changes]
    if not asked or others_after != others_before or [key for key, _ in after.pairs] != keys:
        raise refusal
    return after
