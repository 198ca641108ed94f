"""The demo's directory: a small project with priorities, dependencies, an epic, and files nobody may hand out."""

from __future__ import annotations

import json
from pathlib import Path

LEASE_SECONDS = 3
SETTINGS = {"claims": {"lease_seconds": LEASE_SECONDS, "renew_seconds": 1}}
VERBS = ("Write", "Check", "Translate", "Shorten", "Illustrate", "Index")
THINGS = (
    "the preface",
    "chapter one",
    "the glossary",
    "the map",
    "the recipe for bread",
    "the letter",
    "the timetable",
)


def make_sample(root: Path, tasks: int) -> list[str]:
    """Make ``root/tasks`` with ``tasks`` files that can be done and some that cannot; returns the ids of the former."""
    folder = root / "tasks"
    (root / "pages").mkdir(parents=True)
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps(SETTINGS, indent=2) + "\n", encoding="utf-8")
    ids = [f"page-{number:02d}" for number in range(1, tasks + 1)]
    for number, task_id in enumerate(ids, start=1):
        title = f"{VERBS[number % len(VERBS)]} {THINGS[number % len(THINGS)]}"
        needs = [ids[number - 4]] if number > 6 and number % 5 == 0 else []
        header = {"title": title, "status": "active", "priority": number % 4, "parent": "the-book"}
        header |= {"depends_on": json.dumps(needs), "files": json.dumps([f"pages/{task_id}.txt"])}
        _write(folder, task_id, header, f"Add one line to `pages/{task_id}.txt`.\n\n- [ ] The line is there.")
    _write(
        folder, "the-book", {"title": "Make the book", "status": "active", "type": "epic"}, "All pages belong to it."
    )
    _write(folder, "ask-the-printer", {"title": "Ask the printer", "status": "blocked"}, "Waits for a call back.")
    _write(
        folder, "choose-a-cover", {"title": "Choose a cover", "status": "active", "assignee": "maria"}, "Hers to do."
    )
    _write(folder, "some-day", {"title": "Second edition", "status": "on_hold"}, "Not now.")
    _write(
        folder, "half-written", {"title": "An invalid file", "status": "nearly"}, "No such status: named, not touched."
    )
    (folder / "README.md").write_text("# Notes\n\nA Markdown file without a header is a note.\n", encoding="utf-8")
    return ids


def _write(folder: Path, task_id: str, header: dict[str, object], body: str) -> None:
    lines = "".join(f"{key}: {value}\n" for key, value in {"id": task_id, **header}.items())
    (folder / f"{task_id}.md").write_text(f"---\n{lines}---\n\n{body}\n", encoding="utf-8")
