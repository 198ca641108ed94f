"""The rules of triage: what is proposed for which text, and that they never have anything to add to their own work."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from dibs.store.header import TaskFile
from dibs.store.settings import STATUS_WORDS, Settings
from dibs.store.task import make_task
from dibs.store.task_file import read_task_file
from dibs.triage.rules import Proposal, propose, triaged

CLASSES = ["mechanical", "requires-judgment", "multi-step", "needs-decomposition", "blocked-human"]


def read(text: str) -> TaskFile:
    file = read_task_file(text.encode())
    assert file is not None
    return file


def proposed(header: str, body: str = "", *, activate: bool = False, **triage: Any) -> tuple[Proposal, ...]:
    settings = Settings.model_validate({"triage": triage})
    file = read(f"---\n{header}\n---\n{body}")
    return propose(make_task(file, "t-1.md", settings), file, settings, activate=activate)


def short(proposals: tuple[Proposal, ...]) -> dict[str, str]:
    return {one.field: one.new for one in proposals}


# closure


@pytest.mark.parametrize(
    "body",
    [
        "## Close Reason\n\nNot needed.\n", "text\n\n## Closed\n", "### close  reason:\n", "## Closed",
        "  ## CLOSED ##\r\n", "```\ncode\n```\n## Closed\n", "- [ ] item\n\n## Closed\n",
    ],
)  # fmt: skip
def test_a_heading_that_says_so_closes_a_task(body: str) -> None:
    (one,) = proposed("status: To Do", body)
    assert (one.field, one.old, one.new) == ("status", "To Do", "done")
    assert "heading" in one.why


@pytest.mark.parametrize(
    "body",
    [
        "```\n## Closed\n```\n", "<!--\n## Close Reason\n-->\n", "    ## Closed\n", "# Closed\n", "## Closed doors\n",
        "##Closed\n", "> ## Closed\n", "Closed\n", "## Not Closed\n", "~~~\n## Closed\n",
    ],
)  # fmt: skip
def test_what_is_no_such_heading_closes_nothing(body: str) -> None:
    assert proposed("status: active", body) == ()


def test_a_close_reason_in_the_header_closes_a_task_and_an_empty_one_does_not() -> None:
    (one,) = proposed("status: blocked\nclose_reason: duplicate")
    assert (one.new, one.why) == ("done", "its header has `close_reason`")
    for nothing in ("close_reason:", "close_reason: ''", "close_reason: []", "close_reason: ~"):
        assert proposed(f"status: active\n{nothing}") == ()


def test_a_closed_task_is_linked_and_not_classified() -> None:
    found = short(proposed("status: inbox\nproject: aops\ntags: [chore]", "## Closed\n", activate=True))
    assert found == {"status": "done", "body": "Project: [[aops]]"}


@pytest.mark.parametrize("heading", ["## Closed 2026-01-22", "## Closed: 2026-01-22 by nic", "## Closed (2026-01-22)"])
def test_a_heading_with_a_date_says_when_it_was_completed(heading: str) -> None:
    assert short(proposed("status: active", heading)) == {"status": "done", "completed_at": "2026-01-22"}
    assert short(proposed("status: active\ncompleted_at: 2025-12-24", heading)) == {"status": "done"}


@pytest.mark.parametrize("status", ["done", "Completed", "cancelled", "failed", "in_progress"])
def test_what_has_ended_or_is_in_progress_is_left_as_it_is(status: str) -> None:
    assert proposed(f"status: {status}\nproject: aops\ntags: [chore]", "## Closed\n", activate=True) == ()


# complexity and assignee


@pytest.mark.parametrize(
    ("header", "complexity", "why"),
    [
        ("tags: [ui, Chore]", "mechanical", "tag chore"),
        ("labels: [human]", "blocked-human", "tag human"),
        ("tags: [chore, human]", "blocked-human", "tag human"),
        ("tags: [too-big]", "needs-decomposition", "tag too-big"),
        ("tags: [mechanical]\ntitle: Review it", "mechanical", "tag mechanical"),
        ("title: Rename the file", "mechanical", "its title begins with 'rename'"),
        ("title: 'docs: fix typos'", "mechanical", "its title begins with 'fix typos'"),
        ("title: Decide on a name", "requires-judgment", "its title begins with 'decide'"),
        ("title: 'UI: Should we?'", "requires-judgment", "its title begins with 'should we'"),
        ("title: Migrate the index", "multi-step", "its title begins with 'migrate'"),
    ],
)
def test_tags_and_titles_tell_the_complexity(header: str, complexity: str, why: str) -> None:
    one = proposed(f"status: active\n{header}")[0]
    assert (one.field, one.old, one.new, one.why) == ("complexity", "", complexity, why)


def test_a_phrase_in_the_text_tells_it_when_nothing_before_did() -> None:
    (one,) = proposed("status: active\ntitle: Colours", "This needs\nclarification first.\n")
    assert (one.new, one.why) == ("requires-judgment", "its text has 'needs clarification'")
    assert short(proposed("status: active\ntags: [chore]", "needs clarification"))["complexity"] == "mechanical"
    assert proposed("status: active", "```\nneeds clarification\n```\nand `needs clarification`\n") == ()


@pytest.mark.parametrize(
    "title", ["Add a decision list command", "Fix review rounds", "Typography", "Human-first recovery", "Renamed files"]
)
def test_a_word_in_the_middle_of_a_title_tells_nothing(title: str) -> None:
    assert proposed(f"status: active\ntitle: {title}", "Review the design, decide, rename, migrate.\n") == ()


def test_only_tags_keep_a_task_from_being_handed_out_by_default() -> None:
    for signs in (Settings().triage.beginnings, Settings().triage.phrases):
        assert signs["blocked-human"] == signs["needs-decomposition"] == ()


def test_automatable_tasks_go_to_the_bot_and_the_others_to_whom_is_named() -> None:
    for word in CLASSES:
        header = f"status: active\ntags: [{word}]"
        automatable = word in ("mechanical", "multi-step")
        assert short(proposed(header)) == {"complexity": word} | ({"assignee": "bot"} if automatable else {})
        named = short(proposed(header, judgment_assignee="nic", automatable_assignee=""))
        assert named == {"complexity": word} | ({} if automatable else {"assignee": "nic"})


@pytest.mark.parametrize("word", [*CLASSES, "hard"])
def test_what_the_file_says_is_never_overwritten(word: str) -> None:
    header = f"status: active\ncomplexity: {word}\nassignee: ['@codex']\ntags: [chore, human]"
    assert proposed(header, judgment_assignee="nic") == ()


def test_a_complexity_that_a_person_wrote_says_whom_it_goes_to() -> None:
    assert short(proposed("status: active\ncomplexity: requires_judgment", judgment_assignee="nic")) == {
        "assignee": "nic"
    }
    assert short(proposed("status: active\ncomplexity: mechanical\nassignee: []")) == {"assignee": "bot"}
    assert proposed("status: active\ncomplexity: hard", judgment_assignee="nic") == ()


@pytest.mark.parametrize("kind", ["epic", "Project", "goal", "learn"])
def test_what_is_never_claimed_is_closed_and_linked_but_not_classified(kind: str) -> None:
    header = f"status: active\ntype: {kind}\nproject: aops\ntags: [chore]"
    assert short(proposed(header)) == {"body": "Project: [[aops]]"}
    assert short(proposed(header, "## Closed"))["status"] == "done"


def test_only_on_request_the_inbox_becomes_active() -> None:
    assert proposed("status: inbox") == ()
    (one,) = proposed("status: Inbox", activate=True)
    assert (one.field, one.old, one.new) == ("status", "Inbox", "active")
    for status in ("on_hold", "blocked", "review", "active"):
        assert proposed(f"status: {status}", activate=True) == ()


# links


@pytest.mark.parametrize(
    "body",
    [
        "see [[aops]]\n", "# T [[aops]]\n", "[[AOPS|the project]]", "[[aops#now]]", "![[aops]]", "[[areas/aops]]",
        "a\n\n- [[ aops ]]\n", "```\nx\n```\n\n[[aops]]",
    ],
)  # fmt: skip
def test_a_link_that_is_there_anywhere_is_not_added_again(body: str) -> None:
    assert proposed("status: active\nproject: aops", body) == ()


@pytest.mark.parametrize(
    "body", ["", "[[aops-2]]", "[aops](aops.md)", "[[aops", "```\n[[aops]]\n```\n", "`[[aops]]`", "<!--\n[[aops]]\n-->"]
)
def test_what_is_no_link_to_the_project_does_not_count(body: str) -> None:
    assert short(proposed("status: active\nproject: aops", body)) == {"body": "Project: [[aops]]"}


def test_a_project_may_have_a_page_of_another_name() -> None:
    pages = {"AOPS": "academicOps"}
    header = "status: active\nproject: aops"
    assert short(proposed(header, pages=pages)) == {"body": "Project: [[academicOps]]"}
    for link in ("[[academicops]]", "[[aops]]"):
        assert proposed(header, link, pages=pages) == ()


@pytest.mark.parametrize("project", ["''", "'a]]b'", "'a|b'", "'a#b'", "'a`b`c'", "'[x'"])
def test_a_project_that_cannot_stand_in_a_link_gets_none(project: str) -> None:
    assert proposed(f"status: active\nproject: {project}") == ()


def test_links_can_be_turned_off() -> None:
    assert proposed("status: active\nproject: aops", wikilinks=False) == ()


# what is made of it


def test_only_what_was_proposed_changes_in_the_file() -> None:
    text = "---\n# mine\nstatus: 'To Do'  # why\nproject: aops\ntags:\n  - chore\n---\n\n# T\nText \n\n  end"
    file = read(text)
    settings = Settings()
    made = triaged(file, propose(make_task(file, "t.md", settings), file, settings))
    assert made.data.decode() == (
        "---\n# mine\nstatus: 'To Do'  # why\nproject: aops\ntags:\n  - chore\ncomplexity: mechanical\nassignee: bot\n"
        "---\n\n# T\n\nProject: [[aops]]\n\nText \n\n  end"
    )


NAMES = st.sampled_from(["aops", "AOPS", "a b", "x/y", "needs clarification", "rename", "a`b", "ß", "project", "İ"])
WORDS = st.sampled_from(["project", "needs clarification", "rename", "aops", "a*", "x", "chore", "project: *", "ss"])
LINES = st.sampled_from(
    ["", "# T", "# needs", "clarification", "## Closed", "## Close Reason 2026-01-22", "```", "~~~", "<!--", "-->",
     "- x", "  y", "    ## Closed", "[[aops]]", "Project: [[aops]]", "Project: [[x]] rename", "`[[aops]]`", "rename",
     "project", "\t# T", " # rename", "x", "- ```", "| project", "\u2028", "\x0b", "---"]
)  # fmt: skip
SIGNS = st.dictionaries(st.sampled_from(CLASSES), st.lists(WORDS, max_size=3))
TRIAGE = st.fixed_dictionaries(
    {},
    optional={
        "tags": SIGNS,
        "beginnings": SIGNS,
        "phrases": SIGNS,
        "judgment_assignee": st.sampled_from(["nic", "@nic", "", "[x]", "~", "@"]),
        "automatable_assignee": st.sampled_from(["bot", "", "no", "a b"]),
        "pages": st.just({"aops": "rename"}),
        "closed_headings": st.just(["T", "x"]),
        "closed_keys": st.just(["due"]),
    },
)
HEADERS = st.fixed_dictionaries(
    {"status": st.sampled_from([*STATUS_WORDS, "To Do", "'inbox'"])},
    optional={
        "project": NAMES,
        "title": st.sampled_from(["rename it", "'x: rename'", "T", "project", "needs"]),
        "tags": st.sampled_from(["[chore]", "chore, x", "[]", "\n  - human"]),
        "assignee": st.sampled_from(["", "[]", "'@x'", "','"]),
        "complexity": st.sampled_from(["", "~", "mechanical", "hard"]),
        "type": st.sampled_from(["task", "epic", "learn"]),
        "due": st.sampled_from(["", "x"]),
    },
)


@given(
    HEADERS, st.lists(LINES, max_size=12), TRIAGE, st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\n"]),
    st.booleans(),
)  # fmt: skip
@example({"status": "active", "project": "x"}, ["needs"], {"phrases": {"mechanical": ["project"]}}, "\n", "", False)
def test_the_rules_have_nothing_to_add_to_their_own_work(
    header: dict[str, str], lines: list[str], triage: dict[str, Any], newline: str, end: str, activate: bool
) -> None:
    settings = Settings.model_validate({"triage": triage})
    top = [f"{key}: {value}".rstrip() for key, value in header.items()]
    text = newline.join(["---", *top, "---", *lines]) + (newline if end else "")
    file = read_task_file(text.encode())
    assume(file is not None)
    assert file is not None
    proposals = propose(make_task(file, "t-1.md", settings), file, settings, activate=activate)
    made = triaged(file, proposals)
    again = read_task_file(made.data)
    assert again is not None
    assert propose(make_task(again, "t-1.md", settings), again, settings, activate=activate) == ()
    assert (made.data == file.data) == (proposals == ())
    for one in proposals:
        assert one.why
        assert one.field == "body" or again.text(one.field) == one.new


@pytest.mark.parametrize(
    ("triage", "complaint"),
    [
        ({"phrases": {"mechanical": ["ok", "**"]}}, r"'\*\*' is not a phrase"),
        ({"tags": {"easy": ["x"]}}, "tags.easy"),
        ({"closed_headings": [" "]}, "closed_headings.0"),
        ({"judgment_assignee": "a, b"}, "'a, b' is not one name"),
        ({"automatable_assignee": "a\nb"}, "is not one name"),
        ({"pages": {"aops": "a]]"}}, "'a]]', the page of 'aops', cannot stand in a link"),
        ({"pages": {"aops": ""}}, "cannot stand in a link"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(triage: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Settings.model_validate({"triage": triage})


def test_a_complexity_left_out_keeps_its_signs_and_one_given_replaces_them() -> None:
    triage = Settings.model_validate({"triage": {"tags": {"mechanical": ["easy"]}}}).triage
    assert triage.tags["mechanical"] == ("easy",)
    assert triage.tags["blocked-human"] == Settings().triage.tags["blocked-human"]
