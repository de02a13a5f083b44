"""Pictures: the scanned references of people who have given none with a pen, sealed by the vault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penlatch.errors import RequestError, StoreError
from penlatch.messages import MOST_PICTURES
from penlatch.store import enrolments, naming
from penlatch.store.audit import Kind

if TYPE_CHECKING:
    import sqlite3

    from penlatch.store.audit import Audit
    from penlatch.store.database import Database
    from penlatch.store.vault import Vault

PICTURE_CONTEXT = 2
"""Version of what a sealed picture is bound to."""


class Pictures:
    """The table `pictures`. Nobody has both pictures and a template: references of a pen replace pictures."""

    def __init__(self, database: Database, vault: Vault, audit: Audit) -> None:
        self._database = database
        self._audit = audit
        self._vault = vault

    def count(self, name: str) -> int:
        """Return how many pictures a person has; 0 for nobody."""
        return int(self._database.rows("SELECT count(*) FROM pictures WHERE user = ?", (name,))[0][0])

    def add(self, name: str, picture: bytes, *, time: str) -> int:
        """Add a picture to those of a person, who is new or known by pictures alone; return how many there are now.

        Args:
            name: by which the person is asked for.
            picture: the raster that was found in the scan.
            time: RFC 3339 in UTC.

        Raises:
            RequestError: `already_enrolled` where the person gave references with a pen, and for a name that looks like
                that of somebody else; `bad_request` for an impossible name and for more than `MOST_PICTURES`.
            StoreError: if it cannot be written.
        """
        with self._database.transaction() as connection:
            naming.check(name, known=naming.enrolled(connection))
            if connection.execute("SELECT 1 FROM templates WHERE user = ?", (name,)).fetchone():
                problem = f"{name} gave references with a pen, which tell more than a picture"
                raise RequestError(code="already_enrolled", problem=problem)
            connection.execute(
                "INSERT INTO users (name, enrolled, changed, enrolment) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET changed = excluded.changed",
                (name, time, time, enrolments.new_id()),
            )
            enrolment = enrolments.of(connection, name)
            (position,) = connection.execute(
                "SELECT coalesce(max(position) + 1, 0) FROM pictures WHERE user = ?", (name,)
            ).fetchone()
            if position >= MOST_PICTURES:
                problem = f"{name} has {position} pictures, and there is room for no more"
                raise RequestError(code="bad_request", problem=problem)
            connection.execute(
                "INSERT INTO pictures (user, position, added, sealed) VALUES (?, ?, ?, ?)",
                (name, position, time, self._vault.seal(picture, context=_context(name, enrolment, position))),
            )
            now = enrolments.state(connection, name)
            self._audit.append(connection, Kind.PICTURE, {"user": name, "position": position, "state": now})
        return int(position) + 1

    def load(self, name: str) -> list[bytes]:
        """Return the pictures of a person in the order in which they came, opened.

        Raises:
            StoreError: if one does not open.
        """
        rows = self._database.rows(
            """SELECT enrolment, position, sealed FROM pictures JOIN users ON user = name
            WHERE user = ? ORDER BY position""",
            (name,),
        )
        try:
            return [
                self._vault.open(sealed, context=_context(name, enrolment, position))
                for enrolment, position, sealed in rows
            ]
        except StoreError as error:
            raise StoreError(
                path=self._database.path,
                problem=error.problem,
                remedy=f"restore a backup, or delete {name} and enrol {name} again",
            ) from error


def reseal(connection: sqlite3.Connection, old: Vault, new: Vault) -> None:
    """Seal with another key what is sealed here, in the transaction that `connection` is in."""
    for user, enrolment, position, sealed in _rows(connection):
        context = _context(user, enrolment, position)
        _update(connection, user, position, new.seal(old.open(sealed, context=context), context=context))


def bind(connection: sqlite3.Connection, vault: Vault) -> None:
    """Seal for their enrolments what an older release sealed for names alone."""
    for user, enrolment, position, sealed in _rows(connection):
        plain = vault.open(sealed, context=f"{user}|picture|{position}|1")
        _update(connection, user, position, vault.seal(plain, context=_context(user, enrolment, position)))


def _rows(connection: sqlite3.Connection) -> list[tuple[str, str, int, bytes]]:
    return connection.execute(
        "SELECT user, enrolment, position, sealed FROM pictures JOIN users ON user = name"
    ).fetchall()


def _update(connection: sqlite3.Connection, user: str, position: int, sealed: bytes) -> None:
    connection.execute("UPDATE pictures SET sealed = ? WHERE user = ? AND position = ?", (sealed, user, position))


def _context(name: str, enrolment: str, position: int) -> str:
    """Return what a picture is bound to: its person, their enrolment, its place and kind. A name holds no `|`."""
    return f"{name}|{enrolment}|picture|{position}|{PICTURE_CONTEXT}"
