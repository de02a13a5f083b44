"""Signatures of before: what is kept, sealed, of those that were enrolled or judged, so that none is taken twice."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from penlatch.errors import StoreError
from penlatch.store import meta

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from penlatch.config import Replay
    from penlatch.store.database import Database
    from penlatch.store.vault import Vault

Kind = Literal["enrolled", "matched", "refused"]
"""What became of a signature."""

BYTES: Final = 4800
"""Size on the disk of a signature that is kept, with its marks and indexes [bytes]; a page of SQLite holds one."""
MARKED_BYTES: Final = 500
"""Size on the disk of the marks that a signature leaves [bytes]."""
MARKS_SHARE: Final = 0.2
"""Share of `replay.megabytes` that the marks may take."""
_MEGABYTE: Final = 1_000_000
MARK_KEY_BYTES: Final = 32
MARK_KEY_CONTEXT: Final = "|mark-key|0|1"

_AT_ONCE: Final = 500
"""Values of one query at most: every SQLite takes 999."""
_PRUNE_EVERY: Final = 50
"""The bound of all is applied once in so many signatures: counting them takes time."""

_COUNT_FROM = """INSERT INTO meta
    SELECT 'signatures', (SELECT coalesce(max(id), 0) FROM signatures_of_before)
    WHERE NOT EXISTS (SELECT 1 FROM meta WHERE name = 'signatures')"""
"""Where numbers begin in a database that has no count of them yet."""

_PRUNE_KIND = """DELETE FROM signatures_of_before WHERE user IS :user AND kind = :kind AND id <= (
    SELECT id FROM signatures_of_before WHERE user IS :user AND kind = :kind ORDER BY id DESC LIMIT 1 OFFSET :keep
)"""

_PRUNE_ALL = """DELETE FROM signatures_of_before WHERE id IN (
    SELECT id FROM signatures_of_before
    ORDER BY CASE kind WHEN 'refused' THEN 0 WHEN 'matched' THEN 1 ELSE 2 END, id
    LIMIT max(0, (SELECT count(*) FROM signatures_of_before) - :most)
)"""


@dataclass(frozen=True, slots=True)
class Seen:
    """A signature to be kept."""

    user: str | None
    """Whose it is or claimed to be; None for nobody's."""
    kind: Kind
    course: bytes = field(repr=False)
    """What `verify.replay.to_bytes` gave."""
    version: int
    """`verify.replay.FORMAT` of it."""
    time: str
    """RFC 3339 in UTC."""
    marks: tuple[int, ...] = field(default=(), repr=False)
    """What `verify.marks.Marker.of_remembered` gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Seen):
    """A signature that is kept, opened."""

    id: int
    """Rises with each and never comes again."""

    def without_course(self) -> Kept:
        """Return what is known of it, to describe it."""
        return replace(self, course=b"")


class Signatures:
    """The table `signatures_of_before`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def mark_key(self) -> bytes:
        """Return the key with which marks are made, made where there is none yet.

        Raises:
            StoreError: if it does not open.
        """
        if (kept := meta.sealed(self._database, "mark-key")) is not None:
            return self._vault.open(kept, context=MARK_KEY_CONTEXT)
        key = secrets.token_bytes(MARK_KEY_BYTES)
        with self._database.transaction() as connection:
            sealed = self._vault.seal(key, context=MARK_KEY_CONTEXT)
            connection.execute("INSERT INTO meta VALUES ('mark-key', ?)", (sealed,))
        return key

    def add(self, connection: sqlite3.Connection, seen: Sequence[Seen], rule: Replay) -> None:
        """Keep signatures, within the caller's transaction, and forget what the rule says is too many.

        The marks of a signature that is forgotten stay.
        """
        if seen:
            connection.execute(_COUNT_FROM)
        for each in seen:
            place = meta.count(connection, "signatures", path=self._database.path)
            connection.execute(
                "INSERT INTO signatures_of_before (id, user, kind, version, time, sealed) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    place,
                    each.user,
                    each.kind,
                    each.version,
                    each.time,
                    self._vault.seal(each.course, context=_context(place, each)),
                ),
            )
            connection.executemany(
                "INSERT INTO signature_marks (mark, signature) VALUES (?, ?)", [(mark, place) for mark in each.marks]
            )
            if each.kind != "enrolled":
                keep = rule.strangers if each.user is None else rule.remember
                connection.execute(_PRUNE_KIND, {"user": each.user, "kind": each.kind, "keep": keep})
            if place % _PRUNE_EVERY == 0:
                connection.execute(_PRUNE_ALL, {"most": most(rule)})

    def marked(self, marks: Collection[int]) -> list[tuple[int, int]]:
        """Return mark and signature of all signatures, also deleted ones, that have one of these marks."""
        wanted, found = list(marks), []
        for begin in range(0, len(wanted), _AT_ONCE):
            part = wanted[begin : begin + _AT_ONCE]
            sql = f"SELECT mark, signature FROM signature_marks WHERE mark IN ({','.join('?' * len(part))})"  # noqa: S608 - question marks only
            found += [(row[0], row[1]) for row in self._database.rows(sql, part)]
        return found

    def forget_marks(self, rule: Replay) -> int:
        """Delete the oldest marks beyond the share of `replay.megabytes` that is theirs, and return how many.

        Raises:
            StoreError: if they cannot be deleted.
        """
        (last,) = self._database.rows("SELECT coalesce(max(id), 0) FROM signatures_of_before")[0]
        after = last - int(MARKS_SHARE * rule.megabytes * _MEGABYTE / MARKED_BYTES)
        if after <= 0:
            return 0
        with self._database.transaction() as connection:
            count = connection.execute("DELETE FROM signature_marks WHERE signature <= ?", (after,)).rowcount
        return int(count)

    def of(self, user: str, *, most: int = -1) -> list[int]:
        """Return which signatures of a person are kept, in the order in which they came, `most` at most."""
        sql = "SELECT id FROM signatures_of_before INDEXED BY signatures_of_before_user WHERE user = ? LIMIT ?"
        return sorted(row[0] for row in self._database.rows(sql, (user, most)))

    def ids(self) -> list[int]:
        """Return which are kept, in the order in which they came."""
        return [row[0] for row in self._database.rows("SELECT id FROM signatures_of_before ORDER BY id")]

    def owners(self) -> set[tuple[str | None, Kind]]:
        """Return of whom which kinds are kept."""
        return {(row[0], row[1]) for row in self._database.rows("SELECT DISTINCT user, kind FROM signatures_of_before")}

    def load(self, ids: Collection[int]) -> list[Kept]:
        """Return these signatures, opened, in the order in which they came.

        Raises:
            StoreError: if one does not open: it was altered, put elsewhere, or sealed with another key.
        """
        wanted, found = sorted(ids), []
        for begin in range(0, len(wanted), _AT_ONCE):
            part = wanted[begin : begin + _AT_ONCE]
            sql = (
                "SELECT id, user, kind, version, time, sealed FROM signatures_of_before"  # noqa: S608 - question marks only
                f" WHERE id IN ({','.join('?' * len(part))}) ORDER BY id"
            )
            found += self._database.rows(sql, part)
        return [self._open(row) for row in found]

    def since(self, after: int) -> list[tuple[int, str | None]]:
        """Return the signatures that came after number `after`, and of whom they are."""
        sql = "SELECT id, user FROM signatures_of_before WHERE id > ? ORDER BY id"
        return [(row[0], row[1]) for row in self._database.rows(sql, (after,))]

    def recent_users(self) -> list[str]:
        """Return everybody of whom signatures are kept, those who signed last first."""
        sql = """SELECT user FROM signatures_of_before WHERE user IS NOT NULL
            GROUP BY user ORDER BY max(id) DESC"""
        return [row[0] for row in self._database.rows(sql)]

    def forget(self, *, but_version: int | None = None) -> int:
        """Delete all, or all of another version, and return how many there were. Without a version, marks go, too.

        Raises:
            StoreError: if they cannot be deleted.
        """
        with self._database.transaction() as connection:
            count = connection.execute(
                "DELETE FROM signatures_of_before WHERE version IS NOT ?", (but_version,)
            ).rowcount
            if but_version is None:
                connection.execute("DELETE FROM signature_marks")
        if count:
            self._database.truncate_log()
        return int(count)

    def _open(self, row: sqlite3.Row) -> Kept:
        unopened = Kept(
            id=row["id"], user=row["user"], kind=row["kind"], version=row["version"], time=row["time"], course=b""
        )
        try:
            course = self._vault.open(row["sealed"], context=_context(row["id"], unopened))
        except StoreError as error:
            raise StoreError(
                path=self._database.path,
                problem=f"signature {row['id']} of before cannot be used ({error.problem})",
                remedy="restore a backup, or set replay.enabled to false for one start, which forgets all of them",
            ) from error
        return Kept(
            id=row["id"], user=row["user"], kind=row["kind"], version=row["version"], time=row["time"], course=course
        )


def most(rule: Replay) -> int:
    """Return how many signatures are kept in all."""
    return int((1 - MARKS_SHARE) * rule.megabytes * _MEGABYTE / BYTES)


def reseal(connection: sqlite3.Connection, old: Vault, new: Vault) -> None:
    """Seal with another key what is sealed here, in the transaction that `connection` is in."""
    rows = connection.execute("SELECT id, user, kind, version, time, sealed FROM signatures_of_before").fetchall()
    for place, user, kind, version, time, sealed in rows:
        context = _context(place, Seen(user=user, kind=kind, course=b"", version=version, time=time))
        connection.execute(
            "UPDATE signatures_of_before SET sealed = ? WHERE id = ?",
            (new.seal(old.open(sealed, context=context), context=context), place),
        )
    for (sealed,) in connection.execute("SELECT value FROM meta WHERE name = 'mark-key'").fetchall():
        resealed = new.seal(old.open(sealed, context=MARK_KEY_CONTEXT), context=MARK_KEY_CONTEXT)
        connection.execute("UPDATE meta SET value = ? WHERE name = 'mark-key'", (resealed,))


def _context(place: int, seen: Seen) -> str:
    """Return what a signature is bound to: its person, kind, place, time and version. A name holds no `|`."""
    return f"{seen.user or ''}|{seen.kind} signature|{place}|{seen.time}|{seen.version}"
