"""What an agent is told: the rules, its task, and nothing of the others; what is cut is marked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dibs.waves.prompt import TRUNCATED, agent_prompt, context_body, cut
from dibs.worker_prompt import RULES

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=10,
)


def test_it_has_the_rules_the_task_its_files_and_what_was_done_before() -> None:
    context = {
        "description": "Sign in with OAuth",
        "instructions": "Use the library.",
        "targetFiles": ["src/a.py"],
        "dependencyOutputs": [{"taskId": "t-0", "summary": "Made the model."}, "and this"],
        "constraints": {"maxWriteFiles": 3},
    }
    prompt = agent_prompt("t-1", "Implement OAuth", context, ["src/a.py"], {"t-9": "Chose a library."})
    assert prompt.startswith(RULES.splitlines()[0])
    assert "`id=t-1`" in prompt
    order = ["# Your task: t-1: Implement OAuth", "Sign in with OAuth", "Use the library.", "- src/a.py"]
    order += ["- t-0: Made the model.", "- 2: and this", "- t-9: Chose a library.", '"maxWriteFiles": 3']
    places = [prompt.index(part) for part in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "outputs", [{"t-0": "Made it."}, "Made it.", ["Made it."], [{"taskId": "t-0", "summary": "Made it."}]]
)
def test_what_was_done_before_is_told_in_whatever_shape_it_comes(outputs: object) -> None:
    assert "Made it." in agent_prompt("t", "T", {"dependencyOutputs": outputs}, [], {})


@pytest.mark.parametrize("key", ["description", "instructions", "notes"])
def test_what_is_too_long_is_cut_with_a_mark(key: str) -> None:
    prompt = agent_prompt("t", "T", {key: "x" * 50_000}, [], {"d": "y" * 50_000})
    assert prompt.count(TRUNCATED) == 2
    assert len(prompt) < len(RULES) + 4_000


def test_what_fits_is_not_cut() -> None:
    assert cut("x" * 100, 100) == "x" * 100
    assert cut("x" * 101, 100) == "x" * 88 + " " + TRUNCATED
    assert len(cut("x" * 101, 100)) <= 100


def test_a_file_that_is_made_of_a_context_has_all_of_it() -> None:
    body = context_body({"description": "What", "instructions": "How " * 1000, "more": ["a"], "targetFiles": ["x"]})
    assert body.startswith("What\n\nHow How")
    assert TRUNCATED not in body
    assert '## more\n\n[\n "a"\n]' in body
    assert "targetFiles" not in body


@given(st.dictionaries(st.text(max_size=20) | st.sampled_from(["description", "dependencyOutputs"]), JSON, max_size=5))
def test_anything_may_be_in_a_context(context: dict[str, object]) -> None:
    assert agent_prompt("t", "T", context, [], {}).endswith("\n")
    assert isinstance(context_body(context), str)
