"""Where a tasks directory lies: its repository, its git worktree, its file system. Looks only; starts no program."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dibs.store.errors import SettingsError

MOUNTS = Path("/proc/self/mountinfo")
UNTRUSTED = ("nfs", "nfs4", "cifs", "smb", "smb3", "smbfs", "ncpfs", "afs", "9p", "virtiofs", "fuse", "fuseblk")
"""Types whose locks are known to fail between machines, or to be left to a program nobody here has seen."""


def repository_of(tasks_dir: Path) -> Path:
    """The folder that the paths in ``files`` are relative to: the git repository, else what the tasks lie in."""
    return next((folder for folder in tasks_dir.parents if _is_there(folder / ".git")), tasks_dir.parent)


def roots_of(tasks_dir: Path) -> tuple[str, ...]:
    """The paths of the repository: as it is reached, as it really lies, and those of its linked worktrees."""
    real = repository_of(tasks_dir.resolve())
    places = (repository_of(tasks_dir.absolute()), real, *linked_worktrees(real))
    return tuple(dict.fromkeys(place.as_posix() for place in places))


def in_main_worktree(folder: Path, *, named: bool = False) -> Path:
    """The folder that stands for this one in the main git worktree; itself, where it is not in a linked worktree.

    A linked worktree has a file ``.git`` that names a folder with a file ``commondir``; submodules have no such file.

    Raises:
        SettingsError: there is no telling where the main worktree is, and two queues would hand the same tasks out
            twice. Where there is none to be found (a bare repository), a folder that the user ``named`` is taken.
    """
    real = folder.resolve()
    top = next((top for top in (real, *real.parents) if _is_there(top / ".git")), None)
    private = _private_folder(top) if top is not None else None
    if top is None or private is None:
        return folder
    if not private.is_dir():
        raise SettingsError(
            f"{folder} is in a linked git worktree whose repository is not where it was ({private}); run "
            "`git worktree repair` in the main one, or `git worktree prune` if it is not wanted any more",
            path=str(folder),
        )
    main = _main_of(private)
    if main is not None:
        return main / real.relative_to(top)
    if named:
        return folder
    raise SettingsError(
        f"{folder} is in a linked git worktree of a repository without a main worktree, and all worktrees have to "
        "share one tasks directory; name it for all of them, with its full path, as --tasks-dir or DIBS_TASKS_DIR",
        path=str(folder),
    )


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:  # before Python 3.14 that is not a "no"
        return False


def _private_folder(worktree: Path) -> Path | None:
    """Where git keeps what is a linked worktree's own, there or not; None: this is no linked worktree."""
    try:
        named = (worktree / ".git").read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    except (OSError, ValueError):
        return None
    private = Path(os.path.normpath(worktree / named))
    return private if private.parent.name == "worktrees" else None


def _main_of(private: Path) -> Path | None:
    """The main worktree; None: there is none, or nothing says where."""
    try:
        common = Path(os.path.normpath(private / (private / "commondir").read_text(encoding="utf-8").strip()))
        config = (common / "config").read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return None
    if named := re.search(r"^\s*worktree\s*=\s*(.+?)\s*$", config, re.MULTILINE):  # of a submodule
        return Path(os.path.normpath(common / named[1]))
    bare = re.search(r"^\s*bare\s*=\s*true\s*$", config, re.MULTILINE)
    return common.parent if common.name == ".git" and not bare else None


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
    wanted, found = f"{path.resolve()}/", ""
    deepest = -1
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(" "), right.split(" ")[0]
        if len(fields) < 5 or not kind:
            continue
        place = f"{_unescaped(fields[4]).rstrip('/')}/"
        if wanted.startswith(place) and len(place) >= deepest:
            deepest, found = len(place), kind
    return found


def _unescaped(text: str) -> str:
    """A mount point as the kernel writes it: blank, tab, newline and backslash as octal numbers."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def is_trusted(kind: str) -> bool:
    """Whether locks on a file system of this type exclude all who can reach it."""
    return kind.partition(".")[0] not in UNTRUSTED
