"""Path patterns: what they match, held against their plain translation, and that none takes long."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dibs.store.globs import matches


def plainly(path: str, pattern: str) -> bool:
    """The same by going back and forth, which takes ages where there are many stars."""
    text = pattern.removeprefix("./")
    text = text if "/" in text else f"**/{text}"
    expression = re.escape(text).replace(r"\*\*/", "(?:[^/]+/)*").replace(r"/\*\*", "/.+")
    return re.fullmatch(expression.replace(r"\*", "[^/]*").replace(r"\?", "[^/]"), path) is not None


NAMES = st.text("ab.", min_size=1, max_size=4)
PATTERN_NAMES = st.one_of(st.text("ab.*?", min_size=1, max_size=5).filter(lambda n: "**" not in n), st.just("**"))


@given(
    st.lists(NAMES, min_size=1, max_size=5).map("/".join),
    st.lists(PATTERN_NAMES, min_size=1, max_size=5).filter(lambda names: names != ["**"]).map("/".join),
)
@example("a/b/a/b", "**/a/b")
@example("a/b", "a/**/b")
@example("aab", "*ab")
@example("a", "./**")
def test_a_pattern_matches_what_its_plain_translation_does(path: str, pattern: str) -> None:
    assert matches(path, (pattern,)) == plainly(path, pattern)


@pytest.mark.parametrize(
    ("pattern", "path", "does"),
    [
        ("*.md", "a/b/c.md", True),
        ("./a/*.md", "a/c.md", True),
        ("a/*.md", "a/b/c.md", False),
        ("**.md", "a/b.md", True),
        ("a/**", "a", False),
        ("**", "a/b", True),
        ("t-[0-9].md", "t-7.md", True),
        ("t-[!0-9].md", "t-7.md", False),
        ("a[*]b", "a*b", True),
        ("a[*]b", "axb", False),
        ("a[", "a[", True),
        ("a.b", "axb", False),
    ],
)
def test_words_of_the_pattern_language(pattern: str, path: str, does: bool) -> None:
    assert matches(path, (pattern,)) is does


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 400 + "*b.md", "a" * 250 + ".md"),
        ("*" * 900 + ".md", "a" * 250),
        ("**/a/" * 150 + "b", "a/" * 1500 + "c"),
        ("**/*a*a*/" * 100 + "b", "aaaa/" * 700 + "c"),
    ],
)
def test_no_pattern_takes_long(pattern: str, path: str) -> None:
    assert not matches(path, (pattern,))
