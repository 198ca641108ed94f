"""An editor saves a task file while Dibs writes its header: no body is cut off, and no save is lost."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from children import PATIENCE_SECONDS, child, expect
from support import write_task

pytestmark = [pytest.mark.processes, pytest.mark.long]

SAVES = 400
KINDS = ("by_rename", "in_place")
BODY = "saved 0 times\n" + "a line of the body\n" * 200 + "the last line of the body\n"
FEWEST_WRITES = 50


def test_an_editor_and_dibs_write_one_file_and_neither_undoes_the_other(tmp_path: Path) -> None:
    paths = {kind: write_task(tmp_path / kind, "t-1", body=BODY) for kind in KINDS}
    with ExitStack() as stack:
        writers = {kind: stack.enter_context(child("header_writer.py", tmp_path / kind)) for kind in KINDS}
        for writer in writers.values():
            expect(writer, "ready")
        editors = {kind: stack.enter_context(child("editor.py", paths[kind], str(SAVES), kind)) for kind in KINDS}
        saved = {kind: editor.communicate(timeout=PATIENCE_SECONDS)[0].split() for kind, editor in editors.items()}
        writes = {kind: int(writer.communicate(timeout=PATIENCE_SECONDS)[0]) for kind, writer in writers.items()}
    for kind in KINDS:
        saves, lost, cut = map(int, saved[kind])
        assert (saves, lost, cut) == (SAVES, 0, 0), f"{kind}: saves lost, or bodies cut off"
    assert min(writes.values()) >= FEWEST_WRITES, f"{writes}: they hardly met"
