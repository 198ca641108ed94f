"""A client's configuration file: read whole, replaced whole, the first state of it kept beside it.

A link stays a link: what it leads to is written. A file that somebody else changes between our reading and our writing
is left alone.
"""

from __future__ import annotations

import os
import stat as stat_bits
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dibs.store.errors import SettingsError, StoreBusy
from dibs.store.publish import Signature, publish_new, replace_unchanged, write_temporary
from dibs_server.clients.edits import Format
from dibs_server.clients.values import BrokenText, Value

BOM = "\ufeff"
CLIENT_FOLDERS = (".claude", ".gemini", ".codex")


@dataclass(frozen=True)
class ConfigFile:
    """``text`` is None when there is no such file; ``bom``: it begins with a byte order mark, which is not in it."""

    path: Path
    text: str | None
    bom: bool = False
    stat: os.stat_result | None = None

    @property
    def target(self) -> Path:
        return self.path.resolve()

    @property
    def backup(self) -> Path:
        return self.path.with_name(f"{self.path.name}.dibs-backup")


def read_config(path: Path) -> ConfigFile:
    """Read a configuration file. Raises SettingsError: it is no text; OSError: it cannot be read."""
    try:
        if not stat_bits.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for a writer, for ever
            raise SettingsError(f"{path} is not a regular file; move it away, nothing was changed", path=str(path))
        with path.open("rb") as file:
            stat, content = os.fstat(file.fileno()), file.read()
    except FileNotFoundError:
        return ConfigFile(path, None)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise SettingsError(f"{path}:{line}: is not UTF-8; mend it, nothing was changed", path=str(path)) from exc
    return ConfigFile(path, text.removeprefix(BOM), text.startswith(BOM), stat)


@contextmanager
def located(path: Path) -> Iterator[None]:
    """A text that is broken is told by its file and line."""
    try:
        yield
    except BrokenText as exc:
        where = f"{path}:{exc.line}" if exc.line else str(path)
        message = f"{where}: {exc.cause}; mend it by hand and run this again, nothing was changed"
        raise SettingsError(message, path=str(path), line=exc.line) from exc


def read_document(form: Format, path: Path) -> dict[str, Value]:
    """What a configuration says; nothing where there is none. Raises SettingsError, OSError."""
    with located(path):
        return form.parse(read_config(path).text or "")


def text_before(file: ConfigFile) -> str | None:
    """What the file was before our first change of it; None: it was not there."""
    return read_config(file.backup).text


def write_config(file: ConfigFile, text: str, *, first: bool) -> None:
    """Replace the file's text, and keep what was there as the backup: where there is none, and on our ``first`` change,
    when nothing of ours is in it yet.

    Raises:
        StoreBusy: the file is no longer what was read; nothing was written.
    """
    content = _encoded(file, text)
    target = file.target
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.stat is None:
        try:
            publish_new(target, content, target.parent, durable=True)
        except FileExistsError as exc:
            raise _changed(file) from exc
        return
    if first or not file.backup.exists():
        kept = write_temporary(file.path.parent, _encoded(file, file.text or ""), like=file.stat, durable=True)
        kept.replace(file.backup)
    temporary = write_temporary(target.parent, content, like=file.stat, durable=True)
    if not replace_unchanged(temporary, target, Signature.of(file.stat)):
        temporary.unlink(missing_ok=True)
        raise _changed(file)


def remove_config(file: ConfigFile) -> None:
    """Delete a file that is ours alone, and the client's folder if nothing else is in it."""
    target = file.target
    if file.stat is None or Signature.of(target.lstat()) != Signature.of(file.stat):
        raise _changed(file)
    target.unlink()
    if target.parent.name in CLIENT_FOLDERS:
        with suppress(OSError):  # it is not empty
            target.parent.rmdir()


def forget_backup(file: ConfigFile) -> None:
    """Remove the backup of a file that is again what it was."""
    file.backup.unlink(missing_ok=True)


def _encoded(file: ConfigFile, text: str) -> bytes:
    return ((BOM if file.bom else "") + text).encode("utf-8")


def _changed(file: ConfigFile) -> StoreBusy:
    return StoreBusy(
        f"{file.path} was changed by somebody else just now and was left alone; run this again", path=str(file.path)
    )
