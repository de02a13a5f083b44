"""People: who is enrolled, their references and their template, the last two sealed by the vault."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from penlatch.errors import RequestError, StoreError
from penlatch.messages import Quality, Sitting, User
from penlatch.store import naming
from penlatch.store.audit import Kind
from penlatch.store.database import understood

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from penlatch.store.audit import Audit
    from penlatch.store.database import Database
    from penlatch.store.vault import Vault

REFERENCE_CONTEXT = 1
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
                """INSERT INTO users (name, enrolled, changed, quality) VALUES (?, ?, ?, ?)
                ON CONFLICT (name) DO UPDATE
                SET enrolled = excluded.enrolled, changed = excluded.changed, quality = excluded.quality""",
                (name, time, time, _packed(quality)),
            )
            self._add(connection, name, references, time=time, adapted=False)
            connection.execute(
                "INSERT INTO templates (user, version, sealed) VALUES (?, ?, ?)",
                (name, template_version, self._seal_template(name, template_version, template)),
            )
            self._audit.append(connection, Kind.ENROLLED, {"user": name, "references": len(references)})
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
                (template_version, self._seal_template(name, template_version, template), name),
            )
            changes = {"user": name, "added": len(add), "adapted": adapted, "dropped": list(drop)}
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
            """SELECT position, added, origin, sealed FROM users LEFT JOIN "references" ON user = name
            WHERE name = ? ORDER BY position""",
            (name,),
        )
        if not rows:
            raise _unknown(name)
        return [
            self._open(name, sealed, context=_reference_context(name, position, added, adapted=origin == "adapted"))
            for position, added, origin, sealed in rows
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
        rows = self._database.rows("SELECT user, version, sealed FROM templates ORDER BY user")
        return {
            name: StoredTemplate(
                version=version, data=self._open(name, sealed, context=_template_context(name, version))
            )
            for name, version, sealed in rows
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
                (template_version, self._seal_template(name, template_version, template), name),
            )
            _require_one(replaced, name)
            connection.execute("UPDATE users SET quality = ? WHERE name = ?", (_packed(quality), name))
            self._audit.append(connection, Kind.TEMPLATE, {"user": name, "version": template_version})

    def delete_user(self, name: str) -> None:
        """Forget a person: their references and template are overwritten, their decisions stay.

        Raises:
            RequestError: `unknown_user`.
            StoreError: if it cannot be written.
        """
        with self._database.transaction() as connection:
            _require_one(connection.execute("DELETE FROM users WHERE name = ?", (name,)), name)
            connection.execute("DELETE FROM lockouts WHERE subject = ?", (name,))
            self._audit.append(connection, Kind.DELETED, {"user": name})
        self._database.vacuum()

    def _add(
        self, connection: sqlite3.Connection, name: str, references: Sequence[bytes], *, time: str, adapted: bool
    ) -> None:
        """Put references after those that a person has."""
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
                    "adapted" if adapted else "enrolled",
                    self._vault.seal(reference, context=_reference_context(name, position, time, adapted=adapted)),
                )
                for position, reference in enumerate(references, start=first)
            ],
        )

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


def reseal(connection: sqlite3.Connection, old: Vault, new: Vault) -> None:
    """Seal with another key what is sealed here, in the transaction that `connection` is in."""
    rows = connection.execute('SELECT user, position, added, origin, sealed FROM "references"').fetchall()
    for user, position, added, origin, sealed in rows:
        context = _reference_context(user, position, added, adapted=origin == "adapted")
        connection.execute(
            'UPDATE "references" SET sealed = ? WHERE user = ? AND position = ?',
            (new.seal(old.open(sealed, context=context), context=context), user, position),
        )
    for user, version, sealed in connection.execute("SELECT user, version, sealed FROM templates").fetchall():
        context = _template_context(user, version)
        connection.execute(
            "UPDATE templates SET sealed = ? WHERE user = ?",
            (new.seal(old.open(sealed, context=context), context=context), user),
        )


def _reference_context(name: str, position: int, added: str, *, adapted: bool) -> str:
    """Return what a reference is bound to, so that it opens for no other person, in no other place, as no other kind.

    The age of an adapted one is part of it, for it decides which of them goes; an original never goes.
    """
    if adapted:
        return f"{name}|adapted|{position}|{added}|{REFERENCE_CONTEXT}"
    return f"{name}|reference|{position}|{REFERENCE_CONTEXT}"


def _packed(quality: Quality | None) -> str | None:
    """Return a quality as the text that the database keeps."""
    return None if quality is None else msgspec.json.encode(quality).decode()


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
