"""Waves of scripted agents in real processes: a project, its records, and what is asked of them again and again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from worker import events

from dibs_server.dispatch.run_result import RunResult
from shell import until
from support import header

WORKER = Path(__file__).with_name("worker.py")
PATIENT_SECONDS = 300
Answer = dict[str, Any]


class Project:
    """A directory of tasks whose agent is the scripted worker, with MCP or, in half the time, without. The reviewer is
    that too, and gives each review this outcome."""

    def __init__(
        self, folder: Path, tasks_dir: Path, *, mcp: bool = False, outcome: str = "approved", **dispatch: object
    ) -> None:
        self.folder = folder
        self.tasks_dir = tasks_dir
        self.records = folder / "records"
        self.records.mkdir()
        worker = [sys.executable, str(WORKER), "{mcp_config}" if mcp else "-", str(self.records)]
        agents = {
            "scripted": {"command": worker, "environment": {"MODEL": "{model}"}},
            "critic": {"command": [*worker, outcome]},
        }
        settings = {
            "claims": {"lease_seconds": 60, "renew_seconds": 5},
            "parallelism": {"maxParallelTasks": 10, "implementation": 1},
            "dispatch": {"agent": "scripted", "reviewer": "critic", "agents": agents, **dispatch},
        }
        (tasks_dir / "settings.json").write_text(json.dumps(settings), encoding="utf-8")

    def wave(self, tasks: Iterable[Mapping[str, object]], name: str = "wave.json", **keys: object) -> Path:
        """Write a wave down."""
        given = {"wave": 2, "tasks": [{"timeoutSeconds": PATIENT_SECONDS, **task} for task in tasks], **keys}
        path = self.folder / name
        path.write_text(json.dumps(given), encoding="utf-8")
        return path

    def words(self, *words: str | Path) -> tuple[str | Path, ...]:
        return (*words, "--tasks-dir", self.tasks_dir)

    def go(self) -> None:
        """Let those go on that hold."""
        (self.records / "go").touch()

    @property
    def events(self) -> list[Answer]:
        return events(self.records)

    def of(self, what: str) -> list[str]:
        """The tasks that this was noted of, in order."""
        return [event["task"] for event in self.events if event["what"] == what]

    def until_begun(self, *task_ids: str) -> None:
        until(lambda: set(task_ids) <= set(self.of("begin")))

    def together(self) -> set[frozenset[str]]:
        """The pairs of tasks whose work overlapped in time, by the workers' own records."""
        begun = {event["task"]: event["at"] for event in self.events if event["what"] == "begin"}
        ended = {event["task"]: event["at"] for event in self.events if event["what"] == "end"}
        return {
            frozenset((one, other))
            for one in begun
            for other in begun
            if one < other and begun[one] < ended[other] and begun[other] < ended[one]
        }

    def header(self, task_id: str) -> Mapping[str, str | None]:
        named = (f"{task_id}.md", f"{task_id}-*.md")
        (path,) = {path for name in named for path in self.tasks_dir.glob(name) if "-review-" not in path.name}
        return header(path)

    def reservations(self) -> list[Path]:
        return list((self.tasks_dir / ".dibs" / "claims").glob("*.lock"))

    def left_running(self) -> list[psutil.Process]:
        """Processes of ours that still live: supervisors, agents, servers, and what agents started."""
        marks = (str(self.tasks_dir), str(self.records))
        return [process for process in psutil.process_iter() if _is_of(process, marks)]


def _is_of(process: psutil.Process, marks: Sequence[str]) -> bool:
    try:
        said = [*process.cmdline(), *process.environ().values()]
        return process.status() != psutil.STATUS_ZOMBIE and any(mark in text for text in said for mark in marks)
    except psutil.Error:
        return False


def statuses(answer: Answer) -> dict[str, str]:
    """The tasks of a result, with their statuses; the result must have the shape that is promised."""
    result = RunResult.model_validate(answer)
    return {task_id: row.status for task_id, row in result.tasks.items()}
