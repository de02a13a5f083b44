"""Shape: the schema of the file is exactly what the migrations make, or nothing is read from it.

A trigger, a view, a generated column or a changed default would run in penlatch's own transactions. Everything in
`sqlite_schema` is therefore compared with a database in memory that the same migrations made.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final, NoReturn, cast

from penlatch.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from sqlite_utils import Database

BOOKKEEPING: Final = "_sqlite_migrations"
"""Name of the table in which sqlite-utils notes the migrations that it ran."""

_BOOKKEEPING_TABLE: Final = re.compile(
    rf'CREATE TABLE ["\[]?{BOOKKEEPING}["\]]? \(((\s|\w|[",\[\]])|PRIMARY KEY( \([\w",\s\[\]]+\))?)*\)( STRICT)?'
)
_BOOKKEEPING_INDEX: Final = re.compile(
    rf'CREATE UNIQUE INDEX ["\[]\w+["\]] ON ["\[]{BOOKKEEPING}["\]] \([\w",\s\[\]]+\)'
)
_NEVER: Final = re.compile(r"\b(AS|CHECK|COLLATE|DEFAULT|GENERATED|REFERENCES)\b", re.IGNORECASE)
"""Words that no bookkeeping of sqlite-utils holds."""
_LONGEST_NAME: Final = 60
"""Length to which a foreign name is cut in an error [characters]."""

_ADDED: Final = "take a copy as evidence, then restore a backup; tables of your own belong into a file of their own"
_CHANGED: Final = "restore it from a backup; penlatch leaves the file as it is"


def check(connection: sqlite3.Connection, migrations: Iterable[Callable[[Database], None]], *, path: Path) -> None:
    """Refuse a schema that is not exactly what `migrations` make, beside the bookkeeping of sqlite-utils.

    Raises:
        StoreError: naming the first thing that was added, taken out or changed.
    """
    wanted, found = _expected(migrations), _schema(connection)
    for (kind, name), sql in found.items():
        if (kind, name) not in wanted and not _is_bookkeeping(kind, name, sql):
            _refuse(path, f"somebody added the {kind} {ascii(name)[:_LONGEST_NAME]} to it", _ADDED)
    for (kind, name), sql in wanted.items():
        if (kind, name) not in found:
            _refuse(path, f"it is damaged (its {kind} {name} is missing)", _CHANGED)
        if found[kind, name] != sql:
            _refuse(path, f"it is damaged (its {kind} {name} is not as penlatch made it)", _CHANGED)


def _expected(migrations: Iterable[Callable[[Database], None]]) -> Mapping[tuple[str, str], str]:
    """Return what the migrations make of an empty database."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for migration in migrations:
            # They use `execute` alone, which sqlite3 has, too: importing sqlite-utils would take 70 ms.
            migration(cast("Database", connection))
        return _schema(connection)


def _schema(connection: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """Return the statement behind each table, index, view and trigger, with its blanks made even."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
    return {(str(kind), str(name)): f"{table}: {_even(sql)}" for kind, name, table, sql in rows}


def _even(sql: object) -> str:
    return " ".join(str(sql or "").split())


def _is_bookkeeping(kind: str, name: str, sql: str) -> bool:
    """Tell whether this belongs to the table of sqlite-utils, and holds no expression."""
    table, _, statement = sql.partition(": ")
    if table != BOOKKEEPING or _NEVER.search(statement):
        return False
    if kind == "table":
        return name == BOOKKEEPING and _BOOKKEEPING_TABLE.fullmatch(statement) is not None
    return kind == "index" and (not statement or _BOOKKEEPING_INDEX.fullmatch(statement) is not None)


def _refuse(path: Path, problem: str, remedy: str) -> NoReturn:
    raise StoreError(path=path, problem=problem, remedy=remedy)
