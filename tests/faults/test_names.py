"""Ids and file names that are hard on file systems: never used as paths, and every task goes its whole way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dibs.session import Session
from dibs.store.errors import ClaimLost, DibsError, MalformedTask
from support import Clock, age, call, claim, endings, header, held_ids, orphans, write_file, write_task

LONGEST = 128
ODD_IDS = [
    "a/b",
    "/etc/passwd",
    "../../../escape",
    "..",
    ".",
    ".dibs",
    "two words  and three",
    "CON",
    "con.lock",
    "编写前言",
    "é" * LONGEST,
    "x" * LONGEST,
    "語" * LONGEST,
    "a\\b:c*d?e|f<g>",
    "-rf",
    "~",
    "$HOME`x`;y",
    "00123",
]
MOST_BYTES_IN_A_NAME = 250
STEMS = [i for i in ODD_IDS if "/" not in i and not i.startswith(".") and len(i.encode()) < MOST_BYTES_IN_A_NAME]


def files_outside(tasks_dir: Path) -> set[Path]:
    """Everything that is there besides the tasks directory."""
    return {path for path in tasks_dir.parent.rglob("*") if not path.is_relative_to(tasks_dir)}


def header_id(task_id: str) -> str:
    return "'" + task_id.replace("'", "''") + "'"


@pytest.mark.parametrize(
    ("named", "task_id"), [*(("in the header", i) for i in ODD_IDS), *(("by file", i) for i in STEMS)]
)
def test_a_task_of_any_name_goes_its_whole_way(
    session: Session, other: Session, tasks_dir: Path, clock: Clock, task_id: str, named: str
) -> None:
    before = files_outside(tasks_dir)
    if named == "by file":
        path = write_file(tasks_dir / f"{task_id}.md", "---\nstatus: active\n---\nbody\n")
    else:
        path = write_file(tasks_dir / "t.md", f"---\nid: {header_id(task_id)}\nstatus: active\n---\nbody\n")
    write_task(tasks_dir, "t-2", depends_on=[header_id(task_id)])
    lost = claim(session, task_id).claim_token
    assert (held_ids(other), call(other, "claim_next_task").status) == ([task_id], "empty")
    session.close()
    clock.advance(7201)
    token = claim(other, task_id).claim_token
    with pytest.raises(ClaimLost, match="Your report was kept in"):
        call(session, "complete_task", id=task_id, claim_token=lost, summary="too late")
    assert "too late" in orphans(tasks_dir)[0]
    age(path)
    assert call(other, "complete_task", id=task_id, claim_token=token).newly_ready == ["t-2"]
    assert (header(path)["status"], header(path)["attempts"]) == ("done", "1")
    assert [ending.how for ending in endings(other, task_id)] == ["reaped", "completed"]
    assert files_outside(tasks_dir) == before


def test_no_two_ids_share_a_record(session: Session, tasks_dir: Path) -> None:
    for number, task_id in enumerate(ODD_IDS):
        write_file(tasks_dir / f"{number}.md", f"---\nid: {header_id(task_id)}\nstatus: active\n---\n")
    got = {claim(session).task.id for _ in ODD_IDS}
    assert got == set(ODD_IDS)
    assert call(session, "claim_next_task").status == "empty"
    assert len(list((tasks_dir / ".dibs" / "claims").iterdir())) == len(ODD_IDS)


@pytest.mark.parametrize("pair", [("T-1", "t-1"), ("Straße", "STRASSE"), ("ÉTÉ", "été")], ids=str)
def test_of_ids_equal_but_for_case_no_copy_is_handed_out(
    session: Session, tasks_dir: Path, pair: tuple[str, str]
) -> None:
    paths = [write_task(tasks_dir, task_id, name=f"{n}.md", priority=0) for n, task_id in enumerate(pair)]
    before = [path.read_bytes() for path in paths]
    write_task(tasks_dir, "other")
    assert claim(session).task.id == "other"
    for task_id in pair:
        with pytest.raises(MalformedTask, match="give each its own"):
            call(session, "claim_next_task", id=task_id)
    assert [path.read_bytes() for path in paths] == before
    paths[1].unlink()
    assert claim(session).task.id == pair[0]


def test_a_task_is_found_by_its_id_in_any_case_and_has_one_owner(
    session: Session, other: Session, tasks_dir: Path
) -> None:
    path = write_task(tasks_dir, "Straße-1")
    token = claim(session, "Straße-1").claim_token
    with pytest.raises(DibsError, match="it is held by gemini"):
        call(other, "claim_next_task", id="STRASSE-1")
    call(session, "complete_task", id="strasse-1", claim_token=token)
    assert header(path)["status"] == "done"


@pytest.mark.parametrize("task_id", ["", "x" * (LONGEST + 1), "a\tb", "a\u200bb", "a\nb"], ids=ascii)
def test_an_id_that_cannot_be_one_is_named(session: Session, tasks_dir: Path, task_id: str) -> None:
    escaped = task_id.encode("unicode_escape").decode()
    write_file(tasks_dir / "t.md", f'---\nid: "{escaped}"\nstatus: active\n---\n')
    result = call(session, "claim_next_task")
    if task_id:
        assert result.status == "empty"
        assert call(session, "get_index_stats").invalid.first[0].path == "t.md"
    else:
        assert result.task.id == "t", "an empty id is none: the file's name counts"


@pytest.mark.parametrize("project", ["../../escape", "/etc", "a b", "编", "CON", "x" * 200])
@pytest.mark.parametrize("title", ["../up", "CON", "标题" * 60, ".hidden", "a/b\\c"])
def test_a_new_task_of_any_project_and_title_is_a_file_in_the_directory(
    make_session: Callable[..., Session], tasks_dir: Path, project: str, title: str
) -> None:
    session = make_session()
    before = files_outside(tasks_dir)
    added = call(session, "add_task", title=title, project=project)
    path = Path(added.task.path)
    assert path.parent == tasks_dir
    assert path.is_file()
    assert claim(session, added.task.id).task.title == title
    assert files_outside(tasks_dir) == before
