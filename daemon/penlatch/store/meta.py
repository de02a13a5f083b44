"""The table `meta`: single values by name, of which the table itself does not say what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from penlatch.messages import Instance
from penlatch.store.database import damaged

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from penlatch.store.database import Database


def number(database: Database, name: str) -> int:
    """Return a number.

    Raises:
        StoreError: if it cannot be read, is not there, or is no number.
    """
    return _whole(database.rows("SELECT value FROM meta WHERE name = ?", (name,)), name, database.path)


def tally(database: Database, name: str) -> int:
    """Return a number that is kept only once there is one; 0 before that.

    Raises:
        StoreError: if it cannot be read, or is no number.
    """
    rows = database.rows("SELECT value FROM meta WHERE name = ?", (name,))
    return _whole(rows, name, database.path) if rows else 0


def keep(connection: sqlite3.Connection, name: str, value: int) -> None:
    """Keep such a number, in the transaction that `connection` is in."""
    connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
    )


def count(connection: sqlite3.Connection, name: str, *, path: Path) -> int:
    """Add one to a number, in the transaction that `connection` is in, and return what it is then.

    Raises:
        StoreError: if it is not there, or is no number: SQLite would begin at 1 again.
    """
    statement = "UPDATE meta SET value = value + 1 WHERE name = ? AND typeof(value) = 'integer' RETURNING value"
    return _whole(connection.execute(statement, (name,)).fetchall(), name, path)


def instance(database: Database) -> str:
    """Return the random name of this life of the database.

    Raises:
        StoreError: if it cannot be read, or is no such name.
    """
    rows = database.rows("SELECT value FROM meta WHERE name = 'instance'")
    try:
        return msgspec.convert(rows[0][0], Instance)
    except (IndexError, msgspec.ValidationError) as error:
        raise damaged(database.path, "its instance is lost") from error


def sealed(database: Database, name: str) -> bytes | None:
    """Return what the vault made of something, None where there is nothing of this name.

    Raises:
        StoreError: if it cannot be read, or is nothing that the vault makes.
    """
    rows = database.rows("SELECT value FROM meta WHERE name = ?", (name,))
    if not rows:
        return None
    if not isinstance(rows[0][0], bytes):
        raise damaged(database.path, f"its {name} is none")
    return rows[0][0]


def _whole(rows: list[sqlite3.Row], name: str, path: Path) -> int:
    if not rows or not isinstance(rows[0][0], int):
        raise damaged(path, f"its number of {name} is lost")
    return rows[0][0]
