"""A retained topic of which only the latest value counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penlatch.report.delivery import Outcome

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from penlatch.report.connection import Connection
    from penlatch.report.delivery import Delivery


class RetainedTopic:
    """Publishes its latest value, again on every connection; one at a time, so a slow broker is sent no history."""

    def __init__(self, topic: str, *, problem: Callable[[str, str], None]) -> None:
        """`problem(topic, text)` is told of a refusal, and with an empty text that the broker took a value."""
        self._topic = topic
        self._problem = problem
        self._payload: bytes | None = None
        self._unsent = False
        self._sending = False
        self._connection: Connection | None = None

    def publish(self, payload: bytes) -> None:
        """Make `payload` the value, now or at the next connection."""
        self._payload = payload
        self._unsent = True
        self._send()

    def attach(self, connection: Connection) -> None:
        """Publish the value on `connection`, and what follows it."""
        self._connection = connection
        self._sending = False
        self._unsent = self._payload is not None
        self._send()

    def detach(self) -> None:
        """Keep values for the next connection."""
        self._connection = None

    def _send(self) -> None:
        connection = self._connection
        if connection is None or self._payload is None or not self._unsent or self._sending:
            return
        self._unsent, self._sending = False, True

        def settled(delivery: asyncio.Future[Delivery]) -> None:
            if self._connection is not connection:
                return
            self._sending = False
            outcome = delivery.result()
            if outcome.outcome is Outcome.ACCEPTED:
                self._problem(self._topic, "")
            elif outcome.outcome is Outcome.REFUSED:
                self._problem(self._topic, f"the broker refused {self._topic}: {outcome.reason}")
            self._send()

        connection.publish(self._topic, self._payload, retain=True).add_done_callback(settled)
