"""What a doctor finds and how it is told: symptoms of single tasks and files, put together to findings. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from dibs.answers import counted

Severity = Literal["error", "warning", "note"]
Kind = Literal[
    "settings", "directory", "file_system", "permissions", "not_mended", "invalid", "dependency", "circle", "parent",
    "reserved", "stale", "ended", "lost", "elsewhere", "copy", "gone", "damaged", "newer", "clock", "poison",
    "unwritten", "by_hand", "files", "report", "leftover",
    "client", "command", "disabled", "trust", "sandbox", "server", "tools", "twice", "outside", "noise",
]  # fmt: skip
NAMED = 5


class Finding(BaseModel):
    """One thing that is the matter, or was: ``mend`` says what to do, or what was done where it is ``fixed``.

    ``path`` is relative to the tasks directory and "" where no single file is meant; ``line`` counts from 1.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    severity: Severity
    path: str
    line: int | None
    task_ids: list[str]
    text: str
    mend: str
    fixed: bool

    @property
    def is_to_mend(self) -> bool:
        return self.severity != "note" and not self.fixed


@dataclass(frozen=True)
class Symptom:
    """What is the matter with one task or file. Those of the same kind, ``many`` and ``cause`` are told together.

    ``one`` is the text of a symptom that is alone, ``many`` goes behind the number of several (none: always alone).
    ``done`` is what mending it did; without it, nobody but a person mends it. ``left`` is the mend after that failed.
    ``{id}`` in these three is the task, or ``ID`` for several; ``{ids}`` and ``{was}`` are all of them, and its verb.
    """

    kind: Kind
    severity: Severity
    one: str
    mend: str = ""
    many: str = ""
    cause: str = ""
    task_ids: tuple[str, ...] = ()
    path: str = ""
    line: int | None = None
    left: str = ""
    done: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What makes it the same symptom at a later look."""
        return (self.kind, self.cause, self.path, *self.task_ids)

    def left_alone(self) -> Symptom:
        return replace(self, mend=self.left or self.mend)


def tell(symptoms: Iterable[Symptom], *, fixed: bool = False) -> list[Finding]:
    """The findings of these symptoms, in no order."""
    groups: dict[tuple[str, ...], list[Symptom]] = {}
    for number, symptom in enumerate(symptoms):
        alike = (symptom.many, symptom.cause) if symptom.many else (str(number),)
        groups.setdefault((symptom.kind, symptom.severity, *alike), []).append(symptom)
    return [_finding(group, fixed) for group in groups.values()]


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Worst first; those of one severity by kind, as the kinds are listed, and then by place."""
    severities, kinds = get_args(Severity), get_args(Kind)

    def rank(finding: Finding) -> tuple[int, int, bool, str, int, list[str], str]:
        worst, kind = severities.index(finding.severity), kinds.index(finding.kind)
        return worst, kind, finding.fixed, finding.path, finding.line or 0, finding.task_ids, finding.text

    return sorted(findings, key=rank)


def counts(findings: Sequence[Finding]) -> list[str]:
    """How many are to mend, were mended, and are notes; of what there is none nothing is said."""
    to_mend, mended = sum(finding.is_to_mend for finding in findings), sum(finding.fixed for finding in findings)
    notes = len(findings) - to_mend - mended
    parts = [f"{counted(to_mend, 'thing')} to mend"] if to_mend else []
    parts += [f"{mended} mended"] if mended else []
    return parts + ([counted(notes, "note")] if notes else [])


def _finding(group: Sequence[Symptom], fixed: bool) -> Finding:
    first, alone = group[0], len(group) == 1
    ids = [task_id for symptom in group for task_id in symptom.task_ids]
    names = named(ids or [symptom.path for symptom in group])
    return Finding(
        kind=first.kind,
        severity=first.severity,
        path=first.path if alone else "",
        line=first.line if alone else None,
        task_ids=ids,
        text=first.one if alone else f"{len(group)} {first.many} ({names})",
        mend=_filled(first.done if fixed else first.mend, ids, names),
        fixed=fixed,
    )


def named(names: Sequence[str]) -> str:
    """The first few of many names, and how many more there are."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _filled(text: str, ids: Sequence[str], names: str) -> str:
    task_id = shlex.quote(ids[0]) if len(ids) == 1 else "ID"
    return text.replace("{id}", task_id).replace("{was}", "was" if len(ids) == 1 else "were").replace("{ids}", names)
