"""Putting an entry into any configuration and taking it out again: the bytes come back, and the rest is untouched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from written import json_texts, toml_texts

from dibs_server.clients.edits import Edit, Format, applied, undone
from dibs_server.clients.json_text import JsonText
from dibs_server.clients.toml_text import TomlText
from dibs_server.clients.values import BrokenText

PLAIN, COMMENTED, TOML = JsonText(), JsonText(comments=True), TomlText()
ENTRY: dict[str, Any] = {"command": "/bin/dibs", "args": ["serve"], "trust": True}
IN_JSON, IN_TOML = Edit(("mcpServers", "dibs"), ENTRY), Edit(("mcp_servers", "dibs"), ENTRY)
patiently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
LISTED = Edit(("enabled", "list"), "dibs", listed=True)


def there_and_back(form: Format, text: str, edit: Edit) -> str:
    put = applied(form, text, edit)
    assert edit.to_put(form.parse(put)) == {}
    assert applied(form, put, edit) == put, "a second time changes nothing"
    assert undone(form, put, edit, text) == text
    return put


@patiently
@given(json_texts(comments=True))
@example('{ "mcpServers": {} } // end')
@example("")
def test_json_comes_back_byte_for_byte(text: str) -> None:
    there_and_back(COMMENTED, text, IN_JSON)


@patiently
@given(json_texts(comments=False), st.sampled_from([IN_JSON, LISTED, Edit(("/a folder",), "TRUST_FOLDER")]))
def test_plain_json_comes_back_byte_for_byte(text: str, edit: Edit) -> None:
    there_and_back(PLAIN, text, edit)


@patiently
@given(toml_texts())
def test_toml_comes_back_byte_for_byte(text: str) -> None:
    put = there_and_back(TOML, text, IN_TOML)
    assert put.startswith(text)
    assert put.count("\r\n") in (0, put.count("\n"))


@patiently
@given(json_texts(comments=True))
def test_taking_an_entry_out_of_changed_json_leaves_all_else(text: str) -> None:
    put = applied(COMMENTED, applied(COMMENTED, text, IN_JSON), Edit(("late",), {"comer": [1]}))
    left = undone(COMMENTED, put, IN_JSON, text)
    assert left is not None
    assert COMMENTED.parse(left) == {**COMMENTED.parse(text), "late": {"comer": [1]}}
    assert left.count("//") == text.count("//")
    assert left.count("/*") == text.count("/*")


@patiently
@given(toml_texts(), st.sampled_from(["", "\n", "\n\n# theirs\n"]))
def test_taking_an_entry_out_of_changed_toml_leaves_all_else(text: str, gap: str) -> None:
    put = applied(TOML, text, IN_TOML)
    put += "" if put.endswith("\n") else "\n"
    left = undone(TOML, f"{put}{gap}[late]\ncomer = 1\n", IN_TOML, text)
    assert left is not None
    assert TOML.parse(left) == {**TOML.parse(text), "late": {"comer": 1}}
    assert left.startswith(text.rstrip("\r\n"))
    assert left.endswith(f"{gap.lstrip()}[late]\ncomer = 1\n")


@patiently
@given(json_texts(comments=False), st.sampled_from(["\n", "\r\n"]))
def test_what_is_put_in_has_the_line_ends_of_the_file(text: str, newline: str) -> None:
    text = text.replace("\r\n", "\n").replace("\n", newline)
    put = applied(PLAIN, text, IN_JSON)
    if "\r\n" in text:
        assert put.count("\n") == put.count("\r\n")
    assert put.endswith("\n") == (text.endswith("\n") or not text.strip())


def test_an_entry_takes_the_style_of_its_neighbours() -> None:
    text = '{\n\t"mcpServers": {\n\t\t"a": {} // mine, his\n\t}\n}\n'
    assert applied(COMMENTED, text, Edit(("mcpServers", "dibs"), {"args": ["x"]})) == (
        '{\n\t"mcpServers": {\n\t\t"a": {}, // mine, his\n'
        '\t\t"dibs": {\n\t\t\t"args": [\n\t\t\t\t"x"\n\t\t\t]\n\t\t}\n\t}\n}\n'
    )
    assert applied(PLAIN, '{"a":1}', Edit(("m", "d"), {"x": 1})) == '{"a":1, "m": {"d": {"x": 1}}}'


def test_of_an_entry_that_is_there_only_what_differs_is_replaced() -> None:
    text = '{ "mcpServers": {\n  "dibs": { "command": "/old", /* why */ "timeout": 5 } } }'
    assert applied(COMMENTED, text, Edit(("mcpServers", "dibs"), {"command": "/new", "trust": True})) == (
        '{ "mcpServers": {\n  "dibs": { "command": "/new", /* why */ "timeout": 5, "trust": true } } }'
    )
    toml = '[mcp_servers.dibs] # mine\ncommand = "/old" # why\ntool_timeout_sec = 5\n\n[tui]\n'
    assert applied(TOML, toml, Edit(("mcp_servers", "dibs"), {"command": "/new", "required": True})) == (
        '[mcp_servers.dibs] # mine\ncommand = "/new" # why\ntool_timeout_sec = 5\nrequired = true\n\n[tui]\n'
    )


def test_a_file_of_ours_alone_goes_as_a_whole() -> None:
    for form, edit in ((PLAIN, IN_JSON), (TOML, IN_TOML)):
        assert undone(form, applied(form, "", edit), edit, None) is None


def test_a_container_that_was_there_before_stays_when_it_is_empty() -> None:
    put = applied(PLAIN, applied(PLAIN, '{"mcpServers": {}}', IN_JSON), Edit(("b",), 2))
    assert undone(PLAIN, put, IN_JSON, '{"mcpServers": {}}') == '{"mcpServers": {}, "b": 2}'
    assert undone(PLAIN, put, IN_JSON, "{}") == '{"b": 2}'


def test_tables_inside_the_entry_go_with_it() -> None:
    put = applied(TOML, "a = 1\n", IN_TOML) + "\n[mcp_servers.dibs.env]\nX = 'y'\n\n[tui]\n"
    assert undone(TOML, put, IN_TOML, "a = 1\n") == "a = 1\n\n[tui]\n"


@pytest.mark.parametrize(
    ("form", "text", "line", "cause"),
    [
        (PLAIN, '{\n "a": 1\n "b": 2\n}', 3, "',' is missing"),
        (PLAIN, '{ // c\n "a": 1}', 1, "the client takes no comments"),
        (PLAIN, "{a: 1}", 1, "a key in double quotes is missing"),
        (COMMENTED, '{\n "a": 1,\n}', 3, "a comma stands before }"),
        (COMMENTED, '{\n "a": \n}', 3, "a value is missing"),
        (COMMENTED, '{\n "a": 0x1\n}', 2, "',' is missing"),
        (COMMENTED, "{}\n{}", 2, "something follows the end of the document"),
        (COMMENTED, "[]", 1, "it is no object, in braces"),
        (TOML, "a = 1\na = 2\n", None, "Cannot overwrite a value"),
        (TOML, "a = 1\nb = \n", 2, "Invalid value"),
    ],
)
def test_a_broken_text_is_told_by_line_and_cause(form: Format, text: str, line: int | None, cause: str) -> None:
    with pytest.raises(BrokenText) as caught:
        applied(form, text, IN_JSON)
    assert caught.value.cause == cause
    assert line is None or caught.value.line == line


@pytest.mark.parametrize(
    "text",
    [
        "mcp_servers = { dibs = { command = '/old' } }\n",
        "mcp_servers = { other = { command = '/old' } }\n",
        "[mcp_servers]\ndibs = { command = '/old' }\n",
        "mcp_servers.dibs.command = '/old'\n",
    ],
)
def test_what_cannot_be_edited_safely_is_refused(text: str) -> None:
    with pytest.raises(BrokenText):
        applied(TOML, text, IN_TOML)


def test_deep_nesting_is_refused_and_does_not_end_the_program() -> None:
    with pytest.raises(BrokenText, match="nested too deeply"):
        COMMENTED.parse('{"a":' * 100_000)
    with pytest.raises(BrokenText, match="nested too deeply"):
        TOML.parse("a = " + "[" * 100_000)


def test_comments_beside_an_entry_that_goes_stay() -> None:
    last = '{\n  "mcpServers": {\n    "a": {}, // mine\n    "dibs": {"command": "x"}\n  }, "late": 1\n}\n'
    assert undone(COMMENTED, last, IN_JSON, "{}") == ('{\n  "mcpServers": {\n    "a": {} // mine\n  }, "late": 1\n}\n')
    first = '{"mcpServers": { "dibs": {"command": "x"}, // yours\n "b": {}}}'
    assert undone(COMMENTED, first, IN_JSON, "{}") == '{"mcpServers": { // yours\n "b": {}}}'


def test_an_entry_of_the_same_value_in_another_style_is_left_alone() -> None:
    json_text = '{"mcpServers":{"dibs":{"args":[ "serve" ],"command":"/bin/dibs","trust":true}}}'
    assert applied(PLAIN, json_text, IN_JSON) == json_text
    toml_text = "[mcp_servers.dibs]\ncommand='/bin/dibs'\nargs=['serve',]\ntrust=true\n"
    assert applied(TOML, toml_text, IN_TOML) == toml_text
