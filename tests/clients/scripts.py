"""The words in which a scripted model is written, the same for every client.

A script is a generator function. It gets the conversation's first turn, yields what the model says to it (a ``Call``,
several of them, or nothing but text), gets the next turn in return, and ends by returning its last words::

    def work(turn: Turn) -> Said:
        turn = yield Call("claim_next_task", caller="bob")
        id, token = turn.result.fact("id"), turn.result.fact("claim_token")
        turn = yield Call("complete_task", id=id, claim_token=token, summary="Did it.")
        return "All done."

Every conversation (a client's own one, and each of its subagents') runs the script anew; ``turn.prompt`` tells them
apart. An assertion that fails in a script fails the test. A client that asks on after a script's end fails it as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, init=False)
class Call:
    """A tool call. The tool is found among the declared ones by how its name ends."""

    tool: str
    arguments: Mapping[str, Any]

    def __init__(self, tool: str, /, **arguments: Any) -> None:
        object.__setattr__(self, "tool", tool)
        object.__setattr__(self, "arguments", arguments)


@dataclass(frozen=True)
class Result:
    """What the model reads after one of its calls: ``text`` is all of it."""

    tool: str
    text: str

    def fact(self, name: str) -> str:
        """A value by its name, from the answer or its task, whether the client gave it as JSON or as lines of text."""
        try:
            answer = json.loads(self.text)
        except ValueError:
            found = re.search(rf"^ *{name}: (.*)$", self.text, re.MULTILINE)
            assert found, f"the model reads no {name!r} in {self.text!r}"
            return found[1]
        value = answer[name] if name in answer else answer["task"][name]
        return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class Turn:
    """What a client asks the model: the tools it declares, what the last calls gave, and all that the model reads."""

    prompt: str
    tools: Mapping[str, Mapping[str, Any]]
    results: tuple[Result, ...]
    text: str

    @property
    def result(self) -> Result:
        """The result of the one call before this turn."""
        (result,) = self.results
        return result

    def full_name(self, tool: str) -> str:
        """The name under which the client declares a tool; a name that is not declared stays as it is."""
        names = [name for name in self.tools if name == tool or name.endswith(f"_{tool}")]
        assert len(names) <= 1, f"{tool!r} could be any of {names}"
        return names[0] if names else tool


Reply: TypeAlias = str | Call | Sequence[Call]
Said: TypeAlias = Generator[Reply, Turn, str]
Script: TypeAlias = Callable[[Turn], Said]
