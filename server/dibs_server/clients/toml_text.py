"""TOML edited as text: every byte that need not change stays.

What is valid is the standard library's to say; here only the places of headers and keys are found. A new table goes to
the end of the file, where it means the same whatever stands before it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

from dibs_server.clients.values import BrokenText, Path, Value

TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")|\'\'\'.*?\'{3,5}(?!\')|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|\n|[\[{]|[\]}]|\s|.',
    re.DOTALL,
)
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
LINE = re.compile(r"at line (\d+)")
REST_OF_LINE = re.compile(r"[^\r\n]*")


@dataclass(frozen=True)
class _Statement:
    """A header or a key with its value, without what follows on its line. ``path`` is as written there."""

    start: int
    end: int
    path: Path
    header: bool


@dataclass(frozen=True)
class _Table:
    path: Path
    statements: tuple[_Statement, ...]


@dataclass(frozen=True)
class TomlText:
    """The format."""

    def parse(self, text: str) -> dict[str, Value]:
        """The document. Raises BrokenText."""
        try:
            return tomllib.loads(text.replace("\r\n", "\n"))
        except tomllib.TOMLDecodeError as exc:
            line = LINE.search(str(exc))
            raise BrokenText(str(exc).partition(" (at")[0], int(line[1]) if line else None) from exc
        except RecursionError as exc:
            raise BrokenText("it is nested too deeply") from exc
        except ValueError as exc:
            raise BrokenText("it has a number that is too long") from exc

    def put(self, text: str, path: Path, value: Value) -> str:
        """The text with this value at ``path``: a table at the end of the text, anything else in its table."""
        newline = "\r\n" if "\r\n" in text else "\n"
        if isinstance(value, dict):
            lines = [f"[{_keys(path)}]", *(f"{_keys((key,))} = {_rendered(each)}" for key, each in value.items())]
            gap = "" if not text else newline if text.endswith("\n") else newline * 2
            return text + gap + newline.join(lines) + (newline if not gap or text.endswith("\n") else "")
        line = f"{_keys(path[-1:])} = {_rendered(value)}"
        table = self._table(text, path[:-1])
        for statement in table.statements:
            if not statement.header and statement.path == path[-1:]:
                return text[: statement.start] + line + text[statement.end :]
        at = _line_end(text, table.statements[-1].end)
        return f"{text[:at]}{newline}{line}{text[at:]}"

    def drop(self, text: str, path: Path) -> str:
        """The text without the table at ``path``, the tables in it, and the blank line above each."""
        tables = [table for table in _tables(text) if table.path[: len(path)] == path]
        if not tables:
            raise _not_a_table(path)
        for table in reversed(tables):
            text = _without(text, table)
        return text

    def _table(self, text: str, path: Path) -> _Table:
        for table in _tables(text):
            if table.path == path:
                return table
        raise _not_a_table(path)


def _not_a_table(path: Path) -> BrokenText:
    return BrokenText(f"{_keys(path)} is not written as a table of its own, [{_keys(path)}]")


def _tables(text: str) -> Iterator[_Table]:
    path: Path = ()
    statements: list[_Statement] = []
    for statement in _statements(text):
        if statement.header:
            yield _Table(path, tuple(statements))
            path, statements = statement.path, []
        statements.append(statement)
    yield _Table(path, tuple(statements))


def _statements(text: str) -> Iterator[_Statement]:
    """The statements of a valid document, in order."""
    start, end, depth = -1, -1, 0
    for token in TOKEN.finditer(text + "\n"):
        if token[0] == "\n" and depth == 0 and start >= 0:
            yield _statement(text, start, end)
            start = -1
        if token[0].isspace() or token[0].startswith("#"):
            continue
        depth += (token[0] in "[{") - (token[0] in "]}")
        start = token.start() if start < 0 else start
        end = token.end()


def _statement(text: str, start: int, end: int) -> _Statement:
    found: object = tomllib.loads(text[start:end].replace("\r\n", "\n"))
    header, path = text[start] == "[", list[str]()
    while isinstance(found, dict) and found and (header or not path):
        path.append(next(iter(found)))
        found = found[path[-1]]
    return _Statement(start, end, tuple(path), header)


def _without(text: str, table: _Table) -> str:
    start = text.rfind("\n", 0, table.statements[0].start) + 1
    end = _line_end(text, table.statements[-1].end)
    before, after = text[:start], text[end:].removeprefix("\r").removeprefix("\n")
    if not after.strip() or after.startswith(("\n", "\r\n")):
        before = re.sub(r"(?<=\n)\r?\n\Z", "", before)
    return before + after


def _line_end(text: str, at: int) -> int:
    found = REST_OF_LINE.match(text, at)
    return found.end() if found else at


def _keys(path: Path) -> str:
    return ".".join(key if BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False) for key in path)


def _rendered(value: Value) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_rendered(each) for each in value)}]"
    return json.dumps(value, ensure_ascii=False)
