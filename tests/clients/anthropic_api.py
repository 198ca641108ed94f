"""The Anthropic Messages API, as far as Claude Code uses it: ``/v1/messages`` with server-sent events."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from model_service import Body, Dialect
from scripts import Call, Reply, Result, Turn

Block = dict[str, Any]
_ids = itertools.count(1)


def read(body: Body) -> Turn:
    messages = [_blocks(message["content"]) for message in body["messages"]]
    last_call = max((at for at, message in enumerate(body["messages"]) if message["role"] == "assistant"), default=0)
    called = {block["id"]: block["name"] for block in messages[last_call] if block["type"] == "tool_use"}
    news = [block for blocks in messages[last_call + 1 :] for block in blocks]
    results = [block for block in news if block["type"] == "tool_result"]
    return Turn(
        prompt=[block["text"] for block in messages[0] if block["type"] == "text"][-1],
        tools={tool["name"]: tool.get("input_schema", {}) for tool in body.get("tools", [])},
        results=tuple(Result(called[block["tool_use_id"]], _result(block)) for block in results),
        text="\n".join(_texts([_blocks(body.get("system", [])), *messages])),
    )


def _blocks(content: str | list[Block]) -> list[Block]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _texts(messages: list[list[Block]]) -> Iterator[str]:
    for blocks in messages:
        yield from (block["text"] for block in blocks if block["type"] == "text")


def _result(block: Block) -> str:
    blocks = _blocks(block.get("content", []))
    return "\n".join(one["text"] if one["type"] == "text" else json.dumps(one) for one in blocks)


def write(turn: Turn, reply: Reply) -> list[dict[str, Any]]:
    said = [reply] if isinstance(reply, str | Call) else reply
    blocks = [event for index, one in enumerate(said) for event in _block(turn, index, one)]
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {
        "id": f"msg_{next(_ids)}", "type": "message", "role": "assistant", "model": "scripted", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    why = {"stop_reason": "end_turn" if isinstance(reply, str) else "tool_use", "stop_sequence": None}
    end = {"type": "message_delta", "delta": why, "usage": usage}
    return [{"type": "message_start", "message": message}, *blocks, end, {"type": "message_stop"}]


def _block(turn: Turn, index: int, said: str | Call) -> list[dict[str, Any]]:
    block: Block
    if isinstance(said, str):
        block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": said}
    else:
        block = {"type": "tool_use", "id": f"toolu_{next(_ids)}", "name": turn.full_name(said.tool), "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(said.arguments)}
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        {"type": "content_block_delta", "index": index, "delta": delta},
        {"type": "content_block_stop", "index": index},
    ]


ANTHROPIC_API = Dialect("/v1/messages", read, write)
