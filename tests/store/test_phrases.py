"""Phrases: whole words, any case, stars within a word, and never long in any text."""

from __future__ import annotations

import pytest

from dibs.store.phrases import begins, equals, fold, found_in


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("typo", "A Typo here"),
        ("TYPO", "a typo"),
        ("typo*", "two typos"),
        ("*typo", "a nontypo"),
        ("t?po", "a type, a typo"),
        ("fix*lint", "fixed fixthelint"),
        ("needs clarification", "this NEEDS\n  clarification."),
        ("c++", "port it to C++, soon"),
        ("grösse", "die GRÖSSE"),
        ("a.b", "see a.b"),
        ("blocked-human", "(blocked-human)"),
    ],
)
def test_a_phrase_is_found(phrase: str, text: str) -> None:
    assert found_in(fold(text), ["never", phrase]) == phrase


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("typo", "typos"),
        ("typo", "prototypo"),
        ("mechanical", "non-mechanical"),
        ("review", "a peer-review"),
        ("typo*s", "typo yes"),
        ("t?po", "tpo"),
        ("a.b", "axb"),
        ("needs clarification", "needs much clarification"),
    ],
)
def test_a_part_of_a_word_is_not_the_word(phrase: str, text: str) -> None:
    assert found_in(fold(text), [phrase]) == ""


def test_a_text_begins_with_a_phrase_or_is_one() -> None:
    assert begins("fix typos in it", ["rename", "fix typo*"]) == "fix typo*"
    assert begins("to fix typos", ["fix typo*"]) == ""
    assert equals("needs-human", ["human", "needs-*"]) == "needs-*"
    assert equals("needs-human", ["needs"]) == ""


@pytest.mark.parametrize("phrase", ["", " ", "*", "***", "* ?", "?", "!!", "- *"])
def test_a_phrase_without_a_letter_is_refused(phrase: str) -> None:
    with pytest.raises(ValueError, match="is not a phrase"):
        found_in("anything", [phrase])


@pytest.mark.parametrize("phrase", ["a*a*a*a*a*a*a*b", "*a*a*a*a*c", "a* a* a* b", "a" + "*a" * 80 + "b"])
@pytest.mark.parametrize("text", ["a" * 100_000 + " b", "a " * 50_000 + "b c", "a-" * 50_000, "a" + " " * 100_000])
@pytest.mark.timeout(30)
def test_no_phrase_takes_long_in_any_text(phrase: str, text: str) -> None:
    assert found_in(text, [phrase]) in ("", phrase)
