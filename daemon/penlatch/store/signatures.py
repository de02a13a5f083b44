"""Signatures of before: what is kept, sealed, of those that were enrolled or judged, so that none is taken twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from penlatch.errors import StoreError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from penlatch.config import Replay
    from penlatch.store.database import Database
    from penlatch.store.vault import Vault

Kind = Literal["enrolled", "matched", "refused"]
"""What became of a signature."""

MOST: Final = 1250
"""Signatures that are kept in all: two megabytes of courses in memory. Beyond it the oldest refused one goes first,
then the oldest that matched, and only then an enrolled one."""

_PRUNE_KIND = """DELETE FROM signatures_of_before WHERE user IS :user AND kind = :kind AND id NOT IN (
    SELECT id FROM signatures_of_before WHERE user IS :user AND kind = :kind ORDER BY id DESC LIMIT :keep
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


@dataclass(frozen=True, slots=True)
class Kept(Seen):
    """A signature that is kept, opened."""

    id: int
    """Rises with each; that of a deleted one may come again only where it was the last."""


class Signatures:
    """The table `signatures_of_before`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def add(self, connection: sqlite3.Connection, seen: Sequence[Seen], rule: Replay) -> None:
        """Keep signatures, within the caller's transaction, and forget what the rule says is too many."""
        for each in seen:
            (place,) = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM signatures_of_before").fetchone()
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
            if each.kind != "enrolled":
                keep = rule.strangers if each.user is None else rule.remember
                connection.execute(_PRUNE_KIND, {"user": each.user, "kind": each.kind, "keep": keep})
        connection.execute(_PRUNE_ALL, {"most": MOST})

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
        rows = self._database.rows(
            "SELECT id, user, kind, version, time, sealed FROM signatures_of_before WHERE id >= ? ORDER BY id",
            (min(ids, default=0),),
        )
        return [self._open(row) for row in rows if row["id"] in ids]

    def forget(self, *, but_version: int | None = None) -> int:
        """Delete all, or all of another version, and return how many there were.

        Raises:
            StoreError: if they cannot be deleted.
        """
        with self._database.transaction() as connection:
            count = connection.execute(
                "DELETE FROM signatures_of_before WHERE version IS NOT ?", (but_version,)
            ).rowcount
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


def reseal(connection: sqlite3.Connection, old: Vault, new: Vault) -> None:
    """Seal with another key what is sealed here, in the transaction that `connection` is in."""
    rows = connection.execute("SELECT id, user, kind, version, time, sealed FROM signatures_of_before").fetchall()
    for place, user, kind, version, time, sealed in rows:
        context = _context(place, Seen(user=user, kind=kind, course=b"", version=version, time=time))
        connection.execute(
            "UPDATE signatures_of_before SET sealed = ? WHERE id = ?",
            (new.seal(old.open(sealed, context=context), context=context), place),
        )


def _context(place: int, seen: Seen) -> str:
    """Return what a signature is bound to: its person, kind, place, time and version. A name holds no `|`."""
    return f"{seen.user or ''}|{seen.kind} signature|{place}|{seen.time}|{seen.version}"
