"""Task files as the judge reads them: bytes, and what docs/task-file.md says of them. Nothing of Dibs is used here.

A file of the race is whole when its header is closed, the last line of its body is there, and after that stand only
sections that Dibs appends, each complete to its last word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

WRITTEN_KEYS = (b"status", b"assignee", b"claim", b"attempts", b"completed_at", b"outcome", b"commit")
LAST_LINE = b"That is all there is to say about "
REPORT = rb"Report \d+ of \S+ on \S+, to its last word\."
SECTIONS = {
    b"Attempt": re.compile(
        rb"(?P<who>\S+) claimed this task(?: at \S+)? and was not heard of again; the lease passed at \S+\. "
        rb"Put back at \S+\. Work of that attempt may be in the repository: look before you begin\."
    ),
    b"Completion": re.compile(rb"\*\*By:\*\* (?P<who>\S+), [^\n]+\n\n(?P<report>" + REPORT + rb")"),
    b"Blocked": re.compile(rb"\*\*By:\*\* (?P<who>\S+), \S+\n\n\*\*Reason \(\w+\):\*\* (?P<report>" + REPORT + rb")"),
    b"Note": re.compile(rb"\*\*By:\*\* (?P<who>\S+), \S+\n\n(?P<report>" + REPORT + rb")"),
}
_KEY = re.compile(rb"([A-Za-z_]+):")
_COMMENT = re.compile(rb"\s+#.*$")
_VALUE = re.compile(rb"^[A-Za-z_]+:\s*(.*?)\s*(?:\s#.*)?$")


class Torn(Exception):
    """A file is not whole; the message says what is missing."""


@dataclass(frozen=True)
class Section:
    """What Dibs appended: about whom, with which report ("" in a note about a lost attempt)."""

    title: str
    who: str
    report: str


@dataclass(frozen=True)
class Content:
    """A whole file. ``theirs`` is all that belongs to people: it must come through every write as it was."""

    theirs: tuple[bytes, ...]
    values: dict[str, str]
    sections: tuple[Section, ...]

    @property
    def status(self) -> str:
        return self.values.get("status", "")

    def count(self, title: str) -> int:
        return sum(section.title == title for section in self.sections)


def read(data: bytes) -> Content:
    """Read a whole file. Raises Torn."""
    newline = b"\r\n" if data.partition(b"\n")[0].endswith(b"\r") else b"\n"
    if newline == b"\r\n" and re.search(rb"(?<!\r)\n", data):
        raise Torn("it has line ends of two kinds")
    lines = data.removeprefix(b"\xef\xbb\xbf").split(newline)
    if lines[0] != b"---" or b"---" not in lines[1:]:
        raise Torn("its header is not whole")
    end = lines.index(b"---", 1)
    last = next((number for number, line in enumerate(lines) if line.startswith(LAST_LINE)), None)
    if last is None or last < end:
        raise Torn("the end of its body is missing")
    kept, values = _header(lines[1:end])
    mark = data[: len(data) - len(data.removeprefix(b"\xef\xbb\xbf"))]
    theirs = (mark, newline, *kept, b"---", *lines[end + 1 : last + 1])
    return Content(theirs, values, _sections(b"\n".join(lines[last + 1 :]), last + 1 < len(lines)))


def _header(lines: list[bytes]) -> tuple[list[bytes], dict[str, str]]:
    """The lines of a header that are not Dibs' to write, and the values of those that are. Of these a comment stays."""
    kept: list[bytes] = []
    values: dict[str, str] = {}
    written = False
    for line in lines:
        key = _KEY.match(line)
        if key is None:
            continues = line[:1] in (b" ", b"-")
            if not (continues and written):
                kept.append(line)
            written = written and continues
            continue
        written = key[1] in WRITTEN_KEYS
        if not written:
            kept.append(line)
            continue
        value = _VALUE.match(line)
        values[key[1].decode()] = (value[1] if value else b"").strip(b"'\"").decode("utf-8", "replace")
        if comment := _COMMENT.search(line):
            kept.append(key[1] + comment[0])
    return kept, values


def _sections(tail: bytes, follows: bool) -> tuple[Section, ...]:
    """The sections after the last line of the body; ``follows``: that line is ended."""
    if not follows or tail == b"":
        return ()
    if not tail.startswith(b"\n## ") or not tail.endswith(b"\n"):
        raise Torn("something stands after its body that is no whole section")
    found = []
    for piece in tail.removeprefix(b"\n## ").removesuffix(b"\n").split(b"\n\n## "):
        title, _, text = piece.partition(b"\n\n")
        word = title.partition(b" ")[0]
        match = SECTIONS[word].fullmatch(text) if word in SECTIONS else None
        if match is None:
            raise Torn(f"its section {title.decode('utf-8', 'replace')!r} is not whole, or not of this race")
        facts = {name: value.decode() for name, value in match.groupdict().items()}
        found.append(Section(word.decode(), facts["who"], facts.get("report", "")))
    return tuple(found)
