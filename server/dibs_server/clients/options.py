"""What an entry lacks for its agent to have the tools at once, and to be let call them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dibs.doctor.findings import Symptom
from dibs_server.clients.disabled import names
from dibs_server.clients.entries import Entry
from dibs_server.clients.places import Client
from dibs_server.clients.values import Value

NEEDED = ("claim_next_task", "complete_task")


@dataclass(frozen=True)
class Option:
    """An option of an entry, the value that it needs, how that is written, and what happens without it."""

    name: str
    value: Value
    text: str
    effect: str


OPTIONS: Mapping[Client, tuple[Option, ...]] = {
    "claude": (
        Option("alwaysLoad", True, "alwaysLoad", "the agent does not see its tools before it searches for them"),
    ),
    "gemini": (Option("trust", True, "trust", "the agent is asked before each call, and headless it has no tools"),),
    "codex": (
        Option(
            "required", True, "required",
            "the first request may go out before its tools are there, and headless that is all",
        ),
        Option(
            "default_tools_approval_mode", "approve", 'default_tools_approval_mode = "approve"',
            "the agent is asked before each call, and in `codex exec` its calls are refused",
        ),
    ),
}  # fmt: skip
FILTERS: Mapping[Client, tuple[str, str]] = {
    "gemini": ("includeTools", "excludeTools"),
    "codex": ("enabled_tools", "disabled_tools"),
}
"""The lists by which an entry gives only some tools, and by which it takes some away."""


def option_symptoms(client: Client, entry: Entry, set_up: str) -> Iterator[Symptom]:
    """What is wrong with the entry's options. ``set_up`` is the command that puts the entry right."""
    for option in OPTIONS[client]:
        if entry.written.get(option.name) != option.value:
            what = f"{entry.path}: {entry.key} has no `{option.text}`: {option.effect}"
            yield Symptom("tools", "warning", what, mend=f"add it: {set_up}")
    if client in FILTERS:
        yield from _filtered(entry, *FILTERS[client])


def _filtered(entry: Entry, only: str, without: str) -> Iterator[Symptom]:
    given, taken = entry.written.get(only), names(entry.written.get(without))
    left_out = [tool for tool in NEEDED if tool not in map(_tool, names(given))] if isinstance(given, list) else []
    for tools, mend in (
        (left_out, f"add what is missing to `{only}` of the entry"),
        ([tool for tool in NEEDED if tool in taken], f"take it off `{without}` of the entry"),
    ):
        if tools:
            what = f"{entry.path}: {entry.key} keeps {' and '.join(tools)} from its agent, which works with both"
            yield Symptom("tools", "error", what, mend=mend)


def _tool(listed: Value) -> str:
    """The tool that is listed, without the arguments that it may be restricted to."""
    return str(listed).partition("(")[0]
