"""Any bytes as ``settings.json``: settings, or an error of bounded length that names the file."""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fuzzing import tries
from hypothesis import given
from hypothesis import strategies as st

from dibs.store.errors import SettingsError
from dibs.store.settings import Settings, find_tasks_dir, load_settings
from support import write_file

LONGEST_MESSAGE = 20_000
NAMES = sorted({*Settings.model_fields, "lease_seconds", "renew_seconds", "anyone", "aliases", "active", "done", "x"})
TEXTS = st.one_of(st.text(max_size=10), st.sampled_from(["**/*.md", "[", "[!]", "[z-a]", "to do", "active", "\ud800"]))
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.just(10**400), TEXTS)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.sampled_from(NAMES), TEXTS), inner, max_size=3)
    ),
    max_leaves=8,
)
SETTINGS = st.dictionaries(st.one_of(st.sampled_from(NAMES), st.sampled_from(NAMES), TEXTS), VALUES, max_size=4)


def settings_or_message(content: bytes) -> Settings | str:
    with tempfile.TemporaryDirectory() as folder:
        path = write_file(Path(folder) / "settings.json", content)
        try:
            return load_settings(Path(folder))
        except SettingsError as error:
            assert str(path) in error.message
            assert len(error.message) < LONGEST_MESSAGE
            return error.message


@tries(150)
@given(SETTINGS)
def test_any_json_is_settings_or_a_clear_error(given_settings: dict[str, Any]) -> None:
    settings_or_message(json.dumps(given_settings).encode())


@tries(150)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.lists(
            st.sampled_from(
                [
                    b"{",
                    b"}",
                    b'"include"',
                    b":",
                    b"[",
                    b"]",
                    b'"*"',
                    b",",
                    b"\xef\xbb\xbf",
                    b"\x00",
                    b"\\ud800",
                    b"1e999",
                    b"NaN",
                ]
            ),
            max_size=12,
        ).map(b"".join),
    )
)
def test_any_bytes_are_settings_or_a_clear_error(content: bytes) -> None:
    settings_or_message(content)


HUGE = [
    *(
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"' + b"k" * 5_000_000 + b'": 1}',
        b'{"profile": "' + b"v" * 5_000_000 + b'"}',
    ),
    b'{"body_characters": ' + b"9" * 5000 + b"}",
    json.dumps({f"k{number}": 1 for number in range(20_000)}).encode(),
    json.dumps({"include": ["[z-a]" + "x" * 1_000_000]}).encode(),
    json.dumps({"statuses": {"k" * 1_000_000: []}}).encode(),
    json.dumps({"statuses": {"done": ["x" * 1_000_000], "failed": ["x" * 1_000_000]}}).encode(),
]


@pytest.mark.parametrize("content", HUGE, ids=lambda content: repr(content[:16]))
def test_huge_settings_are_refused_in_few_words(content: bytes, tmp_path: Path) -> None:
    assert isinstance(settings_or_message(content), str)
    write_file(tmp_path / "tasks" / "settings.json", content)
    with suppress(SettingsError):
        find_tasks_dir(None, environment={}, cwd=tmp_path)
