"""Any bytes as the list of a batch or as a notice, and any text as a cursor: an answer or a refusal, nothing lost."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from fuzzing import tries
from hypothesis import given
from hypothesis import strategies as st

from dibs.registry import TOOLS
from dibs.session import Call, Session
from dibs.store.errors import DibsError
from dibs.store.task_store import TaskStore
from support import write_task

ITEM = {"id": "t-1", "path": ""}
GOOD: dict[str, Any] = {
    "version": 1,
    "name": "b",
    "created_at": "2026-01-22T12:00:00Z",
    "created_by": "x",
    "items": [ITEM],
}
TEXTS = st.text(max_size=9) | st.sampled_from(["t-1", "..", "../..", "../claims", "\x00", "b", "batch-b"])
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
FOLDERS = st.fixed_dictionaries({"folder": TEXTS, "made_in": TEXTS})
NEARLY = FOLDERS | st.dictionaries(
    st.sampled_from([*GOOD, "skipped", "folder", "made_in", "cancelled_at"]), VALUES, max_size=3
)
CONTENT = st.one_of(st.binary(max_size=60), NEARLY.map(lambda change: json.dumps({**GOOD, **change}).encode()))
CALLS = {
    "claim_next_task": {"batch": "b"},
    "get_batch": {"name": "b", "summary": True},
    "wait_for_tasks": {"batch": "b", "wait_seconds": 0},
    "list_batches": {},
    "cancel_batch": {"name": "b"},
    "examine_tasks_dir": {},
}


def call(session: Session, name: str, /, **arguments: Any) -> None:
    tool = next(tool for tool in TOOLS if tool.name == name)
    try:
        tool.run(session, tool.request.model_validate(arguments), Call()).model_dump_json()
    except DibsError as error:
        json.dumps(error.to_json())


@tries(60)
@given(CONTENT, st.sampled_from(sorted(CALLS)))
def test_any_bytes_as_a_batch_are_a_batch_or_an_error_and_move_nothing_outside(content: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tasks_dir = Path(folder) / "project" / "tasks"
        tasks_dir.mkdir(parents=True)
        write_task(tasks_dir, "t-1")
        session = Session(TaskStore(tasks_dir), client="probe", server=True)
        call(session, "create_batch", name="b", items=["t-1"])
        (path,) = (tasks_dir / ".dibs" / "batches").glob("*.json")
        path.write_bytes(content)
        call(session, name, **CALLS[name])
        assert sorted(entry.name for entry in Path(folder).iterdir()) == ["project"]
        assert sorted(entry.name for entry in tasks_dir.parent.iterdir()) == ["tasks"]
        assert (tasks_dir / "t-1.md").exists()
        assert all((tasks_dir / ".dibs" / name).is_dir() for name in ("tmp", "claims", "batches"))
        session.close()


@tries(60)
@given(
    st.one_of(st.text(max_size=120), st.from_regex(r"[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{16}-[0-9]{1,19}", fullmatch=True))
)
def test_any_text_as_a_cursor_is_one_or_an_error(cursor: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_task(Path(folder), "t-1", "done")
        call(Session(TaskStore(Path(folder))), "wait_for_tasks", ids=["t-1"], cursor=cursor[:100], wait_seconds=0)


@tries(30)
@given(st.binary(max_size=60))
def test_any_bytes_as_a_notice_go_and_stop_nothing(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tasks_dir = Path(folder)
        write_task(tasks_dir, "t-1")
        session = Session(TaskStore(tasks_dir), client="probe", server=True)
        call(session, "claim_next_task")
        notice = tasks_dir / ".dibs" / "notices" / "x.json"
        notice.write_bytes(content)
        call(session, "get_index_stats")
        assert not notice.exists()
        session.close()
