"""JSON, with or without comments, edited as text: every byte that need not change stays.

A reader finds the span of each member. What is put in takes the style of its surroundings: line ends, indentation, or
all on one line. Where a key is written twice the last one counts, as for every reader of JSON.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from dibs_server.clients.values import BrokenText, Path, Value

SPACES = re.compile(r"[ \t\r\n]*")
GAP = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
REST_OF_LINE = re.compile(r"(?:[ \t]+|/\*[^\r\n]*?\*/)*//[^\r\n]*|(?:[ \t]*/\*[^\r\n]*?\*/)+(?=[ \t]*[\r\n])")
SCALAR = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"|-?\d[\d.eE+-]*|true|false|null')
INDENTED = re.compile(r"^([ \t]+)\S", re.MULTILINE)
DEFAULT_INDENT = "  "


@dataclass(frozen=True)
class Node:
    """A value and where it stands; ``items`` are the members of an object or an array."""

    start: int
    end: int
    value: Value
    items: tuple[Item, ...] = ()

    def member(self, key: str) -> int | None:
        """Which item has this key; the last, where several have."""
        return next((i for i in reversed(range(len(self.items))) if self.items[i].key == key), None)


@dataclass(frozen=True)
class Item:
    """A member of an object, or of an array (no key); it begins at ``start`` and ends with its node."""

    start: int
    key: str | None
    node: Node


class _Reader:
    def __init__(self, text: str, comments: bool) -> None:
        self.text = text
        self.gap = GAP if comments else SPACES
        self.at = 0

    def document(self) -> Node:
        self.skip()
        root = self.value()
        self.skip()
        if self.at < len(self.text):
            raise self.wrong("something follows the end of the document")
        return root

    def skip(self) -> None:
        found = self.gap.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def value(self) -> Node:
        for opening, closing in ("{}", "[]"):
            if self.taken(opening):
                return self.container(closing)
        start, found = self.at, SCALAR.match(self.text, self.at)
        if found is None:
            raise self.wrong("a value is missing")
        self.at = found.end()
        try:
            return Node(start, self.at, json.loads(found[0]))
        except ValueError as exc:
            self.at = start
            raise self.wrong(f"{found[0]} is no value") from exc

    def container(self, closing: str) -> Node:
        start, items = self.at - 1, list[Item]()
        self.skip()
        while not self.taken(closing):
            if items:
                self.expect(",")
                self.skip()
                if self.text.startswith(closing, self.at):
                    raise self.wrong(f"a comma stands before {closing}")
            items.append(self.item(keyed=closing == "}"))
            self.skip()
        listed: list[Value] = [item.node.value for item in items]
        value = {str(item.key): item.node.value for item in items} if closing == "}" else listed
        return Node(start, self.at, value, tuple(items))

    def item(self, *, keyed: bool) -> Item:
        start = self.at
        key: str | None = None
        if keyed:
            if not self.text.startswith('"', self.at):
                comment = self.text.startswith(("//", "/*"), self.at)
                raise self.wrong("the client takes no comments" if comment else "a key in double quotes is missing")
            key = str(self.value().value)
            self.skip()
            self.expect(":")
            self.skip()
        return Item(start, key, self.value())

    def taken(self, mark: str) -> bool:
        found = self.text.startswith(mark, self.at)
        self.at += len(mark) if found else 0
        return found

    def expect(self, mark: str) -> None:
        if not self.taken(mark):
            raise self.wrong(f"{mark!r} is missing")

    def wrong(self, cause: str) -> BrokenText:
        return BrokenText(cause, self.text.count("\n", 0, self.at) + 1)


@dataclass(frozen=True)
class JsonText:
    """The format; ``comments``: whether its client allows them."""

    comments: bool = False

    def parse(self, text: str) -> dict[str, Value]:
        """The document's root; an empty text is an empty object. Raises BrokenText."""
        value = self._read(text).value
        if not isinstance(value, dict):
            raise BrokenText("it is no object, in braces", 1)
        return value

    def put(self, text: str, path: Path, value: Value) -> str:
        """The text with this value at ``path``; objects on the way there are made."""
        text = text if text.strip() else "{}\n"
        parent, depth = self._nearest(text, path)
        at = parent.member(path[depth]) if depth < len(path) else None
        if at is not None:
            node = parent.items[at].node
            rendered = _rendered(text, node.start, value, multi="\n" in text[node.start : node.end])
            return text[: node.start] + rendered + text[node.end :]
        for key in reversed(path[depth + 1 :]):
            value = {key: value}
        return _with_item(text, parent, f"{_quoted(path[depth])}: ", value)

    def drop(self, text: str, path: Path) -> str:
        """The text without the member at ``path``."""
        parent = self._find(text, path[:-1])
        at = parent.member(path[-1]) if parent is not None else None
        return text if parent is None or at is None else self._without(text, parent, at)

    def _read(self, text: str) -> Node:
        if not text.strip():
            return Node(0, 0, {})
        try:
            return _Reader(text, self.comments).document()
        except RecursionError as exc:
            raise BrokenText("it is nested too deeply") from exc

    def _nearest(self, text: str, path: Path) -> tuple[Node, int]:
        """The innermost object there is on the way to ``path``'s parent, and how many keys led to it."""
        node, depth = self._read(text), 0
        while depth < len(path) - 1 and (at := node.member(path[depth])) is not None:
            node, depth = node.items[at].node, depth + 1
        if not isinstance(node.value, dict):
            raise BrokenText(f"{'.'.join(path[:depth])} is no object", text.count("\n", 0, node.start) + 1)
        return node, depth

    def _find(self, text: str, path: Path) -> Node | None:
        node = self._read(text)
        for key in path:
            at = node.member(key)
            if at is None:
                return None
            node = node.items[at].node
        return node

    def _without(self, text: str, parent: Node, at: int) -> str:
        """The text without an item, its comma, and the blank that it leaves; comments stay."""
        item, more = parent.items[at], at + 1 < len(parent.items)
        if more:
            comma = self._comma_after(text, item)
            return text[: item.start] + text[comma + 1 :].lstrip(" \t\r\n")
        before, after = text[: item.start].rstrip(), text[item.node.end :]
        if at:
            comma = self._comma_after(text, parent.items[at - 1])
            before = text[:comma] + text[comma + 1 : item.start].rstrip()
        elif not text[item.node.end : parent.end - 1].strip() and before.endswith(("{", "[")):
            after = text[parent.end - 1 :]
        return before + after

    def _comma_after(self, text: str, item: Item) -> int:
        gap = (GAP if self.comments else SPACES).match(text, item.node.end)
        return gap.end() if gap else item.node.end


def _with_item(text: str, container: Node, label: str, value: Value) -> str:
    """The text with one more item at the end of a container, written as its neighbours are."""
    newline, start, end = _newline(text), container.start, container.end
    if not container.items:
        if INDENTED.search(text) is None and len(text.strip()) > end - start:
            return text[: start + 1] + label + _rendered(text, start, value, multi=False) + text[start + 1 :]
        outer = _indent_at(text, start)
        indent = outer + _unit(text)
        before = text[: end - 1].rstrip()
        return f"{before}{newline}{indent}{label}{_render(text, indent, value)}{newline}{outer}{text[end - 1 :]}"
    last = container.items[-1]
    line_start = text.rfind("\n", 0, last.start) + 1
    indent = text[line_start : last.start]
    if indent.strip() or line_start <= start:
        rendered = _rendered(text, start, value, multi=False)
        return f"{text[: last.node.end]}, {label}{rendered}{text[last.node.end :]}"
    comment = REST_OF_LINE.match(text, last.node.end)
    at = comment.end() if comment else last.node.end
    rendered = _render(text, indent, value)
    return f"{text[: last.node.end]},{text[last.node.end : at]}{newline}{indent}{label}{rendered}{text[at:]}"


def _rendered(text: str, at: int, value: Value, *, multi: bool) -> str:
    return _render(text, _indent_at(text, at), value) if multi else json.dumps(value, ensure_ascii=False)


def _render(text: str, indent: str, value: Value) -> str:
    lines = json.dumps(value, indent=_unit(text), ensure_ascii=False)
    return lines.replace("\n", _newline(text) + indent)


def _quoted(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _unit(text: str) -> str:
    found = INDENTED.search(text)
    return found[1] if found else DEFAULT_INDENT


def _indent_at(text: str, at: int) -> str:
    """The indentation of the line of a place."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]
