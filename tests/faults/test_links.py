"""Symbolic links and odd things in the places of the ledger's own files: one queue, and nothing outside is touched."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store.claims import slug
from dibs.store.errors import DibsError
from dibs.store.ledger import Ledger
from dibs_server.mcp_server.log_file import LogFile
from speakers import speaking
from support import age, call, claim, header, write_file, write_task

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need rights there")

PRECIOUS = "not yours\n"


def outside(tasks_dir: Path) -> Path:
    """A folder with a file in it that nobody may touch."""
    folder = tasks_dir.parent / "outside"
    write_file(folder / "precious.lock", PRECIOUS)
    (folder / "precious.json").write_text(PRECIOUS, encoding="utf-8")
    for path in folder.iterdir():
        age(path)
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


# the way to the directory


@pytest.mark.processes
def test_two_ways_to_a_directory_are_one_queue(tasks_dir: Path) -> None:
    for number in range(6):
        write_task(tasks_dir, f"t-{number}")
    link = tasks_dir.parent / "link"
    link.symlink_to(tasks_dir, target_is_directory=True)
    with speaking(tasks_dir, "straight") as straight, speaking(link, "around") as around:
        tokens = [speaker.claim() for _ in range(3) for speaker in (straight, around)]
        assert {speaker.call("claim_next_task")["status"] for speaker in (straight, around)} == {"empty"}
        held = {claim.token: claim for claim in Ledger(tasks_dir).claims()}
        assert sorted(held) == sorted(tokens)
        assert all(claim.owner.alive for claim in held.values()), "a record was made up for a claim of the other way"
        first = held[tokens[0]]
        assert around.call("complete_task", id=first.id, claim_token=first.token)["task"]["status"] == "done"
    assert not link.joinpath(".dibs", ".dibs").exists()


# links among the tasks


def test_a_linked_folder_is_not_followed_and_a_linked_task_is_named(session: Session, tasks_dir: Path) -> None:
    away = tasks_dir.parent / "away"
    path = write_task(away, "t-far", priority=0)
    before = path.read_bytes()
    (tasks_dir / "sub").symlink_to(away, target_is_directory=True)
    (tasks_dir / "t-far.md").symlink_to(path)
    (tasks_dir / "nowhere.md").symlink_to(tasks_dir / "gone.md")
    write_task(tasks_dir, "t-near")
    assert claim(session).task.id == "t-near"
    assert call(session, "claim_next_task").status == "empty"
    told = {entry.path: entry.cause for entry in call(session, "get_index_stats").invalid.first}
    assert set(told) == {"t-far.md", "nowhere.md"}
    assert all("symbolic link" in cause for cause in told.values())
    assert path.read_bytes() == before
    assert (tasks_dir / "t-far.md").is_symlink()


def test_a_task_file_that_becomes_a_link_while_it_is_claimed_keeps_its_report(
    session: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "t-1")
    token = claim(session).claim_token
    moved = path.rename(tasks_dir.parent / "moved.md")
    path.symlink_to(moved)
    before = moved.read_bytes()
    with pytest.raises(DibsError, match=r"symbolic link.*Your report was kept in") as told:
        call(session, "complete_task", id="t-1", claim_token=token, summary="my report")
    assert "my report" in Path(str(told.value.facts["report"])).read_text(encoding="utf-8")
    assert (moved.read_bytes(), path.is_symlink()) == (before, True)
    path.unlink()
    age(moved).rename(path)
    call(session, "complete_task", id="t-1", claim_token=token, summary="my report")
    assert header(path)["status"] == "done"


# links and folders in the ledger's places


def link_away(place: Path, folder: Path) -> None:
    place.symlink_to(folder, target_is_directory=True)


def link_to_a_file(place: Path, folder: Path) -> None:
    place.symlink_to(folder / "precious.lock")


def make_folder(place: Path, folder: Path) -> None:
    place.mkdir()


def make_file(place: Path, folder: Path) -> None:
    place.write_text(PRECIOUS, encoding="utf-8")


FOLDERS = ["claims", "alive", "ended", "journal", "orphans", "tmp", "log"]
ODD = [(name, put) for name in ["", *FOLDERS] for put in (link_away, make_file)]
ODD += [(name, put) for name in ("mutex",) for put in (link_to_a_file, make_folder)]


@pytest.mark.parametrize(("name", "put"), ODD, ids=lambda part: part if isinstance(part, str) else part.__name__)
@pytest.mark.parametrize("when", ["before the first claim", "while a task is held"])
def test_an_odd_thing_in_the_ledgers_place_is_refused_and_nothing_outside_is_touched(
    session: Session, other: Session, tasks_dir: Path, name: str, put: Callable[[Path, Path], None], when: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    folder, ledger = outside(tasks_dir), tasks_dir / ".dibs"
    before = contents(folder)
    token = claim(session).claim_token if when == "while a task is held" else ""
    text = age(path).read_bytes()
    place, kept = ledger / name, tasks_dir.parent / "kept"
    if place.exists():
        place.rename(kept)
    elif name:
        ledger.mkdir()
    put(place, folder)
    for speaker, verb in [(other, "claim_next_task"), (session, "complete_task")][: 2 if token else 1]:
        arguments = {"id": "t-1", "claim_token": token, "summary": "my report"} if verb == "complete_task" else {}
        with pytest.raises(DibsError, match=r"\.dibs.*(symbolic link|move that \w+ away)") as told:
            call(speaker, verb, **arguments)
        assert told.value.code in ("io", "settings")
        assert (contents(folder), path.read_bytes()) == (before, text)
    place.rmdir() if place.is_dir() and not place.is_symlink() else place.unlink()
    if kept.exists():
        kept.rename(place)
    token = token or claim(session).claim_token
    age(path)
    call(session, "complete_task", id="t-1", claim_token=token, summary="my report")
    assert header(path)["status"] == "done"
    assert contents(folder) == before


@pytest.mark.parametrize("name", [".gitignore", "journal/2026-01-22.jsonl", "claims", "ended", "alive/x.lock", "tmp/x"])
def test_a_link_in_the_place_of_a_file_is_not_written_through(
    session: Session, other: Session, tasks_dir: Path, name: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    folder, ledger = outside(tasks_dir), tasks_dir / ".dibs"
    before = contents(folder)
    suffix = {"claims": "lock", "ended": "json"}.get(name)
    place = ledger / name / f"{slug('t-1')}.{suffix}" if suffix else ledger / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(folder / "precious.lock")
    token = claim(session).claim_token
    age(path)
    assert call(other, "claim_next_task").status == "empty"
    call(session, "complete_task", id="t-1", claim_token=token)
    assert header(path)["status"] == "done"
    assert contents(folder) == before


def test_the_log_is_not_written_through_a_link(tasks_dir: Path) -> None:
    folder = outside(tasks_dir)
    before = contents(folder)
    logs = tasks_dir / "log"
    logs.mkdir()
    (logs / "dibs.log").symlink_to(folder / "precious.lock")
    record = logging.LogRecord("dibs", logging.ERROR, "", 0, "a line", None, None)
    LogFile(lambda: logs).emit(record)
    assert contents(folder) == before
    (logs / "dibs.log").unlink()
    LogFile(lambda: logs).emit(record)
    assert (logs / "dibs.log").read_text(encoding="utf-8") == "a line\n"
