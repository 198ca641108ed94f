"""Batches: named lists of work, made whole or not at all, worked off by whoever claims from them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from dibs.session import Session
from dibs.store import steps
from dibs.store.errors import BatchNotFound, InvalidArguments, NotReady, StoreFailure
from support import Clock, call, claim, events, write_file, write_task


@pytest.fixture
def src(tasks_dir: Path) -> Path:
    """A folder with files beside the tasks directory."""
    folder = tasks_dir.parent / "src"
    for number in range(3):
        write_file(folder / f"f{number}.txt", "x")
    return folder


def create(session: Session, name: str = "b", **given: Any) -> Any:
    return call(session, "create_batch", name=name, **given)


def refused(session: Session, name: str = "b", **given: Any) -> str:
    """The message of a refusal that left nothing behind."""
    before = sorted(path for path in session.store.tasks_dir.rglob("*") if ".dibs" not in path.parts)
    batches = [batch.name for batch in session.store.batches.all()]
    with pytest.raises(InvalidArguments) as caught:
        create(session, name, **given)
    assert sorted(path for path in session.store.tasks_dir.rglob("*") if ".dibs" not in path.parts) == before
    assert [batch.name for batch in session.store.batches.all()] == batches
    tmp = session.store.ledger.folder / "tmp"
    assert not tmp.exists() or list(tmp.iterdir()) == []
    return str(caught.value)


def ids_of(session: Session, name: str = "b") -> list[str]:
    return [item.id for item in session.store.batches.get(name).items]


# what goes in


def test_task_ids_make_a_batch_and_no_task_file_is_touched(session: Session, tasks_dir: Path) -> None:
    paths = [write_task(tasks_dir, f"t-{number}") for number in range(3)]
    before = [path.read_bytes() for path in paths]
    result = create(session, items=["t-0", "T-2"])
    assert (result.total, result.ready, result.made) == (2, 2, 0)
    assert ids_of(session) == ["t-0", "t-2"]
    assert [path.read_bytes() for path in paths] == before
    assert result.message == "batch b has 2 tasks; claim with batch=b"


def test_task_files_stand_for_their_tasks_however_they_are_named(
    session: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        write_task(tasks_dir, f"t-{number}", name=f"sub/task {number}.md")
    link = tasks_dir.parent / "link"
    link.symlink_to(tasks_dir)
    monkeypatch.chdir(tasks_dir)
    person = Session(session.store, person=True)
    create(person, items=["sub/task 0.md", str(tasks_dir / "sub" / "task 1.md"), str(link / "sub/../sub/task 2.md")])
    assert ids_of(person) == ["t-0", "t-1", "t-2"]


def test_any_other_file_gets_a_task_of_its_own(session: Session, tasks_dir: Path, src: Path) -> None:
    result = create(
        session, items=[str(src / "f0.txt"), str(src / "f1.txt")], instructions="Sort {path}, twice {path}."
    )
    assert (result.total, result.made, result.ready) == (2, 2, 2)
    first, second = ids_of(session)
    task = call(session, "get_task", id=first).task
    assert task.files == ["src/f0.txt"]
    assert task.title == "b: src/f0.txt"
    assert "Sort src/f0.txt, twice src/f0.txt." in task.body
    assert Path(task.path).parent == tasks_dir / "batch-b"
    assert first.startswith("b-")
    assert first != second
    assert {item.path for item in session.store.batches.get("b").items} == {str(src / "f0.txt"), str(src / "f1.txt")}


@pytest.mark.parametrize(
    "name",
    [
        "with blank.txt",
        " lead.txt",
        "line\nbreak.txt",
        "quo\"te'.txt",
        "a,b.txt",
        "[x]*?.txt",
        "-dash",
        "ünïcode.md",
        "{path}",
    ],
)
def test_files_of_every_name_become_tasks_that_can_be_claimed(session: Session, tasks_dir: Path, name: str) -> None:
    path = write_file(tasks_dir.parent / "odd" / name, "x")
    create(session, items=[str(path)])
    taken = claim(session, batch="b")
    assert session.store.batches.get("b").items[0].path == str(path)
    assert taken.task.title == f"b: {' '.join(f'odd/{name}'.split())}"


def test_a_note_in_the_tasks_directory_is_a_file_like_any_other(session: Session, tasks_dir: Path) -> None:
    note = write_file(tasks_dir / "note.md", "# Only a note\n")
    assert create(session, items=[str(note)]).made == 1


def test_a_word_is_an_id_if_there_is_one_and_with_a_dot_and_slash_a_path(
    session: Session, tasks_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_task(tasks_dir, "readme")
    write_file(tasks_dir.parent / "readme", "x")
    monkeypatch.chdir(tasks_dir.parent)
    person = Session(session.store, person=True)
    assert create(person, "ids", items=["readme"]).made == 0
    assert create(person, "paths", items=["./readme"]).made == 1


def test_globs_take_files_and_leave_hidden_ones(session: Session, tasks_dir: Path, src: Path) -> None:
    write_file(src / ".hidden.txt", "x")
    write_task(tasks_dir, "t-1")
    assert create(session, glob=["src/*.txt", f"{tasks_dir}/*.md"]).total == 4
    assert "t-1" in ids_of(session)


def test_filters_take_the_tasks_they_match_but_no_containers(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "epic", type="epic", project="aops")
    write_task(tasks_dir, "in", project="aops", tags=["x"], parent="epic")
    write_task(tasks_dir, "out", project="other", tags=["x"])
    write_task(tasks_dir, "done", "done", project="aops", tags=["x"])
    assert create(session, "project", project="AOPS", tags=["X"]).total == 1
    assert ids_of(session, "project") == ["in"]
    assert create(session, "children", parent="epic").total == 1
    assert create(session, "by-status", status=["todo"]).total == 2


def test_what_is_there_already_is_told_first(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "done", "done")
    write_task(tasks_dir, "dropped", "cancelled")
    write_task(tasks_dir, "waits", depends_on=["held"])
    write_task(tasks_dir, "held")
    write_file(tasks_dir / "broken.md", "---\nid: broken\nstatus: nonsense\n---\n")
    claim(session, "held")
    result = create(session, items=["done", "dropped", "waits", "held", "broken"])
    assert result.message == (
        "2 tasks skipped (already complete); 1 skipped (invalid); 1 claimed by others; 1 waiting for something; "
        "batch b has 2 tasks; claim with batch=b"
    )
    assert (result.total, result.ready, result.claimed, result.waiting) == (2, 0, 1, 1)
    assert [(row.task_id, row.why.split(":")[0]) for row in result.skipped] == [
        ("done", "already complete"),
        ("dropped", "already complete"),
        ("broken", "invalid"),
    ]


def test_a_dry_run_only_tells(session: Session, tasks_dir: Path, src: Path) -> None:
    result = create(session, items=[str(src / "f0.txt")], dry_run=True)
    assert result.total == 1
    assert "nothing was made" in result.message
    assert not (tasks_dir / ".dibs").exists()
    assert list(tasks_dir.iterdir()) == []


# what is refused: naming the item, and nothing half done


def test_what_is_neither_task_nor_file_is_named(session: Session, tasks_dir: Path, src: Path) -> None:
    write_task(tasks_dir, "t-1")
    message = refused(session, items=["t-1", str(src / "f0.txt"), "nowhere.txt", "nul\0", ""])
    assert "'nowhere.txt'" in message
    assert "t-1" not in message


def test_what_is_given_twice_is_named(session: Session, tasks_dir: Path, src: Path) -> None:
    path = write_task(tasks_dir, "t-1")
    assert "t-1" in refused(session, items=["t-1", str(path)])
    twice = [str(src / "f0.txt"), str(src / "f1.txt"), f"{src}/../src/f0.txt"]
    assert "f0.txt" in (message := refused(session, items=twice))
    assert "f1.txt" not in message


def test_what_two_ways_of_choosing_have_in_common_counts_once(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1", project="p")
    write_task(tasks_dir, "t-2", project="p")
    assert create(session, items=["t-1"], project="p", glob=["tasks/t-1.md"]).total == 2


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "name its work"),
        ({"glob": ["src/*.none"]}, "src/*.none"),
        ({"glob": [""]}, "matches ''"),
        ({"project": "nobody"}, "nobody"),
        ({"parent": "nowhere"}, "nowhere"),
        ({"status": ["wip"]}, "wip"),
        ({"items": ["done"]}, "done (already complete: done)"),
    ],
)
def test_a_batch_of_nothing_is_refused_with_what_was_asked_for(
    session: Session, tasks_dir: Path, given: dict[str, Any], told: str
) -> None:
    write_task(tasks_dir, "done", "done")
    assert told in refused(session, **given)


def test_a_name_that_is_taken_is_refused_whatever_its_case(session: Session, tasks_dir: Path, src: Path) -> None:
    write_task(tasks_dir, "t-1")
    create(session, "Spring", items=["t-1"])
    assert "there is a batch spring already" in refused(session, "spring", items=["t-1"], dry_run=True)
    assert "there is a batch spring already" in refused(session, "spring", items=[str(src / "f0.txt")])
    assert ids_of(session, "SPRING") == ["t-1"]


@pytest.mark.parametrize("name", ["two\nlines", "tab\t.", "\x1b[31m"])
def test_a_name_that_cannot_be_shown_is_refused(session: Session, tasks_dir: Path, name: str) -> None:
    write_task(tasks_dir, "t-1")
    assert "printable" in refused(session, name, items=["t-1"])


def test_a_folder_that_is_in_the_way_is_left_alone(session: Session, tasks_dir: Path, src: Path) -> None:
    write_file(tasks_dir / "batch-b" / "mine.md", "# Mine\n")
    assert "batch-b" in refused(session, items=[str(src / "f0.txt")])


def test_files_whose_tasks_nobody_would_see_are_refused(session: Session, tasks_dir: Path, src: Path) -> None:
    write_file(tasks_dir / "settings.json", json.dumps({"exclude": ["batch-*/**"]}))
    assert "exclude" in refused(session, items=[str(src / "f0.txt")])


def test_a_name_that_is_not_utf_8_is_named(session: Session, tasks_dir: Path, src: Path) -> None:
    (src / os.fsdecode(b"\xff.txt")).write_text("x")
    assert "\\udcff.txt" in refused(session, glob=["src/*"])


def test_a_full_disk_leaves_nothing_half_done(
    session: Session, tasks_dir: Path, src: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(StoreFailure, match="No space left"):
        create(session, items=[str(src / "f0.txt")])
    monkeypatch.undo()
    assert session.store.batches.all() == []
    assert list((tasks_dir / ".dibs" / "tmp").iterdir()) == []
    assert create(session, items=[str(src / "f0.txt")]).made == 1


def _full(descriptor: int) -> None:
    raise OSError(28, "No space left on device")


class Killed(BaseException):
    """The end of the process at that moment, as far as the disk can tell."""


def test_what_a_crash_left_undone_the_next_claim_does(
    session: Session, tasks_dir: Path, src: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(step: str) -> None:
        if step == "batch.record":
            # nothing of this process runs after its death: what it would have tidied up stays
            monkeypatch.setattr("dibs.made_tasks.shutil.rmtree", lambda *a, **k: None)
            raise Killed

    monkeypatch.setattr(steps, "hook", die)
    with pytest.raises(Killed):
        create(session, items=[str(src / "f0.txt"), str(src / "f1.txt")])
    monkeypatch.setattr(steps, "hook", None)
    assert not (tasks_dir / "batch-b").exists()
    assert claim(session, batch="b").task.files[0].startswith("src/f")
    assert len(list((tasks_dir / "batch-b").iterdir())) == 2


# claiming from it


def test_a_claim_takes_only_from_its_batch_and_its_record_says_so(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "best", priority=0)
    write_task(tasks_dir, "in", priority=4)
    create(session, items=["in"])
    assert claim(session, batch="B").task.id == "in"
    (record,) = session.store.ledger.claims()
    assert record.batch == "b"
    result = call(session, "claim_next_task", batch="b")
    assert result.status == "empty"
    assert "with batch b: 1 in progress" in result.message
    assert claim(session).task.id == "best"


def test_an_unknown_batch_is_named_with_those_there_are(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    create(session, "one", items=["t-1"])
    with pytest.raises(BatchNotFound, match="there is no batch two; there are: one"):
        call(session, "claim_next_task", batch="two")


def test_a_batch_that_cannot_be_read_is_said_so_and_stays(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    create(session, items=["t-1"])
    (path,) = (tasks_dir / ".dibs" / "batches").glob("*.json")
    path.write_text("{")
    with pytest.raises(StoreFailure, match="not a batch that this Dibs can read"):
        call(session, "claim_next_task", batch="b")
    assert path.read_text() == "{"
    assert call(session, "list_batches").batches == []


def test_a_cancelled_batch_hands_nothing_out(session: Session, tasks_dir: Path, src: Path) -> None:
    own = write_task(tasks_dir, "own")
    before = own.read_bytes()
    create(session, items=["own", *(str(src / f"f{number}.txt") for number in range(3))])
    at_work = claim(session, ids_of(session)[1])
    result = call(session, "cancel_batch", name="b", reason="Not wanted.")
    assert (result.cancelled, result.in_progress) == (2, [at_work.task.id])
    with pytest.raises(NotReady, match="batch b was cancelled"):
        call(session, "claim_next_task", batch="b")
    assert own.read_bytes() == before
    assert call(session, "complete_task", id=at_work.task.id, claim_token=at_work.claim_token).task.status == "done"
    statuses = sorted(call(session, "get_task", id=task_id).task.status for task_id in ids_of(session))
    assert statuses == ["active", "cancelled", "cancelled", "done"]
    assert "Not wanted." in call(session, "get_task", id=ids_of(session)[2]).task.body
    assert call(session, "cancel_batch", name="b").cancelled == 0, "again is no harm"


# where it stands


def test_a_batch_tells_what_became_of_each_of_its_tasks(session: Session, tasks_dir: Path, clock: Clock) -> None:
    for task_id in ("good", "stuck", "dropped", "gone", "held", "free", "waits", "broken"):
        write_task(tasks_dir, task_id, title=task_id.title())
    create(session, items=["good", "stuck", "dropped", "gone", "held", "free", "waits", "broken"])
    clock.advance(30)
    good = claim(session, "good", caller="bob")
    call(
        session, "complete_task", id="good", claim_token=good.claim_token, summary="Did\n\nit.", outcome="fine",
        commit="caecab8b", tokens_used=1200,
    )  # fmt: skip
    stuck = claim(session, "stuck", caller="eve")
    call(session, "block_task", id="stuck", claim_token=stuck.claim_token, reason="lock file", kind="environment")
    call(session, "update_task", id="dropped", action="cancel", reason="obsolete")
    (tasks_dir / "gone.md").unlink()
    write_file(tasks_dir / "broken.md", "---\nid: broken\nstatus: nonsense\n---\n")
    write_task(tasks_dir, "waits", depends_on=["nothing"])
    claim(session, "held", caller="ann")
    clock.advance(30)
    result = call(session, "get_batch", name="b", summary=True)
    counts = {name: count for name, count in result.counts.model_dump().items() if count}
    assert counts == {
        "done": 1, "blocked": 1, "cancelled": 1, "gone": 1, "invalid": 1, "in_progress": 1, "ready": 1, "waiting": 1,
    }  # fmt: skip
    assert (result.total, result.finished) == (8, False)
    assert [(row.id, row.caller) for row in result.in_progress] == [("held", "ann")]
    rows = {row.task_id: row for row in result.summary.workers}
    assert (rows["good"].status, rows["good"].outcome, rows["good"].commit) == ("success", "fine", "caecab8b")
    assert (rows["good"].summary, rows["good"].caller, rows["good"].tokens) == ("Did it.", "bob", 1200)
    assert (rows["stuck"].status, rows["stuck"].reason, rows["stuck"].caller) == ("blocked", "lock file", "eve")
    assert (rows["dropped"].status, rows["dropped"].reason) == ("failed", "obsolete")
    assert (rows["gone"].status, rows["gone"].reason) == ("failed", "its file is gone, or is no task any more")
    assert rows["broken"].status == "failed"
    assert set(rows) == {"good", "stuck", "dropped", "gone", "broken"}
    assert (result.summary.total_tokens, result.summary.runtime_seconds) == (1200, 60)


def test_the_runtime_ends_with_the_last_outcome(session: Session, tasks_dir: Path, clock: Clock) -> None:
    write_task(tasks_dir, "t-1")
    create(session, items=["t-1"])
    clock.advance(30)
    claim(session, "t-1")
    call(session, "complete_task", id="t-1")
    clock.advance(500)
    result = call(session, "summarize_batch", name="b")
    assert (result.finished, result.runtime_seconds) == (True, 30)


def test_a_long_summary_comes_in_pages_for_agents(session: Session, tasks_dir: Path) -> None:
    ids = [f"t-{number:03}" for number in range(120)]
    for task_id in ids:
        write_task(tasks_dir, task_id)
    create(session, items=ids)
    for task_id in ids:
        write_task(tasks_dir, task_id, "done")
    first = call(session, "get_batch", name="b", summary=True)
    second = call(session, "get_batch", name="b", summary=True, offset=100)
    assert "offset=100" in first.warnings[0]
    assert second.warnings == []
    told = [row.task_id for page in (first, second) for row in page.summary.workers]
    assert told == ids
    assert len(call(session, "summarize_batch", name="b").workers) == 120


def test_batches_are_listed_with_where_they_stand(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2")
    create(session, "one", items=["t-1"])
    create(session, "two", items=["t-1", "t-2"])
    claim(session, "t-2")
    rows = {row.name: row for row in call(session, "list_batches").batches}
    assert (rows["one"].total, rows["one"].counts.ready) == (1, 1)
    assert (rows["two"].counts.ready, rows["two"].counts.in_progress) == (1, 1)


def test_making_one_is_in_the_journal(session: Session, tasks_dir: Path) -> None:
    write_task(tasks_dir, "t-1")
    create(session, items=["t-1"])
    assert [(event["batch"], event["total"]) for event in events(session, "batch_created")] == [("b", 1)]


def test_losing_the_ledger_loses_the_list_and_no_task(session: Session, tasks_dir: Path, src: Path) -> None:
    create(session, items=[str(src / "f0.txt")])
    (task_id,) = ids_of(session)
    shutil.rmtree(tasks_dir / ".dibs")
    with pytest.raises(BatchNotFound, match=r"there is no batch b \(its list is lost") as caught:
        call(session, "claim_next_task", batch="b")
    assert f"dibs batch create b --glob '{tasks_dir}/batch-b/*.md'" in caught.value.message
    assert create(session, "b", glob=[f"{tasks_dir}/batch-b/*.md"]).total == 1
    assert claim(session, batch="b").task.id == task_id
