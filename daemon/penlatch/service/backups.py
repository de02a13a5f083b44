"""Backups while the daemon runs: one when the newest is too old, in a thread of its own, and how that went."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Final

from penlatch.bounded import in_own_thread
from penlatch.errors import StoreError
from penlatch.messages import Part
from penlatch.store.backup import back_up, backups

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penlatch.config import Config

log = logging.getLogger(__name__)

LOOK_S: Final = 600.0
"""How often it is looked whether one is due [s]."""
HOUR_S: Final = 3600.0
DRAFT_S: Final = HOUR_S
"""A draft of a copy this old [s] is left from a process that ended while it copied."""


class Backups:
    """Keeps copies of the database."""

    def __init__(self, config: Config, *, changed: Callable[[], None] = lambda: None) -> None:
        self._database = config.store.path
        self._rule = config.backup
        self._changed = changed
        self.health: Part | None = Part(ok=True, detail="none yet") if self._rule.enabled else None
        """How the last one went; None where none are made."""

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self._rule.folder or self._database.parent / "backups"

    async def run(self) -> None:
        """Make one whenever it is due, until cancelled."""
        if self._rule.enabled:
            self._clear()
        while self._rule.enabled:
            if self._due():
                await self._make()
            await asyncio.sleep(LOOK_S)

    def _clear(self) -> None:
        """Remove the drafts that a stop in mid-copy left behind."""
        with contextlib.suppress(OSError):
            for draft in self.folder.glob("penlatch-*.draft"):
                if time.time() - draft.lstat().st_mtime > DRAFT_S:
                    draft.unlink(missing_ok=True)

    def _due(self) -> bool:
        """Whether the newest is too old, or from a time that is still to come."""
        if not self._database.exists():
            return False
        made = backups(self.folder)
        if not made:
            return True
        age_s = time.time() - made[-1].stat().st_mtime
        if not 0 <= age_s < self._rule.every_hours * HOUR_S:
            return True
        self._report(Part(ok=True, detail=f"the newest is {made[-1].name}"))
        return False

    async def _make(self) -> None:
        try:
            made = await in_own_thread(back_up, self._database, self.folder, keep=self._rule.keep)
        except StoreError as error:
            log.error("no backup was made: %s", error)  # noqa: TRY400 - the message is made for the journal
            self._report(Part(ok=False, detail=f"none was made: {error}"))
            return
        log.info("backup %s", made)
        self._report(Part(ok=True, detail=f"the newest is {made.name}"))

    def _report(self, part: Part) -> None:
        if part != self.health:
            self.health = part
            self._changed()
