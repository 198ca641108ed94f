"""`dibs work` in real processes: each item once, whatever is killed; what it runs is ended with all it started."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from dibs.claim_next_task import ClaimRequest
from dibs.outcomes import Outcome, read_report
from dibs.session import Session
from dibs.store.body import unticked_items
from dibs.store.errors import SettingsError
from dibs.store.task_file import read_task_file
from dibs.store.task_store import TaskStore
from dibs_server.cli.work_command import Silent
from dibs_server.dispatch.child import Ended
from dibs_server.dispatch.work import Job, Work, WorkOptions
from doors import run_dibs
from shell import answered, begun, ended, gate, ran, script, until
from support import age, header, write_file, write_task
from wire import DIBS

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform == "win32", reason="no process groups there"),
]

FILES = 300
WORKERS = 6
KILLED = 2
BEFORE_DEATH = 5
RECORD = 'printf %s "$1" > "$records/$DIBS_CLAIM"'


def set_claims(tasks_dir: Path, **values: float) -> None:
    write_file(tasks_dir / "settings.json", json.dumps({"claims": values}))


def make_batch(tasks_dir: Path, paths: Sequence[Path]) -> None:
    """Make the batch ``b`` of files that are made for it."""
    for path in paths:
        write_file(path, "text\n")
    names = b"\0".join(os.fsencode(path) for path in paths)
    made = run_dibs("batch", "create", "b", "-0", "-", "--tasks-dir", str(tasks_dir), stdin=names)
    assert made.exit_code == 0, made.output
    for path in made_files(tasks_dir):
        age(path)


def made_files(tasks_dir: Path) -> list[Path]:
    return sorted((tasks_dir / "batch-b").iterdir())


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def contents(records: Path) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in records.iterdir()]


def body_of(path: Path) -> str:
    file = read_task_file(path.read_bytes())
    assert file is not None
    return file.body


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def written(path: Path) -> list[int]:
    """Wait for the process ids a program writes, one line in one step; returns them."""
    return [int(word) for word in until(lambda: path.read_text(encoding="utf-8").split() if path.exists() else [])]


def claims_left(tasks_dir: Path) -> list[Path]:
    return list((tasks_dir / ".dibs" / "claims").glob("*.lock"))


@pytest.mark.long
def test_six_workers_do_each_of_300_files_once_though_two_are_killed(tasks_dir: Path, tmp_path: Path) -> None:
    set_claims(tasks_dir, lease_seconds=2, renew_seconds=0.5)
    paths = [tmp_path / "in" / f"{number:03}.txt" for number in range(FILES)]
    make_batch(tasks_dir, paths)
    records, door = folder(tmp_path / "records"), tmp_path / "gate"
    doing = script('flock "$door" true', RECORD, records=records, door=door)
    words = ("work", "--batch", "b", "--json", "--tasks-dir", tasks_dir, "--")
    with gate(door) as let_through, ExitStack() as stack:
        survivors = [stack.enter_context(begun(tmp_path, *words, *doing)) for _ in range(WORKERS - KILLED)]
        owns = [folder(tmp_path / f"own-{number}") for number in range(KILLED)]
        victims = [stack.enter_context(begun(tmp_path, *words, *hanging(own, records))) for own in owns]
        hanging_pids = [pid for own in owns for pid in written(own.with_suffix(".hangs"))]
        for victim in victims:
            victim.kill()
            victim.wait()
        let_through()
        answers = [json.loads(out) for code, out, err in map(ended, survivors) if not code and not err]
        until(lambda: all(map(is_gone, hanging_pids)))
    assert Counter(contents(records)) == {str(path): 1 for path in paths}
    assert len(answers) == WORKERS - KILLED
    assert all(row["status"] == "success" for answer in answers for row in answer["workers"])
    assert sum(len(answer["workers"]) for answer in answers) == FILES - KILLED * BEFORE_DEATH
    check_files(tasks_dir)
    check_summary(tasks_dir)


def hanging(own: Path, records: Path) -> list[str]:
    """A program that does its work a few times, and then hangs in the middle of it."""
    return script(
        'n=$(ls "$own" | wc -l); : > "$own/$DIBS_CLAIM"',
        f'if [ "$n" -ge {BEFORE_DEATH} ]; then echo $$ > "$own.new"; mv "$own.new" "$own.hangs"; exec sleep 600; fi',
        RECORD,
        own=own,
        records=records,
    )


def check_files(tasks_dir: Path) -> None:
    files = made_files(tasks_dir)
    assert len(files) == FILES
    headers = [header(path) for path in files]
    assert {found["status"] for found in headers} == {"done"}
    assert [body_of(path).count("## Completion") for path in files] == [1] * FILES
    assert sum(found.get("attempts") == "1" for found in headers) == KILLED, "what the killed ones held, and no more"
    assert claims_left(tasks_dir) == []


def check_summary(tasks_dir: Path) -> None:
    found = answered(tasks_dir, "batch", "summary", "b", "--tasks-dir", tasks_dir)
    assert (found["total"], found["counts"]["done"], found["finished"]) == (FILES, FILES, True)
    assert Counter(row["status"] for row in found["workers"]) == {"success": FILES}
    assert len({row["task_id"] for row in found["workers"]}) == FILES
    assert found["skipped"] == []
    assert found["runtime_seconds"] > 0


# being told to stop


def test_ctrl_c_finishes_what_runs_and_starts_nothing_more(tasks_dir: Path, tmp_path: Path) -> None:
    first, second = write_task(tasks_dir, "t-1"), write_task(tasks_dir, "t-2")
    door, started = tmp_path / "gate", tmp_path / "started"
    doing = script(': > "$started"', 'flock "$door" true', door=door, started=started)
    with gate(door) as let_through, begun(tmp_path, "work", "--tasks-dir", tasks_dir, "--", *doing) as work:
        until(started.exists)
        work.send_signal(signal.SIGINT)
        assert work.stderr is not None
        assert "nothing more is started" in work.stderr.readline()
        assert header(first)["status"] == "in_progress"
        let_through()
        code, out, _ = ended(work)
    assert (code, "1 done, 0 not" in out) == (4, True)
    assert (header(first)["status"], header(second)["status"]) == ("done", "active")


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]], ids=["SIGTERM", "Ctrl-C twice"])
def test_being_told_to_end_gives_the_task_back_and_leaves_no_process(
    tasks_dir: Path, tmp_path: Path, signals: list[signal.Signals]
) -> None:
    path = write_task(tasks_dir, "t-1", body="body\n")
    before, pids = path.read_bytes(), tmp_path / "pids"
    doing = script(*FAMILY, pids=pids)
    with begun(tmp_path, "work", "--tasks-dir", tasks_dir, "--", *doing) as work:
        family = written(pids)
        for number in signals:
            work.send_signal(number)
            if number == signal.SIGINT and work.stderr is not None:
                work.stderr.readline()
        code, out, _ = ended(work)
    assert (code, "given back" in out) == (4, True)
    assert path.read_bytes() == before
    assert claims_left(tasks_dir) == []
    until(lambda: all(map(is_gone, family)))


def test_what_is_being_started_when_it_is_to_end_is_ended_too(
    tasks_dir: Path, tmp_path: Path, at_step: Callable[[str, Callable[[], None]], None]
) -> None:
    path, door = write_task(tasks_dir, "t-1"), tmp_path / "gate"
    before = path.read_bytes()
    session = Session(TaskStore(tasks_dir), client="work", server=True)
    doing = tuple(script('flock "$door" true', door=door))
    work = Work(session, WorkOptions(command=doing, claim=ClaimRequest()), Silent())
    at_step("claim.journal", lambda: work.stop(now=True))
    with gate(door):
        work.go()
    assert [outcome.status for outcome in work.outcomes] == ["failed"]
    assert path.read_bytes() == before
    session.close()


FAMILY = (
    '(trap "" TERM; exec sleep 600) & child=$!',
    'echo "$$ $child" > "$pids.new"; mv "$pids.new" "$pids"',
    "wait",
)
"""A program with a child that takes no notice of SIGTERM; it tells the ids of both."""


# how programs end


def test_a_program_that_takes_too_long_is_ended_with_all_it_started(tasks_dir: Path, tmp_path: Path) -> None:
    path, pids = write_task(tasks_dir, "t-1"), tmp_path / "pids"
    doing = script(*FAMILY, pids=pids)
    ran(tmp_path, "work", "--timeout", "2", "--tasks-dir", tasks_dir, "--", *doing, code=4)
    until(lambda: all(map(is_gone, written(pids))))
    assert header(path)["status"] == "blocked"
    assert "it ran longer than 2 s and was ended" in body_of(path)


def test_fifty_megabytes_of_output_are_kept_and_only_their_end_is_reported(tasks_dir: Path, tmp_path: Path) -> None:
    path, size = write_task(tasks_dir, "t-1"), 50_000_000
    doing = ["sh", "-c", f"head -c {size} /dev/zero | tr '\\0' x; echo; echo the end"]
    ran(tmp_path, "work", "--tasks-dir", tasks_dir, "--", *doing)
    assert header(path)["status"] == "done"
    assert "> the end" in body_of(path)
    assert path.stat().st_size < 10_000
    assert len(ran(tmp_path, "logs", "t-1", "--tasks-dir", tasks_dir)) == size + len("\nthe end\n")


def test_a_program_that_cannot_be_started_blocks_its_task_and_says_why(tasks_dir: Path, tmp_path: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    program = write_file(tmp_path / "program", "#!/no/such/interpreter\n")
    program.chmod(0o755)
    out = ran(tmp_path, "work", "--tasks-dir", tasks_dir, "--", program, code=4)
    assert "could not be started: No such file" in out
    assert "could not be started: No such file" in body_of(path)
    assert header(path)["status"] == "blocked"


def test_a_program_that_is_not_there_claims_nothing(tasks_dir: Path, tmp_path: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    ran(tmp_path, "work", "--tasks-dir", tasks_dir, "--", "no-such-program", code=2)
    assert path.read_bytes() == before
    assert not (tasks_dir / ".dibs").exists()


def test_a_program_of_many_words_is_told_in_few(tasks_dir: Path, tmp_path: Path) -> None:
    good, bad = write_task(tasks_dir, "t-1"), write_task(tasks_dir, "t-2")
    doing = ["sh", "-c", f'test "$1" = t-1 # {"x" * 50_000}', "sh", "{id}"]
    ran(tmp_path, "work", "--tasks-dir", tasks_dir, "--", *doing, code=4)
    assert (header(good)["status"], header(bad)["status"]) == ("done", "blocked")
    assert good.stat().st_size < 10_000


def test_a_claim_that_is_taken_away_ends_its_program_and_changes_nothing(tasks_dir: Path, tmp_path: Path) -> None:
    set_claims(tasks_dir, lease_seconds=60, renew_seconds=0.2)
    path = write_task(tasks_dir, "t-1", body="body\n")
    before, pids = path.read_bytes(), tmp_path / "pids"
    doing = script(*FAMILY, pids=pids)
    with begun(tmp_path, "work", "--max", "1", "--tasks-dir", tasks_dir, "--", *doing) as work:
        family = written(pids)
        ran(tmp_path, "release", "t-1", "--steal", "--tasks-dir", tasks_dir)
        code, out, _ = ended(work)
    assert (code, "its claim is over, which could not be reported" in out) == (4, True)
    until(lambda: all(map(is_gone, family)))
    assert path.read_bytes() == before


def test_a_result_is_reported_though_the_ledger_was_taken_away(tasks_dir: Path, tmp_path: Path) -> None:
    paths = [write_task(tasks_dir, f"t-{number}") for number in range(3)]
    started = tmp_path / "started"
    with gate(tmp_path / "gate") as let_go:
        doing = script('touch "$started"', 'flock "$gate" true', "echo did it", started=started, gate=tmp_path / "gate")
        with begun(tmp_path, "work", "--tasks-dir", tasks_dir, "--", *doing) as work:
            until(started.exists)
            shutil.rmtree(tasks_dir / ".dibs")
            let_go()
            code, out, err = ended(work)
    assert code == 0, out + err
    assert [header(path)["status"] for path in paths] == ["done"] * 3


def test_settings_that_are_broken_for_a_moment_cost_no_result(tasks_dir: Path, tmp_path: Path) -> None:
    settings = tasks_dir / "settings.json"

    class Watched(Work):
        def _report(self, job: Job, ended: Ended | OSError) -> Outcome:
            try:
                return super()._report(job, ended)
            except SettingsError:
                settings.write_text("{}", encoding="utf-8")
                mended.append(job.task_id)
                raise

    mended: list[str] = []
    path = write_task(tasks_dir, "t-1")
    session = Session(TaskStore(tasks_dir), client="probe", server=True)
    command = ("sh", "-c", f"echo '{{' > {settings}")
    work = Watched(session, WorkOptions(command, ClaimRequest()), Silent())
    work.go()
    session.close()
    assert mended == ["t-1"]
    assert [outcome.status for outcome in work.outcomes] == ["success"]
    assert header(path)["status"] == "done"


def test_a_program_may_complete_or_block_its_task_itself(tasks_dir: Path, tmp_path: Path) -> None:
    done, blocked = write_task(tasks_dir, "t-1"), write_task(tasks_dir, "t-2")
    doing = [
        "sh",
        "-c",
        'if [ "$DIBS_TASK_ID" = t-1 ]\n'
        f'then {DIBS} complete "$DIBS_TASK_ID" --claim-token "$DIBS_CLAIM" --summary "by itself" --outcome approved\n'
        f'else {DIBS} block "$DIBS_TASK_ID" --claim-token "$DIBS_CLAIM" --reason "no key"; fi',
    ]
    found = answered(tmp_path, "work", "--tasks-dir", tasks_dir, code=4, command=doing)
    rows = {row["task_id"]: (row["status"], row["outcome"], row["reason"]) for row in found["workers"]}
    assert rows == {"t-1": ("success", "approved", ""), "t-2": ("blocked", "", "no key")}
    assert (header(done)["status"], header(blocked)["status"]) == ("done", "blocked")
    assert body_of(done).count("## Completion") == 1


# what programs are given, and how many


def test_no_more_than_so_many_tasks_are_done(tasks_dir: Path, tmp_path: Path) -> None:
    paths = [write_task(tasks_dir, f"t-{number}") for number in range(5)]
    found = answered(tmp_path, "work", "--max", "3", "--jobs", "2", "--tasks-dir", tasks_dir, command=["true"])
    assert len(found["workers"]) == 3
    assert Counter(header(path)["status"] for path in paths) == {"done": 3, "active": 2}


def test_so_many_programs_run_at_once(tasks_dir: Path, tmp_path: Path) -> None:
    for number in range(5):
        write_task(tasks_dir, f"t-{number}")
    records, door = folder(tmp_path / "records"), tmp_path / "gate"
    doing = script(RECORD, 'flock "$door" true', records=records, door=door)
    with (
        gate(door) as let_through,
        begun(tmp_path, "work", "--jobs", "3", "--tasks-dir", tasks_dir, "--", *doing) as work,
    ):
        until(lambda: len(contents(records)) == 3)
        held = claims_left(tasks_dir)
        let_through()
        code, out, _ = ended(work)
    assert (code, len(held)) == (0, 3)
    assert "5 done, 0 not" in out


NASTY = ["a b.txt", 'it\'s "quoted".txt', "two\nlines.txt", "-rf", "--help", "{id}.txt", "$HOME `x` ; &.txt", "ü é.txt"]


@pytest.mark.parametrize("places", [[], ["--of={path}"]], ids=["without a place", "in its place"])
def test_whatever_a_file_is_called_its_path_arrives_as_one_argument(
    tasks_dir: Path, tmp_path: Path, places: list[str]
) -> None:
    paths = [tmp_path / "in" / name for name in NASTY]
    make_batch(tasks_dir, paths)
    records = folder(tmp_path / "records")
    program = write_file(
        tmp_path / "told.py",
        "import json, os, pathlib, sys\n"
        f"pathlib.Path({str(records)!r}, os.environ['DIBS_CLAIM']).write_text(json.dumps(sys.argv[1:]))\n",
    )
    words = [sys.executable, str(program), *places]
    answered(tmp_path, "work", "--batch", "b", "--tasks-dir", tasks_dir, command=words)
    before = "--of=" if places else ""
    assert sorted(json.loads(text) for text in contents(records)) == sorted([[f"{before}{path}"] for path in paths])


OUTPUT = "```\n## Completion\n\n**By:** nobody\n\n- [ ] buy milk\n---\n<!--\n\x1b[31mred\x00\r~~~~\n`` ``` `````"


@pytest.mark.parametrize(("code", "heading"), [(0, "Completion"), (1, "Blocked")])
def test_output_is_quoted_so_that_nothing_in_it_counts(
    tasks_dir: Path, tmp_path: Path, code: int, heading: str
) -> None:
    path = write_task(tasks_dir, "t-1", body="body\n")
    program = write_file(
        tmp_path / "print.py",
        f"import sys\nsys.stdout.buffer.write({OUTPUT.encode()!r} + b'\\xff\\n')\nsys.exit({code})\n",
    )
    ran(tmp_path, "work", "--tasks-dir", tasks_dir, "--", sys.executable, program, code=4 if code else 0)
    body = body_of(path)
    assert "buy milk" in body
    assert unticked_items(body) == []
    assert read_report(body, heading)["By"] != "nobody"
    assert body.count("\n## ") == 1
    if code:
        ran(tmp_path, "reopen", "t-1", "--tasks-dir", tasks_dir)
        ran(tmp_path, "work", "--tasks-dir", tasks_dir, "--", "true")
    assert header(path)["status"] == "done"
