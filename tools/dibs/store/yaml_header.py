"""The full reader of headers: YAML, whatever it looks like, and what is wrong with it.

The header is read as YAML *events*: nothing is constructed, so aliases cannot expand, values keep the text they have
in the file (``00123``, ``1.10``, ``no``), and marks say where each value stands. Whether a value makes sense is for
others to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import frontmatter
import yaml
from frontmatter.default_handlers import BaseHandler
from yaml import events as ev

from dibs.store.errors import MalformedTask
from dibs.store.header import (
    CLOSING,
    MAX_FILE_BYTES,
    MAX_HEADER_CHARACTERS,
    NESTED,
    NULLS,
    OPENING,
    Entry,
    Shape,
    TaskFile,
    Value,
)

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
_STATUS_LIKE = re.compile(r"""^[ \t\r\ufeff{,"'?]*status["']?[ \t\r]*:""", re.MULTILINE)
_STATUS_LINE = re.compile(r"status\s*:")
_CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7})(?: |\r?$)", re.MULTILINE)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COLON = re.compile(r"[ \t]*:")
_BLOCK_STYLES: Final = frozenset({"|", ">"})


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


def read_by_yaml(data: bytes) -> TaskFile | None:
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
    return TaskFile(prefix, reader.header, rest, MappingProxyType(reader.entries), reader.pairs, reader.indent)


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
    return Entry(key, value, line, raw, start if colon else -1, start + len(raw), flaw)


def _event_flaw(event: ev.Event) -> str:
    if not isinstance(event, ev.NodeEvent):
        return ""
    if event.anchor is not None:
        return "uses an anchor or an alias"
    if isinstance(event, ev.ScalarEvent | ev.CollectionStartEvent) and event.tag not in (None, _STR_TAG):
        return f"has the tag {event.tag}"
    return "is a block scalar (| or >)" if isinstance(event, ev.ScalarEvent) and event.style in _BLOCK_STYLES else ""
