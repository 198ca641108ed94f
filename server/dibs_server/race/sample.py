"""The directory a race is run on: task files of every kind that people write, known to the byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dibs_server.race.content import LAST_LINE

BYSTANDERS = {
    "the-whole.md": b"---\nid: the-whole\ntitle: All of it\ntype: epic\nstatus: active\n---\nHolds others.\n",
    "some-day.md": b"---\nid: some-day\nstatus: on_hold\n---\nNot now.\n",
    "hers.md": b"---\nid: hers\nstatus: active\nassignee: maria\n---\nNobody else's.\n",
    "half-written.md": b"---\nid: half-written\nstatus: nearly\n---\nNo such status.\n",
    "README.md": b"# Notes\n\nNo header, no task.\n",
}
PRIORITIES = 5
CHANGED_ELSEWHERE = 4


@dataclass(frozen=True)
class SampleTask:
    """A task as it was made. ``group``: tasks of one group reserve the same file; "" reserves none."""

    id: str
    path: Path
    content: bytes
    group: str
    needs: str


@dataclass(frozen=True)
class Sample:
    folder: Path
    tasks_dir: Path
    tasks: tuple[SampleTask, ...]

    def leaves(self) -> frozenset[int]:
        """The tasks that no other one needs."""
        needed = {task.needs for task in self.tasks}
        return frozenset(number for number, task in enumerate(self.tasks) if task.id not in needed)

    def elsewhere(self) -> dict[str, bytes]:
        """What the other branch has for some of the tasks: the last to be handed out, so that git can switch."""
        changed = [task for number, task in enumerate(self.tasks) if number % PRIORITIES == PRIORITIES - 1]
        return {
            task.id: task.content.replace(b"Do it.", b"Do it, on the other branch.")
            for task in changed[-CHANGED_ELSEWHERE:]
        }


def make_sample(folder: Path, tasks: int, lease_seconds: float) -> Sample:
    """Make ``folder/tasks`` with so many tasks, and files that nobody may touch."""
    tasks_dir = folder / "tasks"
    tasks_dir.mkdir(parents=True)
    claims = {"lease_seconds": lease_seconds, "renew_seconds": lease_seconds / 3, "max_attempts": 1000}
    (tasks_dir / "settings.json").write_text(json.dumps({"claims": claims}, indent=2) + "\n", encoding="utf-8")
    for name, content in BYSTANDERS.items():
        (tasks_dir / name).write_bytes(content)
    made = tuple(_task(tasks_dir, number) for number in range(tasks))
    for task in made:
        task.path.parent.mkdir(exist_ok=True)
        task.path.write_bytes(task.content)
    return Sample(folder, tasks_dir, made)


def _task(tasks_dir: Path, number: int) -> SampleTask:
    task_id = f"race-{number:05d}"
    needs = f"race-{number - 5:05d}" if number % 6 == 5 else ""
    group = f"src/part-{number // 14}.txt" if number % 7 == 3 else ""
    header = [f"id: {task_id}", f"priority: {number % PRIORITIES}"]
    header += [f"depends_on: [{needs}]"] if needs else []
    header += [f"files: [{group}]"] if group else []
    text = KINDS[number % len(KINDS)](header, [f"Do it. This is task {number}.", "", "- [x] thought of"])
    content = text.replace("LAST", f"{LAST_LINE.decode()}{task_id}.").encode()
    folder = tasks_dir / "later" if number % 9 == 4 else tasks_dir
    return SampleTask(task_id, folder / f"{task_id}.md", content, group, needs)


def _plain(header: list[str], body: list[str]) -> str:
    return "\n".join(["---", *header, "status: active", "---", "", *body, "LAST", ""])


def _commented(header: list[str], body: list[str]) -> str:
    head = ["# whose is this?", 'title: "With: a colon"', *header, "status: To Do   # said on Monday", "# that is all"]
    return "\n".join(["---", *head, "---", *body, "LAST", ""])


def _windows(header: list[str], body: list[str]) -> str:
    return _plain(header, body).replace("\n", "\r\n")


def _with_byte_order_mark(header: list[str], body: list[str]) -> str:
    return "\ufeff" + _plain(header, body)


def _for_anyone(header: list[str], body: list[str]) -> str:
    return "\n".join(["---", "status: 'active'", "assignee:", "  - bot", *header, "---", *body, "LAST", ""])


def _odd_values(header: list[str], body: list[str]) -> str:
    odd = ["estimate: 007", "weight: 1.10", "due: 2027-01-31", "tags: [ a,b ]", "notes: |", "  status: not this one"]
    return "\n".join(["---", *header, *odd, "status: active", "x-mine: {a: 1}", "---", *body, "LAST", ""])


def _no_last_line_end(header: list[str], body: list[str]) -> str:
    return _plain(header, [*body, "", "```sh", "echo '---'", "```", ""]).removesuffix("\n")


KINDS: tuple[Callable[[list[str], list[str]], str], ...] = (
    _plain,
    _commented,
    _windows,
    _odd_values,
    _for_anyone,
    _no_last_line_end,
    _with_byte_order_mark,
    _plain,
)
