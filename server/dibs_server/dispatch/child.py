"""One program at work on one task: in a process group of its own, its output in a file, ended with all it started."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

GRACE_SECONDS = 5.0
TAIL_BYTES = 4000
TAIL_LINES = 20
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit code, negative for a signal; ``why`` it was ended by us, "" when it was not."""

    code: int
    why: str = ""

    def told(self) -> str:
        if self.why:
            return self.why
        if self.code < 0:
            return f"it was killed by signal {-self.code} ({_signal_name(-self.code)})"
        return f"it ended with exit code {self.code}"


class Child:
    """A running program. On Linux the kernel ends it, if this process is killed; what it started itself goes on."""

    def __init__(self, command: Sequence[str], output: Path, env: Mapping[str, str], cwd: Path | None = None) -> None:
        """Start it, in this environment. Raises OSError when that cannot be done."""
        self._parent = os.getpid()
        self._why = ""
        self._lock = threading.RLock()  # a signal may come while another one is being dealt with
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=cwd,
                env=dict(env),
                start_new_session=True,
                # it calls the C library and nothing of ours, so no lock of another thread is waited for
                preexec_fn=self._die_with_parent if _libc is not None else None,  # noqa: PLW1509
            )

    def _die_with_parent(self) -> None:
        assert _libc is not None
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._parent:
            os._exit(1)

    def wait(self, timeout: float | None) -> Ended:
        """Wait for its end, and end it when it takes longer than that. Nothing of its group is left then."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.stop(f"it ran longer than {timeout:g} s and was ended")
            self._process.wait()
        self._signal_group(signal.SIGKILL)
        return Ended(self._process.returncode, self._why)

    def stop(self, why: str) -> None:
        """Ask it to end, and kill it when it does not within five seconds."""
        with self._lock:
            if self._process.poll() is not None or self._why:
                return
            self._why = why
        self._signal_group(signal.SIGTERM)
        killer = threading.Timer(GRACE_SECONDS, self._kill_if_alive)
        killer.daemon = True
        killer.start()

    def _kill_if_alive(self) -> None:
        if self._process.poll() is None:
            self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def tail_of(output: Path) -> str:
    """The last lines of an output file."""
    try:
        with output.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.rstrip().splitlines()[-TAIL_LINES:])


def _signal_name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return "unknown"
