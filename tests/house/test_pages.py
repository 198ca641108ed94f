"""The pages of docs/: what is generated is up to date, and every link leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from dibs.store.settings import STATUS_WORDS
from dibs_server.dispatch.registry import ALL_TOOLS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


def test_the_generated_pages_are_what_the_generator_writes() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, ""), f"run docs/generate.py: {done.stdout}{done.stderr}"


def test_every_relative_link_leads_to_a_file() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_the_tools_page_has_every_tool_an_agent_sees() -> None:
    page = (ROOT / "docs" / "tools.md").read_text(encoding="utf-8")
    for tool in ALL_TOOLS:
        assert (f"## {tool.name}\n" in page) == (tool.profile != "shell")


def test_the_task_file_page_names_every_status() -> None:
    page = (ROOT / "docs" / "task-file.md").read_text(encoding="utf-8")
    assert all(f"`{word}`" in page for word in STATUS_WORDS)


def test_every_test_that_the_guarantees_name_exists() -> None:
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:\w+/)+(?:test_\w+\.py)?)`", page)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / "tests" / name).exists()] == []


def test_every_promise_names_a_test() -> None:
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and line[2].isupper()]
    assert len(rows) > 10
    assert [row for row in rows if not re.search(r"\| [^|]*`\w+/[^|]*\|$", row)] == []
