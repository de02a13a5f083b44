"""Journal: every decision under a number without gaps, and the outbox of those that no broker has acknowledged yet."""

from __future__ import annotations

import hmac
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from penlatch.clock import synchronised
from penlatch.errors import StoreError, UnstoredError
from penlatch.messages import Failures, Verdict
from penlatch.moment import Made, Moment
from penlatch.store import lockouts, meta
from penlatch.store.audit import Kind
from penlatch.store.decision_rows import decisions_of
from penlatch.store.unjudged import PER_DAY, Unjudged

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

    from penlatch.messages import Decision, DecisionDraft
    from penlatch.store.audit import Audit
    from penlatch.store.database import Database

log = logging.getLogger(__name__)

_INSERT = """
INSERT INTO decisions (
    instance, seq, boot, terminal, time, action, user, purpose, grade, verdict, done, reason, reasons, probability,
    threshold, attempt, pen, latency_ms, "transaction"
) VALUES (
    :instance, :seq, :boot, :terminal, :time, :action, :user, :purpose, :grade, :verdict, :done, :reason, :reasons,
    :probability, :threshold, :attempt, :pen, :latency_ms, :transaction
)
"""

_LAST = "SELECT * FROM decisions ORDER BY seq DESC LIMIT :limit"

_LAST_OF_USER = "SELECT * FROM decisions WHERE user = :user ORDER BY seq DESC LIMIT :limit"

_FAILURES = """
SELECT count(*) FROM decisions WHERE user = :user AND verdict = 'no_match' AND seq < :before AND seq > coalesce(
    (SELECT max(seq) FROM decisions WHERE user = :user AND verdict = 'match' AND seq < :before), 0
)
"""

_SITTINGS = """
SELECT seq, time FROM decisions
WHERE user = :user AND action = 'enroll' AND probability IS NOT NULL AND time > :after ORDER BY seq
"""

_DROPPED_AT_ONCE = 256
"""So many of the oldest are looked at for their age with each new decision, so that none takes long."""

_PENDING = """
SELECT decisions.*, outbox.mac, kernel, made_s FROM outbox JOIN decisions USING (seq)
WHERE seq > :after ORDER BY seq LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much waits for a broker at most."""

    decisions: int = 100_000
    age: timedelta | None = None
    """How old a decision may get [a time]; None for any age. Counted by the clock that the decisions carry."""
    unjudged: int = PER_DAY
    """Rows of errors and retries a day of one way of asking."""


class Journal:
    """The tables `decisions` and `outbox`, and the number of the last decision."""

    def __init__(self, database: Database, audit: Audit, *, boot: int, limits: Limits | None = None) -> None:
        self._database = database
        self._audit = audit
        self._boot = boot
        self.instance = meta.instance(database)
        """Life of the database that numbers decisions now."""
        self._limits = limits or Limits()
        self._unjudged = Unjudged(database, audit, per_day=self._limits.unjudged)

    def record(
        self,
        draft: DecisionDraft,
        *,
        made: Moment | None = None,
        way: str = "",
        failures: Mapping[str, Failures] | None = None,
        also: Callable[[sqlite3.Connection], None] | None = None,
    ) -> Decision:
        """Number a decision and put it into the journal, the audit and the outbox, in one transaction.

        When this returns, the decision is on the disk; when it raises, it never was and its number is still free. Where
        the outbox has no room, the oldest in it are dropped, with an entry in the audit.

        Args:
            draft: the decision.
            made: the moment of the decision; None for now.
            way: the way in which it was asked; errors and retries of one way are bounded, see `store.unjudged`.
            failures: what it makes of the failures in a row of some, kept with it.
            also: writes what else belongs to the same transaction.

        Raises:
            StoreError: if it cannot be written.
            UnstoredError: for an error or a retry beyond the bound of a day, which was counted and has no number.
        """
        made = made or Moment.now()
        judged = draft.verdict in (Verdict.MATCH, Verdict.NO_MATCH)
        with self._database.transaction() as connection:
            decision = (
                self._insert(connection, draft, made)
                if judged or self._unjudged.admit(connection, way, at=made, time=draft.time)
                else None
            )
            lockouts.keep(connection, failures or {}, time=draft.time)
            if also:
                also(connection)
        if decision is None:
            raise UnstoredError(verdict=draft.verdict, reason=draft.reason)
        return decision

    def _insert(self, connection: sqlite3.Connection, draft: DecisionDraft, made: Moment) -> Decision:
        """Number a decision; put it into the journal, the audit and the outbox."""
        seq = meta.count(connection, "seq", path=self._database.path)
        row = msgspec.to_builtins(draft) | {"reasons": msgspec.json.encode(draft.reasons).decode()}
        connection.execute(_INSERT, {"instance": self.instance, "seq": seq, "boot": self._boot, **row})
        stored = connection.execute("SELECT * FROM decisions WHERE seq = ?", (seq,)).fetchone()
        connection.execute(
            "INSERT INTO outbox (seq, mac, kernel, made_s) VALUES (?, ?, ?, ?)",
            (seq, self._audit.ledger.mac(stored), made.kernel, made.s),
        )
        decision = draft.numbered(seq=seq, boot=self._boot, instance=self.instance)
        self._audit.decided(connection, decision)
        self._make_room(connection, decision)
        return decision

    def turn(self, connection: sqlite3.Connection, *, at: Moment, time: str) -> None:
        """End the days of errors and retries that are over: see `Unjudged.turn`."""
        self._unjudged.turn(connection, at=at, time=time)

    def unstored(self) -> int:
        """Return how many errors and retries were counted and not stored: see `Unjudged.beyond`."""
        return self._unjudged.beyond()

    def lockouts(self) -> dict[str, Failures]:
        """Return the committed failures: see `lockouts.load`."""
        return lockouts.load(self._database)

    def unlock(self, subject: str, *, by: str, time: str) -> None:
        """Forget the failures of a person or of the terminal, with an entry in the audit.

        Args:
            subject: the person; empty for the terminal.
            by: who asked for it.
            time: RFC 3339 in UTC.

        Raises:
            StoreError: if it cannot be written.
        """
        with self._database.transaction() as connection:
            lockouts.keep(connection, {subject: Failures()}, time=time)
            self._audit.append(connection, Kind.UNLOCKED, {"user": subject or None, "by": by})

    def decisions(self, *, limit: int, user: str | None = None) -> list[Decision]:
        """Return the last `limit` decisions, newest first, of one person or of all.

        Raises:
            StoreError: if they cannot be read.
        """
        query = _LAST if user is None else _LAST_OF_USER
        rows = self._database.rows(query, {"user": user, "limit": max(limit, 0)})
        return decisions_of(rows, path=self._database.path)

    def failures(self, user: str, *, before: int) -> int:
        """Count the signatures of a person that did not match, from the last match before decision `before` on.

        Raises:
            StoreError: if they cannot be counted.
        """
        return int(self._database.rows(_FAILURES, {"user": user, "before": before})[0][0])

    def sittings_since(self, after: str, *, user: str) -> list[tuple[int, str]]:
        """Return number and time of every decision that opened a further sitting of a person, or refused to.

        Args:
            after: Time of day, RFC 3339 in UTC; what is stamped later counts, the future too.
            user: Whose sittings.

        Raises:
            StoreError: if they cannot be read.
        """
        return [(seq, at) for seq, at in self._database.rows(_SITTINGS, {"user": user, "after": after})]

    def pending(self, *, limit: int, after: int = 0) -> list[Made]:
        """Return the first `limit` decisions in the outbox whose number is above `after`, in order.

        Raises:
            StoreError: if they cannot be read, or one is not as it was made.
        """
        rows = self._database.rows(_PENDING, {"after": after, "limit": max(limit, 0)})
        for row in rows:
            if not hmac.compare_digest(self._audit.ledger.mac(row), row["mac"] or b""):
                raise StoreError(
                    path=self._database.path,
                    problem=f"somebody wrote to it: decision {row['seq']}, which waits, is not as it was made",
                    remedy="keep a copy as evidence, then `penlatch store restore` the newest backup",
                )
        moments = [Moment(row["kernel"], row["made_s"]) for row in rows]
        return list(map(Made, decisions_of(rows, path=self._database.path), moments))

    def dropped(self) -> int:
        """Return how many decisions were ever dropped from the outbox, and never told to a broker.

        Raises:
            StoreError: if it cannot be read.
        """
        return meta.number(self._database, "dropped")

    def _make_room(self, connection: sqlite3.Connection, newest: Decision) -> None:
        """Drop what is beyond the limits from the outbox, oldest first, and say so."""
        behind = newest.seq - self._limits.decisions
        old = self._older_than(newest.time)
        beyond = """FROM outbox WHERE seq <= :behind OR seq <= coalesce(
            (SELECT max(seq) FROM (SELECT seq FROM outbox ORDER BY seq LIMIT :step) JOIN decisions USING (seq)
            WHERE time < :old), 0)"""
        where = {"behind": behind, "old": old, "step": _DROPPED_AT_ONCE}
        first, last, count = connection.execute(f"SELECT min(seq), max(seq), count(*) {beyond}", where).fetchone()
        if not count:
            return
        connection.execute(f"DELETE {beyond}", where)
        connection.execute("UPDATE meta SET value = value + ? WHERE name = 'dropped'", (count,))
        self._audit.append(connection, Kind.DROPPED, {"first": first, "last": last, "count": count})
        log.error("the outbox is full: decisions %d to %d will never reach the broker", first, last)

    def _older_than(self, time: str) -> str:
        """Return the time before which a decision is too old when it is `time`; nothing is before the empty one.

        No decision is, while the clock may be anywhere: one that jumps ahead would make all of them old.
        """
        if self._limits.age is None or not synchronised():
            return ""
        try:
            oldest = datetime.fromisoformat(time) - self._limits.age
        except (ValueError, OverflowError):
            return ""
        return oldest.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def delivered(self, seq: int, *, unheard: bool = False) -> None:
        """Take a decision out of the outbox: the broker has it. Saying so twice does no harm.

        Args:
            seq: its number.
            unheard: count it as one to which nobody was subscribed.

        Raises:
            StoreError: if it cannot be written.
        """
        with self._database.transaction() as connection:
            gone = connection.execute("DELETE FROM outbox WHERE seq = ?", (seq,)).rowcount
            if unheard and gone:
                meta.keep(connection, "unheard", self.unheard() + 1)

    def unheard(self) -> int:
        """Return how many decisions a broker took while nobody was subscribed to them.

        Raises:
            StoreError: if it cannot be read.
        """
        return meta.tally(self._database, "unheard")

    def outbox_depth(self) -> int:
        """Return how many decisions wait for the broker.

        Raises:
            StoreError: if they cannot be counted.
        """
        return int(self._database.rows("SELECT count(*) FROM outbox")[0][0])

    def oldest_pending(self) -> str | None:
        """Return the time of the first decision in the outbox, None where it is empty.

        Raises:
            StoreError: if it cannot be read.
        """
        rows = self._database.rows("SELECT time FROM outbox JOIN decisions USING (seq) ORDER BY seq LIMIT 1")
        return str(rows[0][0]) if rows else None

    def last_seq(self) -> int:
        """Return the number of the last decision, 0 before the first.

        Raises:
            StoreError: if it cannot be read.
        """
        return meta.number(self._database, "seq")
