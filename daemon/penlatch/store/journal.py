"""Journal: every decision under a number without gaps, and the outbox of those that no broker has acknowledged yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from penlatch.messages import Decision

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from penlatch.messages import DecisionDraft
    from penlatch.store.database import Database

_INSERT = """
INSERT INTO decisions (
    seq, boot, terminal, time, action, user, verdict, done, reason, reasons, probability, threshold, attempt, pen,
    latency_ms, "transaction"
) VALUES (
    :seq, :boot, :terminal, :time, :action, :user, :verdict, :done, :reason, :reasons, :probability, :threshold,
    :attempt, :pen, :latency_ms, :transaction
)
"""

_LAST = "SELECT * FROM decisions ORDER BY seq DESC LIMIT :limit"

_LAST_OF_USER = "SELECT * FROM decisions WHERE user = :user ORDER BY seq DESC LIMIT :limit"

_FAILURES = """
SELECT count(*) FROM decisions WHERE user = :user AND verdict = 'no_match' AND seq < :before AND seq > coalesce(
    (SELECT max(seq) FROM decisions WHERE user = :user AND verdict = 'match' AND seq < :before), 0
)
"""

_PENDING = """
SELECT decisions.* FROM outbox JOIN decisions USING (seq) WHERE seq > :after ORDER BY seq LIMIT :limit
"""


class Journal:
    """The tables `decisions` and `outbox`, and the number of the last decision."""

    def __init__(self, database: Database, *, boot: int) -> None:
        self._database = database
        self._boot = boot

    def record(self, draft: DecisionDraft) -> Decision:
        """Number a decision and put it into the journal and the outbox, in one transaction.

        When this returns, the decision is on the disk; when it raises, it never was and its number is still free.

        Raises:
            StoreError: if it cannot be written.
        """
        with self._database.transaction() as connection:
            (seq,) = connection.execute(
                "UPDATE meta SET value = value + 1 WHERE name = 'seq' RETURNING value"
            ).fetchone()
            row = msgspec.to_builtins(draft) | {"reasons": msgspec.json.encode(draft.reasons).decode()}
            connection.execute(_INSERT, {"seq": seq, "boot": self._boot, **row})
            connection.execute("INSERT INTO outbox (seq) VALUES (?)", (seq,))
        return draft.numbered(seq=seq, boot=self._boot)

    def decisions(self, *, limit: int, user: str | None = None) -> list[Decision]:
        """Return the last `limit` decisions, newest first, of one person or of all.

        Raises:
            StoreError: if they cannot be read.
        """
        query = _LAST if user is None else _LAST_OF_USER
        return _decisions(self._database.rows(query, {"user": user, "limit": max(limit, 0)}))

    def failures(self, user: str, *, before: int) -> int:
        """Count the signatures of a person that did not match, from the last match before decision `before` on.

        Raises:
            StoreError: if they cannot be counted.
        """
        return int(self._database.rows(_FAILURES, {"user": user, "before": before})[0][0])

    def pending(self, *, limit: int, after: int = 0) -> list[Decision]:
        """Return the first `limit` decisions in the outbox whose number is above `after`, in order.

        Raises:
            StoreError: if they cannot be read.
        """
        return _decisions(self._database.rows(_PENDING, {"after": after, "limit": max(limit, 0)}))

    def delivered(self, seq: int) -> None:
        """Take a decision out of the outbox: the broker has it. Saying so twice does no harm.

        Raises:
            StoreError: if it cannot be written.
        """
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM outbox WHERE seq = ?", (seq,))

    def outbox_depth(self) -> int:
        """Return how many decisions wait for the broker.

        Raises:
            StoreError: if they cannot be counted.
        """
        return int(self._database.rows("SELECT count(*) FROM outbox")[0][0])

    def last_seq(self) -> int:
        """Return the number of the last decision, 0 before the first.

        Raises:
            StoreError: if it cannot be read.
        """
        return int(self._database.rows("SELECT value FROM meta WHERE name = 'seq'")[0][0])


def _decisions(rows: Sequence[sqlite3.Row]) -> list[Decision]:
    """Turn rows, whose columns are the fields of `Decision`, into decisions.

    SQLite keeps `done` as 0 or 1 and `reasons` as JSON.
    """
    return [
        msgspec.convert(dict(row) | {"reasons": msgspec.json.decode(row["reasons"])}, Decision, strict=False)
        for row in rows
    ]
