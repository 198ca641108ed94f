"""Calls of a server as it lives: side by side, given up, waiting, in a directory that comes, goes and is mended."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync
from in_memory import ask, connected, until
from mcp import Client

from dibs.session import Session
from dibs.store.ledger import Ledger
from dibs.store.mutex import hold_mutex
from dibs.store.settings import find_tasks_dir
from dibs.store.task_store import TaskStore
from dibs_server.mcp_server.door import Door
from dibs_server.mcp_server.log_file import LogFile
from doors import PATIENCE_SECONDS, Answer, answer_of
from support import call, claim, header, write_file, write_task

pytestmark = pytest.mark.anyio


@pytest.fixture
def stranger(tasks_dir: Path) -> Iterator[Session]:
    """Another server on the same directory, with the real clock."""
    session = Session(TaskStore(tasks_dir), client="claude-code", server=True)
    yield session
    session.close()


async def test_eight_claims_in_flight_get_eight_tasks(tasks_dir: Path, era: str) -> None:
    for number in range(8):
        write_task(tasks_dir, f"t-{number}")
    answers: list[Answer] = []

    async def claim_one(client: Client, caller: str) -> None:
        answers.append(await ask(client, "claim_next_task", caller=caller))

    async with connected(tasks_dir, era) as client:
        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(claim_one, client, f"agent-{number}")
        assert sorted(answer["task"]["id"] for answer in answers) == [f"t-{number}" for number in range(8)]
        assert len({answer["claim_token"] for answer in answers}) == 8
        assert (await ask(client, "claim_next_task", caller="late"))["status"] == "empty"


# giving up


async def test_a_claim_given_up_while_it_waits_for_the_mutex_takes_nothing(tasks_dir: Path, era: str) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    (tasks_dir / ".dibs").mkdir()
    async with connected(tasks_dir, era) as client:
        with hold_mutex(tasks_dir / ".dibs", 10):
            async with anyio.create_task_group() as group:
                group.start_soon(partial(ask, client, "claim_next_task", caller="bob"))
                await until(waits_for_mutex)
                group.cancel_scope.cancel()
            await ask(client, "get_index_stats")  # so that the news of giving up has arrived
        await until(lambda: not waits_for_mutex())
        with hold_mutex(tasks_dir / ".dibs", 10):
            assert Ledger(tasks_dir).claims() == []
            assert path.read_bytes() == before
        assert (await ask(client, "claim_next_task", caller="eve"))["task"]["attempts"] == 0


def waits_for_mutex() -> bool:
    return any(thread.name == "dibs-mutex-queue" for thread in threading.enumerate())


@pytest.mark.parametrize("step", ["claim.claim_file", "claim.task_file", "claim.journal"])
async def test_a_claim_given_up_between_two_steps_is_rolled_back(
    tasks_dir: Path, era: str, step: str, at_step: Callable[[str, Callable[[], None]], None]
) -> None:
    path = write_task(tasks_dir, "t-1", body="\nDo it.\n")
    before = path.read_bytes()
    reached, go_on = threading.Event(), threading.Event()

    def pause() -> None:
        reached.set()
        assert go_on.wait(PATIENCE_SECONDS)

    at_step(step, pause)
    async with connected(tasks_dir, era) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(partial(ask, client, "claim_next_task", caller="bob"))
            await until(reached.is_set)
            group.cancel_scope.cancel()
        await ask(client, "get_index_stats")
        go_on.set()
        await until(lambda: not Ledger(tasks_dir).claims())
        with hold_mutex(tasks_dir / ".dibs", 10):
            assert path.read_bytes() == before
        again = await ask(client, "claim_next_task", caller="bob")
        assert (again["task"]["id"], again["task"]["attempts"], again["also_held"]) == ("t-1", 0, [])


async def test_a_wait_given_up_takes_nothing_later(tasks_dir: Path, era: str) -> None:
    async with connected(tasks_dir, era) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(partial(ask, client, "claim_next_task", caller="bob", wait_seconds=50))
            await until((tasks_dir / ".dibs" / "mutex").exists)
            group.cancel_scope.cancel()
        path = write_task(tasks_dir, "t-1")
        # this call makes several tries, each of which the other one would have made too
        await ask(client, "claim_next_task", caller="eve", project="none", wait_seconds=1)
        assert (await ask(client, "get_index_stats"))["ready"] == 1
        assert header(path)["status"] == "active"


# waiting


async def test_a_waiting_call_gets_what_becomes_ready_meanwhile(tasks_dir: Path, era: str, stranger: Session) -> None:
    write_task(tasks_dir, "t-1")
    held = claim(stranger, "t-1")
    answers: list[Answer] = []

    async def wait_for_work(client: Client) -> None:
        answers.append(await ask(client, "claim_next_task", caller="bob", wait_seconds=50))

    async with connected(tasks_dir, era) as client, anyio.create_task_group() as group:
        group.start_soon(wait_for_work, client)
        await three_tries_were_made(tasks_dir)
        assert answers == []
        call(stranger, "release_task", id="t-1", claim_token=held.claim_token)
    assert (answers[0]["status"], answers[0]["task"]["id"]) == ("claimed", "t-1")


async def three_tries_were_made(tasks_dir: Path) -> None:
    """A try sets damaged claim files aside, so one that is gone shows a try; the first call makes two of them."""
    damaged = tasks_dir / ".dibs" / "claims" / "damaged.lock"
    for _ in range(3):
        damaged.write_bytes(b"{")
        await until(lambda: not damaged.exists())


async def test_a_wait_that_was_for_nothing_ends_empty(tasks_dir: Path, era: str) -> None:
    async with connected(tasks_dir, era) as client:
        assert (await ask(client, "claim_next_task", caller="bob", wait_seconds=1))["status"] == "empty"


# the directory and its settings


async def test_a_server_without_a_directory_says_how_to_make_one_and_then_finds_it(tmp_path: Path, era: str) -> None:
    place = tmp_path / "project"
    place.mkdir()
    find = partial(find_tasks_dir, None, environment={}, cwd=place)
    async with connected(find, era) as client:
        assert len((await client.list_tools()).tools) == 6
        for name in ("claim_next_task", "get_index_stats"):
            error = await ask(client, name)
            assert error["code"] == "settings"
            assert "dibs init" in error["message"]
            assert "--tasks-dir" in error["message"]
        assert list(place.iterdir()) == []
        write_task(place / "tasks", "t-1")
        assert (await ask(client, "claim_next_task", caller="bob"))["task"]["id"] == "t-1"


async def test_connecting_looks_at_no_directory(tasks_dir: Path, era: str) -> None:
    looked: list[bool] = []

    def find() -> Path:
        looked.append(True)
        return tasks_dir

    async with connected(find, era) as client:
        assert looked == []
        await ask(client, "get_index_stats")
        assert looked == [True]


async def test_broken_settings_are_told_and_mended_without_a_restart(tasks_dir: Path, era: str) -> None:
    path = write_task(tasks_dir, "t-1")
    before = path.read_bytes()
    async with connected(tasks_dir, era) as client:
        assert (await ask(client, "get_index_stats"))["ready"] == 1
        for broken in ("{", "[]", '{"clams": {}}', '{"profile": "boss"}', '{"claims": {"lease_seconds": -1}}'):
            write_file(tasks_dir / "settings.json", broken)
            error = await ask(client, "claim_next_task", caller="bob")
            assert error["code"] == "settings"
            assert str(tasks_dir / "settings.json") in error["message"]
            assert len((await client.list_tools()).tools) == 6
        assert path.read_bytes() == before
        write_file(tasks_dir / "settings.json", '{"claims": {"lease_seconds": 60}}')
        assert (await ask(client, "claim_next_task", caller="bob"))["status"] == "claimed"


async def test_a_directory_that_went_away_is_an_answer_and_not_the_end(tasks_dir: Path, era: str) -> None:
    async with connected(tasks_dir, era) as client:
        await ask(client, "get_index_stats")
        tasks_dir.rename(tasks_dir.with_name("elsewhere"))
        error = await ask(client, "claim_next_task", caller="bob")
        assert error["code"] in ("io", "settings")
        assert str(tasks_dir) in error["message"]
        assert not tasks_dir.exists()
        tasks_dir.with_name("elsewhere").rename(tasks_dir)
        write_task(tasks_dir, "t-1")
        assert (await ask(client, "claim_next_task", caller="bob"))["status"] == "claimed"


# who calls


@pytest.mark.parametrize(
    ("client_name", "caller"),
    [("claude-code", "claude"), ("gemini-cli-mcp-client", "gemini"), ("zed", "zed")],
)
async def test_the_client_s_name_is_the_default_caller(
    tasks_dir: Path, era: str, client_name: str, caller: str
) -> None:
    path = write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2")
    async with connected(tasks_dir, era, client_name) as client:
        await ask(client, "claim_next_task", id="t-1")
        assert header(path)["assignee"] == caller
        await ask(client, "claim_next_task", id="t-2", caller="bob")
        assert header(tasks_dir / "t-2.md")["assignee"] == "bob"


async def test_aliases_come_from_the_settings(tasks_dir: Path, era: str) -> None:
    write_file(tasks_dir / "settings.json", '{"assignees": {"aliases": {"Zed": "z"}}}')
    path = write_task(tasks_dir, "t-1")
    async with connected(tasks_dir, era, "zed") as client:
        await ask(client, "claim_next_task")
    assert header(path)["assignee"] == "z"


# living


async def test_a_server_renews_its_claims_without_being_called(tasks_dir: Path, era: str) -> None:
    write_file(tasks_dir / "settings.json", '{"claims": {"lease_seconds": 60, "renew_seconds": 0.05}}')
    write_task(tasks_dir, "t-1")
    async with connected(tasks_dir, era) as client:
        await ask(client, "claim_next_task", caller="bob")
        for _ in range(3):
            before = lease_until(tasks_dir)
            await until(lambda before=before: lease_until(tasks_dir) > before)  # type: ignore[misc]


async def test_a_server_stops_renewing_for_a_caller_who_is_silent_too_long(tasks_dir: Path, era: str) -> None:
    write_file(
        tasks_dir / "settings.json",
        '{"claims": {"lease_seconds": 0.5, "renew_seconds": 0.05, "max_idle_seconds": 0.5}}',
    )
    path = write_task(tasks_dir, "t-1")
    async with connected(tasks_dir, era) as client, connected(tasks_dir, era) as other:
        await ask(client, "claim_next_task", caller="bob")
        taken = await ask(other, "claim_next_task", caller="eve", wait_seconds=30)
        assert (taken["task"]["id"], taken["task"]["attempts"]) == ("t-1", 1)
        assert header(path)["assignee"] == "eve"


def lease_until(tasks_dir: Path) -> object:
    (claim,) = Ledger(tasks_dir).claims()
    return claim.lease_until


async def test_an_error_of_our_own_is_answered_logged_and_survived(
    tasks_dir: Path, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_task(tasks_dir, "t-1")
    link, door = os.link, Door(lambda: tasks_dir)
    handler = LogFile(door.log_folder)
    logging.getLogger().addHandler(handler)

    def fail(*paths: object, **options: object) -> None:
        raise ZeroDivisionError("nobody expects this")

    try:
        async with Client(door.server(), mode=era) as client:
            await ask(client, "get_index_stats")
            monkeypatch.setattr(os, "link", fail)
            error = await ask(client, "claim_next_task", caller="bob")
            monkeypatch.setattr(os, "link", link)
            again = await ask(client, "claim_next_task", caller="bob")
    finally:
        logging.getLogger().removeHandler(handler)
    assert error["code"] == "io"
    assert "claim_next_task" in error["message"]
    assert "ZeroDivisionError" in error["message"]
    assert again["status"] == "claimed"
    log = (tasks_dir / ".dibs" / "log" / "dibs.log").read_text(encoding="utf-8")
    assert "claim_next_task" in log
    assert "nobody expects this" in log
    assert log.count("Traceback") == 1


# waiting for tasks


async def test_whoever_waits_is_told_how_far_it_is_and_then_of_the_ending(
    tasks_dir: Path, era: str, stranger: Session
) -> None:
    write_task(tasks_dir, "t-1")
    write_task(tasks_dir, "t-2")
    taken = claim(stranger, "t-1")
    told: list[tuple[float, float | None, str | None]] = []
    answers: list[Answer] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append((done, total, message))

    async def wait(client: Client) -> None:
        given = {"ids": ["t-1", "t-2"], "wait_seconds": 50}
        result = await client.call_tool("wait_for_tasks", given, progress_callback=progress)
        answers.append(answer_of(result))

    async with connected(tasks_dir, era, profile="coordinator") as client, anyio.create_task_group() as group:
        group.start_soon(wait, client)
        await until(lambda: bool(told))
        assert told[0][:2] == (0, 2)
        await run_sync(partial(call, stranger, "complete_task", id="t-1", claim_token=taken.claim_token))
        await until(lambda: bool(answers))
    assert [ending["task_id"] for ending in answers[0]["endings"]] == ["t-1"]
    assert answers[0]["left"] == 1
