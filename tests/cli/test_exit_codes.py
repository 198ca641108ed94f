"""Each exit code, reached; and where what is printed goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from dibs.store.mutex import hold_mutex
from doors import run_dibs
from support import header, write_file, write_task

Dibs = Callable[..., Result]


@pytest.fixture
def dibs(tasks_dir: Path) -> Dibs:
    def run(*words: str, **how: object) -> Result:
        return run_dibs(*words, "--tasks-dir", str(tasks_dir), **how)  # type: ignore[arg-type]

    return run


def test_done_is_0(dibs: Dibs, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    for words in (["stats"], ["list"], ["show", "t-1"], ["why", "t-1"], ["claim"], ["release", "t-1", "--steal"]):
        result = dibs(*words)
        assert result.exit_code == 0, words
        assert result.stdout


def test_nothing_to_claim_is_3(dibs: Dibs) -> None:
    result = dibs("claim", "--caller", "bob")
    assert result.exit_code == 3
    assert "Nothing is ready for bob" in result.stdout


@pytest.mark.parametrize(
    "words",
    [["claim", "--id", "t-1"], ["complete", "t-2"], ["release", "t-3"], ["renew", "t-3"], ["complete", "t-4"]],
    ids=str,
)
def test_refused_is_4(dibs: Dibs, tasks_dir: Path, words: list[str]) -> None:
    write_task(tasks_dir, "t-1", "blocked")
    write_task(tasks_dir, "t-2", body="\n- [ ] sand\n")
    write_task(tasks_dir, "t-3")
    write_task(tasks_dir, "t-4", "done")
    result = dibs(*words)
    assert result.exit_code == 4
    assert result.stderr.startswith("dibs: ")
    assert words[-1] in result.stderr
    assert result.stdout == ""


def test_not_found_is_5(dibs: Dibs) -> None:
    assert dibs("show", "t-9").exit_code == 5


def test_an_invalid_file_is_6(dibs: Dibs, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "nearly")
    result = dibs("claim", "--id", "t-1")
    assert result.exit_code == 6
    assert "t-1.md:3" in result.stderr


def test_invalid_settings_are_6(dibs: Dibs, tasks_dir: Path) -> None:
    write_file(tasks_dir / "settings.json", "{")
    assert dibs("stats").exit_code == 6


def test_no_tasks_directory_is_6(tmp_path: Path) -> None:
    result = run_dibs("stats", "--tasks-dir", str(tmp_path / "nowhere"))
    assert result.exit_code == 6
    assert "dibs init" in result.stderr


def test_busy_is_7(dibs: Dibs, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    write_file(tasks_dir / "settings.json", '{"claims": {"mutex_wait_seconds": 0.05}}')
    (tasks_dir / ".dibs").mkdir()
    with hold_mutex(tasks_dir / ".dibs", 10):
        assert dibs("claim").exit_code == 7


def test_what_the_file_system_refuses_is_7(dibs: Dibs, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    write_file(tasks_dir / ".dibs", "a file in the place of the folder")
    result = dibs("claim")
    assert result.exit_code == 7
    assert ".dibs" in result.stderr


def test_an_error_with_json_is_one_object_on_stdout(dibs: Dibs) -> None:
    result = dibs("show", "t-9", "--json")
    assert json.loads(result.stdout)["code"] == "not_found"
    assert result.stderr == ""


def test_warnings_go_to_stderr(dibs: Dibs, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "nearly")
    result = dibs("list")
    assert "t-1.md" in result.stderr
    assert "t-1.md" not in result.stdout


def test_a_dash_stands_for_standard_input(dibs: Dibs, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    dibs("complete", "t-1", "--summary", "-", stdin="Zwölf Türen.\nAll “blue”.\n".encode())
    assert "Zwölf Türen.\nAll “blue”.\n" in path.read_text(encoding="utf-8")


def test_standard_input_that_is_no_text_does_no_harm(dibs: Dibs, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    assert dibs("complete", "t-1", "--summary", "-", stdin=b"\xff\xfe\x00 done").exit_code == 0
    assert header(path)["status"] == "done"


def test_a_list_is_given_with_commas_or_by_repeating(dibs: Dibs, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", tags=["a", "b"])
    write_task(tasks_dir, "t-2", tags=["a"], priority=0)
    for words in (["--tags", "a,b"], ["--tags", "a", "--tags", "b"], ["--tags", " a , b "]):
        result = dibs("list", *words, "--json")
        assert [row["id"] for row in json.loads(result.stdout)["tasks"]] == ["t-1"]


def test_a_person_may_end_what_nobody_holds(dibs: Dibs, tasks_dir: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    assert dibs("block", "t-1", "--reason", "No key.").exit_code == 0
    assert header(path)["status"] == "blocked"
