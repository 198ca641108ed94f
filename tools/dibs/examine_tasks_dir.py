"""examine_tasks_dir: the doctor. It says what is wrong with a tasks directory, and mends what is safe to mend.

Looking takes no lock and makes nothing. Mended is only what the next claim would settle as well, and what crashes left
behind; files, statuses and assignees are their people's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from dibs.answers import Request, Result, counted
from dibs.doctor import claim_symptoms, task_symptoms
from dibs.doctor.claim_symptoms import reserved
from dibs.doctor.findings import Finding, Symptom, counts, in_order, tell
from dibs.doctor.surroundings import around, closed_folders, future_dates
from dibs.doctor.task_symptoms import Seen
from dibs.reconcile import reap_due
from dibs.session import Call, Session
from dibs.store.claims import Claim
from dibs.store.errors import DibsError, SettingsError, StoreFailure
from dibs.store.journal import read_events
from dibs.store.ledger import Hold
from dibs.store.settings import LEDGER_FOLDER, SETTINGS_FILE, Settings, load_settings
from dibs.store.task_store import TaskStore
from dibs.store.truth import Standing, judge

IN_PASSING = ("invalid", "unwritten", "ended", "lost", "gone", "copy")
"""Kinds that a look without a lock sees for a moment while an editor saves, or a claim is between two steps."""
PASSING_SECONDS = 0.2


class DoctorRequest(Request):
    fix: Annotated[bool, Field(description="Mend what is safe to mend.")] = False


class DoctorResult(Result):
    status: Literal["well", "to_mend"]
    findings: list[Finding]
    message: str


@dataclass(frozen=True)
class _Look:
    """What one look found. ``tasks`` and ``claims`` are how many there are; None: they could not be examined."""

    symptoms: tuple[Symptom, ...]
    tasks: int | None = None
    claims: int | None = None

    @property
    def can_be_mended(self) -> bool:
        return any(symptom.done for symptom in self.symptoms)


def examine_tasks_dir(session: Session, request: DoctorRequest, call: Call) -> DoctorResult:
    """Say what is wrong with the tasks directory, and how to mend it; with --fix mend what is safe to mend."""
    store = session.store
    look = _look_twice(store)
    if not request.fix or look.tasks is None or not (look.can_be_mended or store.ledger.folder.is_dir()):
        return _result(look, [])
    mended = _mend(store)
    after = _look_twice(store)
    still = {symptom.key for symptom in after.symptoms}
    gone = [symptom for symptom in look.symptoms if symptom.done and symptom.key not in still]
    fixed = [s for s in gone if s.kind != "stale" or set(s.task_ids) & mended.reaped]
    if mended.refused is None:
        symptoms = [symptom.left_alone() for symptom in after.symptoms]
    else:
        symptoms = [*after.symptoms, _not_mended(after, mended.refused)]
    return _result(replace(after, symptoms=tuple(symptoms)), [*fixed, *mended.dead_locks])


def _result(look: _Look, fixed: list[Symptom]) -> DoctorResult:
    findings = in_order([*tell(look.symptoms), *tell(fixed, fixed=True)])
    to_mend = any(finding.is_to_mend for finding in findings)
    return DoctorResult(status="to_mend" if to_mend else "well", findings=findings, message=_headline(look, findings))


def _headline(look: _Look, findings: list[Finding]) -> str:
    if any(finding.is_to_mend for finding in findings):
        return ", ".join(counts(findings))
    parts = [counted(look.tasks or 0, "task"), counted(look.claims or 0, "claim"), *counts(findings)]
    return f"All is well: {', '.join(parts)}"


# looking


def _look_twice(store: TaskStore) -> _Look:
    """A look; and where it saw what may be there only in passing, a second one that has to see it again."""
    first = _look(store)
    if not any(symptom.kind in IN_PASSING for symptom in first.symptoms):
        return first
    time.sleep(PASSING_SECONDS)
    known = {symptom.key for symptom in first.symptoms}
    second = _look(store)
    stayed = (s for s in second.symptoms if s.kind not in IN_PASSING or s.key in known)
    return replace(second, symptoms=tuple(stayed))


def _look(store: TaskStore) -> _Look:
    if not os.access(store.tasks_dir, os.R_OK | os.X_OK):
        return _Look((_closed(store),))
    settings, symptoms = _settings(store)
    symptoms += around(store, settings)
    try:
        store.index.refresh(settings, after=time.monotonic())
        snapshot = store.index.load()
    except SettingsError as error:
        return _Look((*symptoms, _of_directory(error, "; nothing else was examined")))
    except OSError as exc:
        return _Look((*symptoms, _unreadable(store.failure(exc))))
    symptoms += [*closed_folders(store, snapshot), *future_dates(store, snapshot, store.now())]
    tasks = len(snapshot.tasks) + len(snapshot.invalid)
    seen = Seen(store.now(), store.host, settings, snapshot, roots=store.roots, fold=store.ledger.folds_case())
    symptoms += [symptom for examine in task_symptoms.EXAMINATIONS for symptom in examine(seen)]
    try:
        seen = _with_claims(store, seen)
    except StoreFailure as error:
        return _Look((*symptoms, _unreadable(error)), tasks)
    except OSError as exc:
        return _Look((*symptoms, _unreadable(store.failure(exc))), tasks)
    symptoms += [symptom for examine in claim_symptoms.EXAMINATIONS for symptom in examine(seen)]
    return _Look(tuple(symptoms), tasks, len(seen.claims) + len(seen.newer))


def _settings(store: TaskStore) -> tuple[Settings, list[Symptom]]:
    """The settings; where they are broken the defaults, and what is wrong."""
    try:
        return store.settings, []
    except SettingsError as error:
        path = store.tasks_dir / SETTINGS_FILE
        if error.facts.get("path") == str(path):
            told = error.message.removeprefix(str(path)).removeprefix(":").partition(". Mend the file")[0].strip()
            return Settings(), [_broken_settings(told)]
        symptom = _of_directory(error)
    try:
        return load_settings(store.tasks_dir), [symptom]
    except SettingsError:
        return Settings(), [symptom]


def _broken_settings(told: str) -> Symptom:
    return Symptom(
        "settings",
        "error",
        told,
        mend="mend the file, or move it away: every other command refuses until then, and this one took the defaults",
        path=SETTINGS_FILE,
    )


def _of_directory(error: SettingsError, more: str = "") -> Symptom:
    what, _, advice = error.message.partition("; ")
    return Symptom("directory", "error", what + more, mend=advice)


def _unreadable(error: DibsError) -> Symptom:
    what, _, advice = error.message.partition("; ")
    return Symptom("permissions", "error", f"{what}: not everything was examined", mend=advice.partition(", then")[0])


def _closed(store: TaskStore) -> Symptom:
    what = f"this user may not read {store.tasks_dir}: nothing was examined"
    return Symptom("permissions", "error", what, mend="give this user the right to")


def _with_claims(store: TaskStore, seen: Seen) -> Seen:
    """What was seen, with what the ledger says. Raises OSError, StoreFailure: it cannot be read."""
    ledger = store.ledger
    claims = tuple(sorted(ledger.claims(), key=lambda claim: (claim.claimed_at, claim.id)))
    damaged = tuple(sorted(path.relative_to(store.tasks_dir).as_posix() for path in ledger.damaged()))
    seen = replace(seen, claims=claims, newer=ledger.standing().newer, damaged=damaged)
    lost = any(judge(task, None, seen.host) is Standing.LOST_RECORD for task in seen.unrecorded())
    unwritten = any(task.status == "active" for claim in claims if (task := seen.of_claim(claim)) is not None)
    ended = _ended(store) if lost or unwritten else {}
    return replace(seen, ended=ended, callers=_callers(store, seen))


def _ended(store: TaskStore) -> dict[str, str]:
    return {e.claim.token: e.claim.id for endings in store.ledger.all_endings() for e in endings.since_reopening}


def _callers(store: TaskStore, seen: Seen) -> tuple[str, ...]:
    """Who ever claimed here. Of the past only as much is read as it takes to know all whom a task is reserved for."""
    settings = seen.settings
    humans = {name.casefold() for name in settings.assignees.humans}
    missing = {name.casefold() for _, names in reserved(seen) for name in names} - humans
    met: dict[str, str] = {}
    for given in _past_callers(store, seen.claims) if missing else ():
        name = settings.caller_name(given)
        met.setdefault(name.casefold(), name)
        missing.discard(name.casefold())
        if not missing:
            break
    return tuple(sorted(name for name in met.values() if name))


def _past_callers(store: TaskStore, claims: tuple[Claim, ...]) -> Iterator[str]:
    for claim in claims:
        yield claim.owner.caller
    for event in read_events(store.ledger.folder / "journal"):
        if event.get("event") in ("claimed", "resumed"):
            yield str(event.get("caller") or "")
    for endings in store.ledger.all_endings():
        for ending in endings.endings:
            yield ending.claim.owner.caller


# mending


@dataclass(frozen=True)
class _Mended:
    """What one hold of the mutex did, as far as looking again does not show it. ``refused``: why it did not do all."""

    reaped: frozenset[str]
    dead_locks: tuple[Symptom, ...]
    refused: DibsError | None


def _mend(store: TaskStore) -> _Mended:
    """Settle every claim that is due or disagrees with its file, and sweep: what the next claim would do as well."""
    reaped: set[str] = set()
    before, refused = _alive_locks(store), None

    def act(hold: Hold) -> None:
        # kept outside: a start anew does not take back again what was taken back before
        reaped.update(claim.id for claim in reap_due(store, hold, store.index))
        hold.sweep()

    try:
        store.refresh(after=time.monotonic())
        store.change(act)
    except DibsError as error:
        refused = error
    dead = Symptom("leftover", "note", "locks of servers that are gone", path=f"{LEDGER_FOLDER}/alive", done="removed")
    return _Mended(frozenset(reaped), (dead,) if before - _alive_locks(store) else (), refused)


def _alive_locks(store: TaskStore) -> set[str]:
    with suppress(OSError):
        return set(os.listdir(store.ledger.folder / "alive"))
    return set()


def _not_mended(look: _Look, error: DibsError) -> Symptom:
    why, advice = error.message, "see to that, then `dibs doctor --fix` again"
    if isinstance(error, SettingsError):
        why, advice = "nothing is changed here before what is said of the directory and its settings is mended", ""
    return Symptom(
        "not_mended",
        "note" if isinstance(error, SettingsError) and not look.can_be_mended else "error",
        f"nothing was mended: {why}",
        mend=advice or "mend that first, then `dibs doctor --fix` again",
    )
