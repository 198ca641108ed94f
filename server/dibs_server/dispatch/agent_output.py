"""What a headless agent printed: how it went, and what of it a person wants to see.

Claude Code, Gemini CLI and Codex print a JSON object a line when asked to, each in a form of its own. Which form it is
shows in the lines themselves; what is in none of them is plain text, such as any other program prints. Nothing that a
file holds makes these functions raise, and what they return has no control characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

REPORT_BYTES = 1024 * 1024
LAST_LINE_BYTES = 16 * 1024
BEYOND_BELIEF = 1e15
"""A number from here on counts nothing; JSON has room for infinite ones, and for ones that no float can hold."""

Value: TypeAlias = object
Fields: TypeAlias = Mapping[str, Value]

_ESCAPE = re.compile("(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\\\)?|\x1b[ -/]*[0-~]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class AgentReport:
    """What an agent says of its run."""

    tokens: int = 0
    """All it read, from caches too, and all it wrote; 0 when it did not say."""
    cost_usd: float | None = None
    last_words: str = ""
    """Its final answer; of a program that is no agent we know, the last line that is not empty."""
    error: str = ""
    """What went wrong, in its own words; "" when nothing did."""


@dataclass(frozen=True)
class _Line:
    """What one line says. ``words`` are the agent's own, and go on from the line before where ``continued``; ``error``
    is None where a line does not tell how things stand."""

    shown: str = ""
    words: str = ""
    continued: bool = False
    error: str | None = None
    tokens: int = 0
    cost_usd: float | None = None


def read_report(output: Path) -> AgentReport:
    """What the last MiB of an output says of the run; nothing, when there is no such file."""
    texts = _lines(output, REPORT_BYTES)
    lines = [line for line in map(_understood, texts) if line is not None]
    if not lines:
        plain = (shown for shown in map(shown_line, reversed(texts)) if shown)
        return AgentReport(last_words=next(plain, ""))
    errors = [line.error for line in lines if line.error is not None]
    prices = [line.cost_usd for line in lines if line.cost_usd is not None]
    return AgentReport(
        tokens=next((line.tokens for line in reversed(lines) if line.tokens), 0),
        cost_usd=prices[-1] if prices else None,
        last_words=_clean(_last_words(lines)).strip(),
        error=_clean(errors[-1]).strip() if errors else "",
    )


def _last_words(lines: list[_Line]) -> str:
    said, before = "", _Line()
    for line in lines:
        if line.words:
            said = said + line.words if line.continued and before.continued else line.words
        before = line
    return said


def shown_line(line: str) -> str:
    """One line of an output as a person wants to see it live, "" when there is nothing to see."""
    if (understood := _understood(line)) is not None:
        return " ".join(_clean(understood.shown).split())
    if line.lstrip().startswith('{"'):
        fields = _parsed(line)
        if not fields or "type" in fields:
            return ""  # cut off, still being written, or of a kind that tells a person nothing
    return _clean(line).strip().rpartition("\n")[2].strip()  # of a line that is written over, what a terminal shows


def last_line(output: Path) -> str:
    """The last line worth showing, among the last 16 KiB."""
    shown = (shown_line(line) for line in reversed(_lines(output, LAST_LINE_BYTES)))
    return next((line for line in shown if line), "")


def _lines(output: Path, limit: int) -> list[str]:
    """The whole lines among the last bytes of a file."""
    try:
        with output.open("rb") as file:
            begin = max(0, file.seek(0, 2) - limit)
            file.seek(begin)
            content = file.read(limit)
    except OSError:
        return []
    lines = content.decode("utf-8", "replace").split("\n")
    return lines[1:] if begin else lines


def _clean(text: str) -> str:
    text = _ESCAPE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", text))


def _understood(text: str) -> _Line | None:
    """What a line says, None when it is in no agent's form."""
    fields = _parsed(text)
    read = _FORMS.get(_text(fields.get("type")))
    return read(fields) if read else None


def _parsed(text: str) -> Fields:
    if not text.lstrip().startswith("{"):
        return {}
    try:
        return _fields(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""


def _fields(value: Value) -> Fields:
    return value if isinstance(value, dict) else {}


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []


def _number(value: Value) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < BEYOND_BELIEF else None


def _sum(counts: Fields, *names: str) -> int:
    return sum(int(_number(counts.get(name)) or 0) for name in names)


def _nothing(fields: Fields) -> _Line:
    return _Line()


def _failed(why: str) -> _Line:
    return _Line(f"error: {why}", error=why)


def _at_work(shown: str, words: str = "", *, continued: bool = False) -> _Line:
    """The agent goes on, so what went wrong before is over."""
    return _Line(shown, words, continued, error="")


def _error(fields: Fields) -> _Line:
    return _failed(_text(fields.get("message")) or "it did not say what")


def _result(fields: Fields) -> _Line:
    return _gemini_result(fields) if "status" in fields else _claude_result(fields)


def _claude_message(fields: Fields) -> _Line:
    blocks = [_fields(block) for block in _list(_fields(fields.get("message")).get("content"))]
    words = "\n".join(filter(None, (_text(block.get("text")) for block in blocks if block.get("type") == "text")))
    tools = [f"tool: {_text(block.get('name'))}" for block in blocks if block.get("type") == "tool_use"]
    # a helper of the agent's has another tool call above it: its words are not the agent's last ones
    return _at_work("\n".join(filter(None, [words, *tools])), "" if fields.get("parent_tool_use_id") else words)


def _claude_system(fields: Fields) -> _Line:
    if fields.get("subtype") == "api_retry":
        why, status = _text(fields.get("error")), _sum(fields, "error_status")
        return _failed(f"{why} (HTTP {status}), try {_sum(fields, 'attempt')} of {_sum(fields, 'max_retries')}")
    return _Line(_text(fields.get("message")) if fields.get("subtype") == "permission_denied" else "")


def _claude_result(fields: Fields) -> _Line:
    words = _text(fields.get("result"))
    errors = words or "; ".join(filter(None, map(_text, _list(fields.get("errors")))))
    error = (errors or _text(fields.get("subtype")) or "it did not say what") if fields.get("is_error") else ""
    return _Line(
        f"error: {error}" if error else "",
        words,
        error=error,
        tokens=_claude_tokens(fields),
        cost_usd=_number(fields.get("total_cost_usd")),
    )


def _claude_tokens(fields: Fields) -> int:
    """By model, where helpers of the agent's count as well, or else its own."""
    read, cached = ("inputTokens", "outputTokens"), ("cacheReadInputTokens", "cacheCreationInputTokens")
    by_model = sum(_sum(_fields(model), *read, *cached) for model in _fields(fields.get("modelUsage")).values())
    cached_too = ("cache_read_input_tokens", "cache_creation_input_tokens")
    return by_model or _sum(_fields(fields.get("usage")), "input_tokens", "output_tokens", *cached_too)


def _gemini_message(fields: Fields) -> _Line:
    words = _text(fields.get("content"))
    return _at_work(words, words, continued=bool(fields.get("delta"))) if fields.get("role") == "assistant" else _Line()


def _gemini_tool(fields: Fields) -> _Line:
    return _at_work(f"tool: {_text(fields.get('tool_name'))}")


def _gemini_result(fields: Fields) -> _Line:
    tokens = _sum(_fields(fields.get("stats")), "total_tokens")
    if fields.get("status") == "success":
        return _Line(tokens=tokens)  # a warning before it, such as of a loop, stands
    why = _text(_fields(fields.get("error")).get("message")) or "it did not say what"
    return _Line(f"error: {why}", error=why, tokens=tokens)


def _codex_begun(fields: Fields) -> _Line:
    item = _fields(fields.get("item"))
    tool = _text(item.get("tool")) or _text(item.get("command")) or _text(item.get("type"))
    return _at_work(f"tool: {tool}")


def _codex_done(fields: Fields) -> _Line:
    item = _fields(fields.get("item"))
    if item.get("type") == "agent_message":
        words = _text(item.get("text"))
        return _at_work(words, words)
    return _Line(_text(item.get("message")) if item.get("type") == "error" else "")


def _codex_completed(fields: Fields) -> _Line:
    return _Line(error="", tokens=_sum(_fields(fields.get("usage")), "input_tokens", "output_tokens"))


def _codex_failed(fields: Fields) -> _Line:
    return _failed(_text(_fields(fields.get("error")).get("message")) or "it did not say what")


_FORMS: Mapping[str, Callable[[Fields], _Line]] = {
    # Claude Code
    "system": _claude_system,
    "user": _nothing,
    "assistant": _claude_message,
    # Gemini CLI
    "init": _nothing,
    "message": _gemini_message,
    "tool_use": _gemini_tool,
    "tool_result": _nothing,
    # Codex
    "thread.started": _nothing,
    "turn.started": _nothing,
    "item.started": _codex_begun,
    "item.updated": _nothing,
    "item.completed": _codex_done,
    "turn.completed": _codex_completed,
    "turn.failed": _codex_failed,
    # more than one of them
    "error": _error,
    "result": _result,
}
