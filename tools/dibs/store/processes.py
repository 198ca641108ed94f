"""Which process is which: a pid alone is used again, and means another process in a container."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

CLOCK_STEP_SECONDS = 5.0


class ProcessMark(BaseModel):
    """A process of this machine, told by its pid and the moment it started (Unix time, seconds)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pid: int
    started: float

    def is_same(self, other: ProcessMark | None) -> bool:
        """Whether both are one process. The system tells the start from its clock, which may have been set between."""
        return other is not None and other.pid == self.pid and abs(other.started - self.started) < CLOCK_STEP_SECONDS


def mark_of(pid: int) -> ProcessMark | None:
    """The mark of a running process; None: there is none of that pid, or this user may not look at it."""
    import psutil  # only servers and hooks ask, and a command need not pay for it

    try:
        return ProcessMark(pid=pid, started=psutil.Process(pid).create_time())
    except psutil.Error:
        return None
