"""Backups while the daemon runs: one when the newest is too old, in a thread of its own, and how that went."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING, Final

from penlatch.bounded import in_own_thread
from penlatch.errors import StoreError
from penlatch.messages import Part
from penlatch.store import shelf
from penlatch.store.backup import back_up
from penlatch.store.vault import Vault

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
        self._key_file = config.store.key_file
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
            if (told := await in_own_thread(self._keep_up)) is not None:
                self._report(told)
            await asyncio.sleep(LOOK_S)

    def _clear(self) -> None:
        """Remove the drafts that a stop in mid-copy left behind."""
        with contextlib.suppress(OSError):
            for draft in self.folder.glob("penlatch-*.draft"):
                if time.time() - draft.lstat().st_mtime > DRAFT_S:
                    draft.unlink(missing_ok=True)

    def _keep_up(self) -> Part | None:
        """Make a backup if one is due. Runs on a thread of its own.

        Returns:
            How backups are; None as long as there is no database.
        """
        if not os.path.lexists(self._database):
            return None
        try:
            vault = self._vault()
        except StoreError as error:
            return self._without_key(str(error))
        if shelf.sealed_otherwise(self._database, vault):
            return self._without_key(f"the database was sealed with another key than today's, {vault.id}")
        try:
            if (newest := self._recent(vault)) is None:
                newest = back_up(self._database, self.folder, keep=self._rule.keep, vault=vault)
                log.info("backup %s", newest)
        except StoreError as error:
            log.error("no backup was made: %s", error)  # noqa: TRY400 - the message is made for the journal
            return Part(ok=False, detail=f"none was made: {error}")
        return Part(ok=True, detail=f"the newest is {newest.name}, made under today's key {vault.id}")

    def _without_key(self, problem: str) -> Part:
        """Return how backups are while today's key does not open the database, which `health.store` reports."""
        if shelf.backups(self.folder):
            return Part(ok=False, detail=f"none opens with today's key, and none was made: {problem}")
        return Part(ok=True, detail=f"none yet, and none is made: {problem}")

    def _vault(self) -> Vault:
        """Return today's key: the one that opens the database.

        Raises:
            StoreError: if it cannot be read.
        """
        vault = self._load()
        if shelf.opens_live(self._database, vault):
            return vault
        # A change of the key that was interrupted may have left it under its second name.
        successor = vault.successor()
        if successor is not None and shelf.opens_live(self._database, successor):
            return successor
        # Or the store has just put it in its place.
        return self._load()

    def _load(self) -> Vault:
        return Vault.load(database=self._database, key_file=self._key_file, make=False)

    def _recent(self, vault: Vault) -> Path | None:
        """Return the newest that opens with the key, None if it is too old or from a time that is still to come."""
        found = shelf.newest(self.folder, vault)
        if found is None:
            return None
        try:
            age_s = time.time() - found.stat().st_mtime
        except OSError:  # an operator has just removed it
            return None
        return found if 0 <= age_s < self._rule.every_hours * HOUR_S else None

    def _report(self, part: Part) -> None:
        if part != self.health:
            self.health = part
            self._changed()
