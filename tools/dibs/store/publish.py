"""Publishing whole files: a reader sees the old bytes or the new ones, never half, and no name before its content.

Temporary files live in one folder that is never read as tasks; what a crash leaves there is swept by age.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from dibs.store.exchange import exchange

LEFTOVER_SECONDS = 3600.0
RACY_NS = 50_000_000
"""A file younger than this may have changed without its stat showing it: clocks of file systems are coarse."""
NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}


class Signature(NamedTuple):
    """What must be equal for a file to be the same one, unchanged. Unequal means changed, never "newer"."""

    mtime_ns: int
    ctime_ns: int
    size: int
    inode: int

    @classmethod
    def of(cls, stat: os.stat_result) -> Signature:
        return cls(stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)


def write_temporary(folder: Path, content: bytes, *, like: os.stat_result | None = None, durable: bool = False) -> Path:
    """Write a new file in ``folder``, with mode and owner of ``like``; ``durable``: on the disk before this returns."""
    path = folder / f".{os.getpid()}-{secrets.token_hex(6)}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if like is not None and hasattr(os, "fchown"):
                made = os.fstat(file.fileno())
                if (made.st_uid, made.st_gid) != (like.st_uid, like.st_gid):
                    _give(file.fileno(), like)
                os.fchmod(file.fileno(), like.st_mode & 0o7777)
            if durable:
                os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _give(descriptor: int, like: os.stat_result) -> None:
    """Owner and group as far as we may: an ordinary user can keep a group, never another user."""
    for uid, gid in ((like.st_uid, like.st_gid), (-1, like.st_gid)):
        try:
            os.fchown(descriptor, uid, gid)
        except PermissionError:
            continue
        return


def publish_new(path: Path, content: bytes, tmp: Path, *, durable: bool = False) -> None:
    """Make ``path`` with ``content``, whole or not at all.

    Raises:
        FileExistsError: somebody was first; theirs stays as it is.
    """
    temporary = write_temporary(tmp, content, durable=durable)
    try:
        os.link(temporary, path)
    except OSError as exc:
        if exc.errno not in NO_HARD_LINKS:
            raise
        # exFAT and the like have no hard links; the caller's mutex makes looking first as good
        if path.exists():
            raise FileExistsError(errno.EEXIST, "exists", str(path)) from exc
        temporary.replace(path)
        return
    finally:
        with suppress(OSError):  # ``path`` is there by now, or the error that matters is under way; this is swept later
            temporary.unlink(missing_ok=True)


def publish(path: Path, content: bytes, tmp: Path) -> None:
    """Put ``content`` in the place of whatever is at ``path``."""
    temporary = write_temporary(tmp, content)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace_unchanged(temporary: Path, path: Path, was: Signature) -> bool:
    """Put ``temporary`` in the place of ``path`` if that is still the file it was; False: it is not, and it stays.

    A save that slips in after the look comes out in the exchange, and goes back to its place.
    """
    if not _is(path, was):
        return False
    ours = temporary.stat().st_ino
    if not exchange(temporary, path):
        temporary.replace(path)
        return True
    try:
        out = temporary.stat()
    except OSError:  # the disk fails; what was to be done is done, and what came out is swept later
        return True
    # a rename touches the ctime of what it moves, so that cannot tell
    if (out.st_mtime_ns, out.st_size, out.st_ino) == (was.mtime_ns, was.size, was.inode):
        with suppress(OSError):  # what was to be done is done; this is swept later
            temporary.unlink()
        return True
    if _inode(path) == ours:  # else a later save stands there already
        exchange(temporary, path)
        if _inode(temporary) != ours:  # a later save came out: it goes back
            exchange(temporary, path)
    return False


def _is(path: Path, was: Signature) -> bool:
    try:
        return Signature.of(path.lstat()) == was
    except FileNotFoundError:
        return False


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return None


def sweep_leftovers(tmp: Path) -> None:
    """Remove temporary files that no living write can still want."""
    limit = time.time() - LEFTOVER_SECONDS
    for entry in os.scandir(tmp):
        with suppress(OSError):
            if entry.stat(follow_symlinks=False).st_mtime >= limit:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                Path(entry.path).unlink()
