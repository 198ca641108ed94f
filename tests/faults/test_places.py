"""Bad places for real, each a tmpfs in a namespace with a session in it: read-only, full, without inodes.

What holds everywhere: a reader finds whole task files, a refused call says what to do, and once the place is good again
the same call with the same token succeeds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dibs.store.ledger import Ledger
from dibs.store.task_file import read_task_file
from doors import Answer
from places import NoNamespaces, Place, mounted
from speakers import Speaker, speaking
from support import age, header, write_task

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="no mount namespaces there"),
]

PAGE = 4096
MOST = 40
BODY = "a line of the body\n" * 300
REPORT = "a line of the report\n" * 900
ARGUMENTS: dict[str, dict[str, Any]] = {
    "claim_next_task": {},
    "complete_task": {"id": "t-1", "summary": REPORT},
    "block_task": {"id": "t-1", "reason": REPORT},
    "release_task": {"id": "t-1", "note": REPORT},
    "add_task": {"title": "One more", "body": REPORT},
}
STATUS_AFTER = {"complete_task": "done", "block_task": "blocked", "release_task": "active"}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "place"
    folder.mkdir()
    try:
        with mounted(folder, "size=1m,nr_inodes=70") as made:
            (made.path / "tasks").mkdir()
            yield made
    except NoNamespaces as exc:
        pytest.skip(f"no namespaces here: {exc}")


@pytest.fixture
def server(place: Place) -> Iterator[Speaker]:
    with speaking(place.inside / "tasks", entering=place.entering) as speaker:
        yield speaker


def is_whole(path: Path) -> bool:
    file = read_task_file(path.read_bytes())
    return file is not None and file.body.startswith(BODY)


def held(place: Place) -> list[str]:
    return [claim.id for claim in Ledger(place.path / "tasks").claims()]


def leftovers(place: Place) -> list[Path]:
    return list((place.path / "tasks" / ".dibs").glob("tmp/*"))


def refused(answer: Answer, advice: str) -> bool:
    """Whether the file system refused; then the caller was told what to do."""
    assert "code" not in answer or (answer["code"] == "io" and advice in answer["message"]), answer
    return "code" in answer


# read-only


def test_on_a_read_only_file_system_one_can_look_and_is_told_why_one_cannot_claim(
    place: Place, server: Speaker
) -> None:
    tasks_dir = place.path / "tasks"
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2", depends_on=["t-1"])
    place.turn_read_only()
    assert server.call("get_index_stats")["ready"] == 1
    assert [task["id"] for task in server.call("list_tasks")["tasks"]] == ["t-1", "t-2"]
    assert server.call("get_task", id="t-2")["task"]["status"] == "active"
    assert "t-1" in server.call("explain_task", id="t-2")["message"]
    for name in ("claim_next_task", "add_task"):
        assert refused(server.call(name, **ARGUMENTS[name]), "read-only; mount it for writing")
    assert sorted(path.name for path in tasks_dir.rglob("*")) == ["t-1.md", "t-2.md"]
    place.turn_writable()
    server.claim()
    assert header(tasks_dir / "t-1.md")["status"] == "in_progress"


@pytest.mark.parametrize("verb", STATUS_AFTER)
def test_a_file_system_that_turns_read_only_in_mid_work_costs_nothing(place: Place, server: Speaker, verb: str) -> None:
    path = write_task(place.path / "tasks", "t-1", body=BODY)
    token = server.claim()
    before = age(path).read_bytes()
    place.turn_read_only()
    assert refused(server.call(verb, claim_token=token, **ARGUMENTS[verb]), "mount it for writing")
    assert path.read_bytes() == before
    assert held(place) == ["t-1"]
    assert server.call("get_index_stats")["in_progress"][0]["id"] == "t-1"
    place.turn_writable()
    server.call(verb, claim_token=token, **ARGUMENTS[verb])
    assert header(path)["status"] == STATUS_AFTER[verb]
    assert path.read_text(encoding="utf-8").count(REPORT) == 1


# full: room for so much and no more, from nothing to enough


def scarce(place: Place, what: str) -> Callable[[int], None]:
    """Leaves room for so much. Without an index on the disk, for throwing that away would make room."""
    (place.path / "tasks" / ".dibs" / "index").mkdir(parents=True, exist_ok=True)
    return {"bytes": lambda number: place.leave_bytes(number * PAGE), "inodes": place.leave_inodes}[what]


each_scarcity = pytest.mark.parametrize("what", ["bytes", "inodes"])


@each_scarcity
def test_a_claim_on_a_full_disk_is_made_whole_or_not_at_all(place: Place, server: Speaker, what: str) -> None:
    refusals = 0
    for number in range(MOST):
        path = write_task(place.path / "tasks", f"t-{number}", body=BODY)
        before = path.read_bytes()
        scarce(place, what)(number)
        answer = server.call("claim_next_task")
        no = refused(answer, "make room on the disk")
        if no:
            refusals += 1
            assert path.read_bytes() == before
            assert held(place) == [], f"room for {number}: a claim nobody knows of"
            assert leftovers(place) == []
        place.make_room()
        token = server.claim() if no else answer["claim_token"]
        assert is_whole(age(path))
        server.call("release_task", id=path.stem, claim_token=token)
        assert path.read_bytes() == before
        path.unlink()
        if not no:
            assert refusals > 1, "it was never full"
            return
    pytest.fail("it was always full")


@each_scarcity
@pytest.mark.parametrize("verb", STATUS_AFTER)
def test_an_ending_on_a_full_disk_loses_neither_claim_nor_report(
    place: Place, server: Speaker, verb: str, what: str
) -> None:
    refusals, leave = 0, scarce(place, what)
    for number in range(MOST):
        path = write_task(place.path / "tasks", "t-1", body=BODY)
        token = server.claim()
        before = age(path).read_bytes()
        leave(number)
        no = refused(server.call(verb, claim_token=token, **ARGUMENTS[verb]), "make room on the disk")
        refusals += no
        assert (is_whole(path), leftovers(place)) == (True, [])
        if path.read_bytes() == before:
            assert held(place) == ["t-1"], f"room for {number}: the claim went with the report"
        place.make_room()
        age(path)
        answer = server.call(verb, claim_token=token, **ARGUMENTS[verb])
        assert answer["task"]["status"] == STATUS_AFTER[verb], answer
        assert header(path)["status"] == STATUS_AFTER[verb]
        assert path.read_text(encoding="utf-8").count(REPORT) == 1
        assert held(place) == []
        if not no:
            assert refusals > 0, "it was never full"
            return
    pytest.fail("it was always full")


@each_scarcity
def test_a_new_task_on_a_full_disk_is_added_whole_or_not_at_all(place: Place, server: Speaker, what: str) -> None:
    tasks_dir = place.path / "tasks"
    refusals = 0
    for number in range(MOST):
        scarce(place, what)(number)
        answer = server.call("add_task", **ARGUMENTS["add_task"])
        if refused(answer, "make room on the disk"):
            refusals += 1
            assert list(tasks_dir.glob("*.md")) == leftovers(place) == []
            continue
        assert refusals > 0, "it was never full"
        (path,) = tasks_dir.glob("*.md")
        assert path.name == Path(answer["task"]["path"]).name
        assert path.read_text(encoding="utf-8").count(REPORT.strip()) == 1
        return
    pytest.fail("it was always full")
