"""A wave: tasks that are handed to the dispatcher at once, as a coordinator writes them down.

The keys are those of the skill ``task-dispatcher``, which agents used to follow by hand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from dibs.answers import SHORT_TEXT, Id, Request, Texts, as_objects
from dibs.store.dispatch_settings import Kind

MOST_TASKS = 500
SYNONYMS = {"targetFiles": "files", "needsReview": "needsCodexReview"}
OF_CONTEXT = "targetFiles"
NAME_CHARACTERS = 100
MOST_NESTED = 50


def _can_be_told(context: dict[str, Any]) -> dict[str, Any]:
    """The context, which goes into a file and a prompt, and so must be JSON in UTF-8."""
    layer: list[Any] = [context]
    for _ in range(MOST_NESTED):
        layer = [inner for value in layer for inner in _inside(value)]
    if layer:
        raise ValueError(f"it is nested more than {MOST_NESTED} deep; tell it as text")
    try:
        json.dumps(context, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except ValueError as exc:
        raise ValueError(f"it cannot be written down as JSON in UTF-8 ({exc})") from exc
    return context


def _inside(value: object) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


Context = Annotated[
    dict[str, Any],
    AfterValidator(_can_be_told),
    Field(description="What its agent is told: description, instructions, …"),
]


class WaveTask(Request):
    """One task of a wave; what is left out of it is as its task file and the settings say."""

    taskId: Id
    title: Annotated[str, Field(max_length=SHORT_TEXT)] = ""
    context: Context = {}
    agent: Annotated[str, Field(max_length=NAME_CHARACTERS, description="Such as claude.")] = ""
    model: Annotated[str, Field(max_length=NAME_CHARACTERS, description="Such as opus.")] = ""
    kind: Annotated[Literal[Kind, ""], Field(description="Each has its limit.")] = ""
    files: Annotated[Texts, Field(description="It will change these.")] = []
    dependsOn: Annotated[Texts, Field(description="Ids that must be done first.")] = []
    needsCodexReview: bool = False
    timeoutSeconds: Annotated[float, Field(ge=1, le=604_800)] = 0

    @model_validator(mode="before")
    @classmethod
    def _one_name_each(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        for synonym, name in SYNONYMS.items():
            if synonym in given and name in given:
                raise ValueError(f"{synonym} is another name of {name}; give one of them")
        return {SYNONYMS.get(str(name), name): value for name, value in given.items()}

    @property
    def key(self) -> str:
        return self.taskId.casefold()

    @property
    def all_files(self) -> tuple[str, ...]:
        """Its files; where it names none itself, those of its context."""
        named = self.context.get(OF_CONTEXT)
        if self.files or not isinstance(named, list):
            return tuple(self.files)
        return tuple(file for file in named if isinstance(file, str))

    def told(self, key: str) -> str:
        """A text of its context, "" where there is none."""
        text = self.context.get(key)
        return text.strip() if isinstance(text, str) else ""


class Wave(Request):
    """Tasks that one dispatcher starts agents for; at most ``maxParallel`` at once (0: as the settings say)."""

    wave: Annotated[int, Field(ge=0, le=1_000_000_000, description="Its number.")] = 0
    tasks: Annotated[
        list[WaveTask],
        BeforeValidator(as_objects),
        Field(min_length=1, max_length=MOST_TASKS, description="Its tasks."),
    ]
    maxParallel: Annotated[int, Field(ge=1, le=100, description="So many agents at once.")] = 0

    @property
    def run_id(self) -> str:
        """The same for the same wave, whoever runs it: two dispatchers of one wave find each other by it."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return "wave-" + hashlib.sha256(content.encode()).hexdigest()[:12]
