"""The race that ships as ``dibs bench race``: nothing breaks, also where servers die at every named step; and with a
rule of the product patched out it finds the breach."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from children import PATIENCE_SECONDS, PROGRAMS
from dibs_server.cli.bench_command import run_bench_race
from dibs_server.race.plan import Options
from dibs_server.race.run import Outcome, run_race
from wire import DIBS

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

STEPS = {
    "mutex.wanted", "mutex.held", "mutex.freed", "claim.read", "claim.claim_file", "claim.task_file", "claim.journal",
    "end.read", "end.task_file", "end.journal", "end.claim_file", "reap.read", "reap.task_file", "renew.read",
}  # fmt: skip


@pytest.fixture(autouse=True)
def kept_here(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a race keeps after a breach goes with the other folders of the tests."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("races")))


def with_server(what: str) -> list[str]:
    return [sys.executable, str(PROGRAMS / "race_server.py"), what]


def breaches(outcome: Outcome) -> dict[str, list[str]]:
    return {verdict.promise: verdict.breaches for verdict in outcome.verdicts if verdict.breaches}


@pytest.mark.long
def test_a_race_with_every_disturbance_breaks_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    exit_code = run_bench_race(Options(procs=6, tasks=160, kills=6, hand_edits=7, seed=4), as_json=True)
    told = json.loads(capfd.readouterr().out)
    assert {each["promise"]: each["breaches"] for each in told["promises"] if each["breaches"]} == {}
    assert (exit_code, told["ok"], told["directory"], told["cut_short"]) == (0, True, None, False)
    assert (told["kills"], sum(told["disturbances"].values())) == (6, 7)
    assert told["tasks_ended"] >= 160 - 2, "all but those that a person ended"
    untried = [each["promise"] for each in told["promises"] if not each["tested"]]
    assert untried == [], "a promise that was not put to the test"


@pytest.mark.long
def test_a_race_whose_servers_die_at_every_named_step_breaks_nothing(tmp_path: Path) -> None:
    options = Options(procs=4, tasks=60, kills=0, hand_edits=0, seed=1, lease_seconds=1)
    outcome = run_race(options, command=with_server(f"dies:{tmp_path}"), servers_may_die=True)
    assert breaches(outcome) == {}
    assert {path.name for path in tmp_path.iterdir()} >= STEPS


def test_a_race_that_is_cut_short_counts_nothing_as_stuck(capfd: pytest.CaptureFixture[str]) -> None:
    options = Options(procs=2, tasks=2000, kills=0, hand_edits=0, seconds=1, seed=1)
    assert run_bench_race(options, as_json=True) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["ok"], told["cut_short"]) == (True, True)
    assert 0 < told["tasks_ended"] < 2000


def test_a_race_whose_servers_do_not_start_says_why(capfd: pytest.CaptureFixture[str]) -> None:
    options = Options(procs=2, tasks=10)
    assert (
        run_bench_race(options, as_json=True, command=[sys.executable, "-c", "raise SystemExit('no such luck')"]) == 7
    )
    assert "no such luck" in capfd.readouterr().err


def test_ctrl_c_ends_every_server_and_leaves_nothing(tmp_path: Path) -> None:
    words = [str(DIBS), "bench", "race", "--procs", "3", "--tasks", "2000"]
    with subprocess.Popen(words, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.PIPE) as race:
        servers = servers_of(race.pid, 3)
        race.send_signal(signal.SIGINT)
        _, told = race.communicate(timeout=PATIENCE_SECONDS)
    assert (race.returncode, b"given up" in told) == (130, True)
    assert psutil.wait_procs(servers, timeout=PATIENCE_SECONDS)[1] == []
    assert list(tmp_path.iterdir()) == []


def words_of(process: psutil.Process) -> list[str]:
    """Its command; [] when it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def servers_of(pid: int, number: int) -> list[psutil.Process]:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        found = [child for child in psutil.Process(pid).children() if "serve" in words_of(child)]
        if len(found) >= number:
            return found
        time.sleep(0.05)  # only so as not to keep the processor busy; the loop above is what waits
    pytest.fail("the servers did not start")


@pytest.mark.parametrize(
    ("patched_out", "promises"),
    [
        ("no_mutex", {"one owner at a time", "servers live on and answer"}),
        ("no_fence", {"late and foreign tokens are refused", "no task is ended twice"}),
        ("no_reread", {"no task is ended twice", "what was answered ok is in the file, once"}),
    ],
)
def test_a_race_notices_when_a_rule_is_patched_out(
    patched_out: str, promises: set[str], capfd: pytest.CaptureFixture[str]
) -> None:
    options = Options(procs=4, tasks=40, kills=0, hand_edits=0, seed=1, lease_seconds=0.5)
    exit_code = run_bench_race(options, as_json=True, command=with_server(patched_out))
    told = json.loads(capfd.readouterr().out)
    broken = {each["promise"] for each in told["promises"] if each["breaches"]}
    assert (exit_code, told["ok"]) == (1, False)
    assert broken & promises
    assert (Path(told["directory"]) / "project" / "tasks").is_dir(), "kept, to look at"


def test_a_race_that_only_goes_slowly_breaks_nothing() -> None:
    """What the servers above do besides: they linger, and have neither links nor an exchange of files."""
    options = Options(procs=4, tasks=30, kills=0, hand_edits=0, seed=1, lease_seconds=0.5)
    assert breaches(run_race(options, command=with_server("slowly"))) == {}
