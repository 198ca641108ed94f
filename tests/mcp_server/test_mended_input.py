"""Halves of characters in what a client sends: the line is read all the same."""

from __future__ import annotations

import io
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from dibs_server.mcp_server.mended_input import MendedInput, mended


def test_a_lone_half_becomes_a_replacement_character() -> None:
    assert mended(r'{"a":"done \ud83d"}') == r'{"a":"done \ufffd"}'
    assert mended(r'"\uDE00\ud83d\ud83d\ude00"') == r'"\ufffd\ufffd\ud83d\ude00"'


def test_an_escaped_backslash_before_u_is_no_escape() -> None:
    assert mended(r'"\\ud83d"') == r'"\\ud83d"'


def test_lines_are_mended_as_they_are_read() -> None:
    lines = MendedInput(io.BytesIO(b'{"a":"\\ud800"}\n\xff\n'))
    assert [lines.readline(), lines.readline(), lines.readline()] == ['{"a":"\\ufffd"}\n', "\ufffd\n", ""]


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8")))
def test_whole_text_stays_as_it_is(text: str) -> None:
    assert json.loads(mended(json.dumps(text))) == text


@settings(deadline=None)
@given(st.text(st.characters()))
def test_any_text_can_be_encoded_once_mended(text: str) -> None:
    json.loads(mended(json.dumps(text))).encode()
