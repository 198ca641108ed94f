"""Exchanging two files in one step, where the system can: Linux's ``renameat2`` with ``RENAME_EXCHANGE``.

A rename that overwrites is blind: a save that lands between the last look and the rename is gone. After an exchange
that save is in our hands, and can be put back.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

AT_FDCWD = -100
RENAME_EXCHANGE = 2
NOT_HERE = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM, errno.EXDEV})


def exchange(one: Path, other: Path) -> bool:
    """Let two files change places. False: nothing was done, system or file system cannot.

    Raises:
        OSError: as for a rename.
    """
    rename = _renameat2()
    if rename is None:
        return False
    failed = rename(os.fsencode(one), os.fsencode(other))
    if failed in NOT_HERE:
        return False
    if failed:
        raise OSError(failed, os.strerror(failed), str(one), None, str(other))
    return True


@cache
def _renameat2() -> Callable[[bytes, bytes], int] | None:
    """The system's call as a function that returns an errno, 0 for success."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    call.restype = ctypes.c_int

    def rename(one: bytes, other: bytes) -> int:
        done = call(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) == 0
        return 0 if done else ctypes.get_errno()

    return rename
