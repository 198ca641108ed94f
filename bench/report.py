"""What a script found: tables of what was measured, and each number held against what is wanted."""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from sample import Samples, samples

Cell = str | int | float
OPTIONS: dict[str, tuple[int, str]] = {
    "runs": (15, "starts of each server"),
    "rounds": (5, "rounds in which the servers take turns"),
    "pairs": (150, "claim and complete pairs a round"),
    "seconds": (60, "how long idle servers are watched"),
    "tasks": (10_000, "size of the largest directory: 1000, 10000 or 100000"),
    "renewals": (720, "renewals of one claim to see"),
    "starts": (200, "tasks of a wave"),
    "laps": (200, "times that every task is worked on"),
}


@dataclass(frozen=True)
class Check:
    """One number, measured, beside what is wanted."""

    what: str
    measured: float
    bound: float
    sign: Literal["<=", ">="] = "<="
    unit: str = ""

    @property
    def is_met(self) -> bool:
        if self.sign == "<=":
            return self.measured <= self.bound
        return self.measured >= self.bound

    @property
    def wanted(self) -> str:
        return f"{'≤' if self.sign == '<=' else '≥'} {self.bound:g} {self.unit}".rstrip()

    @property
    def shown(self) -> str:
        return f"{shown(self.measured)} {self.unit}".rstrip()


@dataclass(frozen=True)
class Report:
    title: str
    rows: Sequence[dict[str, Cell]]
    checks: Sequence[Check]


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that so many percent are not above."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def shown(cell: Cell) -> str:
    """Three significant digits are all that a shared machine gives."""
    if isinstance(cell, float):
        return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return str(cell)


def table(rows: Sequence[dict[str, Cell]]) -> str:
    """A Markdown table, aligned, so that it can be read as it is."""
    names = list(rows[0])
    cells = [names, *([shown(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def checks_table(checks: Sequence[Check]) -> str:
    return table(
        [
            {
                "number": check.what,
                "wanted": check.wanted,
                "measured": check.shown,
                "": "ok" if check.is_met else "not met",
            }
            for check in checks
        ]
    )


def show(report: Report) -> None:
    parts = [f"## {report.title}", table(report.rows), checks_table(report.checks)]
    print("\n\n".join(parts), end="\n\n", flush=True)


def as_json(reports: Sequence[Report]) -> str:
    told = [asdict(report) for report in reports]
    for one, report in zip(told, reports, strict=True):
        one["checks"] = [{**asdict(check), "ok": check.is_met} for check in report.checks]
    return json.dumps(told, indent=1)


def parser_for(doc: str, names: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in names:
        default, text = OPTIONS[name]
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{text} (default: {default})")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser


def run(doc: str | None, measure: Callable[[Samples, argparse.Namespace], Report], *names: str) -> None:
    """The main program of one script."""
    options = parser_for(doc or "", names).parse_args()
    with samples() as made:
        report = measure(made, options)
    print(as_json([report])) if options.json else show(report)
