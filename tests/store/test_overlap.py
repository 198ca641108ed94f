"""Two patterns overlap when some path fits both; in doubt they do."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dibs.store.overlap import overlap

OVERLAPPING = [
    ("src/auth", "src/auth/login.py"),
    ("src/auth/", "src/auth"),
    ("./src/a.py", "src/a.py"),
    ("src/./x/../a.py", "src//a.py"),
    ("src/**", "src/x/y.py"),
    ("src/**", "src"),
    ("src/*", "src/auth"),
    ("*.py", "src/deep/a.py"),
    ("src/**/*.py", "src/a.py"),
    ("src/**/test_*.py", "src/x/*_api.py"),
    ("**/x.py", "a/b/x.py"),
    ("src/a?c", "src/abc"),
    ("src/[!ab]c", "src/cc"),
    ("src/[^a].py", "src/b.py"),
    ("[[:alpha:]].py", "b.py"),
    ("//repo//src/a.py", "src/a.py"),
    ("/x/../repo/src/a.py", "src/a.py"),
    ("/elsewhere/repo/src/a.py", "./src/a.py"),
    ("src/a.py:10-20", "src/a.py"),
    ("src/a.py#L1", "src/a.py:7"),
    ("src/[ab]", "src/[bc]"),
    ("src/{a,b}/x", "src/b/x"),
    ("src/{a,b/c}.py", "src/b/c.py"),
    ("src\\auth\\a.py", "src/auth/a.py"),
    ("/src/a", "src/a"),
    ("/repo/src/a", "src/a"),
    (".", "any/where"),
    ("", "any/where"),
    ("/repo", "any/where"),
    ("src/v1.2", "src/v1.2/a.py"),
    ("src/v1.2", "src/v1.2/*"),
    ("src/v1.2/", "**/a.py"),
    ("Makefile", "**/a.py"),
    ("cafe\u0301.md", "caf\u00e9.md"),
]
APART = [
    ("src/auth", "src/authority"),
    ("src/*", "src/auth/login.py"),
    ("README.md", "docs/README.md"),
    ("src/*.py", "src/a.js"),
    ("src/a*b*c", "src/axxbyy"),
    ("src/a", "SRC/a"),
    ("../x", "x"),
    ("src/?", "src/ab"),
    ("a/**/b/c.py", "a/x/c.py"),
    ("*.md", "src/a.py"),
    ("**/x.py", "src/a.py"),
]


@pytest.mark.parametrize(("one", "other"), OVERLAPPING)
def test_patterns_with_a_path_in_common_overlap(one: str, other: str) -> None:
    assert overlap(one, other, roots=("/elsewhere/repo", "/repo"))
    assert overlap(other, one, roots=("/elsewhere/repo", "/repo"))


@pytest.mark.parametrize(("one", "other"), APART)
def test_patterns_without_one_do_not(one: str, other: str) -> None:
    assert not overlap(one, other, roots=("/elsewhere/repo", "/repo"))
    assert not overlap(other, one, roots=("/elsewhere/repo", "/repo"))


def test_case_counts_only_where_the_file_system_says_so() -> None:
    assert overlap("Src/A.py", "src/a.PY", fold=True)
    assert not overlap("Src/A.py", "src/a.PY")


def test_a_pattern_made_to_take_for_ever_does_not() -> None:
    assert not overlap("/".join(["**", "a*" * 50] * 30) + "/x.z", "/".join(["a" * 400] * 60) + "/y.z")


NAMES = st.text("ab", min_size=1, max_size=4)
WILD_NAMES = st.text("ab*?", min_size=1, max_size=4).filter(lambda name: "**" not in name)


@given(st.lists(NAMES, min_size=1, max_size=4), st.lists(WILD_NAMES | st.just("**"), min_size=1, max_size=4))
def test_a_path_and_a_pattern_overlap_if_the_pattern_fits_it(path: list[str], pattern: list[str]) -> None:
    """An independent and slow way to say the same, with fnmatch for the names."""

    def fits(names: list[str], parts: list[str]) -> bool:
        if not parts:
            return not names
        if parts[0] == "**":
            return any(fits(names[n:], parts[1:]) for n in range(len(names) + 1))
        return bool(names) and fnmatchcase(names[0], parts[0]) and fits(names[1:], parts[1:])

    path = [*path[:-1], f"{path[-1]}.z"]
    wild_last = any(character in pattern[-1] for character in "*?")
    anywhere = ["**"] if len(pattern) == 1 and wild_last else []
    below = [] if wild_last else ["**"]
    wanted = fits(path, [*anywhere, *pattern, *below]) or pattern[: len(path)] == path
    assert overlap("/".join(path), "/".join(pattern)) == wanted
