"""A database that is one to SQLite, with one value in it that penlatch never wrote.

The first bytes say which value, in which row, and of which kind; the rest is what is put there. SQLite's own checks of
values are switched off first, as whoever alters the file would.

Half of the rows are altered without the key, and the ledger finds them. The others are altered as by somebody who has
it: the ledger takes them, and whatever reads them must cope.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from fuzzlib.target import Target
from fuzzlib.targets.database import ask, made, new_folder
from penlatch.errors import RequestError, StoreError
from penlatch.store.audit import Audit
from penlatch.store.database import Database
from penlatch.store.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HEAD = 3
"""Bytes that say where."""
_KINDS = 4
_WITHOUT_KEY = 0x80
"""Bit of the third byte: altered by somebody who has no key."""
_ROWS = 9
"""So many of each table are altered: `meta` has no more."""


class _Place(NamedTuple):
    table: str
    column: str
    key: str
    """Columns by which a row is known."""


@cache
def _places() -> list[_Place]:
    """Return every column of every table."""
    path = new_folder() / "look.db"
    path.write_bytes(made())
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        places = []
        for table in tables:
            columns = connection.execute(f'PRAGMA table_info("{table}")').fetchall()
            key = ", ".join(f'"{column[1]}"' for column in columns if column[5])
            places += [_Place(table, column[1], key) for column in columns if key]
    return places


def _value(kind: int, rest: bytes) -> bytes | int | float | None:
    match kind % _KINDS:
        case 0 | 1:
            return rest
        case 2:
            return int.from_bytes(rest[:8], "little", signed=True) if rest else None
        case _:
            return 0.5 * int.from_bytes(rest[:4], "little", signed=True)


def _feed(data: bytes) -> None:
    if len(data) < _HEAD:
        raise _NothingError
    table, column, key = _places()[data[0] % len(_places())]
    path = new_folder() / "penlatch.db"
    path.write_bytes(made())
    with _without_key(path) if data[2] & _WITHOUT_KEY else _with_key(path) as connection:
        # Cast, it may be text that is none, which Python cannot hand over.
        new = "CAST(? AS TEXT)" if data[2] % _KINDS == 0 else "?"
        row = f'({key}) = (SELECT {key} FROM "{table}" LIMIT 1 OFFSET {data[1] % _ROWS})'  # noqa: S608 - names are ours
        try:
            connection.execute(
                f'UPDATE "{table}" SET "{column}" = {new} WHERE {row}',  # noqa: S608 - the same
                (_value(data[2], data[_HEAD:]),),
            )
        except sqlite3.IntegrityError:
            raise _NothingError from None
    ask(path)


@contextmanager
def _without_key(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        yield connection


@contextmanager
def _with_key(path: Path) -> Iterator[sqlite3.Connection]:
    """Change a database whose ledger follows. Foreign keys are checked, since what they take with them is counted."""
    database = Database.open(path)
    try:
        Audit.open(database, Vault(bytes(32)))
        database.rows("PRAGMA ignore_check_constraints = ON")
        with database.transaction() as connection:
            yield connection
    finally:
        database.close()


class _NothingError(Exception):
    """Nothing was changed."""


def _seeds() -> list[bytes]:
    values = ((0, b"{}"), (1, b"a"), (2, b"\1"), (2, b""), (3, b"\1"))
    return [
        bytes([number, row, kind | who]) + rest
        for number, place in enumerate(_places())
        for row in range(_ROWS if place.table == "meta" else 1)
        for kind, rest in values
        for who in (0, _WITHOUT_KEY)
    ]


TARGET = Target(
    "a value in the database",
    _feed,
    _seeds,
    (StoreError, RequestError, _NothingError),
    words=(b"{}", b"[]", b"null", b"match", b"2025-03-01T08:00:00.000Z", b"ada"),
    slow=True,
)
