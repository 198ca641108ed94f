"""How the judge reads task files: what is a person's, what is Dibs', and what is torn."""

from __future__ import annotations

from pathlib import Path

import pytest

from dibs.session import Session
from dibs_server.race import content
from dibs_server.race.content import Torn
from dibs_server.race.sample import make_sample
from support import call, claim, write_file

REPORT = "Report 1 of gemini on race-1, to its last word."
WHOLE = b"---\nid: t\nstatus: done  # mine\nassignee:\n  - bot\nx: 1\n---\nbody\nThat is all there is to say about t.\n"
SECTION = b"\n## Completion\n\n**By:** a, 2026Z, claimed 2026Z\n\nReport 1 of a on t, to its last word.\n"


def test_every_sample_file_is_read_and_what_dibs_writes_leaves_what_is_a_persons(
    session: Session, tasks_dir: Path, tmp_path: Path
) -> None:
    sample = make_sample(tmp_path / "made", 16, 3)
    for task in sample.tasks:
        path = write_file(tasks_dir / "t.md", task.content.replace(b"depends_on", b"x-needs"))
        before = content.read(path.read_bytes())
        token = claim(session, task.id).claim_token
        during = content.read(path.read_bytes())
        assert (during.theirs, during.values["claim"]) == (before.theirs, token)
        call(session, "complete_task", id=task.id, claim_token=token, summary=REPORT)
        after = content.read(path.read_bytes())
        assert (after.theirs, after.status, after.count("Completion")) == (before.theirs, "done", 1)
        assert after.sections[0].report == REPORT


@pytest.mark.parametrize("end", range(len(WHOLE) - 1))
def test_a_file_that_is_cut_anywhere_is_torn(end: int) -> None:
    with pytest.raises(Torn):
        content.read(WHOLE[: min(end, len(WHOLE) - 40)])


@pytest.mark.parametrize("end", range(1, len(SECTION)))
def test_a_section_that_is_cut_anywhere_is_torn(end: int) -> None:
    assert content.read(WHOLE + SECTION).count("Completion") == 1
    with pytest.raises(Torn):
        content.read(WHOLE + SECTION[:end])


@pytest.mark.parametrize("old", [b"id: t", b"  # mine", b"x: 1", b"body"])
def test_what_is_a_persons_is_seen_when_it_changes(old: bytes) -> None:
    assert content.read(WHOLE.replace(old, b"")).theirs != content.read(WHOLE).theirs
