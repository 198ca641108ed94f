"""Batches on the command line: work named on standard input, endings as they come, summaries, kept output."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dibs.session import Session
from dibs.store.runs import new_run, output_path
from dibs.store.task_store import utc_now
from doors import run_dibs
from support import call, claim, write_file, write_task


@pytest.fixture
def at(tasks_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: the one that has the tasks directory in it."""
    monkeypatch.chdir(tasks_dir.parent)
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2")
    return tasks_dir.parent


def answer(*words: str, stdin: str | bytes = "", code: int = 0) -> Any:
    result = run_dibs(*words, "--json", stdin=stdin)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def finish(session: Session, task_id: str, tool: str, **report: str) -> None:
    taken = claim(session, task_id)
    call(session, tool, id=task_id, claim_token=taken.claim_token, **report)


def test_names_on_standard_input_are_lines_or_end_in_nul(at: Path) -> None:
    for name in ("a b.txt", "c,d.txt", "line\nbreak.txt"):
        write_file(at / name, "x")
    assert answer("batch", "create", "lines", "-", stdin="a b.txt\r\n\nc,d.txt\nt-1\n")["total"] == 3
    assert answer("batch", "create", "nuls", "-0", "t-2", stdin=b"./line\nbreak.txt\0a b.txt\0")["total"] == 3


@pytest.mark.parametrize("stdin", [b"\xff\n", b"t-1\n\xff\xfe.txt\n"])
def test_a_name_that_is_not_utf_8_is_refused_by_name(at: Path, stdin: bytes) -> None:
    refused = answer("batch", "create", "b", "-", stdin=stdin, code=2)
    assert "\\udcff" in refused["message"]
    assert answer("batch", "list")["batches"] == []


def test_nothing_on_standard_input_is_an_error_and_no_empty_batch(at: Path) -> None:
    assert "name its work" in answer("batch", "create", "b", "-", stdin="", code=2)["message"]


def test_what_a_batch_is_made_of_is_told_before_anything_is_started(at: Path, tasks_dir: Path) -> None:
    write_task(tasks_dir, "done", "done")
    text = run_dibs("batch", "create", "b", "t-1", "done").stdout
    assert text.startswith("1 task skipped (already complete); batch b has 1 task")
    assert "skipped  done: already complete: done" in text


def test_where_batches_stand_is_shown(at: Path) -> None:
    assert "no batches yet" in run_dibs("batch", "list").stdout
    answer("batch", "create", "b", "t-1", "t-2")
    answer("claim", "--batch", "b", "--caller", "bob")
    text = run_dibs("batch", "show", "b").stdout
    assert "2 tasks" in text
    assert "1 in progress  1 ready" in text
    assert "bob" in text
    assert "1 in progress  1 ready" in run_dibs("batch", "list").stdout
    assert answer("batch", "show", "nope", code=5)["code"] == "not_found"


def test_the_summary_has_the_shape_that_programs_read(at: Path, session: Session) -> None:
    answer("batch", "create", "b", "t-1", "t-2")
    finish(session, "t-1", "complete_task", summary="Painted.", commit="caecab8b")
    finish(session, "t-2", "block_task", reason="lock file")
    summary = answer("batch", "summary", "b")
    assert {"workers", "runtime_seconds", "total_tokens", "skipped", "counts"} <= summary.keys()
    first, second = summary["workers"]
    assert (first["task_id"], first["status"], first["commit"]) == ("t-1", "success", "caecab8b")
    assert (second["task_id"], second["status"], second["reason"]) == ("t-2", "blocked", "lock file")
    text = run_dibs("batch", "summary", "b").stdout
    assert "success t-1" in text
    assert "lock file" in text


def test_the_summary_for_people_begins_with_what_needs_them(at: Path, session: Session) -> None:
    answer("batch", "create", "b", "t-1", "t-2")
    finish(session, "t-1", "complete_task", summary="Painted.", commit="caecab8b")
    finish(session, "t-2", "block_task", reason="lock file")
    page = run_dibs("batch", "summary", "b", "--markdown").stdout
    assert page.startswith("# Batch b\n\n2 tasks: 1 done, 1 blocked.\n")
    assert page.index("## Blocked\n\n- `t-2` (gemini): lock file") < page.index("## Done")
    assert "- `t-1` (gemini): Painted. · `caecab8b`" in page
    assert run_dibs("batch", "summary", "nope", "--markdown").exit_code == 5


def test_waiting_ends_with_how_it_went(at: Path, session: Session) -> None:
    finish(session, "t-1", "complete_task", summary="Painted.")
    assert run_dibs("wait", "t-1").exit_code == 0
    result = run_dibs("wait", "t-2", "--timeout", "0", "--json")
    assert (result.exit_code, json.loads(result.stdout)["left"]) == (7, 1)
    finish(session, "t-2", "block_task", reason="lock file")
    result = run_dibs("wait", "t-1", "t-2")
    assert result.exit_code == 4
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [
        ["success", "t-1"],
        ["blocked", "t-2"],
        ["all", "2"],
    ]


def test_waiting_tells_each_ending_in_json_with_a_cursor_to_go_on_from(at: Path, session: Session) -> None:
    answer("batch", "create", "b", "t-1", "t-2")
    finish(session, "t-1", "complete_task")
    result = run_dibs("batch", "wait", "b", "--timeout", "0", "--json")
    assert result.exit_code == 7
    assert "the time is up" in result.stderr
    (line,) = map(json.loads, result.stdout.splitlines())
    assert ([ending["task_id"] for ending in line["endings"]], line["finished"]) == (["t-1"], False)
    finish(session, "t-2", "complete_task")
    result = run_dibs("wait", "--batch", "b", "--cursor", line["cursor"], "--json")
    (line,) = map(json.loads, result.stdout.splitlines())
    assert ([ending["task_id"] for ending in line["endings"]], line["finished"]) == (["t-2"], True)


def test_waiting_answers_once_when_it_is_told_how_long(at: Path) -> None:
    assert answer("wait", "t-1", "--wait-seconds", "0")["left"] == 1


@pytest.mark.parametrize("words", [["wait"], ["wait", "t-1", "--batch", "b"]])
def test_waiting_for_nothing_is_a_mistake(at: Path, words: list[str]) -> None:
    assert run_dibs(*words).exit_code == 2


def test_a_cancelled_batch_is_shown_as_such(at: Path) -> None:
    answer("batch", "create", "b", "t-1")
    assert "is cancelled" in run_dibs("batch", "cancel", "b", "--reason", "no").stdout
    assert "cancelled" in run_dibs("batch", "show", "b").stdout
    assert answer("claim", "--batch", "b", code=4)["code"] == "not_ready"


def test_work_says_at_once_what_cannot_go_on(at: Path) -> None:
    assert "there is no program no-such-program" in run_dibs("work", "--", "no-such-program", "{path}").stderr
    assert "there is no batch nope" in run_dibs("work", "--batch", "nope", "--", "true").stderr
    assert run_dibs("work").exit_code == 2
    assert answer("list", "--status", "in_progress")["tasks"] == []


def test_kept_output_is_printed_as_it_is(at: Path, session: Session) -> None:
    assert "no output of t-1 is kept" in run_dibs("logs", "t-1").stderr
    assert run_dibs("logs", "t-1").exit_code == 5
    assert "no task nope" in run_dibs("logs", "nope").stderr
    claim(session, "t-1")
    run = new_run(session.store.ledger.folder / "runs", "work", utc_now(), 7)
    output = output_path(run, "T-1", "h5bc-aaaaaaaaaaa")
    output.write_bytes(b"one\n\xfftwo")
    assert run_dibs("logs", "t-1").stdout_bytes == b"one\n\xfftwo"
    told = answer("logs", "t-1")
    assert (told["text"], told["bytes"], told["path"]) == ("one\n\ufffdtwo", 8, str(output))


def test_old_output_is_swept_by_whoever_starts_next(at: Path, session: Session) -> None:
    claim(session, "t-1")
    runs = session.store.ledger.folder / "runs"
    old, young = (output_path(new_run(runs, "work", utc_now(), 7), "t-1", token) for token in ("x-1", "x-2"))
    for path in (old, young):
        path.write_text("x")
    long_ago = utc_now().timestamp() - 8 * 86_400
    os.utime(old, (long_ago, long_ago))
    os.utime(old.parent, (long_ago, long_ago))
    new_run(runs, "work", utc_now(), 7)
    assert not old.parent.exists()
    assert young.exists()
