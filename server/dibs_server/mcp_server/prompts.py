"""The prompts a person picks in the client: the worker's rules, for one task or until the list is empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcp import MCPError, types

from dibs.arguments import told_name
from dibs.worker_prompt import ONE, UNTIL_EMPTY, narrowed, worker_prompt

FILTERS = {
    "batch": "Only tasks of this batch.",
    "project": "Only tasks of this project.",
    "complexity": "Only tasks of this complexity: mechanical, requires-judgment or multi-step.",
    "tags": "Only tasks with this tag.",
}


@dataclass(frozen=True)
class _Prompt:
    name: str
    title: str
    description: str
    request: str
    arguments: Mapping[str, str]


PROMPTS = (
    _Prompt("work_one_task", "Work one task", "Claim one task, do it and finish it.", ONE,
            {"id": "This task; else the next one.", **FILTERS}),
    _Prompt("work_until_empty", "Work until empty", "Do one task after the other until none is left to claim.",
            UNTIL_EMPTY, FILTERS),
)  # fmt: skip


def listed_prompts() -> types.ListPromptsResult:
    return types.ListPromptsResult(prompts=[_described(prompt) for prompt in PROMPTS])


def _described(prompt: _Prompt) -> types.Prompt:
    arguments = [
        types.PromptArgument(name=name, description=told, required=False) for name, told in prompt.arguments.items()
    ]
    return types.Prompt(name=prompt.name, title=prompt.title, description=prompt.description, arguments=arguments)


def filled_prompt(name: str, given: Mapping[str, str]) -> types.GetPromptResult:
    """The prompt as one user message.

    Raises:
        MCPError: there is no such prompt, or it has no such argument.
    """
    prompt = next((prompt for prompt in PROMPTS if prompt.name == name), None)
    if prompt is None:
        known = ", ".join(prompt.name for prompt in PROMPTS)
        raise MCPError(types.INVALID_PARAMS, f"there is no prompt {told_name(name)}; there are {known}")
    foreign = sorted(set(given) - set(prompt.arguments))
    if foreign:
        known = ", ".join(prompt.arguments)
        raise MCPError(types.INVALID_PARAMS, f"prompt {name} has no argument {told_name(foreign[0])}; it has {known}")
    text = worker_prompt(narrowed(prompt.request, **given))
    message = types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
    return types.GetPromptResult(description=prompt.description, messages=[message])
