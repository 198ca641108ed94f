"""The prompts of the server: a worker's rules with the request a person made, in both eras."""

from __future__ import annotations

from pathlib import Path

import pytest
from in_memory import connected
from mcp import MCPError
from mcp.types import TextContent

from dibs.worker_prompt import ONE, UNTIL_EMPTY, worker_prompt

pytestmark = pytest.mark.anyio


async def text_of(tasks_dir: Path, era: str, name: str, arguments: dict[str, str]) -> str:
    async with connected(tasks_dir, era) as client:
        (message,) = (await client.get_prompt(name, arguments)).messages
    assert isinstance(message.content, TextContent)
    assert message.role == "user"
    return message.content.text


async def test_two_prompts_are_listed_with_their_arguments(tasks_dir: Path, era: str) -> None:
    async with connected(tasks_dir, era) as client:
        listed = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
    assert set(listed) == {"work_one_task", "work_until_empty"}
    assert [argument.name for argument in listed["work_one_task"].arguments or []][:1] == ["id"]
    assert not any(argument.required for prompt in listed.values() for argument in prompt.arguments or [])


async def test_a_prompt_is_the_worker_s_rules_and_the_request(tasks_dir: Path, era: str) -> None:
    assert await text_of(tasks_dir, era, "work_one_task", {}) == worker_prompt(ONE)
    assert await text_of(tasks_dir, era, "work_until_empty", {}) == worker_prompt(UNTIL_EMPTY)


async def test_what_narrows_the_claim_stands_in_the_request(tasks_dir: Path, era: str) -> None:
    text = await text_of(
        tasks_dir, era, "work_until_empty", {"project": "aops", "complexity": "mechanical", "tags": ""}
    )
    assert text.endswith("Claim with project='aops', complexity='mechanical'.\n")


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [("work_none", {}, "work_one_task"), ("work_one_task", {"projekt": "x"}, "project")],
)
async def test_what_there_is_not_is_refused_by_name(
    tasks_dir: Path, era: str, name: str, arguments: dict[str, str], told: str
) -> None:
    async with connected(tasks_dir, era) as client:
        with pytest.raises(MCPError, match=told):
            await client.get_prompt(name, arguments)


async def test_prompts_need_no_tasks_directory(tmp_path: Path, era: str) -> None:
    assert "claim_next_task" in await text_of(tmp_path / "none", era, "work_one_task", {"id": "t-1"})
