"""`dibs doctor` at a shell: its exit codes, and what a directory looks like that has everything wrong at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from click.testing import Result

from dibs import examine_tasks_dir
from doors import run_dibs
from support import write_file, write_task

Doctor = Callable[..., Result]
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
TERMINAL: Mapping[str, str | None] = {"FORCE_COLOR": "1", "NO_COLOR": None, "TERM": "xterm-256color"}
NASTY = r"\e]0;owned\a\e[2Jred\x9b31m \u202Eback\u2066 \x7f\b"


@pytest.fixture
def doctor(tasks_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    monkeypatch.setattr(examine_tasks_dir, "PASSING_SECONDS", 0.0)

    def run(*words: str, env: Mapping[str, str | None] | None = None) -> Result:
        return run_dibs("doctor", *words, "--tasks-dir", str(tasks_dir), env=env)

    return run


def everything_wrong(tasks_dir: Path) -> None:
    write_file(tasks_dir / "settings.json", '{"exclud": []}')
    for number in range(12):
        write_task(tasks_dir, f"bad-{number:02}", "nearly")
    write_task(tasks_dir, "wait-1", depends_on=["gone"])
    write_task(tasks_dir, "wait-2", depends_on=["lost"], parent="gone")
    write_task(tasks_dir, "ring-1", depends_on=["ring-2"])
    write_task(tasks_dir, "ring-2", depends_on=["ring-1"])
    write_task(tasks_dir, "for-1", assignee="codex")
    write_task(tasks_dir, "hand-1", "in_progress")
    write_task(tasks_dir, "far-1", "in_progress", claim="hzzz-abcdefghjkm")
    write_file(tasks_dir / ".dibs" / "orphans" / "t-1.md", "report")
    write_file(tasks_dir / ".dibs" / "claims" / "torn.lock", "{")


def test_well_is_0_in_one_line(doctor: Doctor, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    result = doctor()
    assert (result.exit_code, result.stdout, result.stderr) == (0, "All is well: 1 task, 0 claims\n", "")


def test_notes_alone_are_0(doctor: Doctor, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", "in_progress")
    result = doctor()
    assert result.exit_code == 0
    assert result.stdout.endswith("All is well: 1 task, 0 claims, 1 note\n")


@pytest.mark.parametrize("keys", [{"status": "nearly"}, {"depends_on": ["gone"]}], ids=["error", "warning"])
def test_something_to_mend_is_6(doctor: Doctor, tasks_dir: Path, keys: dict[str, str]) -> None:
    write_task(tasks_dir, "t-1", **keys)
    result = doctor()
    assert (result.exit_code, result.stderr) == (6, "")
    assert result.stdout.endswith("1 thing to mend\n")


def test_what_is_mended_is_0(doctor: Doctor, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    write_file(tasks_dir / ".dibs" / "claims" / "torn.lock", "{")
    assert doctor().exit_code == 6
    result = doctor("--fix")
    assert result.exit_code == 0
    assert "mended   .dibs/claims/torn.lock: this claim file cannot be read" in result.stdout
    assert "         it was moved to .dibs/orphans\n" in result.stdout
    assert result.stdout.endswith("All is well: 1 task, 0 claims, 1 mended, 1 note\n")


def test_a_directory_that_has_everything_wrong_reads_well(doctor: Doctor, tasks_dir: Path) -> None:
    everything_wrong(tasks_dir)
    result = doctor()
    lines = result.stdout.splitlines()
    assert result.exit_code == 6
    assert lines[0] == "error    settings.json: unknown key 'exclud' (did you mean 'exclude'?)"
    assert sum(line.startswith("error    bad-") for line in lines) == 10
    assert sum("use one of inbox" in line for line in lines) == 1, "a mend that is good for many is told once"
    assert "         … and 2 more of this kind; --json has them all" in lines
    words = [line.split()[0] for line in lines if line[:1] not in (" ", "")][:-1]
    assert words == sorted(words, key=["error", "warning", "note"].index)
    for text in (
        "warning  wait-1 depends on gone, which does not exist",
        "warning  ring-1 → ring-2 → ring-1: these depend on one another, so none of them is ever ready",
        "warning  far-1 is in progress by a claim of another machine, whose record is not here",
        "note     for-1 is reserved for codex, and nobody has claimed anything here yet",
        "note     hand-1 is in progress by hand, and never taken back",
        "note     .dibs/orphans/t-1.md: a report that did not get into its task file",
    ):
        assert text in lines
    assert lines[-1] == "18 things to mend, 4 notes"


def test_json_is_the_whole_result(doctor: Doctor, tasks_dir: Path) -> None:
    everything_wrong(tasks_dir)
    result = doctor("--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 6
    assert answer.keys() == {"status", "findings", "message", "warnings"}
    assert answer["status"] == "to_mend"
    assert len([finding for finding in answer["findings"] if finding["kind"] == "invalid"]) == 12
    for finding in answer["findings"]:
        assert finding.keys() == {"kind", "severity", "path", "line", "task_ids", "text", "mend", "fixed"}


def test_broken_settings_and_mending_do_not_get_in_each_others_way(doctor: Doctor, tasks_dir: Path) -> None:
    everything_wrong(tasks_dir)
    result = doctor("--fix")
    assert result.exit_code == 6
    assert "error    nothing was mended: nothing is changed here before" in result.stdout
    assert (tasks_dir / ".dibs" / "claims" / "torn.lock").exists()


@pytest.mark.parametrize("env", [TERMINAL, {"FORCE_COLOR": None}], ids=["terminal", "pipe"])
def test_nothing_in_a_task_reaches_the_terminal_raw(
    doctor: Doctor, tasks_dir: Path, env: Mapping[str, str | None]
) -> None:
    write_file(tasks_dir / "bad \x1b[31m.md", f'---\nid: bad\nstatus: "{NASTY}"\n---\n')
    write_task(tasks_dir, "t-1", depends_on=[f'"{NASTY}"'], parent=f'"{NASTY}"', files=["."])
    write_task(tasks_dir, "t-2", assignee=f'"{NASTY}"')
    write_task(tasks_dir, "t-3", "in_progress", assignee=f'"{NASTY}"')
    result = doctor(env=env)
    assert "owned" in result.stdout
    assert HARMFUL.findall(COLOUR.sub("", result.stdout + result.stderr)) == []
    assert bool(COLOUR.search(result.stdout)) == (env is TERMINAL)
    assert HARMFUL.findall(doctor("--json", env=env).stdout) == []


def test_no_tasks_directory_is_6_with_how_to_make_one(tmp_path: Path) -> None:
    result = run_dibs("doctor", "--tasks-dir", str(tmp_path / "nowhere"))
    assert result.exit_code == 6
    assert "dibs init" in result.stderr
