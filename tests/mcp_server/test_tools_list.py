"""What a model is told before its first call: small enough, and in a form every client takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from in_memory import connected
from mcp.types import ListToolsResult

from dibs import __version__
from dibs.arguments import input_schema
from dibs.registry import TOOLS, Profile, Tool, tools_of
from dibs_server.mcp_server.instructions import INSTRUCTIONS

WORKER = ["claim_next_task", "complete_task", "block_task", "release_task", "get_task", "get_index_stats"]
ARGUMENT_TYPES = {"string", "integer", "number", "boolean", "array", "object"}
ARGUMENT_KEYS = {"type", "description", "enum", "items", "minimum", "maximum", "default"}
RESULT_KEYS = {"type", "properties", "required", "items", "enum", "additionalProperties", "const"}

pytestmark = pytest.mark.anyio


def tokens(*parts: object) -> float:
    """An estimate every vendor's tokenizer stays near: four bytes of compact JSON."""
    return sum(len(json.dumps(part, ensure_ascii=False, separators=(",", ":")).encode()) for part in parts) / 4


async def listed(tasks_dir: Path, era: str, profile: Profile | None = None) -> ListToolsResult:
    async with connected(tasks_dir, era, profile=profile) as client:
        return await client.list_tools()


async def test_the_worker_profile_offers_its_six_tools(tasks_dir: Path, era: str) -> None:
    assert [tool.name for tool in (await listed(tasks_dir, era)).tools] == WORKER


async def test_the_settings_choose_the_profile(tasks_dir: Path, era: str) -> None:
    (tasks_dir / "settings.json").write_text('{"profile": "coordinator"}', encoding="utf-8")
    names = [tool.name for tool in (await listed(tasks_dir, era)).tools]
    assert names == [tool.name for tool in tools_of("coordinator")]


@pytest.mark.parametrize("profile", ["worker", "coordinator"])
async def test_what_is_for_people_is_offered_to_no_agent(tasks_dir: Path, era: str, profile: Profile) -> None:
    shell = {tool.name for tool in TOOLS if tool.profile == "shell"}
    async with connected(tasks_dir, era, profile=profile) as client:
        assert shell.isdisjoint(tool.name for tool in (await client.list_tools()).tools)
        for name in shell:
            assert (await client.call_tool(name, {"id": "t-1", "title": "x"})).is_error
    assert list(tasks_dir.iterdir()) == []


@pytest.mark.parametrize(("profile", "most"), [("worker", 1200), ("coordinator", 3500)])
async def test_what_a_model_sees_fits_its_budget(tasks_dir: Path, era: str, profile: Profile, most: int) -> None:
    tools = (await listed(tasks_dir, era, profile)).tools
    assert tokens(*([tool.name, tool.description, tool.input_schema] for tool in tools)) <= most


@pytest.mark.parametrize(("profile", "most"), [("worker", 3000), ("coordinator", 7000)])
async def test_the_whole_list_fits_its_budget(tasks_dir: Path, era: str, profile: Profile, most: int) -> None:
    result = await listed(tasks_dir, era, profile)
    assert tokens(result.model_dump(mode="json", by_alias=True, exclude_none=True)) <= most


def test_the_instructions_are_short_and_teach_the_loop() -> None:
    assert len(INSTRUCTIONS.encode()) <= 1500
    for name in ("claim_next_task", "complete_task", "block_task", "release_task", "claim_token", "claim_lost", "stop"):
        assert name in INSTRUCTIONS


async def test_the_instructions_reach_the_client(tasks_dir: Path, era: str) -> None:
    async with connected(tasks_dir, era) as client:
        assert client.instructions == INSTRUCTIONS


async def test_the_server_says_its_name_and_version(tasks_dir: Path, era: str) -> None:
    async with connected(tasks_dir, era) as client:
        assert client.server_info is not None
        assert (client.server_info.name, client.server_info.version) == ("dibs", __version__)


async def test_every_tool_is_described_and_hinted(tasks_dir: Path, era: str) -> None:
    for tool in (await listed(tasks_dir, era)).tools:
        row = next(row for row in TOOLS if row.name == tool.name)
        assert tool.description
        assert tool.description == row.description
        assert tool.annotations is not None
        assert tool.annotations.title == row.title
        assert tool.annotations.read_only_hint == row.read_only
        assert tool.annotations.open_world_hint is False
    assert {row.name for row in TOOLS if row.profile == "worker" and row.read_only} == {"get_task", "get_index_stats"}


async def test_arguments_are_one_flat_object_of_plain_types(tasks_dir: Path, era: str) -> None:
    for tool in (await listed(tasks_dir, era)).tools:
        check_arguments(tool.input_schema)


@pytest.mark.parametrize("row", TOOLS, ids=lambda row: row.command)
def test_the_arguments_of_every_row_are_flat_and_portable(row: Tool) -> None:
    check_arguments(input_schema(row))
    check_arguments(input_schema(row, shell=True))


def check_arguments(schema: dict[str, Any]) -> None:
    assert schema.keys() == {"type", "properties", "required"}
    assert schema["type"] == "object"
    assert set(schema["required"]) <= schema["properties"].keys()
    for name, prop in schema["properties"].items():
        assert prop.keys() <= ARGUMENT_KEYS, name
        assert prop["type"] in ARGUMENT_TYPES, name
        if (items := prop.get("items", {"type": "string"})) != {"type": "string"}:
            check_arguments(items)
        assert ("items" in prop) == (prop["type"] == "array"), name
        assert "enum" not in prop or (len(prop["enum"]) >= 2 and all(prop["enum"])), name
        assert "default" not in prop or prop["default"], name


async def test_results_are_described_without_references_and_names(tasks_dir: Path, era: str) -> None:
    for tool in (await listed(tasks_dir, era)).tools:
        assert tool.output_schema is not None
        assert tool.output_schema["type"] == "object"
        result, error = tool.output_schema["anyOf"]
        assert error == {"required": ["code", "message", "task_id"]}
        check_result({**{k: v for k, v in tool.output_schema.items() if k != "anyOf"}, **result})


def check_result(schema: dict[str, Any]) -> None:
    """No $ref, title or format anywhere; and every key of a result is promised."""
    assert schema.keys() <= RESULT_KEYS
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties")
    assert set(schema.get("required", [])) >= properties.keys()
    assert set(schema.get("required", [])) == properties.keys() or others
    below = [*properties.values()]
    below += [part for key in ("items", "additionalProperties") if isinstance(part := schema.get(key), dict)]
    for part in below:
        check_result(part)
