"""Expiry: decisions that are older than `store.keep_days` go, with an entry in the audit that says which.

The order is that of their numbers, and the clock has to convince: a time of day alone takes nothing away. Decisions go
from the lowest number on, up to the first that is not certainly old, and never one that waits in the outbox. Their
entries in the audit stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penlatch.store import meta
from penlatch.store.audit import Kind

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from penlatch.store.audit import Audit
    from penlatch.store.database import Database

BATCH: Final = 500
"""Most decisions that go in one transaction, so that none takes long."""
LOOK_AHEAD: Final = 4 * BATCH
"""Most decisions that are looked at for it: one that tells an age may stand behind many that tell none."""
UNSET: Final = "2020"
"""A time before this year is that of a clock that was never set: it says nothing about an age."""


class Expiry:
    """Takes old decisions away. `now` must come from a clock that somebody keeps right."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    def first(self) -> int:
        """Return the number of the oldest decision that is still here; that of the next one while there is none.

        Raises:
            StoreError: if it cannot be read.
        """
        (lowest,) = self._database.rows("SELECT min(seq) FROM decisions")[0]
        return int(lowest) if lowest is not None else meta.number(self._database, "seq") + 1

    def expire(self, *, keep: timedelta, now: datetime) -> int:
        """Take at most `BATCH` decisions away that were made more than `keep` before `now`; return how many went.

        Raises:
            StoreError: if they cannot be read or taken away. None of them then went.
        """
        rows = self._database.rows(
            "SELECT seq, time FROM decisions WHERE seq < coalesce((SELECT min(seq) FROM outbox), seq + 1)"
            " ORDER BY seq LIMIT ?",
            (LOOK_AHEAD,),
        )
        decisions = [(int(row["seq"]), str(row["time"])) for row in rows]
        old = last_old(decisions, oldest=_text(now - keep), now=_text(now))
        if old is None:
            return 0
        first, last = decisions[0][0], min(old, decisions[:BATCH][-1][0])
        with self._database.transaction() as connection:
            count = connection.execute("DELETE FROM decisions WHERE seq BETWEEN ? AND ?", (first, last)).rowcount
            self._checkpoint(connection, {"first": first, "last": last, "count": count})
        return count

    def _checkpoint(self, connection: sqlite3.Connection, body: dict[str, int]) -> None:
        number = self._audit.append(connection, Kind.EXPIRED, body)
        meta.keep(connection, "expired", number)


def last_old(decisions: Iterable[tuple[int, str]], *, oldest: str, now: str) -> int | None:
    """Return the number of the last decision that is certainly old, None for none.

    Args:
        decisions: number and time, by number.
        oldest: time before which a decision is old.
        now: the time.

    One that was made between `oldest` and `now` ends the search, whatever follows. The time of a clock that was never
    set, or that was ahead of `now`, says nothing: such a decision is as old as an old one that follows it.
    """
    last = None
    for seq, time in decisions:
        if oldest <= time <= now:
            break
        if UNSET <= time < oldest:
            last = seq
    return last


def _text(moment: datetime) -> str:
    """Return a time as decisions carry it: such texts have the order of the times."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
