"""The outbox on its way out: every decision to the broker, in order, until the broker has acknowledged it.

The database is the queue. A row leaves it on a PUBACK of success and on nothing else; what a connection took along when
it ended is read and sent again on the next one. Consumers may therefore see a decision twice, and never miss one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from penlatch.errors import PenlatchError
from penlatch.moment import Clocks
from penlatch.report.backoff import Backoff
from penlatch.report.connection import IN_FLIGHT
from penlatch.report.delivery import Outcome
from penlatch.report.outgoing import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from penlatch.moment import Made
    from penlatch.report.connection import Connection
    from penlatch.report.delivery import Delivery


class Outbox(Protocol):
    """What has been decided and not yet told. The store's, behind its worker thread."""

    async def pending(self, *, limit: int, after: int) -> list[Made]:
        """Return at most `limit` undelivered decisions with `seq` above `after`, lowest first."""

    async def delivered(self, seq: int, *, unheard: bool = False) -> None:
        """Forget decision `seq`: the broker has it. Its row in the journal of decisions stays.

        `unheard` counts it as one to which nobody was subscribed.
        """


class Drain:
    """Empties an outbox into one connection after the other."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        topic: str,
        boot: int,
        historical_after_s: float,
        problem: Callable[[str, str], None],
        writer: Writer | None = None,
        expects_consumer: bool = False,
        clocks: Clocks | None = None,
    ) -> None:
        """Prepare.

        Args:
            outbox: the decisions that wait.
            topic: where they go.
            boot: number of this start.
            historical_after_s: age from which on a decision is historical [s].
            problem: called with a subject and what keeps decisions here, and with an empty text when that is over.
            writer: writes each of them; None for an unsigned form.
            expects_consumer: keep a decision to which nobody is subscribed, and send it again.
            clocks: judge the age of a decision; None for those of this machine.
        """
        self._outbox = outbox
        self._topic = topic
        self._boot = boot
        self._historical_after_s = historical_after_s
        self._problem = problem
        self._writer = writer or Writer()
        self._expects_consumer = expects_consumer
        self._clocks = clocks or Clocks()
        self._awake = asyncio.Event()
        self._backoff = Backoff()
        self.emptied = asyncio.Event()
        """Set while the broker has everything."""

    def start_over(self, boot: int, writer: Writer) -> None:
        """Take decisions of the start `boot` for those of now."""
        self._boot = boot
        self._writer = writer
        self.wake()

    def wake(self) -> None:
        """Look into the outbox again: there is a new row."""
        self.emptied.clear()
        self._awake.set()

    async def run(self, connection: Connection) -> None:
        """Empty the outbox into `connection` until it ends."""
        in_flight: dict[int, asyncio.Future[Delivery]] = {}
        last_sent = 0
        connection.ended.add_done_callback(self._wake_on)
        self.wake()
        while not connection.ended.done():
            await self._awake.wait()
            self._awake.clear()
            healthy = await self._settle(in_flight)
            if healthy and (room := IN_FLIGHT - len(in_flight)) and connection.accepted:
                try:
                    for row in await self._outbox.pending(limit=room, after=last_sent):
                        in_flight[row.decision.seq] = self._send(connection, row)
                        last_sent = row.decision.seq
                    if not in_flight:
                        self._fine()
                        if not self._awake.is_set():  # else a row came while we looked
                            self.emptied.set()
                except PenlatchError as error:
                    self._problem("outbox", str(error))
                    healthy = False
            if not healthy:
                # Let the others land, wait, and begin again with the first that is still there: in order.
                if in_flight:
                    await asyncio.wait(in_flight.values())
                await self._settle(in_flight)
                await asyncio.wait({connection.ended}, timeout=self._backoff.next())
                last_sent = 0
                self._awake.set()
        await self._settle(in_flight)

    def _send(self, connection: Connection, row: Made) -> asyncio.Future[Delivery]:
        delivery = connection.publish(self._topic, lambda: self._payload(row))
        delivery.add_done_callback(self._wake_on)
        return delivery

    def _payload(self, row: Made) -> bytes:
        """Return what is published of a decision now. One that waited in the window may have become historical."""
        historical = is_historical(row, boot=self._boot, clocks=self._clocks, after_s=self._historical_after_s)
        return self._writer.payload(row.decision, historical=historical)

    async def _settle(self, in_flight: dict[int, asyncio.Future[Delivery]]) -> bool:
        """Take what is acknowledged out of the outbox; return False where some of it must be sent again."""
        problem, accepted = "", False
        for seq in [seq for seq, delivery in in_flight.items() if delivery.done()]:
            delivery = in_flight.pop(seq).result()
            if delivery.outcome is Outcome.REFUSED:
                problem = f"the broker refused decision {seq} on {self._topic}: {delivery.reason}"
            elif delivery.unheard and self._expects_consumer:
                problem = f"nobody listens on {self._topic}: decisions wait (mqtt.expects_consumer)"
            elif delivery.outcome is Outcome.ACCEPTED:
                accepted = True
                try:
                    await self._outbox.delivered(seq, unheard=delivery.unheard)
                except PenlatchError as error:  # it will be sent twice; consumers know its number
                    problem = str(error)
        if problem:
            self._problem("outbox", problem)
        elif accepted:
            self._fine()
        return not problem

    def _fine(self) -> None:
        self._backoff.reset()
        self._problem("outbox", "")

    def _wake_on(self, _future: asyncio.Future[Any]) -> None:
        self._awake.set()


def is_historical(row: Made, *, boot: int, clocks: Clocks, after_s: float) -> bool:
    """Tell whether a decision that is sent now comes too late for anything to open on it.

    A decision of an earlier start of the daemon or of the kernel always does. So does one that is too old by the
    boot-time clock, or by a time of day that went in either direction since: see `Clocks.age_s`.
    """
    return row.decision.boot != boot or row.age_s(clocks) > after_s
