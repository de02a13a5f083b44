"""Doubt: a bolt of which nobody saw the end of a pulse may be open, also for the next start of the daemon.

A file in the state folder says so. It is there from before a pulse until its end was seen, so a daemon that is killed
in mid-pulse leaves it behind. It is no row of the database: opening must not wait for a transaction, and the doubt must
last where the database is broken.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

NAME: Final = "bolt-may-be-open"
"""Name of the file, beside the database."""


class Doubt:
    """Remembers whether the bolt may be open."""

    def __init__(self, path: Path | None) -> None:
        """Read what an earlier start left at `path`; None to remember nothing beyond this one."""
        self._path = path
        self.open = path is not None and os.path.lexists(path)
        """True from before a pulse until its end was seen."""

    def begin(self) -> None:
        """Doubt: a pulse begins. A killed process leaves the doubt behind; so does a power cut, after a moment."""
        self.open = True
        if self._path is None:
            return
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o600)
        except OSError as error:
            log.error("a crash in this pulse would be forgotten: %s: %s", self._path, error.strerror)  # noqa: TRY400 - made for the journal
            return
        # The disk is not waited for: somebody stands at the door.
        threading.Thread(target=_sync, args=(descriptor, self._path.parent), name="bolt", daemon=True).start()

    def end(self) -> None:
        """Stop doubting: the bolt was seen to be shut."""
        self.open = False
        if self._path is None:
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.error("%s: %s", self._path, error.strerror)  # noqa: TRY400 - made for the journal


def _sync(descriptor: int, folder: Path) -> None:
    """Bring a new file and its name to the disk."""
    try:
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        log.warning("%s: %s", folder, error.strerror)
