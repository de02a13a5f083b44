"""An outbox in memory, for tests of what empties it; and decisions of just now to put in."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from penlatch.moment import Made, Moment
from support.examples import decision

if TYPE_CHECKING:
    from penlatch.errors import PenlatchError
    from penlatch.messages import Decision


def recent(seq: int, *, age_s: float = 0.0, **changed: object) -> Decision:
    """Return decision `seq`, taken `age_s` ago, with some fields changed."""
    time = (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return decision(seq, time=time, **changed)


def moment_of(decision: Decision) -> Moment:
    """Return the moment of a decision, as if nobody had set the time of day since."""
    age_s = (datetime.now(UTC) - datetime.fromisoformat(decision.time)).total_seconds()
    now = Moment.now()
    return Moment(now.kernel, now.s - max(age_s, 0.0))


class MemoryOutbox:
    """Keeps decisions until they are delivered; like the store's, it yields to the loop before it answers."""

    def __init__(self, *decisions: Decision) -> None:
        self.rows = {row.seq: row for row in decisions}
        self.delivered_order: list[int] = []
        self.unheard = 0
        """Decisions that nobody was subscribed to."""
        self.fault: PenlatchError | None = None
        """Raised by every call while it is set."""

    async def pending(self, *, limit: int, after: int) -> list[Made]:
        """Return what waits, as `report.publisher.Outbox` says."""
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        return [Made(self.rows[seq], moment_of(self.rows[seq])) for seq in sorted(self.rows) if seq > after][:limit]

    async def delivered(self, seq: int, *, unheard: bool = False) -> None:
        """Forget a row, as `report.publisher.Outbox` says."""
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        self.delivered_order.append(seq)
        self.unheard += unheard and seq in self.rows
        self.rows.pop(seq, None)

    def add(self, *decisions: Decision) -> None:
        """Commit decisions; waking the publisher is the test's."""
        self.rows |= {row.seq: row for row in decisions}
