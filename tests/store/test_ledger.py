"""The contract of a ledger. Every engine has to pass it; the embedded one is the only one today."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dibs.store.claims import Claim, Ending, Owner
from dibs.store.errors import SettingsError, StoreFailure
from dibs.store.ledger import Ledger
from dibs.store.mutex import MutexGone
from support import NOON


@pytest.fixture(params=[Ledger], ids=["embedded"])
def open_ledger(request: pytest.FixtureRequest, tasks_dir: Path) -> Callable[[], Ledger]:
    """Opens the ledger of one directory, each time as another process would."""
    return lambda: request.param(tasks_dir)


@pytest.fixture
def ledger(open_ledger: Callable[[], Ledger]) -> Ledger:
    return open_ledger()


def a_claim(task_id: str = "t-1", token: str = "h123-aaaaaaaaaaa", alive: str | None = None) -> Claim:
    return Claim(
        id=task_id,
        path=f"{task_id}.md",
        token=token,
        owner=Owner(caller="gemini", alive=alive),
        claimed_at=NOON,
        lease_until=NOON,
        lease_seconds=120,
        last_call_at=NOON,
        former={"status": " To Do", "assignee": "\n  - '@codex'", "claim": None},
    ).renewed(NOON)


def an_ending(claim: Claim, how: str = "completed") -> Ending:
    return Ending.model_validate({"claim": claim, "how": how, "at": NOON, "left_status": "done", "answer": {"a": 1}})


def claim_file(ledger: Ledger) -> Path:
    (found,) = (ledger.folder / "claims").iterdir()
    return found


def test_looking_creates_nothing(ledger: Ledger, tasks_dir: Path) -> None:
    assert ledger.claims() == []
    assert ledger.damaged() == []
    assert ledger.claim("t-1") is None
    assert ledger.endings("t-1").endings == ()
    assert list(tasks_dir.iterdir()) == []


def test_a_created_claim_is_seen_by_everybody(ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
    with ledger.hold(1) as hold:
        hold.create(a_claim())
        assert hold.claim("t-1") == a_claim()
    assert open_ledger().claims() == [a_claim()]
    assert open_ledger().claim("t-1") == a_claim()


def test_ids_equal_but_for_case_are_one_task(ledger: Ledger) -> None:
    with ledger.hold(1) as hold:
        hold.create(a_claim("Task-1"))
        with pytest.raises(FileExistsError):
            hold.create(a_claim("task-1"))
    assert ledger.claim("TASK-1") == a_claim("Task-1")


def test_a_second_claim_on_a_task_is_refused_and_the_first_stays(ledger: Ledger) -> None:
    with ledger.hold(1) as hold:
        hold.create(a_claim())
        with pytest.raises(FileExistsError):
            hold.create(a_claim(token="h123-bbbbbbbbbbb"))
        assert hold.claims() == [a_claim()]


def test_a_replaced_claim_is_the_new_one_for_who_saw_the_old_one(
    ledger: Ledger, open_ledger: Callable[[], Ledger]
) -> None:
    reader = open_ledger()
    with ledger.hold(1) as hold:
        hold.create(a_claim())
        assert reader.claims() == [a_claim()]
        hold.replace(a_claim(token="h123-bbbbbbbbbbb"))
    assert reader.claims() == [a_claim(token="h123-bbbbbbbbbbb")]


def test_a_dropped_claim_leaves_no_trace(ledger: Ledger) -> None:
    with ledger.hold(1) as hold:
        hold.create(a_claim())
        hold.drop(a_claim())
        hold.drop(a_claim())
    assert ledger.claims() == []
    assert ledger.endings("t-1").endings == ()


def test_an_ended_claim_is_gone_and_its_ending_is_kept(ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
    with ledger.hold(1) as hold:
        hold.create(a_claim())
        hold.end(an_ending(a_claim()))
    assert open_ledger().claims() == []
    assert open_ledger().endings("T-1").endings == (an_ending(a_claim()),)


def test_ending_twice_is_ending_once(ledger: Ledger) -> None:
    with ledger.hold(1) as hold:
        hold.create(a_claim())
        hold.end(an_ending(a_claim()))
        hold.end(an_ending(a_claim()))
    assert len(ledger.endings("t-1").endings) == 1


def test_an_old_ending_does_not_touch_the_next_claim(ledger: Ledger) -> None:
    second = a_claim(token="h123-bbbbbbbbbbb")
    with ledger.hold(1) as hold:
        hold.create(second)
        hold.end(an_ending(a_claim(), "reaped"))
    assert ledger.claims() == [second]


def test_endings_follow_one_another(ledger: Ledger) -> None:
    second = a_claim(token="h123-bbbbbbbbbbb")
    with ledger.hold(1) as hold:
        for claim in (a_claim(), second):
            hold.create(claim)
            hold.end(an_ending(claim, "reaped"))
    assert [ending.claim.token for ending in ledger.endings("t-1").endings] == [a_claim().token, second.token]


def test_a_held_ledger_excludes_the_next(ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
    from dibs.store.errors import StoreBusy

    with ledger.hold(1), pytest.raises(StoreBusy), open_ledger().hold(0.02):
        pytest.fail("two inside")


def test_an_alive_lock_answers_for_its_server_until_it_is_dropped(ledger: Ledger) -> None:
    lock = ledger.alive_lock("server")
    with ledger.hold(1) as hold:
        assert not hold.is_alive(a_claim(alive="server"))
        lock.keep()
        assert hold.is_alive(a_claim(alive="server"))
        assert not hold.is_alive(a_claim(alive="another"))
        assert not hold.is_alive(a_claim(alive=None))
        lock.drop()
        assert not hold.is_alive(a_claim(alive="server"))


def test_a_report_is_kept_without_the_mutex(ledger: Ledger) -> None:
    path = ledger.keep_orphan("a/../b", NOON, "what I did: Größe")
    assert path.read_text(encoding="utf-8") == "what I did: Größe"
    assert path.parent == ledger.folder / "orphans"


# what only a folder of files can suffer


def test_git_never_sees_the_folder(ledger: Ledger) -> None:
    with ledger.hold(1):
        assert (ledger.folder / ".gitignore").read_bytes() == b"*\n"


def test_no_write_follows_once_the_folder_was_taken_away(ledger: Ledger) -> None:
    with ledger.hold(1) as hold:
        hold.create(a_claim())
        shutil.rmtree(ledger.folder)
        for write in (hold.create, hold.replace, hold.drop, lambda claim: hold.end(an_ending(claim))):
            with pytest.raises(MutexGone):
                write(a_claim())
    assert not ledger.folder.exists()


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": 1}', b"\xff\xfe", b"[]", b"null"])
def test_a_damaged_claim_file_holds_nothing_and_is_set_aside(ledger: Ledger, content: bytes) -> None:
    with ledger.hold(1) as hold:
        hold.create(a_claim())
        damaged = claim_file(ledger)
        damaged.write_bytes(content)
        assert hold.claims() == []
        assert hold.claim("t-1") is None
        assert ledger.damaged() == [damaged]
        (moved,) = hold.set_aside_damaged()
        assert moved.read_bytes() == content
        assert moved.parent == ledger.folder / "orphans"
        hold.create(a_claim())
    assert ledger.claims() == [a_claim()]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]"])
def test_damaged_endings_count_as_none_and_do_not_stop_the_next(ledger: Ledger, content: bytes) -> None:
    with ledger.hold(1) as hold:
        hold.end(an_ending(a_claim()))
        (ended,) = (ledger.folder / "ended").iterdir()
        ended.write_bytes(content)
        assert hold.endings("t-1").endings == ()
        hold.end(an_ending(a_claim()))
    assert ledger.endings("t-1").endings == (an_ending(a_claim()),)


def test_what_is_not_a_claim_file_is_not_looked_at(ledger: Ledger) -> None:
    with ledger.hold(1) as hold:
        (ledger.folder / "claims" / ".DS_Store").write_bytes(b"x")
        (ledger.folder / "claims" / "notes.txt").write_bytes(b"x")
        assert hold.claims() == []
        assert hold.set_aside_damaged() == []


def test_a_folder_that_is_a_link_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    ledger.folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="symbolic link"), ledger.hold(1):
        pytest.fail("wrote through a link")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_first_hold_sweeps_what_a_crash_left_long_ago(ledger: Ledger, open_ledger: Callable[[], Ledger]) -> None:
    import os

    with ledger.hold(1) as hold:
        old, fresh = hold.tmp / ".1-old", hold.tmp / ".1-fresh"
        old.touch()
        fresh.touch()
        os.utime(old, (0, 0))
    with open_ledger().hold(1) as hold:
        assert [path.name for path in hold.tmp.iterdir()] == [".1-fresh"]


def test_a_folder_of_claims_that_cannot_be_read_is_an_error_of_ours(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(StoreFailure, match="claims cannot be read; let all users"):
        ledger.claims()


def test_all_endings_are_found_or_only_those_with_a_token(ledger: Ledger) -> None:
    assert list(ledger.all_endings()) == []
    with ledger.hold(1) as hold:
        for number in (1, 2):
            hold.end(an_ending(a_claim(f"t-{number}", token=f"h123-aaaaaaaaaa{number}")))
        (ledger.folder / "ended" / "torn.json").write_bytes(b"{")
    assert sorted(endings.id for endings in ledger.all_endings()) == ["t-1", "t-2"]
    assert [endings.id for endings in ledger.all_endings("h123-aaaaaaaaaa2")] == ["t-2"]
