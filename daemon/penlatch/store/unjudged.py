"""Unjudged: bounds the rows of errors and retries a day, so that asking and cancelling cannot fill the disk.

Each way of asking has a bound of its own: a flood from the broker leaves room for those at the pad. Errors and retries
beyond the bound are counted in one row. Judgements are always stored. A day is counted on the boot-time clock, so that
setting the time of day gives nobody a second one.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from penlatch.store.audit import Kind

if TYPE_CHECKING:
    import sqlite3

    from penlatch.moment import Moment
    from penlatch.store.audit import Audit
    from penlatch.store.database import Database

DAY_S: Final = 86_400.0
"""Length of a window [s]."""
PER_DAY: Final = 2000
"""Rows of errors and retries that one way of asking stores in a window, unless told otherwise: 0.8 MB."""


class Unjudged:
    """The table `unjudged`: one window for each way of asking."""

    def __init__(self, database: Database, audit: Audit, *, per_day: int = PER_DAY) -> None:
        self._database = database
        self._audit = audit
        self._per_day = per_day

    def admit(self, connection: sqlite3.Connection, way: str, *, at: Moment, time: str) -> bool:
        """Count one error or retry, and return whether it may be stored.

        Args:
            connection: of this database, in a transaction.
            way: the way in which it was asked.
            at: the moment of the decision.
            time: the same by the time of day, RFC 3339.
        """
        self.turn(connection, at=at, time=time)
        row = connection.execute("SELECT stored FROM unjudged WHERE way = ?", (way,)).fetchone()
        stored = int(row["stored"]) if row else 0
        if stored >= self._per_day:
            connection.execute("UPDATE unjudged SET beyond = beyond + 1 WHERE way = ?", (way,))
            return False
        connection.execute(
            """INSERT INTO unjudged (way, kernel, since_s, since, stored, beyond) VALUES (?, ?, ?, ?, 1, 0)
            ON CONFLICT (way) DO UPDATE SET stored = stored + 1""",
            (way, at.kernel, at.s, time),
        )
        if stored + 1 == self._per_day:
            self._audit.append(connection, Kind.UNJUDGED, {"way": way, "stored": self._per_day})
        return True

    def turn(self, connection: sqlite3.Connection, *, at: Moment, time: str) -> None:
        """End the windows that are over, and write the count of those that went beyond their bound into the audit."""
        for row in connection.execute("SELECT * FROM unjudged").fetchall():
            if not _over(row, at, time):
                # The window of another start of the kernel goes on: from now on, this start counts its day.
                connection.execute(
                    "UPDATE unjudged SET kernel = ?, since_s = ? WHERE way = ? AND kernel != ?",
                    (at.kernel, at.s, row["way"], at.kernel),
                )
                continue
            connection.execute("DELETE FROM unjudged WHERE way = ?", (row["way"],))
            if row["beyond"]:
                body = {name: row[name] for name in ("way", "since", "stored", "beyond")}
                self._audit.append(connection, Kind.UNJUDGED, body)

    def beyond(self) -> int:
        """Return how many errors and retries of the running windows were counted and not stored.

        Raises:
            StoreError: if it cannot be read.
        """
        return int(self._database.rows("SELECT coalesce(sum(beyond), 0) FROM unjudged")[0][0])


def _over(row: sqlite3.Row, at: Moment, time: str) -> bool:
    """Tell whether a window is over: by the boot-time clock, or by the time of day if another kernel began it."""
    if row["kernel"] == at.kernel:
        return not 0 <= at.s - row["since_s"] < DAY_S
    try:
        gone_s = (datetime.fromisoformat(time) - datetime.fromisoformat(row["since"])).total_seconds()
    except (TypeError, ValueError):  # no time, or none that names its zone
        return True
    return not 0 <= gone_s < DAY_S
