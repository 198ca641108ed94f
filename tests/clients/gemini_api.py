"""The Gemini API, as far as Gemini CLI uses it: ``streamGenerateContent`` with server-sent events."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from model_service import Body, Dialect
from scripts import Call, Reply, Result, Turn

WRAPPED = "untrusted_context"
_ids = itertools.count(1)


def read(body: Body) -> Turn:
    contents = body["contents"]
    declared = [tool for group in body.get("tools", []) for tool in group.get("functionDeclarations", [])]
    responses = [part["functionResponse"] for part in contents[-1]["parts"] if "functionResponse" in part]
    return Turn(
        prompt=contents[0]["parts"][-1].get("text", ""),
        tools={tool["name"]: tool.get("parametersJsonSchema", {}) for tool in declared},
        results=tuple(Result(response["name"], _result(response["response"])) for response in responses),
        text="\n".join(_texts([body.get("systemInstruction", {}), *contents])),
    )


def _texts(contents: list[dict[str, Any]]) -> Iterator[str]:
    for content in contents:
        yield from (part["text"] for part in content.get("parts", []) if "text" in part)


def _result(response: dict[str, Any]) -> str:
    if "output" not in response:
        return json.dumps(response)
    text = str(response["output"])
    return text.removeprefix(f"<{WRAPPED}>\n").removesuffix(f"\n</{WRAPPED}>")


def write(turn: Turn, reply: Reply) -> list[dict[str, Any]]:
    said = [reply] if isinstance(reply, str | Call) else reply
    parts = [{"text": one} if isinstance(one, str) else {"functionCall": _call(turn, one)} for one in said]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    return [{"candidates": [candidate], "usageMetadata": usage}]


def _call(turn: Turn, call: Call) -> dict[str, Any]:
    return {"id": f"call-{next(_ids)}", "name": turn.full_name(call.tool), "args": dict(call.arguments)}


GEMINI_API = Dialect(":streamGenerateContent", read, write)
