"""Ledger: a keyed sum over every row that is not in the audit, bound to the end of the audit.

Theory of operation. Each row has an HMAC; the rows of a table have the sum of theirs, modulo 2^256 (the keyed multiset
hash MSet-Add of Clarke et al., ASIACRYPT 2003). Temporary triggers, which live in this connection and never in the
file, keep the sums while rows come and go: whoever writes a row needs not know of it, and a new table needs no code.
Each transaction that changes a sum, or appends to the audit, writes one tag for each table: an HMAC over its sum and
the last entry of the audit. Rows that are put back, taken out, added or moved without the key fit no tag; tags that
are put back with them fit no longer audit; a shorter audit does not contain the head that is kept beside the database.

At the start every row is counted once. Later only where another process wrote (PRAGMA data_version): before anything is
read or written then, rows, schema and audit must be those that this process knows.
"""

from __future__ import annotations

import hmac
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from penlatch.decoding import UNREADABLE
from penlatch.errors import StoreError
from penlatch.store.database import check_pages, check_shape, damaged

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from penlatch.store.database import Database

NOT_COUNTED: Final = frozenset({"audit", "decisions", "signature_marks", "_sqlite_migrations"})
"""Tables that are not counted. The chain guards `audit` and `decisions`, `shape` guards the migrations. Millions of
`signature_marks` would make every start slow; who takes some out makes old recordings of deleted people new."""

ROW: Final = "ledger"
"""Name of the tags in `meta`: the one row that is not counted."""

COLUMNS_ROW: Final = "ledger-columns"
"""Name in `meta` of the columns that are counted, by table; those of `decisions` are what `outbox.mac` covers."""

_MODULUS: Final = 1 << 256
_HEAD_BYTES: Final = 13
"""Length of the format and the nonce at the beginning of everything that the vault seals."""
_TAG_BYTES: Final = 16
"""Length of the GCM tag at its end. Nonce and tag stand for all of it: other bytes between them do not open."""

_REMEDY: Final = "keep a copy as evidence, then `penlatch store restore` the newest backup"

_encode = msgspec.json.Encoder().encode

Columns = dict[str, tuple[str, ...]]
"""Names of columns by table."""


class Tags(msgspec.Struct, frozen=True):
    """The value of `ROW`, as JSON."""

    number: int
    """Number of the audit entry that they are bound to, 0 before the first."""
    tables: dict[str, str]
    """HMAC of each table, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class _State:
    """All that a rolled-back transaction must not change."""

    columns: Columns = field(default_factory=dict)
    bound: bool = False
    """False until the tags of this database were written for the first time."""
    head: tuple[int, bytes] = (0, b"")
    """Number and HMAC of the last audit entry."""


class Ledger:
    """The sums of one open database.

    `Database.transaction` calls `begin`, then `finish`, and `undo` after a fault; every other read calls `look`.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._key = hmac.digest(key, b"penlatch ledger", "sha256")
        self._state = self._saved = _State()
        self._sums: dict[str, int] = {}
        self._saved_sums: dict[str, int] = {}
        self._version = 0
        self.outdated = False
        """True where a later release added tables or columns that are not counted yet."""
        self.look_at_audit: Callable[[], object] = lambda: None
        """Called when another process wrote to the file; raises where the audit is not as it was."""

    @classmethod
    def open(cls, database: Database, key: bytes, *, problem: Callable[[sqlite3.Connection], str]) -> Ledger:
        """Count the rows of a database, compare them with its tags, and follow every change from here on.

        Args:
            database: just opened.
            key: of the audit.
            problem: finds out about whom a difference is, for people; empty where it cannot.

        Raises:
            StoreError: if rows are not as penlatch left them.
        """
        ledger = cls(database.path, key)
        with database.snapshot() as connection:
            ledger._version = _version(connection)
            ledger._check(connection, problem)
        database.follow(ledger)
        return ledger

    @property
    def bound(self) -> bool:
        """Whether this database has tags. One of an older release has none."""
        return self._state.bound

    def mac(self, row: Mapping[str, Any] | sqlite3.Row) -> bytes:
        """Return the HMAC of a decision that waits, over the columns of its row in `decisions` that are known."""
        columns = self._state.columns["decisions"]
        return hmac.digest(self._key, _encoded("decision", columns, [row[name] for name in columns]), "sha256")

    # -- what the database calls ---------------------------------------------------------------------------------

    def watch(self, connection: sqlite3.Connection) -> None:
        """Have every change of a counted row told, through triggers that no other connection has."""
        connection.create_function("penlatch_count", -1, self._count)
        for table, columns in _columns(connection).items():
            if table in NOT_COUNTED:
                continue
            old, new = (", ".join(f'{row}."{column}"' for column in columns) for row in ("old", "new"))
            gone, come = f"SELECT penlatch_count('{table}', -1, {old});", f"SELECT penlatch_count('{table}', 1, {new});"
            for event, steps in (("INSERT", come), ("DELETE", gone), ("UPDATE", gone + come)):
                row = "old" if event == "DELETE" else "new"
                when = f"WHEN {row}.name <> '{ROW}'" if table == "meta" else ""
                connection.execute(
                    f'CREATE TEMP TRIGGER "count_{table}_{event}" AFTER {event} ON main."{table}" {when}'
                    f" BEGIN {steps} END"
                )

    def begin(self, connection: sqlite3.Connection) -> None:
        """Take note of how things are, in a transaction that just began.

        Raises:
            StoreError: if another process changed anything since.
        """
        self._saved, self._saved_sums = self._state, dict(self._sums)
        self.look(connection)

    def look(self, connection: sqlite3.Connection) -> None:
        """Compare what a transaction sees, which just began, with what this process knows.

        Raises:
            StoreError: if another process changed anything since.
        """
        version = _version(connection)
        if self.bound and version != self._version:
            self._compare(connection)
        self._version = version

    def finish(self, connection: sqlite3.Connection) -> None:
        """Write the tags, if the transaction changed what they are about."""
        if not self.bound:
            return
        head = _head(connection)
        if head == self._state.head and self._sums == self._saved_sums and self._saved.bound:
            return
        self._state = replace(self._state, head=head)
        tags = Tags(number=head[0], tables={table: self._tag(table) for table in self._sums})
        connection.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (ROW, msgspec.json.encode(tags)),
        )

    def undo(self) -> None:
        """Forget a transaction that was rolled back."""
        self._state, self._sums = self._saved, self._saved_sums

    def bind(self, connection: sqlite3.Connection) -> None:
        """Count every row anew, with the tables and columns of now, in the transaction that `connection` is in."""
        columns = _columns(connection)
        connection.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (COLUMNS_ROW, msgspec.json.encode(columns)),
        )
        self._state = replace(self._state, columns=columns, bound=True, head=(-1, b""))
        self._sums = self._totals(connection, columns)
        self.outdated = False

    # -- what the rows say ---------------------------------------------------------------------------------------

    def _check(self, connection: sqlite3.Connection, problem: Callable[[sqlite3.Connection], str]) -> None:
        kept = _value(connection, ROW)
        if kept is None:
            return
        try:
            tags = msgspec.json.decode(kept, type=Tags)
            known = msgspec.json.decode(_value(connection, COLUMNS_ROW) or b"", type=Columns)
        except UNREADABLE as error:
            raise damaged(self._path, f"its ledger is none: {error}") from error
        present = _columns(connection)
        counted = known.keys() - NOT_COUNTED
        # The row of the columns is itself counted in `meta`, whose columns never change.
        if known.get("meta") != present["meta"] or "decisions" not in known or tags.tables.keys() != counted:
            raise damaged(self._path, "its ledger is of other tables")
        if any(not set(columns) <= set(present.get(table, ())) for table, columns in known.items()):
            raise damaged(self._path, "its ledger is of other tables")
        self._state = _State(columns=known, bound=True, head=_head(connection))
        self._sums = self._totals(connection, known)
        self.outdated = known != present
        if tags.number != self._state.head[0]:
            raise self._differs(
                f"its rows are those of audit entry {tags.number}, and its audit has come to {self._state.head[0]}",
                problem(connection),
            )
        wrong = [t for t in self._sums if not hmac.compare_digest(self._tag(t), tags.tables[t])]
        if wrong:
            raise self._differs(f"rows of {', '.join(wrong)} are not as penlatch left them", problem(connection))

    def _compare(self, connection: sqlite3.Connection) -> None:
        """Compare what is there now with what this process knows."""
        check_shape(connection, self._path)
        check_pages(connection, self._path)
        sums = self._totals(connection, self._state.columns)
        wrong = [table for table, value in sums.items() if value != self._sums[table]]
        tags = _value(connection, ROW)
        if wrong:
            raise self._differs(f"rows of {', '.join(wrong)} were changed while it was in use", "")
        if _head(connection) != self._state.head or tags is None:
            raise self._differs("its audit was changed while it was in use", "")
        self.look_at_audit()

    def _differs(self, problem: str, about: str) -> StoreError:
        detail = f" ({about})" if about else ""
        return StoreError(
            path=self._path, problem=f"it is damaged, or somebody wrote to it: {problem}{detail}", remedy=_REMEDY
        )

    def _totals(self, connection: sqlite3.Connection, columns: Columns) -> dict[str, int]:
        sums = {}
        for table, names in columns.items():
            if table in NOT_COUNTED:
                continue
            listed = ", ".join(f'"{name}"' for name in names)
            where = f"WHERE name <> '{ROW}'" if table == "meta" else ""
            total = 0
            # NOT INDEXED: an index that was tampered with hides no row.
            rows = connection.execute(f'SELECT {listed} FROM main."{table}" NOT INDEXED {where}')  # noqa: S608 - names of penlatch's own tables, see `shape`
            for row in rows:
                total += self._row(table, names, tuple(row))
            sums[table] = total % _MODULUS
        return sums

    def _count(self, table: str, sign: int, *values: object) -> None:
        if self.bound:
            added = sign * self._row(table, self._state.columns[table], values)
            self._sums[table] = (self._sums[table] + added) % _MODULUS

    def _row(self, table: str, columns: Sequence[str], values: Sequence[object]) -> int:
        return int.from_bytes(hmac.digest(self._key, _encoded(table, columns, values), "sha256"), "big")

    def _tag(self, table: str) -> str:
        number, mac = self._state.head
        about = [table, self._state.columns[table], number, mac.hex(), hex(self._sums[table])]
        return hmac.digest(self._key, b"tag" + msgspec.json.encode(about), "sha256").hex()


def _encoded(table: str, columns: Sequence[str], values: Sequence[object]) -> bytes:
    """Return a row as bytes that no other row has. JSON tells numbers, texts and, as lists, bytes apart."""
    row: list[object] = [table, *values]
    for place, value in enumerate(values):
        if isinstance(value, bytes):
            row[place + 1] = _sealed(value) if columns[place] == "sealed" else [value.hex()]
        elif isinstance(value, float) and not math.isfinite(value):
            row[place + 1] = [str(value), None]  # JSON would write null
    return _encode(row)


def _sealed(value: bytes) -> list[object]:
    """Return what stands for a sealed value."""
    return [value[:_HEAD_BYTES].hex(), value[-_TAG_BYTES:].hex(), len(value)]


def _columns(connection: sqlite3.Connection) -> Columns:
    """Return the columns of every table that penlatch made, in alphabetical order of the tables."""
    tables = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('audit', '_sqlite_migrations') ORDER BY 1"
    ).fetchall()
    return {
        str(table): tuple(str(row[1]) for row in connection.execute(f'PRAGMA table_info("{table}")'))
        for (table,) in tables
    }


def _head(connection: sqlite3.Connection) -> tuple[int, bytes]:
    last = connection.execute("SELECT number, mac FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    return (int(last[0]), bytes(last[1])) if last else (0, b"")


def _value(connection: sqlite3.Connection, name: str) -> bytes | None:
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0] if isinstance(row[0], bytes) else b""


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])
