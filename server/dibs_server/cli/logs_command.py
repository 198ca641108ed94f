"""``dibs logs``: what programs that worked on a task wrote."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from dibs.session import Session
from dibs.store.errors import DibsError, OutputNotFound
from dibs.store.runs import outputs_of, token_of
from dibs_server.cli.console import EXIT_CODES, GIVEN_UP, abandon_stdout, complain, fail, print_json
from dibs_server.cli.from_table import open_session

LOOK_SECONDS = 0.2
BLOCK_BYTES = 65_536
JSON_BYTES = 1_000_000


def run_logs(tasks_dir: str | None, task_id: str, *, follow: bool, as_json: bool) -> int:
    """Print the newest output of a task, as it is; with ``follow`` as long as its claim lasts. The exit code."""
    try:
        session = open_session(tasks_dir)
        outputs = _outputs(session, task_id)
        if as_json:
            _print_json(task_id, outputs)
        elif follow:
            _follow(session, task_id, outputs[0])
        else:
            _copy(outputs[0], 0)
    except DibsError as error:
        fail(error, as_json)
    except KeyboardInterrupt:
        return GIVEN_UP
    except OSError as exc:
        abandon_stdout()
        if not isinstance(exc, BrokenPipeError):
            complain(f"the output could not be read or printed ({exc.strerror})")
            return EXIT_CODES["io"]
    return 0


def _outputs(session: Session, task_id: str) -> list[Path]:
    store = session.store
    outputs = outputs_of(store.ledger.folder / "runs", task_id)
    if not outputs:
        stored = store.find(task_id)  # so that a wrong id is told as such
        raise OutputNotFound(
            f"no output of {stored.task.id} is kept: no `dibs work` or wave ran a program on it within "
            f"{store.settings.keep_output_days:g} days. What its last worker reported stands in {stored.task.path}",
            task_id=stored.task.id,
        )
    return outputs


def _copy(output: Path, start: int) -> int:
    """Copy what is in the file from ``start`` to stdout; returns where it ended."""
    with output.open("rb") as file:
        file.seek(start)
        while block := file.read(BLOCK_BYTES):
            sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()
        return file.tell()


def _follow(session: Session, task_id: str, output: Path) -> None:
    """Also what is written later, while the claim is held that it is written under; then a newer output, if any."""
    place = 0
    while True:
        claim = session.store.ledger.claim(task_id)
        place = _copy(output, place)
        if claim is None:
            return
        if claim.token != token_of(output):
            newest = outputs_of(session.store.ledger.folder / "runs", task_id)[:1]
            if newest and newest[0] != output:
                output, place = newest[0], 0
                continue
        time.sleep(LOOK_SECONDS)


def _print_json(task_id: str, outputs: list[Path]) -> None:
    newest = outputs[0]
    size = newest.stat().st_size
    with newest.open("rb") as file:
        file.seek(max(0, size - JSON_BYTES))
        text = file.read().decode("utf-8", "replace")
    print_json(
        {
            "task_id": task_id,
            "path": str(newest),
            "bytes": size,
            "text": text,
            "truncated": size > JSON_BYTES,
            "earlier": [str(path) for path in outputs[1:]],
        }
    )
