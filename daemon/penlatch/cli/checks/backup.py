"""The backups: as the running daemon tells, else by a look whether the newest opens with today's key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from penlatch.cli.checks.finding import Finding
from penlatch.cli.todays_key import load_key
from penlatch.errors import StoreError
from penlatch.store import deputy, owners, shelf

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.config import Config
    from penlatch.messages import Health
    from penlatch.store.vault import Vault

MAKE_ONE = "make one: sudo penlatch store backup"


def kept(config: Config, health: Health | None) -> Finding | None:
    """Judge the backups. Returns None as long as there is no database, or if none are wanted."""
    database = config.store.path
    if health is not None:
        remedy = "see docs/operations.md, backup and restore"
        return Finding.told("backup", health.backup, remedy=remedy) if health.backup else None
    if not config.backup.enabled or not os.path.lexists(database):
        return None
    folder = config.backup.folder or database.parent / "backups"
    try:
        owner = owners.of_database(database)
        vault = load_key(config.store, owner)
        count, newest = deputy.run(owner, lambda: _look(folder, vault), tuple[int, str | None])
    except StoreError as error:
        return Finding.warn("backup", f"{error.path}: {error.problem}", remedy=error.remedy or MAKE_ONE)
    if newest is not None:
        return Finding.ok("backup", f"the newest is {newest}, made under today's key {vault.id}")
    if count:
        return Finding.fail("backup", f"none of {count} opens with today's key {vault.id}", remedy=MAKE_ONE)
    return Finding.warn("backup", f"there is none in {folder}", remedy=MAKE_ONE)


def _look(folder: Path, vault: Vault) -> tuple[int, str | None]:
    """Count the backups, and return the name of the newest that opens."""
    found = shelf.newest(folder, vault)
    return len(shelf.backups(folder)), found.name if found else None
