"""The text of a result says as much as its data: some clients give the model the one, some the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from in_memory import connected
from mcp import Client
from mcp.types import TextContent

from dibs.arguments import output_schema
from dibs.registry import TOOLS
from doors import Answer
from support import write_file, write_task

pytestmark = pytest.mark.anyio


def leaves(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Every fact of an answer with its name; empty, null, zero and false are none."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from leaves(part, key)
    elif value:
        yield key, value if isinstance(value, str) else json.dumps(value)


def fits_the_schema(name: str, answer: Answer) -> None:
    """Clients on the TypeScript SDK check errors too, and keep from the model what does not fit."""
    for tool in TOOLS:
        if tool.name == name:
            jsonschema.validate(answer, output_schema(tool))


async def told(client: Client, name: str, **arguments: Any) -> Answer:
    """Call a tool; the one text of its answer must have every leaf of its data, and the names of the facts."""
    result = await client.call_tool(name, arguments)
    (content,) = result.content
    assert isinstance(content, TextContent)
    answer = result.structured_content
    assert isinstance(answer, dict)
    fits_the_schema(name, answer)
    facts = list(leaves(answer))
    assert facts
    for key, leaf in facts:
        assert leaf in content.text or json.dumps(leaf, ensure_ascii=False)[1:-1] in content.text, (key, leaf)
        assert result.is_error or key in ("message",) or key in content.text, key
    return answer


def rich_task(tasks_dir: Path, task_id: str, **keys: object) -> Path:
    return write_task(
        tasks_dir, task_id, body='\n# Paint "it" \\ käfig\n\n```\nx: "y"\n```\n\n- [ ] sand \U0001f3a8\n',
        project="house", tags=["a", "b"], due="2027-01-31", files=["door.py"], complexity="mechanical", **keys,
    )  # fmt: skip


async def test_a_claimed_task_is_told_whole(tasks_dir: Path, era: str) -> None:
    rich_task(tasks_dir, "t-1", soft_depends_on=["t-9"])
    rich_task(tasks_dir, "t-2")
    async with connected(tasks_dir, era) as client:
        await told(client, "claim_next_task", caller="bob")
        answer = await told(client, "claim_next_task", caller="bob", wait_for_nothing=True)
        assert answer["also_held"] == ["t-1"]
        assert answer["warnings"]


async def test_an_empty_queue_is_told_with_its_reasons(tasks_dir: Path, era: str) -> None:
    rich_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2", depends_on=["t-1"])
    async with connected(tasks_dir, era) as client:
        await ask_for_everything(client)
        answer = await told(client, "claim_next_task", caller="bob", project="", tags="")
        assert answer["retry_after_seconds"]
        assert answer["waiting_on"]["dependencies"] == 1


async def ask_for_everything(client: Client) -> str:
    answer = await told(client, "claim_next_task", caller="bob")
    return str(answer["claim_token"])


@pytest.mark.parametrize(
    ("ending", "arguments"),
    [
        ("complete_task", {"summary": "Did it.", "ignore_checklist": True}),
        ("block_task", {"reason": "No key."}),
        ("release_task", {"note": "Half done."}),
    ],
)
async def test_an_ending_is_told_whole(tasks_dir: Path, era: str, ending: str, arguments: dict[str, Any]) -> None:
    rich_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2", depends_on=["t-1"])
    async with connected(tasks_dir, era) as client:
        token = await ask_for_everything(client)
        answer = await told(client, ending, id="t-1", claim_token=token, **arguments)
        assert answer["newly_ready"] == (["t-2"] if ending == "complete_task" else [])


async def test_a_task_that_is_read_is_told_page_by_page(tasks_dir: Path, era: str) -> None:
    write_file(tasks_dir / "settings.json", '{"body_characters": 200}')
    write_task(tasks_dir, "t-1", body="word " * 100)
    async with connected(tasks_dir, era) as client:
        answer = await told(client, "get_task", id="t-1")
        assert answer["warnings"]
        await told(client, "get_task", id="t-1", offset=200)


async def test_the_counts_are_told_whole(tasks_dir: Path, era: str) -> None:
    rich_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2", depends_on=["t-1"])
    write_task(tasks_dir, "t-3", "done", project="house")
    write_file(tasks_dir / 'odd "name".md', "---\nstatus: nearly\n---\n")
    write_file(tasks_dir / "note.md", "A note.\n")
    async with connected(tasks_dir, era) as client:
        await ask_for_everything(client)
        answer = await told(client, "get_index_stats", include_projects=True)
        assert answer["invalid"]["count"] == 1
        assert answer["projects"]


async def test_an_error_is_told_whole(tasks_dir: Path, era: str) -> None:
    path = rich_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2", "blocked")
    write_task(tasks_dir, "bad", "nearly")
    async with connected(tasks_dir, era) as client, connected(tasks_dir, era, "claude-code") as other:
        token = await ask_for_everything(client)
        errors = [
            await told(client, "get_task", id="t-9"),
            await told(client, "get_task", id="bad"),
            await told(client, "claim_next_task", id="t-2"),
            await told(client, "complete_task", id="t-1", claim_token=token, summary="Did."),
            await told(client, "complete_task", id="t-1", claim_token="h000-00000000000", summary="Did."),
            await told(client, "complete_task", id="t-2"),
            await told(other, "release_task", id="t-1"),
            await told(client, "claim_next_task", wait_seconds="soon"),
            await told(client, "complete_task", id="t-1", sumary="Did."),
            await told(client, "no_such_tool"),
        ]
        write_file(tasks_dir / "settings.json", "{")
        errors.append(await told(client, "get_index_stats"))
    assert [error["code"] for error in errors] == [
        "not_found", "invalid_task", "not_ready", "checklist", "claim_lost", "not_claimed", "token_required",
        "invalid_arguments", "invalid_arguments", "invalid_arguments", "settings",
    ]  # fmt: skip
    assert path.exists()
