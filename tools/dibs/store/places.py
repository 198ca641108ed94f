"""Where a tasks directory lies: its repository, its git worktree, its file system. Looks only; starts no program."""

from __future__ import annotations

import os
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
UNTRUSTED = ("nfs", "nfs4", "cifs", "smb", "smb3", "smbfs", "ncpfs", "afs", "9p", "virtiofs", "fuse", "fuseblk")
"""Types whose locks are known to fail between machines, or to be left to a program nobody here has seen."""


def repository_of(tasks_dir: Path) -> Path:
    """The folder that the paths in ``files`` are relative to: the git repository, else what the tasks lie in."""
    return next((folder for folder in tasks_dir.parents if _is_there(folder / ".git")), tasks_dir.parent)


def in_main_worktree(folder: Path) -> Path:
    """The folder that stands for this one in the main git worktree; itself, where it is not in a linked worktree.

    A linked worktree has a file ``.git`` that names a folder with a file ``commondir``; submodules have no such file.
    A bare repository has no main worktree.
    """
    real = folder.resolve()
    top = next((top for top in (real, *real.parents) if _is_there(top / ".git")), None)
    main = _main_of(top) if top is not None else None
    return folder if top is None or main is None else main / real.relative_to(top)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:  # before Python 3.14 that is not a "no"
        return False


def _main_of(worktree: Path) -> Path | None:
    if not (worktree / ".git").is_file():
        return None
    try:
        named = (worktree / ".git").read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        private = worktree / named
        common = Path(os.path.normpath(private / (private / "commondir").read_text(encoding="utf-8").strip()))
    except (OSError, ValueError):
        return None
    return common.parent if common.name == ".git" and common.is_dir() else None


def linked_worktrees(repository: Path) -> list[Path]:
    """The linked git worktrees of a main worktree, as far as they are there."""
    found = []
    for named in sorted((repository / ".git" / "worktrees").glob("*/gitdir")):
        try:
            place = named.parent / named.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            continue
        if place.parent.is_dir():
            found.append(Path(os.path.normpath(place.parent)))
    return found


def file_system_of(path: Path, mounts: str | None = None) -> str:
    """The type of the file system that ``path`` is on; "" where that cannot be told (only Linux says it in a file)."""
    if mounts is None:
        try:
            mounts = MOUNTS.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
    wanted, found = path.resolve(), ""
    deepest = -1
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(" "), right.split(" ")[0]
        if len(fields) < 5 or not kind:
            continue
        place = Path(_unescaped(fields[4]))
        if wanted.is_relative_to(place) and len(place.parts) >= deepest:
            deepest, found = len(place.parts), kind
    return found


def _unescaped(text: str) -> str:
    """A mount point as the kernel writes it: blank, tab, newline and backslash as octal numbers."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def is_trusted(kind: str) -> bool:
    """Whether locks on a file system of this type exclude all who can reach it."""
    return kind.partition(".")[0] not in UNTRUSTED
