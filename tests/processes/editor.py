"""A person's editor: saves one file again and again, each time with the next number in its body.

Each time it reads the file, puts the number in and saves, whatever else is in the file by then. What it reads must hold
the number it saved last and the end of the body: a smaller number is a save that somebody lost, no end a body cut off.
Usage: editor.py FILE SAVES by_rename|in_place; prints ``SAVES LOST CUT``.
"""

from __future__ import annotations

import os
import random
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

COUNTER = re.compile(rb"^saved (\d+) times$", re.MULTILINE)
LAST_LINE = b"\nthe last line of the body\n"
MOST_SECONDS_BETWEEN = 0.1
MOST_SECONDS_IN_A_SAVE = 0.02


def main(path: Path, saves: int, save: Callable[[Path, bytes], None]) -> None:
    lost = cut = 0
    for number in range(1, saves + 1):
        content = path.read_bytes()
        found = COUNTER.search(content)
        lost += found is None or int(found[1]) < number - 1
        cut += LAST_LINE not in content
        save(path, COUNTER.sub(b"saved %d times" % number, content))
        # a person types between two saves, sometimes for longer than a file takes to settle and sometimes not: the two
        # writers meet only because of this pause, nothing waits for it
        time.sleep(random.uniform(0, MOST_SECONDS_BETWEEN))
    content = path.read_bytes()
    lost += b"saved %d times" % saves not in content
    cut += LAST_LINE not in content
    print(saves, lost, cut)  # noqa: T201


def by_rename(path: Path, content: bytes) -> None:
    temporary = path.with_name(".being-saved")
    temporary.write_bytes(content)
    temporary.replace(path)


def in_place(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    os.write(descriptor, content[: len(content) // 2])
    time.sleep(random.uniform(0, MOST_SECONDS_IN_A_SAVE))  # as slow as an editor may be; see docs/claims.md
    os.write(descriptor, content[len(content) // 2 :])
    os.close(descriptor)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), {"by_rename": by_rename, "in_place": in_place}[sys.argv[3]])
