"""Binding: the first start of a database of an older release binds its rows to its audit, once and never again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penlatch.store import audit as audits
from penlatch.store import enrolments, people, pictures
from penlatch.store.audit import Kind

if TYPE_CHECKING:
    import sqlite3

    from penlatch.store.audit import Audit
    from penlatch.store.database import Database
    from penlatch.store.ledger import Ledger
    from penlatch.store.vault import Vault

CHECKED_AT_ONCE = 5000
"""Entries of the audit that are checked in one piece, so that a long one needs no more memory than a short one."""


def bind(database: Database, vault: Vault, audit: Audit) -> None:
    """Bind what is in the tables to the audit, where a database of an older release, or a new one, has not been bound.

    Everything sealed for a person is sealed anew for their enrolment, in one transaction with the entry that says so.
    A database that was bound before is counted anew where a later release added tables or columns.

    Raises:
        StoreError: if something sealed does not open, the audit is broken, or it says that it was bound before.
    """
    ledger = audit.ledger
    if ledger.bound and not ledger.outdated:
        return
    fresh = not ledger.bound
    if fresh:
        _refuse_unbound(database, audit)
    with database.transaction() as connection:
        waiting = _waiting(connection, ledger) if ledger.bound else None
        ledger.bind(connection)
        if fresh:
            people.bind(connection, vault)
            pictures.bind(connection, vault)
            audits.bind(connection, vault)
            if there := enrolments.everybody(connection):
                audit.append(connection, Kind.BOUND, {"people": there})
        _seal_outbox(connection, ledger, waiting)


def _refuse_unbound(database: Database, audit: Audit) -> None:
    """Refuse a database whose ledger was taken out to make it look like one of an older release."""
    number = -1
    after = 0
    while number != after:
        after = max(number, 0)
        number = audit.check(after=after, limit=CHECKED_AT_ONCE)
    marked = (
        """SELECT 1 FROM audit WHERE kind = 'bound' OR kind = 'started' AND json_extract(body, '$.bound') LIMIT 1"""
    )
    if database.rows(marked):
        raise audit.unbound()


def _waiting(connection: sqlite3.Connection, ledger: Ledger) -> set[int]:
    """Return which decisions wait as they were made, by the columns that were known when they were."""
    rows = connection.execute("SELECT decisions.*, outbox.mac AS mac FROM outbox JOIN decisions USING (seq)")
    return {row["seq"] for row in rows if ledger.mac(row) == row["mac"]}


def _seal_outbox(connection: sqlite3.Connection, ledger: Ledger, good: set[int] | None) -> None:
    """Give each decision that waits its MAC, over the columns of now; only those that are `good`, None for all."""
    rows = connection.execute("SELECT decisions.* FROM outbox JOIN decisions USING (seq)").fetchall()
    macs = [(ledger.mac(row), row["seq"]) for row in rows if good is None or row["seq"] in good]
    connection.executemany("UPDATE outbox SET mac = ? WHERE seq = ?", macs)
