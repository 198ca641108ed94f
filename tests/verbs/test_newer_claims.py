"""A claim file that a newer Dibs wrote holds its task: nothing here reaps, overwrites, ends or sets it aside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store.claims import slug
from dibs.store.errors import NotReady, StoreFailure
from support import Clock, call, claim, write_task


@pytest.fixture
def newer(tasks_dir: Path, session: Session) -> Path:
    """t-1, held by a claim of version 2 with an unknown layout."""
    write_task(tasks_dir, "t-1", files=["src"])
    claim(session, "t-1")
    path = tasks_dir / ".dibs" / "claims" / f"{slug('t-1')}.lock"
    path.write_text(json.dumps({"version": 2, "id": "t-1", "leases": ["…"]}), encoding="utf-8")
    return path


@pytest.mark.parametrize("status", ["active", "in_progress"])
def test_its_task_is_not_handed_out_however_long_it_takes(
    newer: Path, tasks_dir: Path, clock: Clock, other: Session, status: str
) -> None:
    task = tasks_dir / "t-1.md"
    if status == "active":
        write_task(tasks_dir, "t-1")
    before, record = task.read_bytes(), newer.read_bytes()
    clock.advance(100_000)
    assert call(other, "claim_next_task").status == "empty"
    with pytest.raises((StoreFailure, NotReady), match=r"newer Dibs|claimed"):
        claim(other, "t-1")
    assert (task.read_bytes(), newer.read_bytes()) == (before, record)


def test_other_tasks_are_handed_out(newer: Path, tasks_dir: Path, other: Session) -> None:
    write_task(tasks_dir, "t-2")
    assert claim(other).task.id == "t-2"
    assert newer.exists()


@pytest.mark.parametrize("verb", ["complete_task", "block_task", "release_task"])
def test_its_holder_is_told_to_update(newer: Path, session: Session, verb: str) -> None:
    record = newer.read_bytes()
    token = session.held()[0].token
    reason = {"reason": "the report"} if verb == "block_task" else {}
    with pytest.raises(StoreFailure, match=r"newer Dibs \(version 2 of .*update Dibs here"):
        call(session, verb, id="t-1", claim_token=token, **reason)
    assert newer.read_bytes() == record


def test_a_file_that_claims_no_sensible_version_is_damaged(newer: Path, tasks_dir: Path, other: Session) -> None:
    for content in (b"", b"{", b"[2]", b'{"version": "2"}', b'{"version": 0}', b'{"version": true}'):
        newer.write_bytes(content)
        assert call(other, "claim_next_task").status == "empty", "held until its planted record runs out"
        assert b'"version":1' in newer.read_bytes()
