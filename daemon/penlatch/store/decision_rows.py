"""Decisions out of the table `decisions`, whose columns are the fields of `Decision`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import msgspec

from penlatch.messages import Decision
from penlatch.store.database import understood

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from pathlib import Path

    from penlatch.store.database import Database


_OF_THE_OUTBOX: Final = ("mac", "kernel", "made_s")
"""Columns that a decision in the outbox has besides."""


def decisions_of(rows: Iterable[sqlite3.Row | dict[str, Any]], *, path: Path) -> list[Decision]:
    """Turn rows into decisions, passing over other columns. SQLite keeps `done` as 0 or 1 and `reasons` as JSON.

    Raises:
        StoreError: naming the database at `path`, if one is none.
    """
    with understood(path):
        rows = list(rows)
        if any(isinstance(value, float) and not math.isfinite(value) for row in rows for value in dict(row).values()):
            raise ValueError("a decision with a number that is none")
        return [
            msgspec.convert(_fields(row) | {"reasons": msgspec.json.decode(row["reasons"])}, Decision, strict=False)
            for row in rows
        ]


def decisions_of_instance(database: Database, instance: str, first: int, last: int, *, limit: int) -> list[Decision]:
    """Return the first `limit` decisions of an instance from number `first` to `last`, in order.

    Raises:
        StoreError: if they cannot be read.
    """
    query = "SELECT * FROM decisions WHERE seq BETWEEN ? AND ? AND instance = ? ORDER BY seq LIMIT ?"
    return decisions_of(database.rows(query, (first, last, instance, limit)), path=database.path)


def _fields(row: sqlite3.Row | dict[str, Any]) -> dict[str, object]:
    return {name: value for name, value in dict(row).items() if name not in _OF_THE_OUTBOX}


def decisions_between(database: Database, first: int, last: int) -> list[Decision]:
    """Return the decisions with these numbers and all between them, in order.

    Raises:
        StoreError: if they cannot be read.
    """
    rows = database.rows("SELECT * FROM decisions WHERE seq BETWEEN ? AND ? ORDER BY seq", (first, last))
    return decisions_of(rows, path=database.path)
