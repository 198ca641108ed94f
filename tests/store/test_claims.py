"""Claims: the arithmetic of leases, tokens, and the names of claim files."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dibs.store.claims import (
    ENDINGS_KEPT,
    Claim,
    Ending,
    Endings,
    How,
    Owner,
    host_mark,
    is_token,
    new_token,
    slug,
)
from support import NOON


def a_claim(token: str = "h123-aaaaaaaaaaa", *, at: datetime = NOON, seconds: float = 120) -> Claim:
    return Claim(
        id="t-1",
        path="t-1.md",
        token=token,
        owner=Owner(caller="gemini"),
        claimed_at=at,
        lease_until=at,
        lease_seconds=seconds,
        last_call_at=at,
        former={"status": " To Do", "claim": None},
    ).renewed(at)


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def an_ending(token: str, how: How = "completed") -> Ending:
    return Ending(claim=a_claim(token), how=how, at=NOON)


def test_a_lease_lasts_to_its_last_moment_and_no_longer() -> None:
    assert not a_claim().lease_passed(later(119.999))
    assert a_claim().lease_passed(later(120))


def test_a_renewal_counts_from_now() -> None:
    renewed = a_claim().renewed(later(100))
    assert renewed.lease_until == later(220)
    assert renewed.last_call_at == later(100)
    assert renewed.claimed_at == NOON


def test_a_renewal_by_the_server_does_not_count_as_a_call() -> None:
    assert a_claim().renewed(later(100), last_call_at=NOON).last_call_at == NOON


def test_a_renewal_may_change_the_length_of_the_lease_for_good() -> None:
    longer = a_claim().renewed(later(0), lease_seconds=3600)
    assert longer.lease_until == later(3600)
    assert longer.renewed(later(10)).lease_until == later(3610)


def test_a_clock_set_back_is_noticed_and_a_little_skew_is_not() -> None:
    assert not a_claim().clock_went_back(later(0))
    assert not a_claim().clock_went_back(later(-4))
    assert a_claim().clock_went_back(later(-6))


def test_a_claim_is_idle_when_nobody_called_for_so_long() -> None:
    assert not a_claim().idle(later(7199), 7200)
    assert a_claim().idle(later(7200), 7200)


def test_a_claim_comes_back_from_its_file_as_it_was() -> None:
    assert Claim.model_validate_json(a_claim().model_dump_json()) == a_claim()


def test_tokens_are_short_random_text_and_name_their_host() -> None:
    tokens = {new_token("h1") for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(is_token(token) and len(token) == 16 and token.startswith(host_mark("h1")) for token in tokens)
    assert host_mark("h1") != host_mark("h2")


@pytest.mark.parametrize("text", ["", "yes", "h123", "h123-short", "H123-AAAAAAAAAAA", "h123-aaaaaaaaaaaa", "x\n"])
def test_a_text_of_the_users_is_no_token(text: str) -> None:
    assert not is_token(text)


@given(st.text(min_size=1, max_size=128))
def test_a_slug_is_a_file_name_everywhere(task_id: str) -> None:
    name = slug(task_id)
    assert name == slug(task_id.casefold())
    assert len(name) <= 57
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert name not in ("con", "nul", "aux", "prn")


@pytest.mark.parametrize(
    ("one", "two"), [("a/b", "a-b"), ("a b", "a-b"), ("任务一", "任务二"), ("..", "."), ("t-1", "t-01")]
)
def test_ids_that_look_alike_have_slugs_of_their_own(one: str, two: str) -> None:
    assert slug(one) != slug(two)


def test_ids_equal_but_for_case_have_one_slug() -> None:
    assert slug("Task-One") == slug("task-ONE")


def test_the_last_ending_of_a_token_counts() -> None:
    endings = Endings(id="t-1").with_ending(an_ending("one", "reaped")).with_ending(an_ending("two"))
    found = endings.of("one")
    assert found is not None
    assert found.how == "reaped"
    assert endings.of("three") is None
    assert endings.last is not None
    assert endings.last.claim.token == "two"


def test_what_ended_before_a_reopening_counts_no_more() -> None:
    endings = Endings(id="t-1").with_ending(an_ending("one")).with_ending(an_ending("one", "reopened"))
    assert endings.of("one") is None
    assert endings.with_ending(an_ending("two")).of("one") is None


def test_only_the_last_endings_are_kept() -> None:
    endings = Endings(id="t-1")
    for number in range(ENDINGS_KEPT + 3):
        endings = endings.with_ending(an_ending(f"token-{number}"))
    assert len(endings.endings) == ENDINGS_KEPT
    assert endings.of("token-2") is None
    assert endings.of("token-3") is not None
