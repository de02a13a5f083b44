"""Enrolments: the id of each, and what the audit says that a person has.

An enrolment id is random and part of what every reference, template and picture of it is sealed for. The audit entry
of each change of a person holds the id and a digest over what they have then.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final

import msgspec

from penlatch.decoding import UNREADABLE

if TYPE_CHECKING:
    import sqlite3

ID_BYTES: Final = 16
"""Length of an enrolment id, which is kept in hexadecimal."""

_MOST_NAMED: Final = 3
"""People who are named in one error, at most."""

_ROWS: Final = (
    "SELECT name, enrolment, enrolled, changed FROM users WHERE name = ?",
    'SELECT position, added, origin, sealed FROM "references" WHERE user = ? ORDER BY position',
    "SELECT version, sealed FROM templates WHERE user = ?",
    "SELECT position, added, sealed FROM pictures WHERE user = ? ORDER BY position",
)

_TOLD: Final = """SELECT number, kind, body FROM audit WHERE kind IN
    ('enrolled', 'references', 'template', 'picture', 'deleted', 'restored', 'key_rotated', 'bound')
    ORDER BY number DESC"""


class State(msgspec.Struct, frozen=True):
    """A person as an entry of the audit says they are."""

    enrolment: str
    """Id of the enrolment."""
    sha256: str
    """Digest over their rows, in hexadecimal."""


class _Told(msgspec.Struct, frozen=True):
    """The part of an entry that is about people."""

    user: str | None = None
    state: State | None = None
    people: dict[str, State] | None = None
    """Everybody there is."""
    forgotten: tuple[str, ...] = ()


def new_id() -> str:
    """Return the id of a new enrolment."""
    return secrets.token_hex(ID_BYTES)


def of(connection: sqlite3.Connection, name: str) -> str:
    """Return the id of the enrolment of a person, empty for nobody."""
    row = connection.execute("SELECT enrolment FROM users WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else ""


def state(connection: sqlite3.Connection, name: str) -> State:
    """Return a person as they are in the tables."""
    digest = hashlib.sha256()
    for sql in _ROWS:
        for row in connection.execute(sql, (name,)):
            values = [hashlib.sha256(v).hexdigest() if isinstance(v, bytes) else v for v in row]
            digest.update(msgspec.json.encode(values) + b"\n")
        digest.update(b"\n")
    return State(enrolment=of(connection, name), sha256=digest.hexdigest())


def everybody(connection: sqlite3.Connection) -> dict[str, State]:
    """Return all people as they are in the tables."""
    names = [str(name) for (name,) in connection.execute("SELECT name FROM users ORDER BY name").fetchall()]
    return {name: state(connection, name) for name in names}


def known(connection: sqlite3.Connection) -> frozenset[str]:
    """Return everybody who is enrolled by the audit of a bound database, whatever its tables say. Check it first."""
    return frozenset(name for name, (_, each) in _told(connection).items() if each is not None)


def differences(connection: sqlite3.Connection) -> str:
    """Say who is not as the last entry of the audit about them says; empty where everybody is. Reads all that it must.

    It is asked only after a difference was found by the ledger.
    """
    here, told = everybody(connection), _told(connection)
    found = []
    for name in sorted(here.keys() | told.keys()):
        number, wanted = told.get(name, (0, None))
        there = here.get(name)
        if there is None and wanted is not None:
            found.append(f"{name} is missing, see audit entry {number}")
        elif there is not None and wanted is None:
            found.append(f"{name} was deleted in audit entry {number}" if number else f"{name} was never enrolled")
        elif there is not None and wanted is not None and there != wanted:
            other = "rows of another enrolment" if there.enrolment != wanted.enrolment else "altered data"
            found.append(f"{name} has {other}, see audit entry {number}")
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return "; ".join(found[:_MOST_NAMED]) + more


def _told(connection: sqlite3.Connection) -> dict[str, tuple[int, State | None]]:
    """Return, by name, the last entry about each person and what it says they are; None: deleted."""
    told: dict[str, tuple[int, State | None]] = {}
    for number, _, body in connection.execute(_TOLD):
        try:
            entry = msgspec.json.decode(body, type=_Told)
        except UNREADABLE:
            continue
        if entry.user is not None:
            told.setdefault(entry.user, (int(number), entry.state))
        for name in entry.forgotten:
            told.setdefault(name, (int(number), None))
        if entry.people is not None:
            for name, each in entry.people.items():
                told.setdefault(name, (int(number), each))
            break
    return told
