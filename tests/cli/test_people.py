"""What people do at a shell: make a directory or take one over, add, list, ask why, renew, take back, reopen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dibs.session import Session
from dibs.store.ledger import Ledger
from dibs.store.task_store import TaskStore
from doors import run_dibs
from support import claim, header, write_file, write_task

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(tasks_dir: Path) -> Ask:
    """Runs a subcommand that must succeed; returns what it prints."""

    def run(*words: str) -> dict[str, Any]:
        result = run_dibs(*words, "--json", "--tasks-dir", str(tasks_dir))
        assert result.exit_code == 0, result.output
        answer = json.loads(result.stdout)
        assert isinstance(answer, dict)
        return answer

    return run


@pytest.fixture
def agent(tasks_dir: Path) -> Iterator[Session]:
    """A server with an agent, claude."""
    session = Session(TaskStore(tasks_dir), client="claude-code", server=True)
    yield session
    session.close()


# init


def init(folder: Path, *words: str) -> Any:
    return run_dibs("init", "--tasks-dir", str(folder), *words)


def test_init_makes_a_directory_that_works_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "tasks"
    assert init(folder).exit_code == 0
    assert [path.name for path in folder.iterdir()] == ["settings.json"]
    assert run_dibs("stats", "--tasks-dir", str(folder)).exit_code == 0


def test_init_takes_the_usual_folder_without_being_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DIBS_TASKS_DIR", "CLAUDE_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert run_dibs("init").exit_code == 0
    assert (tmp_path / "tasks" / "settings.json").is_file()
    below = tmp_path / "src"
    below.mkdir()
    monkeypatch.chdir(below)
    assert run_dibs("add", "First").exit_code == 0
    assert len(list((tmp_path / "tasks").glob("*.md"))) == 1


def test_init_leaves_a_directory_that_is_not_empty_alone(tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    result = init(tasks_dir)
    assert result.exit_code == 6
    assert "--adopt" in result.stderr
    assert list(tasks_dir.iterdir()) == [path]


def test_adopting_learns_the_words_and_changes_no_task_file(tasks_dir: Path) -> None:
    words = {"t-1": "Open", "t-2": "WIP", "t-3": "Won't do", "t-4": "closed", "t-5": "gegessen", "t-6": "To Do"}
    paths = [write_file(tasks_dir / f"{i}.md", f'---\nid: {i}\nstatus: "{word}"\n---\n') for i, word in words.items()]
    paths.append(write_file(tasks_dir / "deep" / "note.md", "# A note\n"))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in paths}
    result = init(tasks_dir, "--adopt")
    assert result.exit_code == 0
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in paths}
    statuses = json.loads((tasks_dir / "settings.json").read_text(encoding="utf-8"))["statuses"]
    assert "Open" in statuses["active"]
    assert "WIP" in statuses["in_progress"]
    assert "closed" in statuses["done"]
    assert "Open" in result.stdout
    assert "gegessen" in result.stderr
    counted = json.loads(run_dibs("stats", "--json", "--tasks-dir", str(tasks_dir)).stdout)
    assert (counted["by_status"]["active"], counted["notes"]) == (2, 1)
    assert "gegessen" in [row["cause"] for row in counted["invalid"]["first"]][-1]


def test_adopting_keeps_the_settings_that_are_there(tasks_dir: Path) -> None:
    write_file(tasks_dir / "settings.json", '{"body_characters": 500, "statuses": {"done": ["erledigt"]}}')
    write_file(tasks_dir / "t-1.md", "---\nstatus: closed\n---\n")
    assert init(tasks_dir, "--adopt").exit_code == 0
    given = json.loads((tasks_dir / "settings.json").read_text(encoding="utf-8"))
    assert given == {"body_characters": 500, "statuses": {"done": ["erledigt", "closed"]}}


def test_adopting_twice_changes_nothing_more(tasks_dir: Path) -> None:
    write_file(tasks_dir / "t-1.md", "---\nstatus: closed\n---\n")
    init(tasks_dir, "--adopt")
    before = (tasks_dir / "settings.json").read_bytes()
    assert init(tasks_dir, "--adopt").exit_code == 0
    assert (tasks_dir / "settings.json").read_bytes() == before


def test_init_with_json_is_one_object(tasks_dir: Path) -> None:
    for task_id, word in (("t-1", "closed"), ("t-2", "gegessen")):
        write_file(tasks_dir / f"{task_id}.md", f"---\nstatus: {word}\n---\n")
    write_file(tasks_dir / "note.md", "A note.\n")
    refused = init(tasks_dir, "--json")
    assert (refused.exit_code, json.loads(refused.stdout)["code"]) == (6, "settings")
    assert json.loads(init(tasks_dir, "--adopt", "--json").stdout) == {
        "tasks_dir": str(tasks_dir), "made": False, "tasks": 1, "notes": 1, "invalid": 1,
        "learnt": {"closed": "done"}, "unknown": {"gegessen": 1},
    }  # fmt: skip


def test_init_where_a_file_is_in_the_way_makes_nothing(tmp_path: Path) -> None:
    path = write_file(tmp_path / "tasks", "a file")
    result = init(path)
    assert result.exit_code == 7
    assert "nothing was made" in result.stderr
    assert path.read_bytes() == b"a file"


# add and list


def test_what_is_added_can_be_claimed(ask: Ask, tasks_dir: Path) -> None:
    answer = ask(
        "add", 'Paint: the "door" #1', "--project", "My House", "--body", "Blue.", "--priority", "0", "--tags", "a,b",
        "--files", "door.py", "--due", "2027-01-31", "--complexity", "mechanical", "--type", "bug",
    )  # fmt: skip
    task = answer["task"]
    assert task["id"].startswith("my-house-")
    assert task["title"] == 'Paint: the "door" #1'
    assert Path(task["path"]).parent == tasks_dir
    claimed = ask("claim", "--caller", "bob")["task"]
    unchanging = task.keys() - {"status"}
    assert {key: claimed[key] for key in unchanging} == {key: task[key] for key in unchanging}
    assert (claimed["tags"], claimed["files"], claimed["due"]) == (["a", "b"], ["door.py"], "2027-01-31")


def test_a_task_may_be_given_its_id(ask: Ask) -> None:
    assert ask("add", "Paint", "--id", "T-7")["task"]["id"] == "T-7"
    assert ask("show", "t-7")["task"]["title"] == "Paint"


def test_tasks_are_read_from_standard_input(tasks_dir: Path) -> None:
    tasks = [{"id": "a", "title": "Prime"}, {"title": "Paint", "depends_on": ["a"]}]
    result = run_dibs("create", "--tasks", "-", "--tasks-dir", str(tasks_dir), stdin=json.dumps(tasks))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Added 2 tasks in {tasks_dir}: a, task-")
    assert len(list(tasks_dir.glob("*.md"))) == 2


def test_a_dependency_that_is_not_there_is_warned_of(ask: Ask) -> None:
    assert "t-9" in ask("add", "Paint", "--depends-on", "t-9")["warnings"][0]


def test_the_list_is_in_the_order_of_handing_out_and_says_what_is_ready(ask: Ask, tasks_dir: Path) -> None:
    write_task(tasks_dir, "low", priority=4)
    write_task(tasks_dir, "now", priority=0, depends_on=["low"])
    write_task(tasks_dir, "over", "done")
    rows = ask("list")["tasks"]
    assert [(row["id"], row["ready"]) for row in rows] == [("now", False), ("over", False), ("low", True)]
    assert [row["id"] for row in ask("list", "--ready")["tasks"]] == ["low"]
    assert [row["id"] for row in ask("list", "--status", "done")["tasks"]] == ["over"]
    limited = ask("list", "--limit", "1")
    assert (len(limited["tasks"]), limited["total"]) == (1, 3)


# why


@pytest.mark.parametrize(
    ("task_id", "told"),
    [
        ("free", "free is ready"),
        ("waits", "waits is not ready: it depends on held (in_progress)"),
        ("held", "it is held by claude until"),
        ("hers", "it is reserved for maria"),
        ("by-hand", "a person's work"),
        ("round-a", "round-a → round-b → round-a"),
        ("folder", "tasks of type epic are never claimed"),
    ],
)
def test_why_says_in_one_line_what_stands_in_the_way(
    ask: Ask, tasks_dir: Path, agent: Session, task_id: str, told: str
) -> None:
    write_task(tasks_dir, "free")
    write_task(tasks_dir, "held")
    write_task(tasks_dir, "waits", depends_on=["held"])
    write_task(tasks_dir, "hers", assignee="maria")
    write_task(tasks_dir, "by-hand", "in_progress")
    write_task(tasks_dir, "round-a", depends_on=["round-b"])
    write_task(tasks_dir, "round-b", depends_on=["round-a"])
    write_task(tasks_dir, "folder", type="epic")
    claim(agent, "held")
    answer = ask("why", task_id)
    assert told in answer["message"]
    assert answer["ready"] == (task_id == "free")
    result = run_dibs("why", task_id, "--tasks-dir", str(tasks_dir))
    assert result.stdout == answer["message"] + "\n"


# renew, release --steal, reopen


def test_a_claim_from_a_shell_is_kept_with_its_token(ask: Ask, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    claimed = ask("claim", "--caller", "bob", "--lease", "600")
    renewed = ask("renew", "t-1", "--claim-token", claimed["claim_token"], "--lease", "7200")
    gained = datetime.fromisoformat(renewed["lease_until"]) - datetime.fromisoformat(claimed["lease_until"])
    assert 6600 <= gained.total_seconds() < 6660
    assert Ledger(tasks_dir).claims()[0].lease_seconds == 7200
    wrong = run_dibs("renew", "t-1", "--claim-token", "h000-00000000000", "--tasks-dir", str(tasks_dir))
    assert wrong.exit_code == 4


def test_a_person_can_take_a_task_from_whoever_holds_it(ask: Ask, tasks_dir: Path, agent: Session) -> None:
    path = write_task(tasks_dir, "t-1", body="\nDo it.\n")
    before = path.read_bytes()
    claim(agent, "t-1")
    refused = run_dibs("release", "t-1", "--tasks-dir", str(tasks_dir))
    assert refused.exit_code == 4
    assert "claude" in refused.stderr
    ask("release", "t-1", "--steal")
    assert path.read_bytes() == before


def test_a_person_can_set_work_in_progress_by_hand_back(ask: Ask, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1", "in_progress")
    assert run_dibs("release", "t-1", "--tasks-dir", str(tasks_dir)).exit_code == 4
    assert ask("release", "t-1", "--steal")["task"]["status"] == "active"
    assert header(path)["status"] == "active"


def test_a_blocked_task_is_reopened_as_the_user_had_it(ask: Ask, tasks_dir: Path) -> None:
    content = "---\nid: t-1\nstatus: To Do  # soon\nassignee:\n  - '@bob'\n---\nDo it.\n"
    path = write_file(tasks_dir / "t-1.md", content)
    token = ask("claim", "--caller", "bob")["claim_token"]
    ask("block", "t-1", "--claim-token", token, "--reason", "No key.")
    assert ask("reopen", "t-1")["task"]["status"] == "active"
    assert path.read_text(encoding="utf-8").startswith(content)


def test_reopening_what_is_held_or_active_changes_nothing(ask: Ask, tasks_dir: Path, agent: Session) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    assert "active already" in ask("reopen", "t-1")["message"]
    assert path.read_bytes() == before
    claim(agent, "t-1")
    held = path.read_bytes()
    result = run_dibs("reopen", "t-1", "--tasks-dir", str(tasks_dir))
    assert (result.exit_code, path.read_bytes()) == (4, held)
    assert "--steal" in result.stderr


def test_init_does_not_hide_tasks_that_are_there_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_task(tmp_path / "backlog" / "tasks", "t-1")
    monkeypatch.chdir(tmp_path)
    refused = run_dibs("init")
    assert refused.exit_code == 6
    assert "would hide them" in refused.stderr
    assert not (tmp_path / "tasks").exists()
    adopted = run_dibs("init", "--adopt", "--json")
    assert json.loads(adopted.stdout)["tasks_dir"] == str(tmp_path / "backlog" / "tasks")


def test_init_makes_the_directory_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_dibs("init", env={"DIBS_TASKS_DIR": str(tmp_path / "mine")}).exit_code == 0
    assert (tmp_path / "mine" / "settings.json").is_file()
    assert not (tmp_path / "tasks").exists()


def test_nothing_is_adopted_where_nothing_is(tmp_path: Path) -> None:
    result = run_dibs("init", "--adopt", "--tasks-dir", str(tmp_path / "typo"))
    assert (result.exit_code, (tmp_path / "typo").exists()) == (6, False)


def test_init_a_second_time_says_that_there_is_nothing_to_do(tmp_path: Path) -> None:
    run_dibs("init", "--tasks-dir", str(tmp_path / "tasks"))
    result = run_dibs("init", "--tasks-dir", str(tmp_path / "tasks"))
    assert result.exit_code == 6
    assert "is a tasks directory already" in result.stderr


def test_a_word_that_is_no_status_is_refused_in_a_list(tasks_dir: Path) -> None:
    result = run_dibs("list", "--status", "ready", "--tasks-dir", str(tasks_dir))
    assert result.exit_code == 2
    assert "--ready" in result.stderr
