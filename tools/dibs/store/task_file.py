"""Task files: what their headers say, and how to change only the bytes that must change.

A task file is ``---``, a YAML mapping with a ``status``, ``---``, and a body that belongs to the user. Bytes come in
and bytes go out; nothing here touches the disk. Comments, key order, quoting, line ends, a byte order mark and a
missing final newline survive every edit; an edit that would change the meaning of any other key is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from dibs.store.errors import MalformedTask
from dibs.store.header import Change, Entry, Raw, TaskFile
from dibs.store.quick_header import Uncommon, read_quickly

_SAFE_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./@+-]*(?: [A-Za-z0-9_./@+-]+)*")
_YAML_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
# JSON leaves these as they are; YAML refuses them, or reads them as line breaks.
_TO_ESCAPE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def read_task_file(data: bytes) -> TaskFile | None:
    """The task in ``data``, or None when it is a note: it has no header, or its header no ``status``.

    Raises:
        MalformedTask: it looks like a task and cannot be read.
    """
    try:
        return read_quickly(data)
    except Uncommon:
        from dibs.store.yaml_header import read_by_yaml  # YAML takes a while to import, and is seldom needed

        return read_by_yaml(data)


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


def flow_list(items: Sequence[str]) -> Raw:
    """A list of texts on one line, as a value to put into a header."""
    return Raw(f" [{', '.join(_scalar(item, '') for item in items)}]")


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
