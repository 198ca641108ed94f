"""``dibs demo``: real server processes drain a directory, one of them is killed, and the files prove what happened.

Each agent is a scripted client with a ``dibs serve`` process of its own, driven over MCP as any client drives it.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

from dibs.store.ledger import Ledger
from dibs_server.cli.console import out, print_json, shown
from dibs_server.cli.demo_sample import LEASE_SECONDS, make_sample
from dibs_server.cli.demo_view import Event, view_of

NAMES = ("claude", "gemini", "codex", "qwen")
WAIT_SECONDS = 1
KILLED_AT = 2
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


@dataclass
class Run:
    """One run of the demo: what the agents did, by their own records."""

    root: Path
    ids: list[str]
    tell: Callable[[Event], None]
    started: float = field(default_factory=time.monotonic)
    done: dict[str, list[str]] = field(default_factory=dict)
    late: dict[str, Any] = field(default_factory=dict)
    killed_task: str = ""

    def say(self, agent: str, what: str, task_id: str = "") -> None:
        self.tell(Event(time.monotonic() - self.started, agent, what, task_id, sum(map(len, self.done.values()))))

    def server(self) -> StdioServerParameters:
        arguments = ["-m", "dibs_server", "serve", "--tasks-dir", str(self.root / "tasks")]
        return StdioServerParameters(command=sys.executable, args=arguments, env={**os.environ})


def run_demo(agents: int, tasks: int, *, as_json: bool) -> int:
    """Run it in a fresh temporary directory; the exit code is 0 when every promise held."""
    root = Path(tempfile.mkdtemp(prefix="dibs-demo-"))
    ids = make_sample(root, tasks)
    names = [NAMES[i] if i < len(NAMES) else f"agent-{i + 1}" for i in range(agents)]
    console = out()
    if not as_json:
        console.print(
            shown(f"{tasks} tasks in {root / 'tasks'}, {agents} agents, each with a server process of its own")
        )
    with view_of(console, names, tasks, silent=as_json) as tell:
        run = Run(root, ids, tell, done={name: [] for name in names})
        anyio.run(_all_agents, run, names)
    summary = _judge(run)
    if as_json:
        print_json(summary)
    else:
        _print_summary(run, summary)
    return 0 if summary["ok"] else 1


async def _all_agents(run: Run, names: list[str]) -> None:
    async with anyio.create_task_group() as group:
        for name in names[:-1]:
            group.start_soon(_agent, run, name)
        group.start_soon(_unlucky_agent, run, names[-1])


async def _agent(run: Run, name: str) -> None:
    async with Client(run.server()) as client:
        while (claimed := await _claim(client, name)) is not None:
            await _work(run, name, client, claimed)
    run.say(name, "found nothing more to do and stopped")


async def _claim(client: Client, name: str) -> dict[str, Any] | None:
    """The next task; None once nothing is ready and nothing in progress could still set something free."""
    while True:
        answer = await _call(client, "claim_next_task", caller=name, wait_seconds=WAIT_SECONDS)
        if answer["status"] == "claimed":
            return answer
        if answer["retry_after_seconds"] is None:
            return None


async def _call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    answer = result.structured_content
    if not isinstance(answer, dict):
        raise RuntimeError(f"{tool} gave no structured result")
    return answer


async def _work(run: Run, name: str, client: Client, claimed: dict[str, Any]) -> None:
    """Do a task: really edit its file, tick its checklist, complete it."""
    task = claimed["task"]
    run.say(name, "claimed", task["id"])
    await anyio.sleep(random.uniform(0.05, 0.35))
    page = anyio.Path(run.root / task["files"][0])
    before = await page.read_text(encoding="utf-8") if await page.exists() else ""
    await page.write_text(f"{before}{task['title']}, by {name}\n", encoding="utf-8")
    file = anyio.Path(task["path"])
    await file.write_text((await file.read_text(encoding="utf-8")).replace("- [ ]", "- [x]"), encoding="utf-8")
    answer = await _call(
        client,
        "complete_task",
        id=task["id"],
        claim_token=claimed["claim_token"],
        summary=f"Added the line to {task['files'][0]}.",
        files_changed=task["files"],
        evidence="Read the file again.",
    )
    if "code" in answer:
        raise RuntimeError(answer["message"])
    run.done[name].append(task["id"])
    run.say(name, "completed", task["id"])


async def _unlucky_agent(run: Run, name: str) -> None:
    """Works like the others until its server is killed with a task in hand; comes back too late, then works on."""
    lost: dict[str, Any] | None = None
    with anyio.CancelScope() as death:
        async with Client(run.server()) as client:
            while (claimed := await _claim(client, name)) is not None:
                if len(run.done[name]) == KILLED_AT:
                    lost = claimed
                    _kill_server(run, name, claimed["task"]["id"])
                    death.cancel()
                    await anyio.sleep_forever()
                await _work(run, name, client, claimed)
    if lost is not None:
        await _come_back(run, name, lost)
        await _agent(run, name)


def _kill_server(run: Run, name: str, task_id: str) -> None:
    claim = Ledger(run.root / "tasks").claim(task_id)
    if claim is None or claim.owner.pid is None:
        raise RuntimeError(f"{task_id} has no claim file")
    os.kill(claim.owner.pid, KILL)
    run.killed_task = task_id
    run.say(name, f"server killed (pid {claim.owner.pid}); its lease passes in {LEASE_SECONDS} s, holding", task_id)


async def _come_back(run: Run, name: str, lost: dict[str, Any]) -> None:
    """Wait until somebody else has done the lost task, then try to complete it with the old token."""
    task_id = lost["task"]["id"]
    async with Client(run.server()) as client:
        with anyio.fail_after(60):
            while not any(task_id in done for done in run.done.values()):
                await anyio.sleep(0.1)
        run.say(name, "is back, and completes with its old token", task_id)
        run.late = await _call(
            client, "complete_task", id=task_id, claim_token=lost["claim_token"], summary="I did it after all!"
        )
        run.say(name, f"was told {run.late.get('code', 'ok')}", task_id)


def _judge(run: Run) -> dict[str, Any]:
    """What the files say, beside what the agents say."""
    claimed = [task_id for done in run.done.values() for task_id in done]
    texts = {task_id: (run.root / "tasks" / f"{task_id}.md").read_text(encoding="utf-8") for task_id in run.ids}
    once = [i for i, text in texts.items() if "status: done" in text and text.count("## Completion") == 1]
    lines = [len((run.root / f"pages/{i}.txt").read_text(encoding="utf-8").splitlines()) for i in once]
    twice = len(claimed) - len(set(claimed))
    refused = run.late.get("code") == "claim_lost"
    kept = Path(run.late.get("report", "")).is_file()
    return {
        "ok": len(once) == len(run.ids) and set(lines) == {1} and twice == 0 and refused and kept,
        "tasks": len(run.ids),
        "done_exactly_once": len(once),
        "done_twice": twice,
        "lost": len(run.ids) - len(once),
        "killed_with": run.killed_task,
        "finished_by": next((name for name, done in run.done.items() if run.killed_task in done), ""),
        "late_completion": run.late.get("code", "accepted"),
        "late_message": run.late.get("message", ""),
        "by_agent": {name: len(done) for name, done in run.done.items()},
        "seconds": round(time.monotonic() - run.started, 1),
        "directory": str(run.root),
    }


def _print_summary(run: Run, summary: dict[str, Any]) -> None:
    console = out()
    verdict = ("Every promise held", "bold green") if summary["ok"] else ("A promise was broken", "bold red")
    shares = ", ".join(f"{name} {count}" for name, count in summary["by_agent"].items())
    counts = "{done_exactly_once} of {tasks} tasks done exactly once, {done_twice} twice, {lost} lost, in {seconds} s"
    console.print()
    console.print(shown(f"{verdict[0]}: {counts.format(**summary)}.", verdict[1]))
    console.print(shown(f"Who did what: {shares}."))
    console.print(
        shown("{killed_with} was in hand when its server was killed; {finished_by} did it.".format(**summary))
    )
    console.print(shown("Its late completion was answered {late_completion}: {late_message}".format(**summary)))
    console.print(
        shown("Left as they were: an epic, a blocked task, one for maria, one on hold, an invalid one, a note.")
    )
    console.print(shown(f"Look around: {_this_program()} stats --tasks-dir {run.root / 'tasks'}", "dim"))


def _this_program() -> str:
    """How the reader can start this program again: by its name if that is on the PATH, else by its path."""
    beside = Path(sys.executable).parent / "dibs"
    return "dibs" if shutil.which("dibs") or not beside.exists() else os.path.relpath(beside)
