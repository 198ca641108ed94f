"""One edit of a configuration, and its undoing. Each result is read again: nothing but the edit may have changed."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Protocol

from dibs_server.clients.values import BrokenText, Path, Value, table_at, value_at


class Format(Protocol):
    """How a kind of text is read and edited. All raise BrokenText."""

    def parse(self, text: str) -> dict[str, Value]: ...
    def put(self, text: str, path: Path, value: Value) -> str: ...
    def drop(self, text: str, path: Path) -> str: ...


@dataclass(frozen=True)
class Edit:
    """A value to stand at ``path``. Of a table only the keys named here are ours; others in it stay.

    ``listed``: the value is one element of the list at ``path``.
    """

    path: Path
    value: Value
    listed: bool = False

    def is_in(self, document: Mapping[str, Value]) -> bool:
        """Whether there is something of this edit in the document, of whatever value."""
        found = value_at(document, self.path)
        if self.listed:
            return isinstance(found, list) and self.value in found
        return found is not None

    def to_put(self, document: Mapping[str, Value]) -> dict[Path, Value]:
        """The values that are to be put where, in this document; none when it has the edit already."""
        found = value_at(document, self.path)
        if self.listed:
            listed = found if isinstance(found, list) else []
            return {} if self.value in listed else {self.path: [*listed, self.value]}
        if isinstance(self.value, dict) and isinstance(found, dict):
            return {(*self.path, key): value for key, value in self.value.items() if found.get(key) != value}
        return {} if found == self.value else {self.path: self.value}


def applied(form: Format, text: str, edit: Edit) -> str:
    """The text with the edit in it; the same text where it is in it already. Raises BrokenText."""
    wanted = form.parse(text)
    for path, value in edit.to_put(wanted).items():
        text = form.put(text, path, value)
        _set(wanted, path, value)
    return _checked(form, text, wanted)


def undone(form: Format, text: str, edit: Edit, before: str | None) -> str | None:
    """The text without the edit; None when nothing is left of a file that was not there before.

    ``before`` is the text as it was before the edit came into it. Where nothing else has changed since, that is the
    answer. Raises BrokenText.
    """
    document, earlier = form.parse(text), form.parse(before or "")
    if not edit.is_in(document):
        return text
    if is_as_left(form, text, edit, before):
        return before
    path = edit.path
    while len(path) > 1 and len(table_at(document, path[:-1])) == 1 and value_at(earlier, path[:-1]) is None:
        path = path[:-1]
    found = value_at(document, edit.path)
    rest = [each for each in found if each != edit.value] if edit.listed and isinstance(found, list) else []
    if rest:
        text = form.put(text, edit.path, rest)
        _set(document, edit.path, rest)
    else:
        text = form.drop(text, path)
        del _own_table(document, path[:-1])[path[-1]]
    left = _checked(form, text, document)
    return left if before is not None or left.strip(" \t\r\n{}") else None


def is_as_left(form: Format, text: str, edit: Edit, before: str | None) -> bool:
    """Whether the text is ``before`` with this edit put in, and no more; the edit's values may be others by now."""
    found = value_at(form.parse(text), edit.path)
    if edit.is_in(form.parse(before or "")):
        return False
    try:
        return applied(form, before or "", edit if edit.listed else replace(edit, value=found)) == text
    except BrokenText:
        return False


def _own_table(document: dict[str, Value], path: Path) -> dict[str, Value]:
    """The table at a path itself, to be changed; made where there is none."""
    for key in path:
        inner = document.setdefault(key, {})
        if not isinstance(inner, dict):
            raise BrokenText(f"{'.'.join(path)} is no table")
        document = inner
    return document


def _set(document: dict[str, Value], path: Path, value: Value) -> None:
    _own_table(document, path[:-1])[path[-1]] = deepcopy(value)


def _checked(form: Format, text: str, wanted: Mapping[str, Value]) -> str:
    try:
        same = form.parse(text) == wanted
    except BrokenText:
        same = False
    if not same:
        raise BrokenText("it is written in a way that cannot be edited without damage")
    return text
