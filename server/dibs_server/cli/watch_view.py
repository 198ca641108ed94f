"""How an overview looks on a terminal: as wide and as high as its place is, titles giving way first. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dibs.answers import counted
from dibs.overview import BatchProgress, Ended, LeaseState, Overview, Worker
from dibs_server.cli.console import cut_middle, one_line, plain, shown
from dibs_server.cli.render import STYLES, counts_line

GAP = 2
MOST = {"caller": 24, "client": 24, "task": 40, "how": 10, "for": 9, "ago": 9, "lease": 18}
LEAST = {"caller": 12, "task": 16}
RIGHT = ("for", "ago")
LEAST_WITHOUT_TITLE = {"caller": 6, "task": 8}
MIN_TITLE_WIDTH = 20
CLIENT_FROM_WIDTH = 120
RECENT_KEPT = 3
FEWEST_LINES = 5
DAY_HOURS = 24
BAR_WIDTH = 40
LEAST_BAR_WIDTH = 8
LEASE_STYLES: dict[LeaseState, str] = {
    "renewed": "green",
    "running": "yellow",
    "passed": "bold red",
    "over": "yellow",
    "by_hand": "dim",
    "no_record": "bold red",
}
HOW_STYLES = {"completed": "green", "blocked": "red", "reaped": "bold red", "taken_away": "yellow", "by_hand": "yellow"}

Row = dict[str, Text]


@dataclass(frozen=True)
class WatchView:
    """An overview, below what is wrong now, if something is. Never higher than the terminal, unless it is ``whole``."""

    overview: Overview
    error: str = ""
    whole: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, None if self.whole else options.size.height
        lines: list[RenderableType] = []
        if self.error:
            told = Text.assemble(("dibs: ", "bold red"), shown(self.error))
            last = _dim(f"This is what was seen last, at {_clock(self.overview.at)}:")
            lines = [*told.wrap(console, width), last, Text()]
        lines += _page(self.overview, width, None if height is None else height - len(lines))
        for line in lines[:height]:
            if isinstance(line, Text):
                line.truncate(width, overflow="ellipsis")
            yield line


def _page(overview: Overview, width: int, height: int | None) -> Iterator[RenderableType]:
    head = _head(overview, width)
    workers, recent = len(overview.workers), len(overview.recent)
    if height is not None:
        workers, recent = shares(workers, recent, height - len(head) - 1)
    yield from head
    yield Text()
    if overview.workers:
        client = ["client"] if width >= CLIENT_FROM_WIDTH and any(worker.client for worker in overview.workers) else []
        rows = [_worker_row(worker, overview.at) for worker in overview.workers]
        yield from _table(rows[:workers], ["caller", *client, "task", "for", "lease"], width)
    else:
        yield _dim("nobody is at work")
    if workers < len(overview.workers):
        yield _dim(f"… {len(overview.workers) - workers} more")
    if recent:
        rows = [_recent_row(ended, overview.at) for ended in overview.recent]
        yield Text()
        yield from _table(rows[:recent], ["ago", "how", "task", "caller"], width)


def shares(workers: int, recent: int, height: int) -> tuple[int, int]:
    """How many workers and how many endings have room, with their headings, and a line that says how many more."""
    at_work = 1 + workers
    kept = min(recent, RECENT_KEPT)
    if at_work + _block(kept) <= height:
        return workers, max(0, min(recent, height - at_work - _block(0) - 2))
    if height - _block(kept) < FEWEST_LINES:
        kept = 0
    if at_work + _block(kept) <= height:
        return workers, kept
    return max(0, height - _block(kept) - 2), kept


def _block(recent: int) -> int:
    """Lines of the endings: an empty one and a heading above them."""
    return recent + 2 if recent else 0


def _head(overview: Overview, width: int) -> list[RenderableType]:
    if overview.batch is not None:
        return _batch_head(overview, overview.batch, width)
    counts = overview.counts
    waiting_on = {kind: n for kind, n in counts.waiting_on.model_dump().items() if n}
    clock = _dim(_clock(overview.at))
    place = shown(_short(overview.tasks_dir, width - clock.cell_len - GAP), "bold")
    place.pad_right(max(GAP, width - place.cell_len - clock.cell_len))
    lines = [Text.assemble(place, clock), _totals(overview, sum(waiting_on.values()))]
    for label, numbers in (("by status", counts.by_status), ("waiting on", waiting_on)):
        if numbers:
            lines.append(Text.assemble(_dim(f"{label:<12}"), counts_line(numbers)))
    pace = _pace(overview) if counts.total else _dim("no tasks yet; `dibs add` makes one")
    bar = min(BAR_WIDTH, width - pace.cell_len - GAP)
    return [
        *lines,
        pace if not counts.total or bar < LEAST_BAR_WIDTH else _bar(_wanted(overview), counts.done, bar, pace),
    ]


def _batch_head(overview: Overview, batch: BatchProgress, width: int) -> list[RenderableType]:
    clock = _dim(_clock(overview.at))
    place = Text.assemble(shown(batch.name, "bold"), _dim(f"  {counted(batch.total, 'task')} in "))
    place.append_text(_dim(_short(overview.tasks_dir, max(1, width - place.cell_len - clock.cell_len - GAP))))
    place.pad_right(max(GAP, width - place.cell_len - clock.cell_len))
    counts = {name.replace("_", " "): count for name, count in batch.counts.model_dump().items() if count}
    styled = {**STYLES, "in progress": "yellow", "ready": "bold cyan", "gone": "bold red", "invalid": "bold red"}
    told = Text("  ").join(Text(f"{count} {name}", style=styled.get(name, "")) for name, count in counts.items())
    ended = batch.total - batch.counts.left
    pace = Text(f"{ended}/{batch.total} ended", style="green")
    pace.append_text(_dim(f"  {overview.rate.per_minute:g} a minute"))
    if batch.finished:
        pace.append(", all ended", style="bold green")
    elif batch.eta_seconds is not None:
        pace.append_text(_dim(f", {_length(batch.eta_seconds)} to go"))
    bar = min(BAR_WIDTH, width - pace.cell_len - GAP)
    line = pace if bar < LEAST_BAR_WIDTH else _bar(batch.total, ended, bar, pace)
    return [Text.assemble(place, clock), told, line]


def _wanted(overview: Overview) -> int:
    """How many tasks are to be done: cancelled ones are not."""
    return overview.counts.total - overview.counts.by_status.get("cancelled", 0)


def _pace(overview: Overview) -> Text:
    rate = overview.rate
    done = Text(f"{overview.counts.done}/{_wanted(overview)} done", style="green")
    return Text.assemble(done, _dim(f"  {rate.per_minute:g} a minute, {rate.last_hour} in the last hour"))


def _bar(total: int, done: int, width: int, pace: Text) -> RenderableType:
    line = Table.grid(padding=(0, GAP, 0, 0))
    line.add_row(ProgressBar(max(1, total), done, width, complete_style="green"), pace)
    return line


def _totals(overview: Overview, waiting: int) -> Text:
    counts = overview.counts
    parts = [
        Text(counted(counts.total, "task"), style="bold"),
        Text(f"{counts.ready} ready", style="bold cyan"),
        Text(f"{len(overview.workers)} in progress", style="yellow"),
        Text(f"{waiting} waiting"),
    ]
    if counts.invalid:
        parts.append(Text(f"{counts.invalid} invalid", style="bold red"))
    if counts.stale:
        parts.append(Text(f"{counts.stale} stale", style="bold red"))
    return Text("   ").join(parts)


def _worker_row(worker: Worker, at: datetime) -> Row:
    words: dict[LeaseState, str] = {
        "renewed": "renewed",
        "running": f"{_age(worker.lease_until, at)} left",
        "passed": f"passed {_age(at, worker.lease_until)}",
        "over": "ended by hand",
        "by_hand": "by hand",
        "no_record": "no record",
    }
    return {
        "caller": shown(one_line(worker.caller), "bold"),
        "client": _dim(one_line(worker.client)),
        "task": shown(one_line(worker.id)),
        "for": Text(_age(at, worker.since)),
        "lease": Text(words[worker.lease], style=LEASE_STYLES[worker.lease]),
        "title": shown(one_line(worker.title)),
    }


def _recent_row(ended: Ended, at: datetime) -> Row:
    return {
        "ago": Text(_age(at, ended.at)),
        "how": shown(ended.how.replace("_", " "), HOW_STYLES.get(ended.how, "")),
        "task": shown(one_line(ended.id)),
        "caller": shown(one_line(ended.caller)),
        "title": _dim(one_line(ended.title)),
    }


def _table(rows: Sequence[Row], names: Sequence[str], width: int) -> Iterator[Text]:
    """A heading and one line a row, with the titles in what the other columns leave."""
    widths = fitted({name: max([len(name), *(row[name].cell_len for row in rows)]) for name in names}, width)
    gap = Text(" " * GAP, no_wrap=True, overflow="crop")
    for row in ({name: _dim(name) for name in widths}, *rows):
        yield gap.join(_cell(row[name], name, most) for name, most in widths.items())


def _cell(text: Text, name: str, width: int) -> Text:
    if name == "task":
        text = cut_middle(text, width)
    text.truncate(width, overflow="ellipsis")
    pad = text.pad_left if name in RIGHT else text.pad_right
    pad(width - text.cell_len)
    return text


def fitted(wanted: dict[str, int], width: int) -> dict[str, int]:
    """The width of each column. The title gets what is left; where that is too little it goes, like the client."""
    widths = {name: min(most, MOST[name]) for name, most in wanted.items()}
    for columns in (widths, {name: most for name, most in widths.items() if name != "client"}):
        narrow = _narrowed(columns, LEAST, width - MIN_TITLE_WIDTH)
        left = width - _taken(narrow)
        if left >= MIN_TITLE_WIDTH:
            return {**narrow, "title": left}
    return _narrowed(columns, LEAST_WITHOUT_TITLE, width)


def _narrowed(widths: dict[str, int], least: dict[str, int], room: int) -> dict[str, int]:
    """Columns as narrow as the room demands, and not narrower than their least."""
    for name, fewest in least.items():
        spare = max(0, widths[name] - fewest)
        widths = {**widths, name: widths[name] - min(spare, max(0, _taken(widths) - room))}
    return widths


def _taken(widths: dict[str, int]) -> int:
    return sum(widths.values()) + GAP * len(widths)


def _short(path: str, width: int) -> str:
    """A path, its beginning left out where it is too long."""
    home = f"{Path.home()}{os.sep}"
    path = f"~{os.sep}{path.removeprefix(home)}" if path.startswith(home) else path
    path = plain(path)
    return path if len(path) <= width else "…" + path[len(path) - max(1, width) + 1 :]


def _clock(at: datetime) -> str:
    return f"{at.astimezone():%H:%M:%S}"


def _age(later: datetime | None, earlier: datetime | None) -> str:
    """The time between: 0:42, 3:10, 1:02:10, 3 d 02 h."""
    if later is None or earlier is None:
        return ""
    return _length((later - earlier).total_seconds())


def _length(of_seconds: float) -> str:
    seconds = max(0, int(of_seconds))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= DAY_HOURS:
        return f"{hours // DAY_HOURS} d {hours % DAY_HOURS:02} h"
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _dim(text: str) -> Text:
    return shown(text, "dim")
