"""Settings: one file, wrong ones refused with what to do; and where the tasks directory is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dibs.store.errors import SettingsError
from dibs.store.settings import Settings, find_tasks_dir, load_settings
from dibs.store.task_store import TaskStore
from support import write_file, write_task

EXAMPLE = Path(__file__).parents[2] / "settings.example.json"


def refusal(tasks_dir: Path, content: str | bytes) -> str:
    write_file(tasks_dir / "settings.json", content)
    with pytest.raises(SettingsError) as caught:
        load_settings(tasks_dir)
    assert str(tasks_dir / "settings.json") in caught.value.message
    return caught.value.message


def test_the_example_is_every_setting_at_its_default() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert json.loads(text) == Settings().model_dump(mode="json")
    assert Settings.model_validate_json(text) == Settings()


def test_no_file_is_every_default(tasks_dir: Path) -> None:
    assert load_settings(tasks_dir) == Settings()


def test_a_file_changes_what_it_names_and_nothing_else(tasks_dir: Path) -> None:
    write_file(tasks_dir / "settings.json", '{"claims": {"max_attempts": 5}, "exclude": ["done/**"]}')
    settings = load_settings(tasks_dir)
    assert (settings.claims.max_attempts, settings.exclude) == (5, ("done/**",))
    assert settings.claims.lease_seconds == Settings().claims.lease_seconds
    assert settings.include == Settings().include


def test_a_byte_order_mark_does_not_matter(tasks_dir: Path) -> None:
    write_file(tasks_dir / "settings.json", b'\xef\xbb\xbf{"profile": "coordinator"}')
    assert load_settings(tasks_dir).profile == "coordinator"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"exlude": []}', "unknown key 'exlude' (did you mean 'exclude'?)"),
        ('{"claims": {"lease_second": 1}}', "unknown key 'claims.lease_second' (did you mean 'lease_seconds'?)"),
        ('{"assignees": {"human": []}}', "unknown key 'assignees.human' (did you mean 'humans'?)"),
        ('{"zzzzzz": 1}', "unknown key 'zzzzzz'"),
        ('{"statuses": {"wip": []}}', "statuses: 'wip' is not one of inbox, active"),
        ('{"claims": {"lease_seconds": 10}}', "renew_seconds must be shorter than lease_seconds"),
        ('{"claims": {"max_attempts": "x"}}', "claims.max_attempts"),
        ('{"claims": {"max_attempts": 0}}', "claims.max_attempts"),
        ('{"claims": {"lease_seconds": -1}}', "claims.lease_seconds"),
        ('{"claims": {"lease_seconds": NaN}}', "claims.lease_seconds"),
        ('{"profile": "boss"}', "profile"),
        ('{"triage": {"phrase": {}}}', "unknown key 'triage.phrase' (did you mean 'phrases'?)"),
        ('{"triage": {"tags": {"easy": []}}}', "triage.tags: 'easy' is not one of mechanical, requires-judgment"),
        ('{"triage": {"tags": {"mechanical": ["*"]}}}', "triage.tags: '*' is not a phrase, it has no letter"),
        ('{"include": ["[z-a].md"]}', "'[z-a].md' is not a pattern"),
        ('{"statuses": {"done": ["finished"], "failed": ["Finished"]}}', "'Finished' cannot mean both done and failed"),
        ('{"statuses": {"done": ["to do"]}}', "cannot mean both"),
        ('{"statuses": {"done": ["active"]}}', "'active' cannot mean both active and done"),
        ("{", "the file: Invalid JSON"),
        ("", "the file: Invalid JSON"),
        ("[]", "the file"),
        (b"\xff\xfe{\x00}\x00", "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(tasks_dir: Path, content: str | bytes, complaint: str) -> None:
    assert complaint in refusal(tasks_dir, content)


def test_all_mistakes_are_told_at_once(tasks_dir: Path) -> None:
    message = refusal(tasks_dir, '{"exlude": [], "profile": 1}')
    assert "exlude" in message
    assert "profile" in message


def test_a_folder_in_the_place_of_the_file_is_a_settings_error(tasks_dir: Path) -> None:
    (tasks_dir / "settings.json").mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tasks_dir)


def test_a_word_left_out_keeps_its_synonyms_and_a_word_given_replaces_them() -> None:
    settings = Settings(statuses={"active": ("open",)})
    assert settings.status_of("open") == "active"
    assert settings.status_of("todo") is None
    assert settings.status_of("doing") == "in_progress"


def test_callers_are_named_without_the_at_sign_and_by_alias() -> None:
    settings = Settings()
    assert settings.caller_name(" @codex ") == "codex"
    assert settings.caller_name("Claude-Code") == "claude"
    assert settings.caller_name("gemini-cli-mcp-client") == "gemini"
    assert settings.caller_name("Someone") == "Someone"


def test_a_changed_file_counts_at_once_and_so_does_its_going(tasks_dir: Path) -> None:
    store = TaskStore(tasks_dir)
    assert store.settings.profile == "worker"
    write_file(tasks_dir / "settings.json", '{"profile": "coordinator"}')
    assert store.settings.profile == "coordinator"
    write_file(tasks_dir / "settings.json", "{")
    for _ in range(2):
        with pytest.raises(SettingsError):
            _ = store.settings
    (tasks_dir / "settings.json").unlink()
    assert store.settings.profile == "worker"


# where the tasks directory is


def find(cwd: Path, explicit: str | None = None, **environment: object) -> Path:
    return find_tasks_dir(explicit, environment={key: str(value) for key, value in environment.items()}, cwd=cwd)


def test_the_argument_comes_first_then_the_variable(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    write_task(tmp_path / "tasks", "t-1")
    assert find(tmp_path, str(tmp_path / "one"), DIBS_TASKS_DIR=tmp_path / "two") == tmp_path / "one"
    assert find(tmp_path, DIBS_TASKS_DIR=tmp_path / "two") == tmp_path / "two"
    assert find(tmp_path) == tmp_path / "tasks"


def test_a_directory_that_was_named_and_is_not_there_is_refused(tmp_path: Path) -> None:
    write_task(tmp_path / "tasks", "t-1")
    with pytest.raises(
        SettingsError, match=r"nowhere \(from DIBS_TASKS_DIR\) does not exist; make one with `dibs init"
    ):
        find(tmp_path, DIBS_TASKS_DIR=tmp_path / "nowhere")


def test_the_search_goes_upwards_and_stops_at_the_nearest(tmp_path: Path) -> None:
    write_task(tmp_path / "tasks", "t-1")
    write_task(tmp_path / "project" / "backlog" / "tasks", "t-2")
    deep = tmp_path / "project" / "src" / "deep"
    deep.mkdir(parents=True)
    assert find(deep) == tmp_path / "project" / "backlog" / "tasks"
    assert find(tmp_path) == tmp_path / "tasks"


def test_tasks_comes_before_backlog_tasks(tmp_path: Path) -> None:
    write_task(tmp_path / "backlog" / "tasks", "t-2")
    write_task(tmp_path / "tasks", "t-1")
    assert find(tmp_path) == tmp_path / "tasks"


def test_the_search_begins_at_the_project_the_client_names(tmp_path: Path) -> None:
    write_task(tmp_path / "here" / "tasks", "t-1")
    write_task(tmp_path / "there" / "tasks", "t-2")
    assert find(tmp_path / "here", CLAUDE_PROJECT_DIR=tmp_path / "there") == tmp_path / "there" / "tasks"


@pytest.mark.parametrize("sign", [".dibs/", "settings.json", "deep/t-1.md"])
def test_a_folder_called_tasks_counts_by_what_is_in_it(tmp_path: Path, sign: str) -> None:
    target = tmp_path / "tasks" / sign
    if sign.endswith("/"):
        target.mkdir(parents=True)
    else:
        write_file(target, '{"profile": "worker"}' if sign.endswith("json") else "---\nstatus: active\n---\n")
    assert find(tmp_path) == tmp_path / "tasks"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("settings.json", '{"editor.fontSize": 12}'),
        ("settings.json", "{}"),
        ("settings.json", "not json"),
        ("README.md", "# Ansible tasks\n"),
        ("main.yml", "- name: install\n"),
        ("broken.md", "---\nstatus: [\n---\n"),
        (".hidden/t-1.md", "---\nstatus: active\n---\n"),
    ],
)
def test_a_folder_called_tasks_that_is_somebody_elses_does_not_count(tmp_path: Path, name: str, content: str) -> None:
    write_file(tmp_path / "tasks" / name, content)
    with pytest.raises(SettingsError, match="make one with `dibs init`"):
        find(tmp_path)


def test_the_environment_and_the_working_directory_of_the_process_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_task(tmp_path / "tasks", "t-1")
    (tmp_path / "named").mkdir()
    monkeypatch.delenv("CLAUDE_PROJECT_DIR", raising=False)
    monkeypatch.delenv("DIBS_TASKS_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    assert find_tasks_dir(None) == tmp_path / "tasks"
    monkeypatch.setenv("DIBS_TASKS_DIR", str(tmp_path / "named"))
    assert find_tasks_dir(None) == tmp_path / "named"
