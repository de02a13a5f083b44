"""Audit: what was decided and changed, as a chain of which nobody without the key alters, moves or takes a link.

Each entry carries an HMAC over itself and the HMAC before it. What a chain alone cannot show, that its end was cut off,
is shown by its head, kept elsewhere: in a file (`head`), and wherever the health messages of the terminal are kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from penlatch.clock import utc_now
from penlatch.errors import StoreError
from penlatch.store import enrolments, meta
from penlatch.store.database import damaged
from penlatch.store.decision_rows import decisions_between
from penlatch.store.ledger import Ledger

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from penlatch.messages import Decision
    from penlatch.store.database import Database
    from penlatch.store.vault import Vault

KEY_BYTES: Final = 32
GENESIS: Final = bytes(32)
"""What stands for the HMAC before the first entry."""
KEY_CONTEXT: Final = "|audit-key|0|1"
BOUND_CONTEXT: Final = "|audit-key|0|2"
"""The context of the key in a database whose rows are bound to the audit: it never goes without its ledger again."""
VERSION: Final = 2
"""Version of the digest of a decision."""
CHECKED_AT_START: Final = 200
"""So many entries are checked at every start; all of them by `Audit.check`."""

_DECIDED: Final = (
    *("seq", "boot", "terminal", "time", "action", "user", "verdict", "done", "reason", "reasons", "probability"),
    *("threshold", "attempt", "pen", "latency_ms", "transaction"),
)
"""Fields of a decision that an entry without a version answers for."""
_DECIDED_2: Final = (*_DECIDED, "instance", "purpose", "grade")
"""Fields that an entry of version 2 answers for. Later releases add versions and change none: entries stay true."""

_MENDED = "restore it from a backup; penlatch leaves the file as it is"


class Kind(StrEnum):
    """What an entry tells of."""

    STARTED = "started"
    DECISION = "decision"
    ENROLLED = "enrolled"
    REFERENCES = "references"
    """References were added or dropped."""
    TEMPLATE = "template"
    """Other models made the template anew."""
    PICTURE = "picture"
    DELETED = "deleted"
    CALIBRATED = "calibrated"
    EXPIRED = "expired"
    """Decisions were taken away because they were older than `store.keep_days`."""
    UNLOCKED = "unlocked"
    """Somebody ended the lock of a person, or of the terminal."""
    DROPPED = "dropped"
    """The outbox had no room: decisions that no broker has acknowledged will not be told."""
    UNJUDGED = "unjudged"
    """Errors and retries of one way of asking came to the bound of a day, or went beyond it until the day ended."""
    KEY_ROTATED = "key_rotated"
    RESTORED = "restored"
    BOUND = "bound"
    """The rows of a database of an older release were bound to the audit."""


class Head(msgspec.Struct, frozen=True):
    """The end of the chain."""

    number: int
    """Of the last entry, 0 before the first."""
    mac: str
    """Its HMAC, in hexadecimal."""


class Audit:
    """The table `audit`. Entries are written within the transaction of what they tell of."""

    def __init__(self, database: Database, key: bytes, *, sealed_bound: bool = False) -> None:
        self._database = database
        self._key = key
        self.sealed_bound = sealed_bound
        """Whether the key says that the rows of this database are bound to its audit."""
        self.ledger: Ledger
        """The sums over what is not in the audit."""

    @classmethod
    def open(cls, database: Database, vault: Vault) -> Audit:
        """Return the audit of a database, whose key is made where there is none yet.

        Its last entries are checked, and the rows of all other tables.

        Raises:
            StoreError: if the key does not open, the chain is broken, or rows are not as penlatch left them.
        """
        audit = cls.chain(database, vault)
        audit.check_end()
        audit.follow()
        return audit

    @classmethod
    def chain(cls, database: Database, vault: Vault) -> Audit:
        """Return the audit alone, unchecked, of a database whose other rows need not be right: it cannot append.

        Raises:
            StoreError: if the key does not open.
        """
        if (sealed := meta.sealed(database, "audit-key")) is not None:
            key, bound = _opened(sealed, vault)
            return cls(database, key, sealed_bound=bound)
        if database.rows("SELECT 1 FROM audit LIMIT 1"):
            raise damaged(database.path, "its audit-key is lost")
        key = secrets.token_bytes(KEY_BYTES)
        with database.transaction() as connection:
            sealed = vault.seal(key, context=KEY_CONTEXT)
            connection.execute("INSERT INTO meta VALUES ('audit-key', ?)", (sealed,))
        return cls(database, key)

    def follow(self) -> None:
        """Check the rows of all other tables, and count what changes in them from here on.

        Raises:
            StoreError: if rows are not as penlatch left them.
        """
        self.ledger = Ledger.open(self._database, self._key, problem=enrolments.differences)
        self.ledger.look_at_audit = self.check_end
        if self.sealed_bound and not self.ledger.bound:
            raise self.unbound()

    def unbound(self) -> StoreError:
        """Return the error for a database that was bound and has no ledger any more."""
        return StoreError(
            path=self._database.path,
            problem="somebody wrote to it: its ledger was taken out",
            remedy="keep a copy as evidence, then `penlatch store restore` the newest backup",
        )

    def check_end(self) -> None:
        """Check the last `CHECKED_AT_START` entries.

        Raises:
            StoreError: as `check`.
        """
        self.check(after=max(0, self.head().number - CHECKED_AT_START))

    def append(self, connection: sqlite3.Connection, kind: Kind, body: Mapping[str, Any]) -> int:
        """Add an entry, in the transaction that `connection` is in, and return its number.

        Args:
            connection: of this database, in a transaction.
            kind: what it tells of.
            body: details; nothing that is sealed elsewhere, and no measure of a signature.
        """
        last = connection.execute("SELECT number, mac FROM audit ORDER BY number DESC LIMIT 1").fetchone()
        number, before = (last[0] + 1, last[1]) if last else (1, GENESIS)
        time, text = utc_now(), msgspec.json.encode(body, order="deterministic").decode()
        connection.execute(
            "INSERT INTO audit (number, time, kind, body, mac) VALUES (?, ?, ?, ?, ?)",
            (number, time, kind.value, text, self._mac(before, number, time, kind.value, text)),
        )
        return number

    def decided(self, connection: sqlite3.Connection, decision: Decision) -> None:
        """Add the entry of a decision, which answers for every field of it."""
        self.append(connection, Kind.DECISION, {"seq": decision.seq, "sha256": digest(decision), "v": VERSION})

    def head(self) -> Head:
        """Return the end of the chain.

        Raises:
            StoreError: if it cannot be read.
        """
        rows = self._database.rows("SELECT number, mac FROM audit ORDER BY number DESC LIMIT 1")
        return Head(rows[0][0], rows[0][1].hex()) if rows else Head(0, GENESIS.hex())

    def contains(self, head: Head) -> bool:
        """Tell whether the chain once ended so: it may have grown since, and was not exchanged.

        Raises:
            StoreError: if it cannot be read.
        """
        return self._mac_of(head.number).hex() == head.mac

    def check(self, *, after: int = 0, limit: int = -1) -> int:
        """Check the chain behind entry `after`, at most `limit` entries, and the decisions these answer for.

        Returns:
            The number of the last entry that was checked; `after` where there is none.

        Raises:
            StoreError: naming the first entry that is altered, missing, or out of its place.
        """
        before = self._mac_of(after)
        number = after
        # First, for a daemon may go on deciding: what came by now has its entry among those that are read next.
        latest = self._database.rows("SELECT coalesce(max(seq), 0) FROM decisions")[0][0] if limit < 0 else 0
        told: dict[int, tuple[str, int]] = {}
        rows = self._database.rows(
            "SELECT number, time, kind, body, mac FROM audit WHERE number > ? ORDER BY number LIMIT ?", (after, limit)
        )
        for row in rows:
            number += 1
            mac = self._mac(before, number, row["time"], row["kind"], row["body"])
            if row["number"] != number or not hmac.compare_digest(mac, row["mac"]):
                raise self._broken(f"entry {number} of its audit was altered, or one before it taken out")
            if row["kind"] == Kind.DECISION:  # what it holds is ours: the HMAC says so
                body = msgspec.json.decode(row["body"])
                told[body["seq"]] = body["sha256"], body.get("v", 1)
            before = mac
        if latest > meta.number(self._database, "seq"):
            raise self._broken(f"decision {latest} was added to it")
        if told:
            found = {d.seq: d for d in decisions_between(self._database, min(told), max(told))}
            gone = self.expired() if told.keys() - found.keys() else 0
            for seq, (wanted, version) in told.items():
                if seq not in found and seq <= gone:
                    continue
                if seq not in found or digest(found[seq], version=version) != wanted:
                    raise self._broken(f"decision {seq} is not as it was when it was made")
            if added := {*(found.keys() - told.keys()), *([latest] if latest > max(told) else [])}:
                raise self._broken(f"decision {min(added)} was added to it")
        return number

    def expired(self) -> int:
        """Return the number of the last decision that was taken away for its age; 0 for none.

        An entry of the chain says so. It is checked by itself, so that nobody without the key can explain a decision
        away that is missing.

        Raises:
            StoreError: if that entry is missing or altered.
        """
        number = meta.tally(self._database, "expired")
        if not number:
            return 0
        rows = self._database.rows("SELECT time, kind, body, mac FROM audit WHERE number = ?", (number,))
        for row in rows:
            mac = self._mac(self._mac_of(number - 1), number, row["time"], row["kind"], row["body"])
            if hmac.compare_digest(mac, row["mac"]) and row["kind"] == Kind.EXPIRED:
                return int(msgspec.json.decode(row["body"])["last"])
        raise self._broken(f"entry {number} of its audit, about decisions that expired, was altered")

    def _mac_of(self, number: int) -> bytes:
        """Return the HMAC of an entry; nothing equals that of one that is not there."""
        if number == 0:
            return GENESIS
        rows = self._database.rows("SELECT mac FROM audit WHERE number = ?", (number,))
        return bytes(rows[0][0]) if rows else b""

    def _mac(self, before: bytes, number: int, time: str, kind: str, body: str) -> bytes:
        # JSON tells where each part ends, so that no two entries look alike.
        entry = msgspec.json.encode([number, time, kind, body])
        return hmac.digest(self._key, before + entry, "sha256")

    def _broken(self, problem: str) -> StoreError:
        return StoreError(path=self._database.path, problem=problem, remedy=_MENDED)


def reseal(connection: sqlite3.Connection, old: Vault, new: Vault) -> None:
    """Seal with another key what is sealed here, in the transaction that `connection` is in."""
    (sealed,) = connection.execute("SELECT value FROM meta WHERE name = 'audit-key'").fetchone()
    key, bound = _opened(sealed, old)
    resealed = new.seal(key, context=BOUND_CONTEXT if bound else KEY_CONTEXT)
    connection.execute("UPDATE meta SET value = ? WHERE name = 'audit-key'", (resealed,))


def bind(connection: sqlite3.Connection, vault: Vault) -> None:
    """Seal the key as that of a database whose rows are bound to the audit."""
    (sealed,) = connection.execute("SELECT value FROM meta WHERE name = 'audit-key'").fetchone()
    resealed = vault.seal(_opened(sealed, vault)[0], context=BOUND_CONTEXT)
    connection.execute("UPDATE meta SET value = ? WHERE name = 'audit-key'", (resealed,))


def _opened(sealed: bytes, vault: Vault) -> tuple[bytes, bool]:
    """Return the key, and whether it is that of a bound database."""
    with contextlib.suppress(StoreError):
        return vault.open(sealed, context=BOUND_CONTEXT), True
    return vault.open(sealed, context=KEY_CONTEXT), False


def digest(decision: Decision, *, version: int = VERSION) -> str:
    """Return the SHA-256 of the facts of a decision, in hexadecimal."""
    facts = {name: getattr(decision, name) for name in (_DECIDED if version == 1 else _DECIDED_2)}
    return hashlib.sha256(msgspec.json.encode(facts, order="deterministic")).hexdigest()
