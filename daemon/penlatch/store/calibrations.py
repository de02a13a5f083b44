"""Calibrations: what `penlatch calibrate --apply` found, sealed: nobody lowers the threshold without the key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from penlatch.decoding import UNREADABLE
from penlatch.errors import StoreError
from penlatch.messages import SiteCalibration
from penlatch.store.audit import Kind

if TYPE_CHECKING:
    import sqlite3

    from penlatch.store.audit import Audit
    from penlatch.store.database import Database
    from penlatch.store.vault import Vault


class Calibrations:
    """The table `calibrations`, which holds one row at most."""

    def __init__(self, database: Database, vault: Vault, audit: Audit) -> None:
        self._database = database
        self._audit = audit
        self._vault = vault

    def load(self) -> SiteCalibration | None:
        """Return what was kept last, None where nothing was.

        Raises:
            StoreError: if it does not open: it was altered, or sealed with another key.
        """
        rows = self._database.rows("SELECT version, time, sealed FROM calibrations")
        if not rows:
            return None
        version, time, sealed = rows[0]
        try:
            return msgspec.json.decode(self._vault.open(sealed, context=_context(version, time)), type=SiteCalibration)
        except (StoreError, *UNREADABLE) as error:
            raise StoreError(
                path=self._database.path,
                problem=f"the calibration of {time} cannot be used ({error})",
                remedy="penlatch calibrate --apply makes a new one",
            ) from error

    def keep(self, calibration: SiteCalibration) -> None:
        """Put a calibration in the place of the one before.

        Raises:
            StoreError: if it cannot be written.
        """
        sealed = self._vault.seal(
            msgspec.json.encode(calibration), context=_context(calibration.models, calibration.time)
        )
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO calibrations (only, version, time, sealed) VALUES (1, ?, ?, ?)",
                (calibration.models, calibration.time, sealed),
            )
            self._audit.append(connection, Kind.CALIBRATED, {"models": calibration.models, "time": calibration.time})


def reseal(connection: sqlite3.Connection, old: Vault, new: Vault) -> None:
    """Seal with another key what is sealed here, in the transaction that `connection` is in."""
    for version, time, sealed in connection.execute("SELECT version, time, sealed FROM calibrations").fetchall():
        context = _context(version, time)
        resealed = new.seal(old.open(sealed, context=context), context=context)
        connection.execute("UPDATE calibrations SET sealed = ?", (resealed,))


def _context(version: str, time: str) -> str:
    """Return what a calibration is bound to: the models it holds for, and when it was made."""
    return f"|calibration|{time}|{version}"
