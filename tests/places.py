"""Places of one's own: a small file system in a namespace of its own, which can be full, read-only or out of inodes.

No rights are needed where the kernel lets users make namespaces; nobody else sees the place, and it goes with the
shell that made it. From outside its files can be read and written, but not locked: servers are started inside.
"""

from __future__ import annotations

import errno
import itertools
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE_SECONDS = 30
FILLER = "filler"


class NoNamespaces(Exception):
    """This machine does not let us make one, and why."""


@dataclass(frozen=True)
class Place:
    """A tmpfs. ``path`` leads into the namespace from outside; ``inside`` is its name in there."""

    shell: subprocess.Popen[str]
    path: Path
    inside: Path

    @property
    def entering(self) -> list[str]:
        """The words that start a program in there."""
        return ["nsenter", "--preserve-credentials", "--user", "--mount", "--target", str(self.shell.pid)]

    def turn_read_only(self) -> None:
        """For everything that is opened from now on, as the kernel does it when a disk fails."""
        run(self.shell, f"mount --bind '{self.inside}' '{self.inside}'")
        run(self.shell, f"mount -o remount,bind,ro '{self.inside}'")

    def turn_writable(self) -> None:
        run(self.shell, f"umount '{self.inside}'")

    def leave_bytes(self, number: int) -> None:
        """Fill the disk up but for so many bytes."""
        self.make_room()
        free = self.free_bytes()
        with (self.path / FILLER).open("wb") as file:
            file.write(b"x" * max(0, free - number))

    def leave_inodes(self, number: int) -> None:
        """Make empty files until no more than so many can be made."""
        self.make_room()
        folder = self.path / FILLER
        folder.mkdir()
        try:
            for name in itertools.count():
                (folder / str(name)).touch()
        except OSError as exc:
            assert exc.errno == errno.ENOSPC
        for path in [*folder.iterdir()][:number]:
            path.unlink()

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.path).free

    def make_room(self) -> None:
        filler = self.path / FILLER
        if filler.is_dir():
            shutil.rmtree(filler)
        filler.unlink(missing_ok=True)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Place]:
    """A tmpfs with these options, mounted on ``folder`` in a namespace of its own. Raises NoNamespaces."""
    try:
        shell = subprocess.Popen(
            ["unshare", "-Urm", "sh"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
    except OSError as exc:
        raise NoNamespaces(str(exc)) from exc
    try:
        run(shell, f"mount -t tmpfs -o {options} tmpfs '{folder}'")
        path = Path(f"/proc/{shell.pid}/root{folder}")
        if not path.is_dir():
            raise NoNamespaces(f"{path} cannot be entered")
        yield Place(shell, path, folder)
    finally:
        shell.communicate(timeout=PATIENCE_SECONDS)


def run(shell: subprocess.Popen[str], command: str) -> None:
    """Run one command there. Raises NoNamespaces when the shell is gone, or says no."""
    assert shell.stdin is not None
    assert shell.stdout is not None
    said = []
    try:
        shell.stdin.write(f'{command}; echo "status $?"\n')
        shell.stdin.flush()
    except BrokenPipeError:
        raise NoNamespaces(shell.stdout.read().strip()) from None
    while not (line := shell.stdout.readline()).startswith("status "):
        said.append(line)
        if not line:
            raise NoNamespaces("".join(said).strip())
    if line != "status 0\n":
        raise NoNamespaces("".join(said).strip())
