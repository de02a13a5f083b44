"""People: who is enrolled, their references and their template, the last two sealed by the vault."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from penlatch.errors import RequestError, StoreError
from penlatch.messages import Quality, Sitting, User
from penlatch.store import enrolments, naming
from penlatch.store.audit import Kind
from penlatch.store.database import understood

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from penlatch.store.audit import Audit
    from penlatch.store.database import Database
    from penlatch.store.vault import Vault

REFERENCE_CONTEXT = 2
"""Version of what a sealed reference is bound to."""

_USERS = """SELECT name, enrolled, coalesce(version, '') AS template_version, quality,
    (SELECT count(*) FROM "references" WHERE user = name) AS "references",
    (SELECT count(*) FROM pictures WHERE user = name) AS pictures
FROM users LEFT JOIN templates ON user = name ORDER BY name"""

_SITTINGS = """SELECT user, added AS time, origin, count(*) AS "references" FROM "references"
GROUP BY user, added, origin ORDER BY added, origin DESC"""


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """A template as it was stored, opened."""

    version: str
    """Which models made it."""
    data: bytes = field(repr=False)
    """What `Template.to_bytes` gave."""


@dataclass(frozen=True, slots=True)
class Held:
    """A reference that a person has, unopened."""

    position: int
    """Its place; a person's references are in this order, those of an enrolment in that in which they were given."""
    added: str
    """When it came, RFC 3339 in UTC."""
    adapted: bool
    """False for one that was given in an enrolment."""


@dataclass(frozen=True, slots=True)
class History:
    """When a person's references came."""

    changed: str
    """When there was a change the last time, RFC 3339 in UTC."""
    held: tuple[Held, ...]
    """In the order of the references."""


class People:
    """The tables `users`, `references` and `templates`."""

    def __init__(self, database: Database, vault: Vault, audit: Audit) -> None:
        self._database = database
        self._audit = audit
        self._vault = vault

    def names(self) -> list[str]:
        """Return everybody's name, in order."""
        return [name for (name,) in self._database.rows("SELECT name FROM users ORDER BY name")]

    def users(self) -> list[User]:
        """Return everybody, by name."""
        sittings: dict[str, list[Sitting]] = {}
        for name, *fields in self._database.rows(_SITTINGS):
            time, origin, count = fields
            sittings.setdefault(name, []).append(Sitting(time=time, origin=origin, references=count))
        rows = self._database.rows(_USERS)
        with understood(self._database.path):
            return [
                User(
                    name=row["name"],
                    references=row["references"],
                    enrolled=row["enrolled"],
                    template_version=row["template_version"],
                    sittings=tuple(sittings.get(row["name"], ())),
                    quality=msgspec.json.decode(row["quality"], type=Quality) if row["quality"] else None,
                    pictures=row["pictures"],
                )
                for row in rows
            ]

    def enroll(
        self,
        name: str,
        *,
        references: Sequence[bytes],
        template: bytes,
        template_version: str,
        time: str,
        quality: Quality | None = None,
        also: Callable[[sqlite3.Connection], None] | None = None,
    ) -> None:
        """Add a person with all that belongs to them, in one transaction. Pictures they were known by are forgotten.

        Args:
            name: by which the person is asked for.
            references: each as `Trace.to_bytes` gave it.
            template: as `Template.to_bytes` gave it.
            template_version: which models made the template.
            time: RFC 3339 in UTC.
            quality: what the references are worth.
            also: writes more, in the same transaction.

        Raises:
            RequestError: `already_enrolled`, also for a name that looks like that of somebody else; `bad_request` for
                an impossible name.
            StoreError: if it cannot be written.
        """
        with self._database.transaction() as connection:
            naming.check(name, known=naming.enrolled(connection))
            if connection.execute("SELECT 1 FROM templates WHERE user = ?", (name,)).fetchone():
                raise RequestError(code="already_enrolled", problem=f"{name} is enrolled already")
            pictures = connection.execute("DELETE FROM pictures WHERE user = ?", (name,)).rowcount
            # Whoever was known by pictures stays the same person: what was signed before is remembered.
            connection.execute(
                """INSERT INTO users (name, enrolled, changed, quality, enrolment) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (name) DO UPDATE SET enrolled = excluded.enrolled, changed = excluded.changed,
                quality = excluded.quality, enrolment = excluded.enrolment""",
                (name, time, time, _packed(quality), enrolments.new_id()),
            )
            self._add(connection, name, references, time=time, adapted=False)
            connection.execute(
                "INSERT INTO templates (user, version, sealed) VALUES (?, ?, ?)",
                (name, template_version, self._seal_template(connection, name, template_version, template)),
            )
            now = enrolments.state(connection, name)
            self._audit.append(connection, Kind.ENROLLED, {"user": name, "references": len(references), "state": now})
            if also:
                also(connection)
        if pictures:
            self._database.truncate_log()

    def change_references(
        self,
        name: str,
        *,
        add: Sequence[bytes] = (),
        adapted: bool = False,
        drop: Sequence[int] = (),
        template: bytes,
        template_version: str,
        time: str,
        quality: Quality | None = None,
        also: Callable[[sqlite3.Connection], None] | None = None,
    ) -> None:
        """Add references to those of a person, take others out, and store the template of what is left, in one go.

        Args:
            name: whose.
            add: each as `Trace.to_bytes` gave it.
            adapted: whether these come from an accepted signature, and not from an enrolment.
            drop: positions of adapted references to forget; an original stays, whatever is asked.
            template: as `Template.to_bytes` gave it.
            template_version: which models made it.
            time: RFC 3339 in UTC.
            quality: what the references are worth.
            also: writes more, in the same transaction.

        Raises:
            RequestError: `unknown_user`, or `bad_request` where `drop` names what is no adapted reference.
            StoreError: if it cannot be written. All is then as before.
        """
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE users SET changed = ?, quality = ? WHERE name = ?", (time, _packed(quality), name)
            )
            _require_one(changed, name)
            for position in drop:
                dropped = connection.execute(
                    """DELETE FROM "references" WHERE user = ? AND position = ? AND origin = 'adapted'""",
                    (name, position),
                )
                if dropped.rowcount != 1:
                    raise RequestError(code="bad_request", problem=f"{name} has no adapted reference {position}")
            self._add(connection, name, add, time=time, adapted=adapted)
            connection.execute(
                "UPDATE templates SET version = ?, sealed = ? WHERE user = ?",
                (template_version, self._seal_template(connection, name, template_version, template), name),
            )
            changes = {"user": name, "added": len(add), "adapted": adapted, "dropped": list(drop)}
            changes["state"] = enrolments.state(connection, name)
            self._audit.append(connection, Kind.REFERENCES, changes)
            if also:
                also(connection)
        if drop:
            self._database.truncate_log()

    def references(self, name: str) -> list[bytes]:
        """Return the references of a person in the order in which they were written, opened.

        Raises:
            RequestError: `unknown_user`.
            StoreError: if one does not open.
        """
        rows = self._database.rows(
            """SELECT enrolment, position, added, origin, sealed FROM users LEFT JOIN "references" ON user = name
            WHERE name = ? ORDER BY position""",
            (name,),
        )
        if not rows:
            raise _unknown(name)
        return [
            self._open(name, sealed, context=_reference_context(name, enrolment, position, added, origin))
            for enrolment, position, added, origin, sealed in rows
            if position is not None
        ]

    def history(self, name: str) -> History:
        """Return what is known of a person's references without opening them.

        Raises:
            RequestError: `unknown_user`.
        """
        rows = self._database.rows(
            """SELECT changed, position, added, origin FROM users LEFT JOIN "references" ON user = name
            WHERE name = ? ORDER BY position""",
            (name,),
        )
        if not rows:
            raise _unknown(name)
        return History(
            changed=rows[0][0],
            held=tuple(
                Held(position=position, added=added, adapted=origin == "adapted")
                for _, position, added, origin in rows
                if position is not None
            ),
        )

    def templates(self) -> dict[str, StoredTemplate]:
        """Return the template of everybody, opened, by name.

        Raises:
            StoreError: if one does not open.
        """
        rows = self._database.rows(
            """SELECT user, coalesce(enrolment, '') AS enrolment, version, sealed
            FROM templates LEFT JOIN users ON user = name ORDER BY user"""
        )
        return {
            name: StoredTemplate(
                version=version, data=self._open(name, sealed, context=_template_context(name, enrolment, version))
            )
            for name, enrolment, version, sealed in rows
        }

    def replace_template(
        self, name: str, *, template: bytes, template_version: str, quality: Quality | None = None
    ) -> None:
        """Put a new template, made from the same references by other models, in the place of the old one.

        Args:
            name: whose.
            template: as `Template.to_bytes` gave it.
            template_version: which models made it.
            quality: what the references are worth to these models.

        Raises:
            RequestError: `unknown_user`.
            StoreError: if it cannot be written.
        """
        with self._database.transaction() as connection:
            replaced = connection.execute(
                "UPDATE templates SET version = ?, sealed = ? WHERE user = ?",
                (template_version, self._seal_template(connection, name, template_version, template), name),
            )
            _require_one(replaced, name)
            connection.execute("UPDATE users SET quality = ? WHERE name = ?", (_packed(quality), name))
            now = enrolments.state(connection, name)
            self._audit.append(connection, Kind.TEMPLATE, {"user": name, "version": template_version, "state": now})

    def delete_user(self, name: str) -> None:
        """Forget a person: their references and template are overwritten, their decisions stay.

        Raises:
            RequestError: `unknown_user`.
            StoreError: if it cannot be written.
        """
        with self._database.transaction() as connection:
            enrolment = enrolments.of(connection, name)
            _require_one(connection.execute("DELETE FROM users WHERE name = ?", (name,)), name)
            connection.execute("DELETE FROM lockouts WHERE subject = ?", (name,))
            self._audit.append(connection, Kind.DELETED, {"user": name, "enrolment": enrolment})
        self._database.vacuum()

    def _add(
        self, connection: sqlite3.Connection, name: str, references: Sequence[bytes], *, time: str, adapted: bool
    ) -> None:
        """Put references after those that a person has."""
        enrolment, origin = enrolments.of(connection, name), "adapted" if adapted else "enrolled"
        (first,) = connection.execute(
            'SELECT coalesce(max(position) + 1, 0) FROM "references" WHERE user = ?', (name,)
        ).fetchone()
        connection.executemany(
            'INSERT INTO "references" (user, position, added, origin, sealed) VALUES (?, ?, ?, ?, ?)',
            [
                (
                    name,
                    position,
                    time,
                    origin,
                    self._vault.seal(reference, context=_reference_context(name, enrolment, position, time, origin)),
                )
                for position, reference in enumerate(references, start=first)
            ],
        )

    def _seal_template(self, connection: sqlite3.Connection, name: str, version: str, template: bytes) -> bytes:
        """Seal a template for this enrolment of a person and this version."""
        return self._vault.seal(template, context=_template_context(name, enrolments.of(connection, name), version))

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


def reseal(connection: sqlite3.Connection, old: Vault, new: Vault) -> None:
    """Seal with another key what is sealed here, in the transaction that `connection` is in."""
    for user, enrolment, position, added, origin, sealed in _all_references(connection):
        context = _reference_context(user, enrolment, position, added, origin)
        _update_reference(connection, user, position, new.seal(old.open(sealed, context=context), context=context))
    for user, enrolment, version, sealed in _all_templates(connection):
        context = _template_context(user, enrolment, version)
        _update_template(connection, user, new.seal(old.open(sealed, context=context), context=context))


def bind(connection: sqlite3.Connection, vault: Vault) -> None:
    """Seal for their enrolments what an older release sealed for names alone."""
    for user, enrolment, position, added, origin, sealed in _all_references(connection):
        adapted = f"{user}|adapted|{position}|{added}|1"
        plain = vault.open(sealed, context=adapted if origin == "adapted" else f"{user}|reference|{position}|1")
        context = _reference_context(user, enrolment, position, added, origin)
        _update_reference(connection, user, position, vault.seal(plain, context=context))
    for user, enrolment, version, sealed in _all_templates(connection):
        plain = vault.open(sealed, context=f"{user}|template|0|{version}")
        sealed_anew = vault.seal(plain, context=_template_context(user, enrolment, version))
        _update_template(connection, user, sealed_anew)


def _all_references(connection: sqlite3.Connection) -> list[tuple[str, str, int, str, str, bytes]]:
    return connection.execute(
        'SELECT user, enrolment, position, added, origin, sealed FROM "references" JOIN users ON user = name'
    ).fetchall()


def _update_reference(connection: sqlite3.Connection, user: str, position: int, sealed: bytes) -> None:
    connection.execute('UPDATE "references" SET sealed = ? WHERE user = ? AND position = ?', (sealed, user, position))


def _all_templates(connection: sqlite3.Connection) -> list[tuple[str, str, str, bytes]]:
    return connection.execute(
        "SELECT user, enrolment, version, sealed FROM templates JOIN users ON user = name"
    ).fetchall()


def _update_template(connection: sqlite3.Connection, user: str, sealed: bytes) -> None:
    connection.execute("UPDATE templates SET sealed = ? WHERE user = ?", (sealed, user))


def _reference_context(name: str, enrolment: str, position: int, added: str, origin: str) -> str:
    """Return what a reference is bound to: it opens for no other person, enrolment, place or kind.

    The age of an adapted one is part of it, for it decides which of them goes; an original never goes.
    """
    if origin == "adapted":
        return f"{name}|{enrolment}|adapted|{position}|{added}|{REFERENCE_CONTEXT}"
    return f"{name}|{enrolment}|reference|{position}|{REFERENCE_CONTEXT}"


def _packed(quality: Quality | None) -> str | None:
    """Return a quality as the text that the database keeps."""
    return None if quality is None else msgspec.json.encode(quality).decode()


def _template_context(name: str, enrolment: str, version: str) -> str:
    """Return what a template is bound to: its person, enrolment, and the models. A name holds no `|`."""
    return f"{name}|{enrolment}|template|0|{version}"


def _unknown(name: str) -> RequestError:
    """Return the error for a person nobody enrolled."""
    return RequestError(code="unknown_user", problem=f"{name} is not enrolled")


def _require_one(cursor: sqlite3.Cursor, name: str) -> None:
    """Refuse a change that found nobody."""
    if cursor.rowcount != 1:
        raise _unknown(name)
