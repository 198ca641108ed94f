"""Alive locks: held for life, seen free at once after any death, and only then."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from children import holding
from dibs.store.alive import AliveLock, is_alive, sweep_dead


def test_a_server_nobody_heard_of_is_dead_and_looking_makes_no_file(tmp_path: Path) -> None:
    assert not is_alive(tmp_path, "a")
    assert list(tmp_path.iterdir()) == []


def test_a_server_is_alive_in_its_own_process(tmp_path: Path) -> None:
    lock = AliveLock(tmp_path, "a")
    lock.keep()
    assert is_alive(tmp_path, "a")
    lock.drop()
    assert not is_alive(tmp_path, "a")


def test_another_process_is_alive_until_it_is_killed(tmp_path: Path) -> None:
    with holding("alive", tmp_path, "a") as server:
        assert is_alive(tmp_path, "a")
        server.kill()
        server.wait(30)
        assert not is_alive(tmp_path, "a")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGSTOP there")
def test_a_stopped_process_is_alive(tmp_path: Path) -> None:
    with holding("alive", tmp_path, "a") as server:
        server.send_signal(signal.SIGSTOP)
        assert is_alive(tmp_path, "a")


def test_looking_does_not_take_the_lock_away(tmp_path: Path) -> None:
    with holding("alive", tmp_path, "a"):
        assert [is_alive(tmp_path, "a") for _ in range(3)] == [True, True, True]
    assert not is_alive(tmp_path, "a")
    late = AliveLock(tmp_path, "a")
    late.keep()
    late.drop()


def test_a_lock_whose_file_was_removed_is_taken_again(tmp_path: Path) -> None:
    lock = AliveLock(tmp_path, "a")
    lock.keep()
    (tmp_path / "a.lock").unlink()
    assert not is_alive(tmp_path, "a")
    lock.keep()
    assert is_alive(tmp_path, "a")
    lock.drop()


def test_a_lock_whose_file_was_replaced_is_taken_again(tmp_path: Path) -> None:
    lock = AliveLock(tmp_path, "a")
    lock.keep()
    (tmp_path / "a.lock").unlink()
    (tmp_path / "a.lock").touch()
    lock.keep()
    assert is_alive(tmp_path, "a")
    lock.drop()


def test_keeping_twice_keeps_the_same_lock(tmp_path: Path) -> None:
    lock = AliveLock(tmp_path, "a")
    lock.keep()
    inode = (tmp_path / "a.lock").stat().st_ino
    lock.keep()
    assert (tmp_path / "a.lock").stat().st_ino == inode
    assert is_alive(tmp_path, "a")
    lock.drop()


def test_sweeping_removes_the_locks_of_the_dead_only(tmp_path: Path) -> None:
    living, dead = AliveLock(tmp_path, "living"), AliveLock(tmp_path, "dead")
    living.keep()
    dead.keep()
    dead.drop()
    sweep_dead(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["living.lock"]
    assert is_alive(tmp_path, "living")
    living.drop()
