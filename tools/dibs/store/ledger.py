"""The ledger: who holds what. Mutex, claim files, alive locks, endings and journal behind one narrow interface.

The embedded ledger is the folder ``<tasks>/.dibs/``. It is made by the first change, never by looking, and losing it in
mid-work is survived. Every change goes through a :class:`Hold`, which exists only while the mutex is held; looking
needs none. Claim files are not fsynced: after a power cut a lost claim is only offered again.
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from dibs.store.alive import AliveLock, is_alive, sweep_dead
from dibs.store.claims import Claim, Ending, Endings, NewerClaim, read_claim, slug
from dibs.store.errors import SettingsError, StoreFailure
from dibs.store.journal import Fact, append_event
from dibs.store.mutex import HeldMutex, MutexGone, hold_mutex
from dibs.store.publish import RACY_NS, Signature, publish, publish_new, sweep_leftovers, write_temporary
from dibs.store.reservations import Turns
from dibs.store.settings import LEDGER_FOLDER
from dibs.store.steps import reached

SUBFOLDERS = ("claims", "alive", "ended", "journal", "orphans", "tmp", "log", "batches", "notices", "runs")
ENDED_KEPT_SECONDS = 30 * 86_400.0


@dataclass(frozen=True)
class Standing:
    """All claim files at one moment, each with what it says: a claim, one of a newer Dibs, or nothing (None)."""

    files: Mapping[Path, Claim | NewerClaim | None]

    @cached_property
    def claims(self) -> list[Claim]:
        return [claim for claim in self.files.values() if isinstance(claim, Claim)]

    @cached_property
    def newer(self) -> dict[str, NewerClaim]:
        """The claims of a newer Dibs, by the slug of their task's id."""
        return {path.stem: claim for path, claim in self.files.items() if isinstance(claim, NewerClaim)}

    @cached_property
    def damaged(self) -> list[Path]:
        return [path for path, claim in self.files.items() if claim is None]


class Ledger:
    """The embedded ledger of one tasks directory."""

    def __init__(self, tasks_dir: Path) -> None:
        self.folder = tasks_dir / LEDGER_FOLDER
        self._claims_folder = self.folder / "claims"
        self._ended_folder = self.folder / "ended"
        self._folders = [self.folder / name for name in SUBFOLDERS]
        self._ignore = self.folder / ".gitignore"
        self._folds_case: bool | None = None
        self._read: dict[Path, tuple[Signature, Claim | NewerClaim | None]] = {}
        self._ended_tasks: dict[str, str] = {}
        self._swept = False

    def alive_lock(self, name: str) -> AliveLock:
        """A server's own alive lock, to be kept under the mutex."""
        return AliveLock(self.folder / "alive", name)

    # looking: no mutex, nothing is made

    def standing(self) -> Standing:
        """All claim files, read now."""
        return Standing(self._claim_files())

    def claims(self) -> list[Claim]:
        """All claims that can be read. A claim file in disorder is nobody's; see ``damaged``."""
        return self.standing().claims

    def damaged(self) -> list[Path]:
        """Claim files that nobody can read: torn, empty, or a copy under another name."""
        return self.standing().damaged

    def _claim_files(self) -> dict[Path, Claim | NewerClaim | None]:
        """Every claim file with what it says. One that has not changed is not read again: its stat tells, once it is
        old enough for a later change to show in it."""
        try:
            entries = [e for e in os.scandir(self._claims_folder) if e.name.endswith(".lock") and e.is_file()]
        except (FileNotFoundError, NotADirectoryError):
            entries = []
        except PermissionError as exc:
            raise _closed(self._claims_folder) from exc
        known, seen = self._read, {}
        found: dict[Path, Claim | NewerClaim | None] = {}
        for entry in entries:
            path = Path(entry.path)
            try:
                signature = Signature.of(path.stat())
                cached = known.get(path)
                same = cached is not None and cached[0] == signature
                found[path] = cached[1] if cached is not None and same else self._read_claim(path)
            except FileNotFoundError:
                continue
            except PermissionError as exc:
                raise _closed(path) from exc
            if time.time_ns() - signature.mtime_ns > RACY_NS:
                seen[path] = (signature, found[path])
        self._read = seen
        return found

    def _read_claim(self, path: Path) -> Claim | NewerClaim | None:
        claim = read_claim(path.read_bytes())
        # a copy, as programs that sync folders make them, is nobody's
        return None if isinstance(claim, Claim) and path != self._claim_path(claim.id) else claim

    def claim(self, task_id: str) -> Claim | None:
        """The claim on a task, as its file says now.

        Raises:
            StoreFailure: a newer Dibs wrote it.
        """
        path = self._claim_path(task_id)
        try:
            claim = read_claim(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        if isinstance(claim, NewerClaim):
            raise StoreFailure(
                f"{task_id} is held by a claim of a newer Dibs (version {claim.version} of {path}), which this one "
                "cannot read; update Dibs here, or leave the task alone. Nothing was changed",
                task_id=task_id,
                path=str(path),
            )
        return claim

    def turns(self) -> Turns:
        """The tasks that are being passed over for their files; none, where that cannot be read."""
        try:
            return Turns.model_validate_json(self._turns_path.read_bytes())
        except (OSError, ValidationError):
            return Turns()

    def endings(self, task_id: str) -> Endings:
        try:
            return Endings.model_validate_json(self._ended_path(task_id).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return Endings(id=task_id)

    def ending_of(self, token: str) -> Ending | None:
        """How the claim of this token ended, whatever its task was called then. Reads all endings: for rare cases."""
        return next((found for endings in self.all_endings(token) if (found := endings.of(token)) is not None), None)

    def ended_task(self, token: str) -> str | None:
        """The id of the task that an ended claim of this token was on, also if that was before it was reopened."""
        if token not in self._ended_tasks:
            tokens = ((e.claim.token, e.claim.id) for endings in self.all_endings(token) for e in endings.endings)
            found = next((task_id for other, task_id in tokens if other == token), None)
            if found is None:
                return None
            self._ended_tasks[token] = found  # a left-over copy is met by every claim
        return self._ended_tasks[token]

    def all_endings(self, token: str = "") -> Iterator[Endings]:
        """The endings of every task, as far as they can be read; with a ``token``, only those it stands in."""
        try:
            paths = [Path(entry.path) for entry in os.scandir(self._ended_folder)]
        except (FileNotFoundError, NotADirectoryError):
            return
        for path in paths:
            with suppress(OSError, ValidationError):
                content = path.read_bytes()
                if token.encode() in content:
                    yield Endings.model_validate_json(content)

    def keep_orphan(self, task_id: str, at: datetime, report: str) -> Path:
        """Keep a report that could not go into its task file. Needs no mutex; makes the folder."""
        self._prepare()
        path = self.folder / "orphans" / f"{slug(task_id)}-{at:%Y%m%dT%H%M%S%f}-{secrets.token_hex(2)}.md"
        publish(path, report.encode("utf-8", "replace"), self.folder / "tmp")
        return path

    def orphans(self) -> int:
        """How many reports are kept that could not go into their task files, and claim files that were set aside."""
        try:
            return sum(entry.is_file() for entry in os.scandir(self.folder / "orphans"))
        except (FileNotFoundError, NotADirectoryError):
            return 0

    @property
    def _turns_path(self) -> Path:
        return self.folder / "passed-over.json"

    def folds_case(self) -> bool:
        """Whether the file system takes names that differ only in case for the same. Known once the folder is there."""
        if self._folds_case is None and self.folder.exists():
            self._folds_case = self.folder.with_name(LEDGER_FOLDER.upper()).exists()
        return bool(self._folds_case)

    def _claim_path(self, task_id: str) -> Path:
        return self._claims_folder / f"{slug(task_id)}.lock"

    def _ended_path(self, task_id: str) -> Path:
        return self._ended_folder / f"{slug(task_id)}.json"

    # changing

    @contextmanager
    def hold(self, wait_seconds: float) -> Iterator[Hold]:
        """Hold the mutex.

        Raises:
            StoreBusy: it did not come free.
            MutexGone: the folder was taken away meanwhile; start over.
        """
        reached("mutex.wanted")
        try:
            if not self.folder.is_dir() or self.folder.is_symlink():
                self._prepare()
        except FileNotFoundError:
            if self.folder.parent.is_dir():
                raise MutexGone from None  # taken away while it was being made
            raise
        try:
            with hold_mutex(self.folder, wait_seconds) as held:
                self._prepare()  # the folder may have gone between making it and locking in it
                reached("mutex.held")
                hold = Hold(self, held)
                if not self._swept:
                    with suppress(FileNotFoundError):  # taken away just now: every write finds out
                        hold.sweep()
                        self._swept = True
                yield hold
        finally:
            reached("mutex.freed")

    def is_whole(self) -> bool:
        return self._ignore.exists() and all(map(_is_folder, self._folders))

    def _prepare(self) -> None:
        """Make the folder and what is in it; git never sees it."""
        if not self.folder.is_symlink() and self.is_whole():
            return
        for path in (self.folder, *(self.folder / name for name in SUBFOLDERS)):
            if path.is_symlink():  # what is swept and moved there would be somebody else's files
                raise SettingsError(
                    f"{path} is a symbolic link; Dibs writes only into folders of its own. Remove the link",
                    path=str(path),
                )
        self.folder.mkdir(exist_ok=True)  # without parents: a tasks directory that was taken away is not made anew
        for name in SUBFOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        if not self._ignore.exists():
            write_temporary(self.folder / "tmp", b"*\n").replace(self._ignore)


class Hold:
    """The ledger while its mutex is held: the only way to change it. Each write first checks that it still is held."""

    def __init__(self, ledger: Ledger, mutex: HeldMutex) -> None:
        self._ledger = ledger
        self._mutex = mutex
        self.tmp = ledger.folder / "tmp"
        self._standing: Standing | None = None

    def check(self) -> None:
        """Raise MutexGone when the mutex was taken away: whatever was not written yet must not be."""
        self._mutex.check()

    def check_folders(self) -> None:
        """Raise MutexGone when the mutex or any folder beside it was taken away: a new start makes them anew."""
        self.check()
        if not self._ledger.is_whole():
            raise MutexGone

    def standing(self) -> Standing:
        """All claim files as they are while the mutex is held: looked at once, and again after each change."""
        if self._standing is None:
            self._standing = self._ledger.standing()
        return self._standing

    def claims(self) -> list[Claim]:
        return self.standing().claims

    def claim(self, task_id: str) -> Claim | None:
        return self._ledger.claim(task_id)

    def endings(self, task_id: str) -> Endings:
        return self._ledger.endings(task_id)

    def ending_of(self, token: str) -> Ending | None:
        return self._ledger.ending_of(token)

    def ended_task(self, token: str) -> str | None:
        return self._ledger.ended_task(token)

    def create(self, claim: Claim) -> None:
        """Write a claim file that must not be there yet.

        Raises:
            FileExistsError: there is one, readable or not.
        """
        self._begin()
        publish_new(self._ledger._claim_path(claim.id), _bytes(claim), self.tmp)

    def replace(self, claim: Claim) -> None:
        self._begin()
        publish(self._ledger._claim_path(claim.id), _bytes(claim), self.tmp)

    def set_turns(self, turns: Turns) -> None:
        self.check()
        publish(self._ledger._turns_path, turns.model_dump_json().encode(), self.tmp)

    def drop(self, claim: Claim) -> None:
        """Take a claim back as if it had never been."""
        self._begin()
        self._ledger._claim_path(claim.id).unlink(missing_ok=True)

    def end(self, ending: Ending) -> None:
        """Record how a claim ended, then remove its claim file. Done twice it is done once."""
        self._begin()
        task_id = ending.claim.id
        endings = self.endings(task_id)
        if endings.last is None or endings.last.claim.token != ending.claim.token or endings.last.how != ending.how:
            content = endings.with_ending(ending).model_dump_json().encode("utf-8", "replace")
            publish(self._ledger._ended_path(task_id), content, self.tmp)
        present = self.claim(task_id)
        if present is not None and present.token == ending.claim.token:
            self._ledger._claim_path(task_id).unlink(missing_ok=True)

    def note(self, at: datetime, event: str, **facts: Fact) -> None:
        """Write the journal, if it can be written: it is history, and must not stop what it is about."""
        with suppress(OSError):
            append_event(self._ledger.folder / "journal", at, event, **facts)

    def set_aside_damaged(self) -> list[Path]:
        """Move claim files that cannot be read to ``orphans/``: they hold nothing, and a new claim needs the place."""
        moved = []
        for path in self.standing().damaged:
            self._begin()
            target = self._ledger.folder / "orphans" / f"{path.name}-{time.time_ns()}"
            path.replace(target)
            moved.append(target)
        return moved

    def _begin(self) -> None:
        """Before each change of a claim file."""
        self.check()
        self._standing = None

    def is_alive(self, claim: Claim) -> bool:
        """Whether a server lives that renews this claim."""
        name = claim.owner.alive
        return name is not None and is_alive(self._ledger.folder / "alive", name)

    def sweep(self) -> None:
        """Remove what nobody can want any more: leftovers, locks of dead servers, endings of long ago."""
        sweep_leftovers(self.tmp)
        sweep_dead(self._ledger.folder / "alive")
        limit = time.time() - ENDED_KEPT_SECONDS
        for entry in os.scandir(self._ledger.folder / "ended"):
            with suppress(OSError):
                if entry.stat(follow_symlinks=False).st_mtime < limit:
                    Path(entry.path).unlink()


def _is_folder(path: Path) -> bool:
    """Whether it is one itself, and not a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _closed(path: Path) -> StoreFailure:
    what = f"the claim file {path}" if path.suffix else f"the folder {path}"
    return StoreFailure(
        f"{what} cannot be read; let all users of this directory read each other's files", path=str(path)
    )


def _bytes(claim: Claim) -> bytes:
    return claim.model_dump_json().encode("utf-8", "replace")
