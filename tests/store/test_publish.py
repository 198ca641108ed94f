"""Putting a file in the place of another: whole, only if it is still that other, and never over somebody's save."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dibs.store import publish
from dibs.store.exchange import exchange
from dibs.store.publish import Signature, replace_unchanged

Save = Callable[[Path], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "t-1.md"
    file.write_text("as it was", encoding="utf-8")
    return file


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    file = tmp_path / "new"
    file.write_text("ours", encoding="utf-8")
    return file


def by_rename(path: Path) -> None:
    other = path.with_name(".saved")
    other.write_text("theirs", encoding="utf-8")
    other.replace(path)


def in_place(path: Path) -> None:
    path.write_text("theirs", encoding="utf-8")


saves = pytest.mark.parametrize("save", [by_rename, in_place])


def test_an_unchanged_file_is_replaced_and_nothing_is_left_over(path: Path, temporary: Path, tmp_path: Path) -> None:
    assert replace_unchanged(temporary, path, Signature.of(path.stat()))
    assert path.read_text(encoding="utf-8") == "ours"
    assert [file.name for file in tmp_path.iterdir()] == ["t-1.md"]


@saves
def test_a_file_saved_before_stays(path: Path, temporary: Path, save: Save) -> None:
    was = Signature.of(path.stat())
    save(path)
    assert not replace_unchanged(temporary, path, was)
    assert path.read_text(encoding="utf-8") == "theirs"


@saves
def test_a_save_between_the_look_and_the_exchange_goes_back_to_its_place(
    path: Path, temporary: Path, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[bool] = []

    def late(one: Path, other: Path) -> bool:
        if not saved:
            saved.append(True)
            save(path)
        return exchange(one, other)

    monkeypatch.setattr(publish, "exchange", late)
    if not replace_unchanged(temporary, path, Signature.of(path.stat())):
        assert path.read_text(encoding="utf-8") == "theirs"
        assert temporary.read_text(encoding="utf-8") == "ours"
    else:
        pytest.fail("a save was overwritten")


@pytest.mark.parametrize("moment", ["right after the first exchange", "right before the one that puts it back"])
def test_a_later_save_while_the_first_is_put_back_wins(
    path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    exchanges: list[Path] = []

    def disturbed(one: Path, other: Path) -> bool:
        exchanges.append(other)
        if len(exchanges) == 1 or (len(exchanges) == 2 and "before" in moment):
            by_rename(path)
            path.write_text(f"save {len(exchanges)}", encoding="utf-8")
        done = exchange(one, other)
        if len(exchanges) == 1 and "after" in moment:
            by_rename(path)
            path.write_text("save 2", encoding="utf-8")
        return done

    monkeypatch.setattr(publish, "exchange", disturbed)
    assert not replace_unchanged(temporary, path, Signature.of(path.stat()))
    assert path.read_text(encoding="utf-8") == "save 2"


def test_a_file_that_is_gone_is_not_made_again(path: Path, temporary: Path) -> None:
    was = Signature.of(path.stat())
    path.unlink()
    assert not replace_unchanged(temporary, path, was)
    assert not path.exists()


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EINVAL, errno.ENOTSUP])
def test_where_files_cannot_be_exchanged_they_are_renamed(
    path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr("dibs.store.exchange._renameat2", lambda: lambda one, other: code)
    assert replace_unchanged(temporary, path, Signature.of(path.stat()))
    assert path.read_text(encoding="utf-8") == "ours"


def test_a_system_without_the_call_is_no_reason_to_fail(
    path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dibs.store.exchange._renameat2", lambda: None)
    assert replace_unchanged(temporary, path, Signature.of(path.stat()))


def test_an_exchange_with_nothing_says_what_is_missing(path: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as refused:
        exchange(path, tmp_path / "missing")
    assert (refused.value.errno, Path(os.fsdecode(refused.value.filename2))) == (errno.ENOENT, tmp_path / "missing")
