from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AgentReport:
    tokens: int = 0
    cost_usd: float | None = None
    last_words: str = ""
    error: str = ""


def read_report(output: Path) -> AgentReport:
    return AgentReport()


def last_line(output: Path) -> str:
    return ""
