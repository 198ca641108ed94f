"""A new task file, as bytes: a header with the keys that are given, a heading, and what is to be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dibs.store.header import Change, Raw, TaskFile
from dibs.store.task_file import edit_header, flow_list, read_task_file

EMPTY = b"---\nid: x\ntitle: x\nstatus: active\n---\n"


def new_task_file(title: str, body: str, keys: Mapping[str, str | int | Sequence[str]]) -> TaskFile:
    """The file. ``keys`` go in in their order, empty texts and lists left out; numbers and lists as such."""
    title = " ".join(title.split())
    changes: dict[str, Change] = {"title": title}
    for key, value in keys.items():
        if isinstance(value, str):
            changes |= {key: value.strip()} if value.strip() else {}
        elif isinstance(value, int):
            changes[key] = Raw(f" {value}")
        elif value:
            changes[key] = flow_list(value)
    empty = read_task_file(EMPTY)
    assert empty is not None
    file = edit_header(empty, changes)
    text = f"\n# {title}\n" + (f"\n{body.strip()}\n" if body.strip() else "")
    done = read_task_file(file.data + text.encode("utf-8", "replace"))
    assert done is not None
    return done
