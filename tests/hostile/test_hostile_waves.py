"""Anything as a wave, from any file: a plan or a refusal that can be told, and the directory stays as it is."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fuzzing import tries
from hypothesis import given
from hypothesis import strategies as st

from dibs.arguments import read_arguments, validate
from dibs.registry import TOOLS
from dibs.session import Call, Session
from dibs.store.errors import DibsError
from dibs.store.task_store import TaskStore
from dibs.waves.shape import Wave, WaveTask
from dibs_server.cli.wave_command import values_of
from support import write_file, write_task

PLAN_WAVE = next(tool for tool in TOOLS if tool.name == "plan_wave")
SETTINGS = {"dispatch": {"agent": "sh", "reviewer": "sh", "agents": {"sh": {"command": ["/bin/sh"]}}}}
TEXTS = st.text(max_size=9) | st.sampled_from(
    [
        "t-1",
        "T-1",
        "done",
        "bad",
        "..",
        "../x",
        "/etc",
        "~",
        "C:\\x",
        "**",
        "a/**",
        "[",
        "{a,b}",
        "\x00",
        "\ud800",
        "sh",
        "",
    ]
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 10**400, 2**63, 1e308, float("inf"), float("nan")]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
NAMES = [*WaveTask.model_fields, "targetFiles", "needsReview", "task_id"]
GOOD: Mapping[str, st.SearchStrategy[Any]] = {
    "taskId": st.sampled_from(["t-1", "t-2", "done", "bad", "new", "new-2"]),
    "files": st.lists(st.sampled_from(["a.py", "src/**", "docs/"]), max_size=2),
    "dependsOn": st.lists(st.sampled_from(["t-1", "t-2", "new", "nowhere"]), max_size=2),
    "kind": st.sampled_from(["", "research", "implementation"]),
    "needsCodexReview": st.booleans(),
    "title": st.text(max_size=9),
}
NEARLY = st.builds(
    lambda good, wrong: good | wrong,
    st.fixed_dictionaries({"taskId": GOOD["taskId"]}, optional={k: v for k, v in GOOD.items() if k != "taskId"}),
    st.just({}) | st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=1),
)
WAVES = st.one_of(
    st.fixed_dictionaries(
        {"tasks": st.lists(NEARLY, min_size=1, max_size=6)}, optional={"maxParallel": st.integers(1, 9)}
    ),
    st.dictionaries(st.sampled_from([*Wave.model_fields, "max_parallel", "waves"]) | TEXTS, VALUES, max_size=4),
    VALUES,
)


@pytest.fixture(scope="module")
def session() -> Any:
    """One session on one directory: whatever is planned, it stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        tasks_dir = Path(folder) / "project" / "tasks"
        write_file(tasks_dir / "settings.json", json.dumps(SETTINGS))
        write_task(tasks_dir, "t-1", files=["a.py"])
        write_task(tasks_dir, "t-2", depends_on=["t-1"])
        write_task(tasks_dir, "done", "done")
        write_task(tasks_dir, "bad", "nearly")
        session = Session(TaskStore(tasks_dir), client="probe", server=True)
        yield session
        session.close()


def content(session: Session) -> dict[str, bytes]:
    top = session.store.tasks_dir.parent.parent
    found = sorted(path for path in top.rglob("*") if ".dibs" not in path.parts)
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in found}


def planned(session: Session, values: Mapping[str, Any], *, by_agent: bool) -> None:
    """Plan it as the doors would; what is told of it can be told."""
    try:
        request = read_arguments(PLAN_WAVE, values)[0] if by_agent else validate(PLAN_WAVE, values)
        result = PLAN_WAVE.run(session, request, Call())
    except DibsError as error:
        assert error.message.strip()
        json.dumps(error.to_json())
        return
    answer = json.loads(result.model_dump_json())
    in_rounds = [task_id for round in answer["rounds"] for task_id in round]
    assert sorted(in_rounds) == sorted(row["task_id"] for row in answer["tasks"] if row["round"])


@tries(150)
@given(WAVES, st.booleans())
def test_any_value_as_a_wave_is_a_plan_or_a_refusal_and_changes_nothing(
    session: Session, wave: Any, by_agent: bool
) -> None:
    before = content(session)
    planned(session, wave if isinstance(wave, dict) else {"tasks": wave}, by_agent=by_agent)
    assert content(session) == before


@tries(100)
@given(st.one_of(st.binary(max_size=60), WAVES.map(lambda wave: json.dumps(wave).encode()), st.just(b"\xef\xbb\xbf[]")))
def test_any_bytes_as_a_file_are_a_wave_or_a_refusal(session: Session, written: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(written)
        file.flush()
        try:
            values = values_of(file.name, {"tasks": None, "maxParallel": None})
        except DibsError as error:
            json.dumps(error.to_json())
        else:
            planned(session, values, by_agent=False)


@pytest.mark.parametrize("where", ["%s", '{"tasks": %s}', '{"tasks": [{"taskId": "a", "context": {"x": %s}}]}'])
def test_however_deep_a_file_is_nested_it_is_refused(session: Session, where: str, tmp_path: Path) -> None:
    for depth in (60, 300, *range(880, 1000, 2), 100_000):
        path = write_file(tmp_path / "wave.json", where % ("[" * depth + "]" * depth))
        with pytest.raises(DibsError) as caught:
            validate(PLAN_WAVE, values_of(str(path), {}))
        json.dumps(caught.value.to_json())
