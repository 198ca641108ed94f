"""The one claim that a dispatcher made for an agent, before it started it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from dibs.store.errors import SettingsError


class TheClaim(BaseModel):
    """What is in the file."""

    model_config = ConfigDict(frozen=True)

    id: str
    claim_token: str


class GivenClaim:
    """A claim in a file; ``handed_over``: the agent has been told of it by this process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.handed_over = False

    def hand_over(self) -> None:
        """It has been told; leave a sign of it for whoever made the claim."""
        self.handed_over = True
        with suppress(OSError):
            sign_of(self._path).touch()

    def read(self) -> TheClaim:
        """The claim.

        Raises:
            SettingsError: the file is not there, or says something else.
        """
        try:
            return TheClaim.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError) as exc:
            raise SettingsError(
                f"this agent was started for one task, and {self._path}, which names it, cannot be read; stop, and "
                "leave the task to whoever started you",
                path=str(self._path),
            ) from exc


def sign_of(claim_file: Path) -> Path:
    """What is there once an agent was told of the claim in this file."""
    return claim_file.with_suffix(".told")


def given_claim(path: Path | None) -> GivenClaim | None:
    return GivenClaim(path) if path is not None else None
