"""Any JSON as the arguments of any tool: an answer of bounded size, and a refused call has changed no file."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from fuzzing import tries
from hypothesis import given
from hypothesis import strategies as st

from dibs.arguments import read_arguments
from dibs.registry import TOOLS, Tool
from dibs.session import Call, Session
from dibs.store.errors import DibsError, InvalidArguments
from dibs.store.task_store import TaskStore
from dibs_server.mcp_server.answer_text import as_text, error_text
from doors import Answer, tool_named
from support import write_task

LONGEST_ANSWER = 200_000
LONG = "x" * 1_000_000
NAMES = sorted({name for tool in TOOLS for name in tool.request.model_fields})
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["t-1", "T-1", " t-2 ", "bad", "t-9", "*", "../t-1", "\x00", "\ud800", "a" * 129, "[", '["a"]', LONG]
    ),
    st.sampled_from(["mechanical", "human", "success", "2026-01-22", "task", "active", "1e999", "-1", "NaN"]),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.just(10**400), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
LIKELY = st.one_of(TEXTS, st.booleans(), st.integers(-1, 3), st.lists(TEXTS, max_size=3))
ARGUMENTS = st.dictionaries(
    st.one_of(st.sampled_from(NAMES), st.sampled_from(NAMES), TEXTS), st.one_of(LIKELY, LIKELY, JSON), max_size=5
)
CALLS = st.tuples(st.sampled_from(TOOLS), ARGUMENTS, st.sampled_from([{}, {"id": "t-1"}, {"id": "t-2", "reason": "r"}]))


def answered(session: Session, tool: Tool, arguments: dict[str, Any]) -> tuple[Answer, str]:
    """The answer of a call as data and as text."""
    try:
        request, warnings = read_arguments(tool, arguments)
        answer: Answer = tool.run(session, request, Call()).model_dump(mode="json")
        answer["warnings"] += warnings
        return answer, as_text(answer)
    except DibsError as error:
        return dict(error.to_json()), error_text(error.to_json())


def task_files(tasks_dir: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in tasks_dir.rglob("*.md") if ".dibs" not in path.parts}


@tries(60)
@given(st.lists(CALLS, min_size=1, max_size=4))
def test_any_arguments_get_an_answer_and_a_refused_call_changes_no_file(
    calls: list[tuple[Tool, dict[str, Any], dict[str, Any]]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tasks_dir = Path(folder)
        write_task(tasks_dir, "t-1")
        write_task(tasks_dir, "t-2", files=["src/**"], depends_on=["t-1"])
        write_task(tasks_dir, "bad", "nearly")
        session = Session(TaskStore(tasks_dir), client="probe", server=True)
        for tool, arguments, known in calls:
            before = task_files(tasks_dir)
            answer, text = answered(session, tool, {**arguments, **known})
            assert len(json.dumps(answer)) + len(text) < LONGEST_ANSWER
            assert "code" not in answer or task_files(tasks_dir) == before
        session.close()


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_names_that_are_not_known_are_told_short_and_few(session: Session, tool: Tool) -> None:
    many = {f"zz{number}": 1 for number in range(5_000)}
    for given_arguments in ({LONG: 1}, many, {"idd" * 100_000: 1}):
        answer, text = answered(session, tool, {"id": "t-1", **given_arguments})
        assert len(json.dumps(answer)) + len(text) < 20_000


def test_what_is_left_out_of_a_warning_is_counted() -> None:
    many = {f"zz{number}": 1 for number in range(30)}
    warnings = read_arguments(tool_named("get_index_stats"), many)[1]
    assert warnings[0] == "argument 'zz0' is not known and was ignored"
    assert warnings[-1] == "20 more arguments are not known and were ignored"
    with pytest.raises(InvalidArguments, match="and 20 more"):
        read_arguments(tool_named("get_task"), many)
