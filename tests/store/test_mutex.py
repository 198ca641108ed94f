"""The mutex: one inside at a time, whatever happens to the others, and nobody waits for ever."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from filelock import FileLock

from children import child, holding, let_end
from dibs.store.errors import StoreBusy
from dibs.store.mutex import MutexGone, hold_mutex

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc/locks")


def wait_until(found: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


def test_two_threads_are_never_inside_together(tmp_path: Path) -> None:
    inside: list[int] = []
    overlaps: list[int] = []
    turns: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            with hold_mutex(tmp_path, 30):
                overlaps.extend(inside)
                inside.append(number)
                time.sleep(0.001)  # long enough for others to come in, if they could
                turns.append(number)
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert overlaps == []
    assert len(turns) == 6 * 20


def test_another_process_is_kept_out_until_the_holder_is_done(tmp_path: Path) -> None:
    with holding("mutex", tmp_path) as holder:
        with pytest.raises(StoreBusy), hold_mutex(tmp_path, 0.05):
            pytest.fail("two inside")
        assert let_end(holder) == 0
        with hold_mutex(tmp_path, 30) as held:
            held.check()


def test_a_killed_holder_frees_the_mutex(tmp_path: Path) -> None:
    with holding("mutex", tmp_path) as holder:
        holder.kill()
        holder.wait(30)
        with hold_mutex(tmp_path, 30) as held:
            held.check()


def test_waiting_too_long_is_busy_and_says_what_to_do(tmp_path: Path) -> None:
    with hold_mutex(tmp_path, 1), pytest.raises(StoreBusy, match=r"mutex for 0\.05 s; nothing was changed, call again"):
        _ = hold_mutex(tmp_path, 0.05).__enter__()


def test_a_wait_of_nothing_still_gets_a_free_mutex(tmp_path: Path) -> None:
    with hold_mutex(tmp_path, 0.0) as held:
        held.check()


def test_who_gave_up_waiting_does_not_keep_a_place_in_the_queue(tmp_path: Path) -> None:
    with hold_mutex(tmp_path, 1), pytest.raises(StoreBusy):
        _ = hold_mutex(tmp_path, 0.02).__enter__()
    for _ in range(3):
        with hold_mutex(tmp_path, 30) as held:
            held.check()


def test_the_lock_excludes_also_those_who_did_not_queue(tmp_path: Path) -> None:
    with FileLock(tmp_path / "mutex"), pytest.raises(StoreBusy):
        _ = hold_mutex(tmp_path, 0.02).__enter__()


@LINUX
def test_a_stopped_waiter_does_not_stop_those_behind_it_nor_those_who_come_later(tmp_path: Path) -> None:
    with ExitStack() as stack:
        with hold_mutex(tmp_path, 30):
            stopped = stack.enter_context(child("hold.py", "mutex", tmp_path, ""))
            wait_until(lambda: _is_queued(stopped.pid))
            stopped.send_signal(signal.SIGSTOP)
            stack.callback(stopped.send_signal, signal.SIGCONT)
            wait_until(lambda: _is_stopped(stopped.pid))
            behind = stack.enter_context(child("hold.py", "mutex", tmp_path, ""))
            wait_until(lambda: _is_queued(behind.pid))
        assert let_end(behind) == 0
        with hold_mutex(tmp_path, 30) as held:
            held.check()
        stopped.send_signal(signal.SIGCONT)
        assert let_end(stopped) == 0


def _is_queued(pid: int) -> bool:
    lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return any("->" in line and str(pid) in line.split() for line in lines)


def _is_stopped(pid: int) -> bool:
    tasks = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(task.read_text(encoding="ascii").rpartition(")")[2].split()[0] == "T" for task in tasks)


@LINUX
def test_a_planted_link_is_refused_and_its_target_left_alone(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious", encoding="utf-8")
    (tmp_path / "mutex").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"), hold_mutex(tmp_path, 1):
        pass
    assert victim.read_text(encoding="utf-8") == "precious"


def test_a_holder_notices_that_the_folder_was_deleted(tmp_path: Path) -> None:
    folder = tmp_path / ".dibs"
    folder.mkdir()
    with hold_mutex(folder, 1) as held:
        held.check()
        shutil.rmtree(folder)
        with pytest.raises(MutexGone):
            held.check()


def test_a_holder_notices_that_the_folder_was_deleted_and_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / ".dibs"
    folder.mkdir()
    with hold_mutex(folder, 1) as held:
        shutil.rmtree(folder)
        folder.mkdir()
        with hold_mutex(folder, 1) as second:
            second.check()
            with pytest.raises(MutexGone):
                held.check()


def test_a_missing_folder_is_gone_not_an_error_of_the_file_system(tmp_path: Path) -> None:
    with pytest.raises(MutexGone), hold_mutex(tmp_path / "nowhere", 1):
        pytest.fail("held what is not there")


def test_an_exception_inside_frees_the_mutex(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), hold_mutex(tmp_path, 1):
        raise RuntimeError
    with hold_mutex(tmp_path, 0.05) as held:
        held.check()
