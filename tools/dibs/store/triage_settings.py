"""The settings of triage: what tells that a task is done, how hard it is, whom it goes to, and its project's page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from dibs.store.phrases import compile_phrase
from dibs.store.section import Section

Complexity = Literal["mechanical", "requires-judgment", "multi-step", "needs-decomposition", "blocked-human"]
MAX_NAME_CHARACTERS = 64
NOT_IN_LINKS = re.compile(r"[\[\]|#^`]")
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Signs = Mapping[Complexity, tuple[Text, ...]]

NONE: Signs = dict.fromkeys(get_args(Complexity), ())
TAGS: Signs = {
    **NONE,
    "mechanical": ("mechanical", "automatable", "bot", "chore", "typo", "formatting", "lint"),
    "requires-judgment": ("requires-judgment", "judgment", "decision", "design", "research", "question", "discussion"),
    "multi-step": ("multi-step",),
    "needs-decomposition": ("needs-decomposition", "decompose", "too-big"),
    "blocked-human": ("blocked-human", "human", "needs-human", "human-only"),
}
# blocked-human and needs-decomposition keep a task from being handed out: no mere turn of phrase says so
BEGINNINGS: Signs = {
    **NONE,
    "mechanical": (
        "rename", "bump", "typo", "typos", "fix typo", "fix typos", "fix a typo", "fix spelling", "fix lint*",
        "reformat", "regenerate",
        "remove dead", "remove unused", "delete unused",
    ),
    "requires-judgment": (
        "decide", "choose", "evaluate", "assess", "review", "approve", "investigate", "research", "explore",
        "discuss", "propose", "figure out", "should we", "respond to", "reply to",
    ),
    "multi-step": ("migrate", "modernize", "overhaul", "redesign", "refactor", "rewrite"),
}  # fmt: skip
PHRASES: Signs = {
    **NONE,
    "requires-judgment": (
        "needs clarification", "needs a decision", "requires judgment", "requires human", "underspecified",
    ),
}  # fmt: skip


class Triage(Section):
    """What `dibs triage` goes by. In tags, beginnings and phrases ``*`` stands for any part of a word."""

    closed_headings: tuple[Text, ...] = Field(
        ("Close Reason", "Closed"), description="Headings in a body that say that the task is done."
    )
    closed_keys: tuple[Text, ...] = Field(
        ("close_reason",), description="Keys in a header that say so, when they have a value."
    )
    tags: Signs = Field(TAGS, description="Tags of each complexity; a complexity left out keeps its defaults.")
    beginnings: Signs = Field(
        BEGINNINGS, description="What titles of each complexity begin with, at the front or behind a colon."
    )
    phrases: Signs = Field(
        PHRASES, description="What stands anywhere in a title or body of each complexity; code does not count."
    )
    judgment_assignee: str = Field(
        "", description="Whom to assign what needs a person's judgment or hands; empty: nobody."
    )
    automatable_assignee: str = Field(
        "bot", description="Whom to assign mechanical and multi-step tasks; empty: nobody."
    )
    wikilinks: bool = Field(True, description="Add a link to the project's page to bodies that have none.")
    pages: Mapping[str, str] = Field({}, description="Projects whose page has another name than the project.")

    @field_validator("tags", "beginnings", "phrases")
    @classmethod
    def _complete_and_readable(cls, given: Signs, info: ValidationInfo) -> Signs:
        for phrase in (phrase for phrases in given.values() for phrase in phrases):
            compile_phrase(phrase)
        defaults = cls.model_fields[str(info.field_name)].default
        return {word: given.get(word, defaults[word]) for word in get_args(Complexity)}

    @field_validator("judgment_assignee", "automatable_assignee")
    @classmethod
    def _one_name(cls, given: str) -> str:
        name = given.strip()
        if len(name) > MAX_NAME_CHARACTERS or not name.isprintable() or "," in name:
            raise ValueError(
                f"{given[:MAX_NAME_CHARACTERS]!r} is not one name of at most {MAX_NAME_CHARACTERS} characters"
            )
        return name

    @field_validator("pages")
    @classmethod
    def _names_of_pages(cls, given: Mapping[str, str]) -> Mapping[str, str]:
        for project, page in given.items():
            if not can_be_linked(page):
                raise ValueError(f"{page!r}, the page of {project!r}, cannot stand in a link")
        return given

    def page_of(self, project: str) -> str:
        """The page of a project: its own name, unless ``pages`` has another; "" when no link can be made of that."""
        pages = {name.casefold(): page.strip() for name, page in self.pages.items()}
        page = pages.get(project.casefold(), project)
        return page if can_be_linked(page) else ""


def can_be_linked(page: str) -> bool:
    return bool(page.strip()) and page.isprintable() and not NOT_IN_LINKS.search(page)
