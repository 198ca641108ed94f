"""All of it, in a few minutes: start, pairs, idle, cold, batches, and at the end every number beside what is wanted.

make bench                                    or: python bench/everything.py [--json]
python bench/everything.py --tasks 100000     with the directories that take minutes
python bench/everything.py --before OLD.json  with a column of an earlier run's --json
"""

from __future__ import annotations

import json
from pathlib import Path

import batches
import cold
import idle
import pairs
import start
from report import Cell, Check, as_json, parser_for, show, table
from sample import samples

SCRIPTS = (start, pairs, idle, cold, batches)


def summary(checks: list[Check], before: dict[str, Check]) -> str:
    rows: list[dict[str, Cell]] = []
    for check in checks:
        old = {"before": before[check.what].shown if check.what in before else ""} if before else {}
        verdict = "ok" if check.is_met else "not met"
        rows.append({"number": check.what, "wanted": check.wanted, **old, "measured": check.shown, "": verdict})
    return table(rows)


def read_checks(path: Path) -> dict[str, Check]:
    """The numbers of an earlier run, by what they are."""
    found = {}
    for report in json.loads(path.read_text(encoding="utf-8")):
        for check in report["checks"]:
            check.pop("ok")
            found[check["what"]] = Check(**check)
    return found


def main() -> None:
    parser = parser_for(__doc__ or "", ("runs", "rounds", "pairs", "seconds", "tasks"))
    parser.add_argument("--before", type=Path, metavar="FILE", help="what an earlier run printed with --json")
    options = parser.parse_args()
    before = read_checks(options.before) if options.before else {}
    reports = []
    with samples() as made:
        for script in SCRIPTS:
            reports.append(script.measure(made, options))
            if not options.json:
                show(reports[-1])
    if options.json:
        print(as_json(reports))
    else:
        print("## Every number\n\n" + summary([check for report in reports for check in report.checks], before))


if __name__ == "__main__":
    main()
