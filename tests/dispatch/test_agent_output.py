"""What is read out of an agent's output. ``outputs/`` has what the real programs printed, cut down."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dibs_server.dispatch.agent_output import (
    LAST_LINE_BYTES,
    REPORT_BYTES,
    AgentReport,
    last_line,
    read_report,
    shown_line,
)

OUTPUTS = Path(__file__).with_name("outputs")
ANSWER = "All done.\nThe end."
TURNS = "Reached max session turns for this session. Increase the number of turns by specifying maxSessionTurns in "
REFUSED = "unexpected status 401 Unauthorized: Incorrect API key provided, url: http://127.0.0.1:9/v1/responses"
NO_LOGIN = "Not logged in · Please run /login"
REPORTS = {
    "claude": AgentReport(18, 0.00021599999999999994, ANSWER),
    "claude-turns": AgentReport(4, 0.000047999999999999994, error="Reached maximum number of turns (2)"),
    "claude-no-login": AgentReport(0, 0.0, NO_LOGIN, NO_LOGIN),
    "claude-retrying": AgentReport(error="authentication_failed (HTTP 401), try 7 of 10"),
    "gemini": AgentReport(12, None, ANSWER),
    "gemini-turns": AgentReport(4, error=TURNS + "settings.json."),
    "gemini-loop": AgentReport(10, error="Loop detected, stopping execution"),
    "codex": AgentReport(12, None, ANSWER),
    "codex-refused": AgentReport(error=REFUSED),
}
"""By the names of files: what each says."""
WHOLE = ["claude", "gemini", "codex"]
NOT_PRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def sample(name: str) -> Path:
    return OUTPUTS / f"{name}.jsonl"


def shown(name: str) -> list[str]:
    return [line for line in map(shown_line, sample(name).read_text(encoding="utf-8").split("\n")) if line]


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "output"
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_says_what_the_agent_said(name: str) -> None:
    assert read_report(sample(name)) == REPORTS[name]


def test_every_sample_is_read() -> None:
    assert {path.stem for path in OUTPUTS.iterdir()} == REPORTS.keys()


@pytest.mark.parametrize("name", WHOLE)
def test_a_live_view_shows_what_is_said_and_which_tools_are_called(name: str) -> None:
    lines = shown(name)
    tools = [line for line in lines if line.startswith("tool: ")]
    assert tools[0].endswith("claim_next_task")
    assert tools[-1].endswith("complete_task")
    assert "I write the file now." in lines
    assert lines[-1] == "All done. The end." == last_line(sample(name))


def test_a_live_view_shows_the_command_that_codex_runs() -> None:
    assert "tool: /bin/bash -lc 'echo hi > /home/me/other/out.txt'" in shown("codex")


def test_a_live_view_shows_what_was_refused_and_what_went_wrong() -> None:
    assert "Claude requested permissions to use WebFetch, but you haven't granted it yet." in shown("claude")
    assert shown("claude-retrying")[-1] == "error: authentication_failed (HTTP 401), try 7 of 10"
    assert shown("gemini-loop")[-1] == "error: Loop detected, stopping execution"
    assert shown("codex-refused")[-1] == f"error: {REFUSED}"


@pytest.mark.parametrize("name", WHOLE)
def test_an_agent_that_was_killed_said_what_it_said_until_then(name: str, tmp_path: Path) -> None:
    *lines, _answer, _result, _end = sample(name).read_text(encoding="utf-8").split("\n")
    torn = "\n".join([*lines, '{"type":"assist'])
    report = read_report(written(tmp_path, torn))
    assert report == AgentReport(last_words="I write the file now.")
    assert last_line(tmp_path / "output").startswith("tool: ")


def test_what_went_wrong_and_passed_is_no_error(tmp_path: Path) -> None:
    trouble = [sample(name).read_text(encoding="utf-8") for name in ("claude-retrying", "codex-refused")]
    for before, name in zip(trouble, ("claude", "codex"), strict=True):
        both = before + sample(name).read_text(encoding="utf-8")
        assert read_report(written(tmp_path, both)) == REPORTS[name]
        at_work = "\n".join(both.split("\n")[:-3])
        assert read_report(written(tmp_path, at_work)).error == ""


def test_the_last_of_several_results_counts(tmp_path: Path) -> None:
    first = {"type": "result", "total_cost_usd": 1, "usage": {"input_tokens": 1}, "result": "One."}
    errors = {"is_error": True, "errors": ["too long", "too dear"]}
    last = {"type": "result", "total_cost_usd": 2, "usage": {"input_tokens": 2}, **errors}
    output = written(tmp_path, f"{json.dumps(first)}\n{json.dumps(last)}\n")
    assert read_report(output) == AgentReport(2, 2.0, "One.", "too long; too dear")


def test_half_a_character_can_be_printed(tmp_path: Path) -> None:
    output = written(tmp_path, json.dumps({"type": "result", "result": "\ud83d!"}))
    assert read_report(output).last_words == "\ufffd!"


def test_cached_tokens_and_those_of_other_models_count(tmp_path: Path) -> None:
    model = {"inputTokens": 1, "outputTokens": 20, "cacheReadInputTokens": 300, "cacheCreationInputTokens": 4000}
    result = {"type": "result", "modelUsage": {"big": model, "small": model}, "usage": {"input_tokens": 9}}
    assert read_report(written(tmp_path, json.dumps(result))).tokens == 2 * 4321
    usage = {"input_tokens": 1, "output_tokens": 20, "cache_read_input_tokens": 300, "cache_creation_input_tokens": 4}
    assert read_report(written(tmp_path, json.dumps({"type": "result", "usage": usage}))).tokens == 325


def test_the_pieces_of_an_answer_are_one_answer_and_a_helpers_words_are_none(tmp_path: Path) -> None:
    piece = {"type": "message", "role": "assistant", "delta": True}
    said = [{**piece, "content": "Half of "}, {**piece, "content": "it."}, {"type": "tool_use", "tool_name": "read"}]
    helper = {"type": "assistant", "parent_tool_use_id": "x", "message": {"content": [{"type": "text", "text": "Me."}]}}
    answer = [{**piece, "content": "The "}, {**piece, "content": "whole."}]
    lines = [json.dumps(line) for line in [*said, helper, *answer, helper]]
    assert read_report(written(tmp_path, "\n".join(lines))).last_words == "The whole."
    assert read_report(written(tmp_path, "\n".join(lines[:4]))).last_words == "Half of it."


def test_of_another_program_the_last_line_is_kept_without_colours(tmp_path: Path) -> None:
    output = written(tmp_path, "building\n  \x1b]0;title\x07\x1b[1;32mok\x1b[0m 3 tests\x07\r\n\n \n")
    assert read_report(output) == AgentReport(last_words="ok 3 tests")
    assert last_line(output) == "ok 3 tests"
    assert shown_line("10%\r55%\r") == "55%"


def test_what_an_agent_complains_of_beside_its_lines_is_shown_but_is_not_its_answer(tmp_path: Path) -> None:
    output = written(tmp_path, sample("gemini").read_text(encoding="utf-8") + "Ripgrep is not available.\n")
    assert read_report(output) == REPORTS["gemini"]
    assert last_line(output) == "Ripgrep is not available."


def test_json_that_is_no_agents_is_plain_text(tmp_path: Path) -> None:
    assert shown_line('{"level": "info"}') == '{"level": "info"}'
    assert shown_line('{"type": "of another kind"}') == ""
    assert read_report(written(tmp_path, 'one\n{"level": "info"}\n')).last_words == '{"level": "info"}'


def test_only_the_end_of_a_long_output_is_read(tmp_path: Path) -> None:
    end = sample("claude").read_bytes()
    assert read_report(written(tmp_path, b"x" * REPORT_BYTES + b"\n" + end)) == REPORTS["claude"]
    assert read_report(written(tmp_path, end + b"x" * REPORT_BYTES)) == AgentReport()
    assert last_line(written(tmp_path, b"x\n" * LAST_LINE_BYTES + b"y\n")) == "y"
    assert last_line(written(tmp_path, b"shown\n" + b"\n" * LAST_LINE_BYTES)) == ""


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, written(tmp_path, b"")):
        assert (read_report(path), last_line(path)) == (AgentReport(), "")


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"result","total_cost_usd":1e999,"usage":{"input_tokens":-1,"output_tokens":NaN},"is_error":true}',
        '{"type":"result","total_cost_usd":true,"modelUsage":{"m":{"inputTokens":' + "9" * 4000 + "}}}",
        '{"type":"result","status":"error","error":[],"stats":7}',
        '{"type":"system","subtype":"api_retry","error":' + "[" * 500 + "]" * 500 + "}",
        '{"type":"assistant","message":{"content":[1,{"type":"text"},{"type":"tool_use","name":[]}]}}',
        '{"type":["result"]}',
        '{"type":"item.completed","item":"agent_message"}',
        "[" * 10_000,
        '{"a":' * 3_000,
    ],
    ids=range(9),
)
def test_lines_in_a_strange_form_are_read_as_far_as_they_go(line: str, tmp_path: Path) -> None:
    report = read_report(written(tmp_path, line))
    assert (report.tokens, report.cost_usd) == (0, None)
    assert last_line(tmp_path / "output") == shown_line(line)


KINDS = st.sampled_from([
    "result", "error", "system", "assistant", "message", "tool_use", "item.started", "item.completed",
    "turn.completed", "turn.failed", "other",
])  # fmt: skip
KEYS = st.sampled_from([
    "message", "content", "text", "type", "role", "subtype", "is_error", "result", "errors", "usage", "modelUsage",
    "stats", "status", "error", "item", "tool", "input_tokens", "total_tokens", "total_cost_usd", "attempt", "delta",
])  # fmt: skip
TEXTS = st.text(st.characters(categories=None)) | st.sampled_from(["assistant", "text", "agent_message", "api_retry"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
LINES = st.builds(lambda kind, fields: json.dumps({**fields, "type": kind}), KINDS, st.dictionaries(KEYS, VALUES))


@given(content=st.lists(LINES | TEXTS).map("\n".join) | st.binary())
def test_no_content_makes_reading_raise_or_lets_control_characters_through(
    content: str | bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    output = written(tmp_path_factory.getbasetemp(), content)
    report = read_report(output)
    assert not NOT_PRINTABLE.search(report.last_words + report.error)
    lines = output.read_bytes().decode("utf-8", "replace").split("\n")
    for shown in [last_line(output), *map(shown_line, lines)]:
        assert "\n" not in shown
        assert not NOT_PRINTABLE.search(shown)
