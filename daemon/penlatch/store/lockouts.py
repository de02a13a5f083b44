"""Lockouts: the table of failures, one row a person and one for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from penlatch.decoding import UNREADABLE
from penlatch.errors import StoreError
from penlatch.messages import Failures, Row, Stamp, Way

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from penlatch.store.database import Database


def keep(connection: sqlite3.Connection, failures: Mapping[str, Failures], *, time: str) -> None:
    """Replace the failures of some, in the transaction that `connection` is in.

    Args:
        connection: of the database, in a transaction.
        failures: by subject: a person, or empty for the terminal.
        time: RFC 3339 in UTC; written where a subject has no failure in a row.
    """
    connection.executemany(
        "INSERT OR REPLACE INTO lockouts (subject, count, last, state) VALUES (?, ?, ?, ?)",
        [
            (subject, longest.count, longest.last.time, msgspec.json.encode(failed).decode())
            for subject, failed in failures.items()
            for longest in [max(failed.ways.values(), key=lambda row: row.count, default=_none(time))]
        ],
    )


def load(database: Database) -> dict[str, Failures]:
    """Return the failures of everybody, by subject.

    Raises:
        StoreError: if they cannot be read.
    """
    rows = database.rows("SELECT subject, count, last, state FROM lockouts")
    try:
        found = {
            str(subject): msgspec.json.decode(state, type=Failures) if state else _of_before(subject, count, last)
            for subject, count, last, state in rows
        }
    except UNREADABLE as error:
        problem = f"the failures of somebody cannot be read: {error}"
        raise StoreError(path=database.path, problem=problem, remedy="restore a backup") from error
    return {subject: failures for subject, failures in found.items() if failures != Failures()}


def _of_before(subject: str, count: int, last: str) -> Failures:
    """Return a row of an earlier release, which knew no ways: it holds for all of them."""
    if not count:
        return Failures()
    row = Row(count=count, last=Stamp(time=last))
    return Failures(ways=dict.fromkeys(Way if subject else [Way.IDENTIFY], row))


def _none(time: str) -> Row:
    return Row(count=0, last=Stamp(time=time))
