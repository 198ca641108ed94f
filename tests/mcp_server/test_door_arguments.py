"""Arguments as clients really send them: with additions, with misspellings, and in types of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from in_memory import ask, connected

from support import header, write_task

pytestmark = pytest.mark.anyio


async def test_a_foreign_argument_is_ignored_with_a_warning(tasks_dir: Path, era: str) -> None:
    write_task(tasks_dir, "t-1")
    async with connected(tasks_dir, era) as client:
        answer = await ask(client, "claim_next_task", caller="bob", mood="good")
    assert answer["status"] == "claimed"
    assert answer["warnings"] == ["argument 'mood' is not known and was ignored"]


@pytest.mark.parametrize("value", [True, False, None])
async def test_what_gemini_adds_is_ignored_silently(tasks_dir: Path, era: str, value: bool | None) -> None:
    write_task(tasks_dir, "t-1")
    async with connected(tasks_dir, era) as client:
        answer = await ask(client, "claim_next_task", caller="bob", wait_for_previous=value)
    assert (answer["status"], answer["warnings"]) == ("claimed", [])


@pytest.mark.parametrize(
    ("name", "wrong", "meant"),
    [
        ("claim_next_task", {"projct": "house"}, "project"),
        ("claim_next_task", {"Caller": "bob"}, "caller"),
        ("claim_next_task", {"skipTags": ["a"]}, "skip_tags"),
        ("complete_task", {"id": "t-1", "file_changed": ["a"]}, "files_changed"),
        ("complete_task", {"id": "t-1", "claimToken": "x"}, "claim_token"),
        ("block_task", {"id": "t-1", "reason": "No key.", "nextstep": "Ask."}, "next_step"),
    ],
)
async def test_a_misspelt_argument_is_refused_before_anything_happens(
    tasks_dir: Path, era: str, name: str, wrong: dict[str, Any], meant: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    async with connected(tasks_dir, era) as client:
        error = await ask(client, name, **wrong)
    assert error["code"] == "invalid_arguments"
    assert f"did you mean {meant!r}" in error["message"]
    assert path.read_bytes() == before


async def test_a_misspelling_beside_the_right_name_does_no_harm(tasks_dir: Path, era: str) -> None:
    write_task(tasks_dir, "t-1")
    async with connected(tasks_dir, era) as client:
        answer = await ask(client, "claim_next_task", caller="bob", callers="eve")
    assert answer["status"] == "claimed"
    assert header(tasks_dir / "t-1.md")["assignee"] == "bob"


async def test_null_counts_as_left_out(tasks_dir: Path, era: str) -> None:
    write_task(tasks_dir, "t-1")
    async with connected(tasks_dir, era) as client:
        claimed = await ask(
            client, "claim_next_task", caller="bob", project=None, complexity=None, tags=None, skip_tags=None,
            parent=None, id=None, resume=None, wait_seconds=None, type=None,
        )  # fmt: skip
        assert claimed["status"] == "claimed"
        done = await ask(
            client, "complete_task", id="t-1", claim_token=claimed["claim_token"], summary=None, files_changed=None,
            tokens_used=None, ignore_checklist=None,
        )  # fmt: skip
        assert done["task"]["status"] == "done"


async def test_a_required_argument_that_is_null_is_missing(tasks_dir: Path, era: str) -> None:
    async with connected(tasks_dir, era) as client:
        error = await ask(client, "get_task", id=None)
    assert error["code"] == "invalid_arguments"
    assert "id: this argument is required" in error["message"]


async def test_numbers_and_booleans_may_come_as_text(tasks_dir: Path, era: str) -> None:
    path = write_task(tasks_dir, "t-1", body="\n- [ ] sand\n")
    async with connected(tasks_dir, era) as client:
        token = (await ask(client, "claim_next_task", caller="bob", wait_seconds="3"))["claim_token"]
        done = await ask(
            client, "complete_task", id="t-1", claim_token=token, tokens_used="3", ignore_checklist="true"
        )  # fmt: skip
    assert done["task"]["status"] == "done"
    assert "**Tokens used:** 3" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("listed", [["a", "b"], '["a", "b"]', "a, b", "a,b,", ' ["a","b"]'], ids=str)
async def test_a_list_may_come_as_json_text_or_with_commas(tasks_dir: Path, era: str, listed: object) -> None:
    write_task(tasks_dir, "both", priority=4, tags=["a", "b"])
    write_task(tasks_dir, "one", priority=0, tags=["a"])
    async with connected(tasks_dir, era) as client:
        answer = await ask(client, "claim_next_task", caller="bob", tags=listed)
    assert answer["task"]["id"] == "both"


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("claim_next_task", {"wait_seconds": "soon"}, "wait_seconds"),
        ("claim_next_task", {"tags": {"a": 1}}, "tags"),
        ("claim_next_task", {"complexity": "easy"}, "complexity"),
        ("claim_next_task", {"caller": ["bob"]}, "caller"),
        ("claim_next_task", {"resume": "perhaps"}, "resume"),
        ("get_task", {"id": 7}, "id"),
        ("get_task", {}, "id: this argument is required"),
        ("block_task", {"id": "t-1", "reason": "x" * 20_001}, "reason"),
        ("get_task", {"id": "t-1", "offset": 1.5}, "offset"),
    ],
)
async def test_a_wrong_value_is_named_and_the_message_stays_short(
    tasks_dir: Path, era: str, name: str, arguments: dict[str, Any], told: str
) -> None:
    write_task(tasks_dir, "t-1")
    async with connected(tasks_dir, era) as client:
        error = await ask(client, name, **arguments)
    assert error["code"] == "invalid_arguments"
    assert told in error["message"]
    assert len(error["message"]) < 500


async def test_an_unknown_tool_is_answered_with_the_names_of_ours(tasks_dir: Path, era: str) -> None:
    async with connected(tasks_dir, era) as client:
        error = await ask(client, "claim_task")
    assert error["code"] == "invalid_arguments"
    assert "claim_next_task" in error["message"]
