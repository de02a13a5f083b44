"""People: who is enrolled, their references and their template, the last two sealed by the vault."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from penlatch.errors import RequestError, StoreError
from penlatch.messages import User, UserName

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from penlatch.store.database import Database
    from penlatch.store.vault import Vault

REFERENCE_CONTEXT = 1
"""Version of what a sealed reference is bound to."""


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """A template as it was stored, opened."""

    version: str
    """Which models made it."""
    data: bytes = field(repr=False)
    """What `Template.to_bytes` gave."""


class People:
    """The tables `users`, `references` and `templates`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def users(self) -> list[User]:
        """Return everybody, by name."""
        rows = self._database.rows(
            """SELECT name, enrolled, version AS template_version,
                (SELECT count(*) FROM "references" WHERE user = name) AS "references"
            FROM users JOIN templates ON user = name ORDER BY name"""
        )
        return [msgspec.convert(dict(row), User) for row in rows]

    def enroll(
        self, name: str, *, references: Sequence[bytes], template: bytes, template_version: str, time: str
    ) -> None:
        """Add a person with all that belongs to them, in one transaction.

        Args:
            name: by which the person is asked for.
            references: each as `Trace.to_bytes` gave it.
            template: as `Template.to_bytes` gave it.
            template_version: which models made the template.
            time: RFC 3339 in UTC.

        Raises:
            RequestError: `already_enrolled`, or `bad_request` for an impossible name.
            StoreError: if it cannot be written.
        """
        try:
            msgspec.convert(name, UserName)
        except msgspec.ValidationError as error:
            raise RequestError(code="bad_request", problem=f"{name!r} cannot be the name of a person") from error
        with self._database.transaction() as connection:
            if connection.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone():
                raise RequestError(code="already_enrolled", problem=f"{name} is enrolled already")
            connection.execute("INSERT INTO users (name, enrolled) VALUES (?, ?)", (name, time))
            connection.executemany(
                'INSERT INTO "references" (user, position, sealed) VALUES (?, ?, ?)',
                [
                    (name, position, self._vault.seal(reference, context=_reference_context(name, position)))
                    for position, reference in enumerate(references)
                ],
            )
            connection.execute(
                "INSERT INTO templates (user, version, sealed) VALUES (?, ?, ?)",
                (name, template_version, self._seal_template(name, template_version, template)),
            )

    def references(self, name: str) -> list[bytes]:
        """Return the references of a person in the order in which they were written, opened.

        Raises:
            RequestError: `unknown_user`.
            StoreError: if one does not open.
        """
        rows = self._database.rows(
            'SELECT position, sealed FROM users LEFT JOIN "references" ON user = name WHERE name = ? ORDER BY position',
            (name,),
        )
        if not rows:
            raise _unknown(name)
        return [
            self._open(name, sealed, context=_reference_context(name, position))
            for position, sealed in rows
            if position is not None
        ]

    def templates(self) -> dict[str, StoredTemplate]:
        """Return the template of everybody, opened, by name.

        Raises:
            StoreError: if one does not open.
        """
        rows = self._database.rows("SELECT user, version, sealed FROM templates ORDER BY user")
        return {
            name: StoredTemplate(
                version=version, data=self._open(name, sealed, context=_template_context(name, version))
            )
            for name, version, sealed in rows
        }

    def replace_template(self, name: str, *, template: bytes, template_version: str) -> None:
        """Put a new template, made from the same references by other models, in the place of the old one.

        Raises:
            RequestError: `unknown_user`.
            StoreError: if it cannot be written.
        """
        with self._database.transaction() as connection:
            replaced = connection.execute(
                "UPDATE templates SET version = ?, sealed = ? WHERE user = ?",
                (template_version, self._seal_template(name, template_version, template), name),
            )
            _require_one(replaced, name)

    def delete_user(self, name: str) -> None:
        """Forget a person: their references and template are overwritten, their decisions stay.

        Raises:
            RequestError: `unknown_user`.
            StoreError: if it cannot be written.
        """
        with self._database.transaction() as connection:
            _require_one(connection.execute("DELETE FROM users WHERE name = ?", (name,)), name)
        self._database.truncate_log()

    def _seal_template(self, name: str, version: str, template: bytes) -> bytes:
        """Seal a template for this person and this version."""
        return self._vault.seal(template, context=_template_context(name, version))

    def _open(self, name: str, sealed: bytes, *, context: str) -> bytes:
        """Open what was sealed for a person, and say how to go on where that fails."""
        try:
            return self._vault.open(sealed, context=context)
        except StoreError as error:
            raise StoreError(
                path=self._database.path,
                problem=error.problem,
                remedy=f"restore a backup, or delete {name} and enrol {name} again",
            ) from error


def _reference_context(name: str, position: int) -> str:
    """Return what a reference is bound to, so that it opens for no other person and in no other place."""
    return f"{name}|reference|{position}|{REFERENCE_CONTEXT}"


def _template_context(name: str, version: str) -> str:
    """Return what a template is bound to: its person and the models that made it. A name holds no `|`."""
    return f"{name}|template|0|{version}"


def _unknown(name: str) -> RequestError:
    """Return the error for a person nobody enrolled."""
    return RequestError(code="unknown_user", problem=f"{name} is not enrolled")


def _require_one(cursor: sqlite3.Cursor, name: str) -> None:
    """Refuse a change that found nobody."""
    if cursor.rowcount != 1:
        raise _unknown(name)
