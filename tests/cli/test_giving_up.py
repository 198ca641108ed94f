"""Ctrl-C at a shell: whatever was claimed is taken back, and nobody holds what nobody saw."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from dibs.store import steps
from dibs.store.ledger import Ledger
from doors import run_dibs
from support import write_task

STEPS = ("claim.claim_file", "claim.task_file", "claim.journal")


@pytest.mark.parametrize("step", STEPS)
def test_ctrl_c_between_the_steps_of_a_claim_leaves_no_claim(
    step: str, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    monkeypatch.setattr(steps, "hook", lambda name: os.kill(os.getpid(), signal.SIGINT) if name == step else None)
    result = run_dibs("claim", "--tasks-dir", str(tasks_dir))
    assert (result.exit_code, result.stdout) == (130, "")
    assert "given up; nothing was claimed" in result.stderr
    assert path.read_bytes() == before
    assert Ledger(tasks_dir).claims() == []


def test_ctrl_c_ends_a_claim_that_waits_for_work(tasks_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_task(tasks_dir, "t-1", status="on_hold")
    monkeypatch.setattr("time.sleep", lambda seconds: os.kill(os.getpid(), signal.SIGINT))
    result = run_dibs("claim", "--wait-seconds", "50", "--tasks-dir", str(tasks_dir))
    assert result.exit_code == 130


def test_ctrl_c_works_as_before_once_the_command_is_through(tasks_dir: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    run_dibs("stats", "--tasks-dir", str(tasks_dir))
    assert signal.getsignal(signal.SIGINT) == before
