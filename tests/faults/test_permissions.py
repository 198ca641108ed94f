"""A user who may not do everything: what is denied is named, and everything else goes on.

Nothing is denied to root, so there the session runs as another user.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store.ledger import Ledger
from dibs.store.task_store import TaskStore
from speakers import Speaker, speaking
from support import age, call, claim, header, write_task

if sys.platform == "win32":
    pytest.skip("no modes and users there", allow_module_level=True)

NOBODY = 65534
ROOT = os.geteuid() == 0

pytestmark = pytest.mark.processes


@pytest.fixture
def common() -> Iterator[Path]:
    """A tasks directory in a place that every user can enter."""
    home = Path(tempfile.mkdtemp(prefix="dibs-test-"))
    home.chmod(0o755)
    tasks_dir = home / "tasks"
    tasks_dir.mkdir()
    yield tasks_dir
    for folder in tasks_dir.rglob("*"):
        if folder.is_dir():
            folder.chmod(0o700)
    shutil.rmtree(home)


@contextmanager
def user(tasks_dir: Path, **more: float) -> Iterator[Speaker]:
    """A session of a user whom rights bind; everything that is there by now is theirs."""
    if not ROOT:
        with speaking(tasks_dir, **more) as speaker:
            yield speaker
        return
    for path in (tasks_dir, *tasks_dir.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    with speaking(tasks_dir, uid=NOBODY, **more) as speaker:
        yield speaker


def drain(speaker: Speaker) -> tuple[list[str], str]:
    """All ids that are handed out, and every warning on the way."""
    ids, warnings = [], []
    while True:
        answer = speaker.call("claim_next_task")
        assert "code" not in answer, answer
        warnings += answer["warnings"]
        if answer["status"] == "empty":
            return ids, "\n".join(warnings)
        ids.append(answer["task"]["id"])
        speaker.call("complete_task", id=ids[-1], claim_token=answer["claim_token"])


def told_of(speaker: Speaker) -> dict[str, str]:
    """What is said to be invalid, by path."""
    return {entry["path"]: entry["cause"] for entry in speaker.call("get_index_stats")["invalid"]["first"]}


# one file, one folder


def test_a_file_that_may_not_be_read_is_named_and_the_others_are_handed_out(common: Path) -> None:
    path = write_task(common, "t-1", priority=0)
    before = path.read_bytes()
    write_task(common, "t-2")
    with user(common) as speaker:
        path.chmod(0)
        assert drain(speaker)[0] == ["t-2"]
        assert "Permission denied" in told_of(speaker)["t-1.md"]
        path.chmod(0o600)
        assert path.read_bytes() == before
        assert drain(speaker)[0] == ["t-1"]


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111], ids=oct)
def test_a_folder_that_may_not_be_read_is_named_and_the_others_are_handed_out(common: Path, mode: int) -> None:
    write_task(common / "locked", "t-1", priority=0)
    write_task(common / "locked", "t-3", depends_on=["t-2"])
    write_task(common, "t-2")
    with user(common) as speaker:
        (common / "locked").chmod(mode)
        assert drain(speaker)[0] == ["t-2"]
        assert any(path.startswith("locked") for path in told_of(speaker)), told_of(speaker)
        (common / "locked").chmod(0o700)
        assert drain(speaker)[0] == ["t-1", "t-3"]
        assert told_of(speaker) == {}


def test_a_folder_that_may_not_be_written_is_passed_over_with_a_warning(common: Path) -> None:
    path = write_task(common / "locked", "t-1", priority=0)
    before = path.read_bytes()
    write_task(common, "t-2")
    with user(common) as speaker:
        path.parent.chmod(0o555)
        ids, warnings = drain(speaker)
        assert (ids, "passed over t-1" in warnings) == (["t-2"], True)
        assert path.read_bytes() == before
        path.parent.chmod(0o755)
        assert drain(speaker)[0] == ["t-1"]


@pytest.mark.parametrize("verb", ["complete_task", "block_task", "release_task"])
def test_a_folder_that_may_not_be_written_any_more_keeps_the_claim_for_the_same_token(common: Path, verb: str) -> None:
    path = write_task(common / "locked", "t-1")
    write_task(common, "t-2")
    with user(common) as speaker:
        token = speaker.claim("t-1")
        before = age(path).read_bytes()
        path.parent.chmod(0o555)
        text = {"complete_task": "summary", "block_task": "reason", "release_task": "note"}[verb]
        answer = speaker.call(verb, id="t-1", claim_token=token, **{text: "the one report"})
        assert (answer["code"], "give this user the right to write there" in answer["message"]) == ("io", True)
        assert path.read_bytes() == before
        assert speaker.call("claim_next_task")["task"]["id"] == "t-2"
        assert sorted(claim.id for claim in Ledger(common).claims()) == ["t-1", "t-2"]
        path.parent.chmod(0o755)
        assert "code" not in speaker.call(verb, id="t-1", claim_token=token, **{text: "the one report"})
        assert path.read_text(encoding="utf-8").count("the one report") == 1


def test_a_lost_claim_in_a_folder_that_may_not_be_written_holds_nobody_up(common: Path) -> None:
    path = write_task(common / "locked", "t-1")
    write_task(common, "t-2")
    with user(common) as speaker:
        speaker.claim("t-1")
        speaker.die()
    path.parent.chmod(0o555)
    with user(common, ahead=600) as heir:
        assert drain(heir)[0] == ["t-2"]
        path.parent.chmod(0o755)
        assert drain(heir)[0] == ["t-1"]
    assert header(path)["attempts"] == "1"


# the ledger


def test_a_directory_that_may_not_be_written_is_refused_plainly_and_one_can_still_look(common: Path) -> None:
    write_task(common, "t-1")
    with user(common) as speaker:
        common.chmod(0o555)
        answer = speaker.call("claim_next_task")
        assert (answer["code"], "give this user the right to write there" in answer["message"]) == ("io", True), answer
        assert [path.name for path in common.iterdir()] == ["t-1.md"]
        assert speaker.call("get_index_stats")["ready"] == 1
        common.chmod(0o755)
        assert drain(speaker)[0] == ["t-1"]


@pytest.mark.parametrize("name", ["claims", "tmp", "alive", "mutex"])
def test_a_ledger_that_may_not_be_written_is_refused_plainly_and_one_can_still_look(common: Path, name: str) -> None:
    path = write_task(common, "t-1")
    write_task(common, "t-2", depends_on=["t-1"])
    session = Session(TaskStore(common))
    call(session, "release_task", id="t-1", claim_token=claim(session, "t-1").claim_token)
    before = age(path).read_bytes()
    locked = common / ".dibs" / name
    mode = locked.stat().st_mode & 0o777
    with user(common) as speaker:
        locked.chmod(0o555 if locked.is_dir() else 0)
        answer = speaker.call("claim_next_task")
        assert "give this user the right to write there" in answer.get("message", ""), answer
        assert (answer["code"], path.read_bytes()) == ("io", before)
        assert speaker.call("get_index_stats")["ready"] == 1
        assert "t-1" in speaker.call("explain_task", id="t-2")["message"]
        locked.chmod(mode)
        assert drain(speaker)[0] == ["t-1", "t-2"]


@pytest.mark.skipif(not ROOT, reason="only root can be two users")
def test_users_who_may_all_write_share_one_queue_and_one_who_keeps_claims_secret_is_named(common: Path) -> None:
    for number in range(1, 4):
        write_task(common, f"t-{number}", priority=number)
    with speaking(common, "rooty") as owner:
        owner.claim("t-1")
        with user(common) as speaker:
            assert speaker.claim() == owner_token(common, "t-2"), "the claim of another user's task is honoured"
            (claim_file,) = (path for path in (common / ".dibs" / "claims").iterdir() if path.name.startswith("t-1"))
            os.chown(claim_file, 0, 0)
            claim_file.chmod(0o600)
            answer = speaker.call("claim_next_task")
            assert (answer["code"], str(claim_file) in answer["message"]) == ("io", True), answer
            assert "let all users of this directory read each other's files" in answer["message"]
            claim_file.chmod(0o644)
            assert speaker.claim() == owner_token(common, "t-3")
        owner.die()
    with user(common, ahead=600) as heir:
        assert drain(heir)[0] == ["t-1", "t-2", "t-3"], "a lost claim is taken back, whoever made it"


def owner_token(tasks_dir: Path, task_id: str) -> str | None:
    return header(tasks_dir / f"{task_id}.md")["claim"]
