"""A result as text. Clients give the model either the text or the data, never both, so the text is as complete."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def as_text(answer: Mapping[str, Any]) -> str:
    """The message, one ``key: value`` a line, the task's body last. What is null, empty or all zeros is left out."""
    lines = [str(answer["message"])] if answer.get("message") else []
    lines += _lines(answer, skip=("message", "task"))
    task = answer.get("task")
    if task:
        lines += ["task:", *(f"  {line}" for line in _lines(task, skip=("body",)))]
        if task.get("body"):
            lines += ["", "body:", task["body"]]
    return "\n".join(lines)


def error_text(error: Mapping[str, Any]) -> str:
    """An error as text: code, message, and those facts that the message does not have."""
    told = str(error["message"])
    facts = {key: value for key, value in error.items() if key not in ("code", "message") and not _is_told(value, told)}
    return "\n".join([f"{error['code']}: {told}", *_lines(facts)])


def _is_told(value: object, text: str) -> bool:
    return all(str(item) in text for item in (value if isinstance(value, list) else [value]))


def _lines(values: Mapping[str, Any], skip: tuple[str, ...] = ()) -> Iterator[str]:
    for key, value in values.items():
        nothing = not any(value.values()) if isinstance(value, dict) else value in (None, "", [])
        if key not in skip and not nothing:
            yield f"{key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
