"""examine_client: the doctor of one client, which starts the server as that client would.

Each trap that it finds is a finding of the doctor's, with its mend. It writes nothing into any configuration, and
starts nothing that the client would not.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from dibs.answers import counted
from dibs.doctor.findings import Severity, Symptom, counts, in_order, tell
from dibs.examine_tasks_dir import DoctorResult
from dibs.store.errors import DibsError, SettingsError
from dibs.store.settings import TASKS_DIR_VARIABLE, find_tasks_dir
from dibs_server.clients.brought import Brought, brought
from dibs_server.clients.consent import consent_symptoms, folder_symptoms, is_heeded, sandbox_symptoms
from dibs_server.clients.entries import Entry, all_entries, ours
from dibs_server.clients.interview import Interview, interview
from dibs_server.clients.options import option_symptoms
from dibs_server.clients.places import NAMES, Client, Places
from dibs_server.clients.start import Start, start_of

NOISY_CHARACTERS = 80
FIRST_LINE_BYTES = 512
WIDENING: Mapping[Client, str] = {
    "claude": "--add-dir",
    "gemini": "--include-directories",
    "codex": "--add-dir",
}


def examine_client(client: Client, places: Places, environment: Mapping[str, str], cwd: Path) -> DoctorResult:
    """Say whether this client, started in ``cwd``, has working tools, and what to do where it has not."""
    try:
        entries = _entries(client, places)
        bringing = brought(client, places, cwd)
        if not entries:
            return _without_entry(client, places, environment, cwd, bringing)
        first, *others = entries
        start = start_of(client, first, places, environment, cwd)
        consent = list(consent_symptoms(client, first, places, environment, cwd))
        symptoms = [*consent, *sandbox_symptoms(client, first, places, environment)]
        symptoms += option_symptoms(client, first, _set_up(client, first))
        symptoms += [_twice(client, start, each, places, environment, cwd) for each in others]
        symptoms += _brought_too(client, entries, bringing)
    except SettingsError as error:
        return _result([_told(error)], "")
    commanded = list(_command(client, first, start))
    if consent or any(symptom.severity == "error" for symptom in commanded):
        # what nobody consented to is not started here either: a repository may name any program as its server
        return _result([*symptoms, *commanded], "")
    answers = interview(start)
    symptoms += [*commanded, *_answers(client, first, start, answers), *_directory(client, start, answers)]
    return _result(symptoms, _all_well(client, first, start, answers))


def _entries(client: Client, places: Places) -> list[Entry]:
    """Our servers among those that the client heeds; where there are none, those that it would."""
    every = list(all_entries(client, places))
    return ours(entry for entry in every if is_heeded(client, entry, places)) or ours(every)


def _result(symptoms: list[Symptom], well: str) -> DoctorResult:
    findings = in_order(tell(symptoms))
    if any(finding.is_to_mend for finding in findings):
        return DoctorResult(status="to_mend", findings=findings, message=", ".join(counts(findings)))
    return DoctorResult(status="well", findings=findings, message=", ".join([well, *counts(findings)]))


def _all_well(client: Client, entry: Entry, start: Start, answers: Interview) -> str:
    tasks = counted(int(answers.stats.get("total", 0)), "task")
    return f"All is well: {NAMES[client]} is connected to {entry.key}, on {_tasks_dir(start)}: {tasks}"


def _told(error: DibsError) -> Symptom:
    what, _, advice = error.message.partition("; ")
    return Symptom("client", "error", what, mend=advice)


def _set_up(client: Client, entry: Entry | None = None, *flags: str) -> str:
    """The command that puts the entry right."""
    words = ["dibs", "setup", client]
    if entry is not None:
        words += ["--scope", entry.scope] if entry.scope != "user" else []
        words += ["--key", entry.key] if entry.key != "dibs" else []
    return " ".join([*words, *flags, "--write"])


def _without_entry(
    client: Client, places: Places, environment: Mapping[str, str], cwd: Path, bringing: Brought | None
) -> DoctorResult:
    if bringing is None:
        what = f"{NAMES[client]} has no dibs server, neither in {places.project} nor for this user"
        return _result([Symptom("client", "error", what, mend=f"put it in: {_set_up(client)}")], "")
    well = (
        f"{NAMES[client]} has its dibs server from {bringing.what}: `{client} mcp list` shows whether it is connected"
    )
    return _result(list(folder_symptoms(client, places, environment, cwd)), well)


# the entry


def _command(client: Client, entry: Entry, start: Start) -> Iterator[Symptom]:
    path = Path(start.command)
    again = _set_up(client, entry)
    mend = f"name it by its full path: {again}"
    if "/" not in start.command:
        found = shutil.which(start.command, path=start.environment.get("PATH", ""))
    else:
        whole = start.cwd / path
        found = str(whole) if whole.is_file() and os.access(whole, os.X_OK) else None
    if found is None:
        there = (start.cwd / path).is_file()
        what = f"{entry.path}: the command {start.command} " + ("cannot be executed" if there else "is not there")
        yield Symptom("command", "error", what, mend=mend)
    elif (interpreter := _interpreter(Path(found))) is not None and not interpreter.exists():
        what = f"{entry.path}: the command {start.command} is a script for {interpreter}, which is gone"
        yield Symptom("command", "error", what, mend=f"install dibs anew, then {again}")
    elif not path.is_absolute():
        what = f"{entry.path}: the command {start.command} is not a full path: what starts depends on where and by whom"
        yield Symptom("command", "warning", what, mend=mend)


def _interpreter(program: Path) -> Path | None:
    """The program that a script's first line names; None: it is no script, or may be executed but not read."""
    try:
        with program.open("rb") as file:
            mark, _, rest = file.readline(FIRST_LINE_BYTES).decode("utf-8", "replace").partition("#!")
    except PermissionError:
        return None
    return Path(rest.split()[0]) if not mark and rest.split() else None


def _twice(
    client: Client, start: Start, other: Entry, places: Places, environment: Mapping[str, str], cwd: Path
) -> Symptom:
    ours, theirs = _tasks_dir(start), _tasks_dir(start_of(client, other, places, environment, cwd))
    mend = f"take one out: {_set_up(client, other, '--remove')}"
    if ours != theirs:
        what = f"{other.path}: {other.key} is a second dibs server, on {theirs}, while the first is on {ours}"
        return Symptom("twice", "error", what, mend=mend)
    what = f"{other.path}: {other.key} is the same server once more: the agent sees every tool twice"
    return Symptom("twice", "warning", what, mend=mend)


def _brought_too(client: Client, entries: list[Entry], bringing: Brought | None) -> Iterator[Symptom]:
    seen = [entry for entry in entries if bringing is not None and entry.key != bringing.hidden_by]
    if bringing is not None and seen:
        what = f"{seen[0].path}: {seen[0].key} comes on top of {bringing.what}: the agent sees every tool twice"
        mend = f"take one out: {_set_up(client, seen[0], '--remove')}, or {bringing.removal}"
        yield Symptom("twice", "warning", what, mend=mend)


# the server


def _answers(client: Client, entry: Entry, start: Start, answers: Interview) -> Iterator[Symptom]:
    if answers.failure:
        what = f"the server did not answer {answers.failure}, as {NAMES[client]} would start it"
        what += f": {_cut(answers.last_words)}" if answers.last_words else ""
        yield Symptom("server", "error", what, mend=f"see what it says: {' '.join([start.command, *start.args])}")
    elif "claim_next_task" not in answers.tools:
        what = f"{start.command} is a server without claim_next_task, so it is none of ours"
        yield Symptom("server", "error", what, mend=f"put the right one in: {_set_up(client, entry)}")
    if answers.strays:
        what = f"the server writes {counted(len(answers.strays), 'line')} of its own to stdout, which is the protocol's"
        mend = "find what writes there, and have it write to a file"
        yield Symptom("noise", "error", f"{what}: {_cut(answers.strays[0])}", mend=mend)
    if answers.noise:
        what = f"the server writes {len(answers.noise)} characters to stderr, which some clients never read"
        mend = "find what writes there: a full pipe stops the server for ever"
        yield Symptom("noise", "warning", f"{what}: {_cut(answers.last_words)}", mend=mend)


def _cut(line: str) -> str:
    return line.strip()[:NOISY_CHARACTERS]


def _directory(client: Client, start: Start, answers: Interview) -> Iterator[Symptom]:
    if "code" in answers.stats:
        what, _, advice = str(answers.stats.get("message")).partition("; ")
        yield Symptom("directory", "error", what, mend=advice)
        return
    directory = _tasks_dir(start)
    if answers.failure or isinstance(directory, str) or directory.is_relative_to(start.cwd.resolve()):
        return
    what = f"the tasks are in {directory}, outside of {start.cwd}: the agent's own tools cannot open the files"
    severity: Severity = "note" if client == "claude" else "warning"
    yield Symptom("outside", severity, what, mend=f"start {client} with {WIDENING[client]} {directory}")


def _tasks_dir(start: Start) -> Path | str:
    """The tasks directory that a server started so finds; in words, where there is none."""
    try:
        return find_tasks_dir(start.tasks_dir, environment=start.environment, cwd=start.cwd).resolve()
    except DibsError:
        named = start.tasks_dir or start.environment.get(TASKS_DIR_VARIABLE)
        return f"{named}, which is none" if named else "no tasks directory"
