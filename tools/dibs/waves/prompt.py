"""What an agent is told that is started for one task: the worker's rules, then the task and nothing of the rest. Pure.

It gets neither the wave nor its other tasks. What is cut is marked, so that nobody takes a part for the whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dibs.worker_prompt import worker_prompt

TRUNCATED = "[TRUNCATED]"
DESCRIPTION_CHARACTERS, INSTRUCTIONS_CHARACTERS, SUMMARY_CHARACTERS, OTHER_CHARACTERS = 500, 2000, 500, 2000
SUMMARIES = 20
ELSEWHERE = ("targetFiles", "dependencyOutputs")
"""What of a context is told in another place."""


def agent_prompt(
    task_id: str, title: str, context: Mapping[str, Any], files: Sequence[str], done: Mapping[str, str]
) -> str:
    """The whole prompt. ``done`` has the summaries of the tasks this one depends on, by their ids."""
    request = f"Claim with `id={task_id}`: that task is yours already. Do and finish it, then stop; take no other."
    parts = [worker_prompt(request), f"# Your task: {task_id}: {title}"]
    parts += _section("Description", cut(_text(context.get("description")), DESCRIPTION_CHARACTERS))
    parts += _section("Instructions", cut(_text(context.get("instructions")), INSTRUCTIONS_CHARACTERS))
    parts += _section("Files you may change", "\n".join(f"- {file}" for file in files))
    told = {**_outputs(context.get("dependencyOutputs")), **done}
    summaries = [f"- {name}: {cut(text, SUMMARY_CHARACTERS)}" for name, text in list(told.items())[:SUMMARIES] if text]
    parts += _section("Done before, by others", "\n".join(summaries))
    for key, value in context.items():
        if key not in ("description", "instructions", *ELSEWHERE):
            parts += _section(key, cut(_text(value), OTHER_CHARACTERS))
    return "\n\n".join(parts) + "\n"


def context_body(context: Mapping[str, Any]) -> str:
    """A context as the body of a task file that is made for it."""
    parts = [_text(context.get("description")), _text(context.get("instructions"))]
    for key, value in context.items():
        if key not in ("description", "instructions", *ELSEWHERE):
            parts += _section(key, _text(value))
    return "\n\n".join(part for part in parts if part)


def cut(text: str, most: int) -> str:
    """The text, as far as it may go, with a mark where it was cut."""
    return text if len(text) <= most else f"{text[: most - len(TRUNCATED) - 1].rstrip()} {TRUNCATED}"


def _section(heading: str, text: str) -> list[str]:
    return [f"## {heading}", text] if text else []


def _text(value: object) -> str:
    if value is None or value == "":
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)


def _outputs(value: object) -> dict[str, str]:
    """The summaries of `dependencyOutputs`: objects with a task's id and what came of it; or texts, by ids or bare."""
    if isinstance(value, Mapping):
        return {str(name): _text(text) for name, text in value.items()}
    found: dict[str, str] = {}
    for number, item in enumerate(value if isinstance(value, list) else [value]):
        if isinstance(item, Mapping):
            found[str(item.get("taskId") or item.get("task_id") or number + 1)] = _text(item.get("summary") or item)
        else:
            found[str(number + 1)] = _text(item)
    return found
