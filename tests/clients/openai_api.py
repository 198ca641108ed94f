"""The OpenAI Responses API, as far as Codex uses it: ``/responses`` with server-sent events."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

from model_service import Body, Dialect
from scripts import Call, Reply, Result, Turn

Item = dict[str, Any]
SEPARATOR = "__"
ANSWERED = "function_call_output"
TIMED = re.compile(r"\AWall time: .*\nOutput:\n")
_ids = itertools.count(1)


def read(body: Body) -> Turn:
    items = body["input"]
    begun = list(itertools.takewhile(lambda item: item.get("role") in ("developer", "user"), items))
    called = {item["call_id"]: _full_name(item) for item in items if item["type"] == "function_call"}
    answers = list(itertools.takewhile(lambda item: item["type"] == ANSWERED, reversed(items)))
    return Turn(
        prompt=_texts(begun[-1:]),
        tools=dict(_declared(body.get("tools", []))),
        results=tuple(Result(called[item["call_id"]], _result(item["output"])) for item in reversed(answers)),
        text=_texts(items),
    )


def _full_name(item: Item) -> str:
    return SEPARATOR.join([item["namespace"], item["name"]] if item.get("namespace") else [item["name"]])


def _declared(tools: list[Item]) -> Iterator[tuple[str, Item]]:
    for tool in tools:
        if tool["type"] == "function":
            yield tool["name"], tool["parameters"]
        for inner in tool.get("tools", []):
            yield f"{tool['name']}{SEPARATOR}{inner['name']}", inner.get("parameters", {})


def _texts(items: list[Item]) -> str:
    return "\n".join(part["text"] for item in items for part in item.get("content") or [] if "text" in part)


def _result(output: Any) -> str:
    return TIMED.sub("", output if isinstance(output, str) else json.dumps(output))


def write(turn: Turn, reply: Reply) -> list[dict[str, Any]]:
    said = [reply] if isinstance(reply, str | Call) else reply
    items = [_message(one) if isinstance(one, str) else _call(turn, one) for one in said]
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    response = {"id": f"resp-{next(_ids)}", "usage": usage}
    done = [{"type": "response.output_item.done", "item": item} for item in items]
    return [
        {"type": "response.created", "response": response},
        *done,
        {"type": "response.completed", "response": response},
    ]


def _message(text: str) -> Item:
    content = [{"type": "output_text", "text": text}]
    return {"type": "message", "id": f"msg-{next(_ids)}", "role": "assistant", "content": content}


def _call(turn: Turn, call: Call) -> Item:
    namespace, _, name = turn.full_name(call.tool).rpartition(SEPARATOR)
    item = {
        "type": "function_call",
        "call_id": f"call-{next(_ids)}",
        "name": name,
        "arguments": json.dumps(call.arguments),
    }
    return {**item, "namespace": namespace} if namespace else item


OPENAI_API = Dialect("/responses", read, write)
