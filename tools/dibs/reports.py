"""What Dibs writes into task files: header changes, and the sections it appends. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dibs.store.body import append_section
from dibs.store.claims import Claim, is_token, stamp
from dibs.store.header import Change, Raw, TaskFile
from dibs.store.task_file import edit_header

CLAIM_KEYS = ("status", "assignee", "claim")


def without_left_over(file: TaskFile) -> TaskFile:
    """The file without what a claim wrote whose record is lost, and which nobody's status says to be held any more."""
    entry = file.entries.get("claim")
    left_over = entry is not None and isinstance(entry.value, str) and is_token(entry.value)
    return edit_header(file, {"assignee": None, "claim": None}) if left_over else file


def former_of(file: TaskFile) -> dict[str, str | None]:
    """The raw text of each key a claim changes, to be put back when it ends without an outcome."""
    return {key: file.entries[key].raw if key in file.entries else None for key in CLAIM_KEYS}


def take(file: TaskFile, caller: str, token: str) -> TaskFile:
    """The file while it is claimed."""
    return edit_header(file, {"status": "in_progress", "assignee": caller, "claim": token})


def former_changes(file: TaskFile, claim: Claim | None, *keys: str) -> dict[str, Change]:
    """The changes that undo a claim. Where the former text is not known: active, and reserved for nobody.

    An ``assignee`` that somebody changed meanwhile is theirs, and stays.
    """
    if claim is None:
        return {key: None for key in keys if key == "claim"}
    if claim.former is None:
        changes: dict[str, Change] = {"status": "active", "assignee": None, "claim": None}
    else:
        raws = {key: claim.former.get(key) for key in CLAIM_KEYS}
        changes = {key: None if raw is None else Raw(raw) for key, raw in raws.items()}
    if not _is_holders(file, claim):
        changes.pop("assignee")
    return {key: change for key, change in changes.items() if key in keys}


def _is_holders(file: TaskFile, claim: Claim) -> bool:
    entry = file.entries.get("assignee")
    return entry is not None and entry.value == claim.owner.caller


def put_back(file: TaskFile, claim: Claim) -> TaskFile:
    """The file as it was before the claim: byte for byte, if nobody else changed it."""
    return edit_header(file, former_changes(file, claim, *CLAIM_KEYS))


def completed(
    file: TaskFile, claim: Claim | None, at: datetime, *, outcome: str, commit: str, lines: Sequence[str]
) -> TaskFile:
    changes: dict[str, Change] = {
        "status": "done",
        **({"assignee": claim.owner.caller} if claim and claim.owner.caller and not _says_so(file, claim) else {}),
        **former_changes(file, claim, "claim"),
        "completed_at": stamp(at),
        **({"outcome": outcome} if outcome else {}),
        **({"commit": commit} if commit else {}),
    }
    return append_section(edit_header(file, changes), "Completion", "\n\n".join(lines))


def _says_so(file: TaskFile, claim: Claim) -> bool:
    """Whether the claim was written into the file; from then on its assignee is what somebody may have changed."""
    entry = file.entries.get("claim")
    return entry is not None and entry.value == claim.token


def blocked(file: TaskFile, claim: Claim | None, lines: Sequence[str]) -> TaskFile:
    """Blocked, and reserved for whom it was reserved before: not for the agent that could not do it."""
    changes: dict[str, Change] = {"status": "blocked", **former_changes(file, claim, "assignee", "claim")}
    return append_section(edit_header(file, changes), "Blocked", "\n\n".join(lines))


def reaped(
    file: TaskFile, claim: Claim, at: datetime, attempt: int, max_attempts: int, *, by_claim: bool = True
) -> TaskFile:
    """Put back with one attempt more; blocked when that was the last one allowed. A status that somebody changed
    meanwhile is theirs, and stays."""
    poison = attempt >= max_attempts
    keys = CLAIM_KEYS if by_claim else ("assignee", "claim")
    changes = {**former_changes(file, claim, *keys), "attempts": Raw(f" {attempt}")}
    if poison:
        changes["status"] = "blocked"
    owner = claim.owner.caller or "its holder"
    claimed_at = "" if claim.planted else f" at {stamp(claim.claimed_at)}"
    text = (
        f"{owner} claimed this task{claimed_at} and was not heard of again; "
        f"the lease passed at {stamp(claim.lease_until)}. Put back at {stamp(at)}. "
        "Work of that attempt may be in the repository: look before you begin."
    )
    file = append_section(edit_header(file, changes), f"Attempt {attempt}", text)
    if not poison:
        return file
    reason = f"**Reason (poison):** {attempt} attempts in a row were lost. `dibs reopen` it once the cause is known."
    return append_section(file, "Blocked", reason)


def labelled(label: str, text: str) -> list[str]:
    text = text.strip()
    gap = "\n\n" if text.startswith(">") else " "  # a quotation begins on a line of its own
    return [f"**{label}:**{gap}{text}"] if text else []


def bullets(label: str, items: Sequence[str]) -> list[str]:
    return ["\n".join([f"**{label}:**", "", *(f"- {item}" for item in items)])] if items else []
