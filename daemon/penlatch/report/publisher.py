"""The terminal's voice on the broker: decisions from the outbox, state, info and health; and its ear for requests.

One connection after the other, each with its own birth and will; between two of them a backoff. What may not be lost
is in the outbox (`report.outbox`), what counts only in its latest form is retained (`report.retained`), and everything
else, a response for one, is worth nothing to a broker that was not there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from penlatch.bounded import ended
from penlatch.foreign import quoted
from penlatch.messages import Part, State
from penlatch.report import home_assistant
from penlatch.report.admission import Admission
from penlatch.report.backoff import Backoff
from penlatch.report.connection import Connection
from penlatch.report.delivery import End, Ending, Outcome, Will
from penlatch.report.identity import Identity
from penlatch.report.negotiation import Negotiation
from penlatch.report.outbox import Drain, Outbox
from penlatch.report.outgoing import Writer
from penlatch.report.requests import CLOSE_LIMIT_S, Handle, Requests
from penlatch.report.retained import RetainedTopic
from penlatch.report.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Callable

    from penlatch.config import Mqtt
    from penlatch.messages import Health, Info
    from penlatch.report.delivery import Delivery, Incoming
    from penlatch.report.signing import Signer

__all__ = ["Outbox", "Publisher"]

log = logging.getLogger(__name__)

DRAIN_TIMEOUT_S = 0.3
"""How long a stop waits for the outbox to run empty [s]; what is left is sent, as historical, after the next start."""
FAREWELL_TIMEOUT_S = 0.3
"""How long a stop waits for the broker to take the farewell, and with it what is still on the way [s]."""
SETTLE_S = 2.0
"""How long the last acknowledgements of a connection may take to reach the database [s]."""
LAST_SETTLE_S = 0.1
"""The same in a stop [s]."""
STOP_LIMIT_S = 1.0
"""Longest time of a stop [s]: requests, outbox, farewell and close, each with its own limit."""
STABLE_S = 10.0
"""A connection that lasted so long was a good one: the next try comes soon again [s]."""
CONFIRM_TIMEOUT_S = 1.0
"""How long a broker that has just answered in MQTT 3.1.1 may think about version 5 [s]."""
RIVALRY = 3
"""So many accepted connections in a row that did not last look like another client that uses our name."""


class Publisher:
    """Keeps the terminal on the broker. All methods are called on the event loop that ran `start`."""

    def __init__(
        self,
        config: Mqtt,
        *,
        terminal: str,
        boot: int,
        outbox: Outbox,
        handle: Handle,
        changed: Callable[[], None] | None = None,
        signer: Signer | None = None,
        instance: str | None = None,
    ) -> None:
        """Prepare; nothing is connected before `start`.

        Args:
            config: where the broker is and what it may ask for.
            terminal: the name under which everything is published.
            boot: how many times the daemon was started; a decision of an earlier start is always historical.
            outbox: the decisions that wait.
            handle: does what a request asks for.
            signer: signs every decision; None for unsigned ones.
            instance: life of the database; None while it cannot be used.
            changed: called when `connected` or `last_error` changed, so that health can be told anew.
        """
        self._config = config
        self._topics = Topics(terminal)
        self._boot = boot
        self._identity = Identity.of(signer, terminal=terminal, instance=instance, boot=boot)
        self._changed = changed or (lambda: None)
        self._negotiation = Negotiation()
        self._backoff = Backoff()
        self._connection: Connection | None = None
        self._connections = 0
        self._short_lived = 0
        self._link_error = ""
        self._problems: dict[str, str] = {}
        """By subject: what works badly although the connection stands."""
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._info = RetainedTopic(self._topics.info, problem=self._problem)
        self._health = RetainedTopic(self._topics.health, problem=self._problem)
        self._drain = Drain(
            outbox,
            topic=self._topics.decision,
            boot=boot,
            historical_after_s=config.historical_after_s,
            problem=self._problem,
            writer=self._writer(signer),
            expects_consumer=config.expects_consumer,
        )
        self._prefix = config.home_assistant
        self._description = (
            RetainedTopic(home_assistant.config_topic(self._prefix, terminal), problem=self._problem)
            if self._prefix
            else None
        )
        self._requests = Requests(
            topics=self._topics,
            allowed=config.requests,
            handle=handle,
            publish=self._publish_response,
            admission=Admission(max_age_s=config.request_max_age_s),
        )

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and the connection stands."""
        return self._connection is not None and self._connection.accepted

    @property
    def last_error(self) -> str:
        """What is wrong now, for people; empty while nothing is."""
        if not self.connected:
            return self._link_error
        return "; ".join(self._problems.values())

    def health(self) -> Part:
        """Return the health of the way to the broker."""
        if not self.connected:
            return Part(ok=False, detail=self._link_error or "not connected yet")
        detail = str(self._negotiation)
        if self._negotiation.stepped_down:
            detail += ": the broker speaks no MQTT 5, so it cannot tell us when it refuses a message"
            if self._config.expects_consumer:
                detail += " or when nobody listens"
        return Part(ok=not self._problems, detail=f"{self.last_error}; {detail}" if self._problems else detail)

    async def start(self) -> None:
        """Begin to connect, and go on for ever. Returns at once: a terminal works without its broker, too."""
        if self._config.username is not None and self._config.tls is None and not _is_local(self._config.host):
            log.warning(
                "the password for the broker %s crosses the network in the clear: set mqtt.tls", self._config.host
            )
        self._task = asyncio.create_task(self._run(), name="mqtt")

    async def stop(self) -> None:
        """Say farewell and disconnect cleanly, so that the will stays unsaid; bounded in time."""
        self._stopping.set()
        await self._requests.close()
        if self._task is not None:
            # A broker that answers nothing is left: it says `lost` for us when the connection ends.
            await ended([self._task], within_s=STOP_LIMIT_S - CLOSE_LIMIT_S)
            self._task = None

    def wake(self) -> None:
        """Look into the outbox: there is a new row."""
        self._drain.wake()

    def start_over(self, boot: int, signer: Signer | None, instance: str | None) -> None:
        """Be the start number `boot` from now on: the database that counts starts could not be used before."""
        self._boot = boot
        self._identity = Identity.of(signer, terminal=self._topics.terminal, instance=instance, boot=boot)
        self._drain.start_over(boot, self._writer(signer))
        if self._connection is not None:
            # The will that the broker holds belongs to the start before.
            self._connection.abort(Ending(End.LOST, "the database can be used again"))

    def publish_info(self, info: Info) -> None:
        """Make `info` what the terminal says it is, now and at every connection."""
        self._info.publish(msgspec.json.encode(self._identity.on(info)))

    def publish_health(self, health: Health) -> None:
        """Make `health` the known health, now and at every connection."""
        self._health.publish(msgspec.json.encode(self._identity.on(health)))

    async def _run(self) -> None:
        """Connect, again and again, until told to stop."""
        while not self._stopping.is_set():
            since = asyncio.get_running_loop().time()
            ending = await self._connect_once()
            if self._stopping.is_set():
                break
            lasted_s = asyncio.get_running_loop().time() - since
            if not self._learn(ending, lasted_s):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._backoff.next()):
                        await self._stopping.wait()

    async def _connect_once(self) -> Ending:
        """Make one connection, live on it, and return how it ended."""
        connection = Connection(
            self._config,
            client_id=f"penlatch-{self._topics.terminal}",
            version=self._negotiation.version,
            will=Will(self._topics.state, self._state("lost", self._connections + 1)),
            receive=self._receive,
            connack_timeout_s=CONFIRM_TIMEOUT_S if self._negotiation.confirming else None,
        )
        opening = asyncio.create_task(connection.open())
        await self._until_stopped_or(opening)
        if not opening.done():
            opening.cancel()
            connection.abort(Ending(End.CLOSED))
        elif opening.result():
            if self._negotiation.answered():
                await self._live_on(connection)
            else:
                await connection.close()
        return await connection.ended

    async def _live_on(self, connection: Connection) -> None:
        """Tell the broker everything on a connection that it accepted, until it ends or we stop."""
        self._connections += 1
        self._connection = connection
        self._link_error = ""
        self._problems.clear()
        log.info("connected to the broker %s:%d, %s", self._config.host, self._config.port, self._negotiation)

        subscription = connection.subscribe(self._topics.requests)
        subscription.add_done_callback(self._watch("subscription to requests"))
        birth = connection.publish(self._topics.state, self._state("online", self._connections), retain=True)
        birth.add_done_callback(self._watch(self._topics.state))
        self._changed()
        self._info.attach(connection)
        self._health.attach(connection)
        self._describe(connection)
        draining = asyncio.create_task(self._drain.run(connection), name="mqtt-outbox")
        draining.add_done_callback(lambda task: self._drained(task, connection))
        try:
            await self._until_stopped_or(connection.ended)
            if not connection.ended.done():
                await self._farewell(connection)
        finally:
            self._info.detach()
            self._health.detach()
            if self._description:
                self._description.detach()
            await asyncio.wait({draining}, timeout=LAST_SETTLE_S if self._stopping.is_set() else SETTLE_S)
            draining.cancel()

    async def _farewell(self, connection: Connection) -> None:
        """Let the outbox run empty and publish `offline`; its PUBACK comes after those of all that went before it."""
        emptied = asyncio.create_task(self._drain.emptied.wait())
        either: set[asyncio.Future[Any]] = {emptied, connection.ended}
        await asyncio.wait(either, timeout=DRAIN_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        emptied.cancel()
        farewell = connection.publish(self._topics.state, self._state("offline", self._connections), retain=True)
        await asyncio.wait({farewell}, timeout=FAREWELL_TIMEOUT_S)
        await connection.close()

    def _learn(self, ending: Ending, lasted_s: float) -> bool:
        """Remember why a connection ended; return whether to connect again at once, in another version of MQTT."""
        self._connection = None
        if ending.end is End.CLOSED:
            return True
        version = str(self._negotiation)
        at_once = self._adapt(ending.end)
        if version != str(self._negotiation):
            log.info("the broker does not seem to speak %s, trying %s", version, self._negotiation)
        before = self._link_error
        self._link_error = ": ".join(filter(None, (_WHAT_HAPPENED[ending.end], ending.reason)))
        if ending.end is End.LOST:
            if lasted_s > STABLE_S:
                self._backoff.reset()
            self._short_lived = 0 if lasted_s > STABLE_S else self._short_lived + 1
            if self._short_lived >= RIVALRY:
                self._link_error += " again and again: is this terminal's name used twice?"
        level = logging.DEBUG if self._link_error == before else logging.WARNING  # a dead broker fills no journal
        log.log(level, "broker %s:%d: %s", self._config.host, self._config.port, self._link_error)
        self._changed()
        return at_once

    def _adapt(self, end: End) -> bool:
        """Draw the conclusions for the version of MQTT; return whether to connect again at once."""
        match end:
            case End.UNSUPPORTED:
                return self._negotiation.unsupported()
            case End.UNANSWERED:
                return self._negotiation.closed()
            case End.SILENT:
                return self._negotiation.silent()
            case End.REFUSED:
                return not self._negotiation.answered()
            case _:
                return False

    def _receive(self, message: Incoming) -> None:
        if self._stopping.is_set():
            return
        if self._description and message.topic == f"{self._prefix}/{home_assistant.STATUS}":
            if message.payload == home_assistant.ONLINE:
                self._description.publish(home_assistant.description(self._topics))
            return
        self._requests.receive(message)

    def _describe(self, connection: Connection) -> None:
        """Make the terminal known to Home Assistant, and again whenever that says that it is there."""
        if self._description:
            self._description.publish(home_assistant.description(self._topics))
            self._description.attach(connection)
            watch = connection.subscribe(f"{self._prefix}/{home_assistant.STATUS}")
            watch.add_done_callback(self._watch("subscription to Home Assistant"))

    def _publish_response(self, topic: str, payload: bytes, correlation: bytes | None) -> None:
        if self._connection is None or not self._connection.accepted:
            log.info("a response on %s found no broker", quoted(topic))
            return
        delivery = self._connection.publish(topic, payload, correlation=correlation)
        # Requesters choose topics: health keeps one subject for all of them, and repeats none.
        delivery.add_done_callback(self._watch("a response"))

    def _watch(self, subject: str) -> Callable[[asyncio.Future[Delivery]], None]:
        """Return a callback that reports a refusal of `subject`."""

        def settled(delivery: asyncio.Future[Delivery]) -> None:
            outcome = delivery.result()
            if outcome.outcome is Outcome.REFUSED:
                self._problem(subject, f"the broker refused {subject}: {outcome.reason}")
            elif outcome.outcome is Outcome.ACCEPTED:
                self._problem(subject, "")

        return settled

    def _problem(self, subject: str, text: str) -> None:
        before = self.last_error
        if text:
            self._problems[subject] = text
        else:
            self._problems.pop(subject, None)
        if self.last_error != before:
            if text:
                log.warning("%s", text)
            self._changed()

    def _drained(self, task: asyncio.Task[None], connection: Connection) -> None:
        """Give up a connection whose outbox nobody empties any more: a fault of ours, which a new one may mend."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the outbox failed", exc_info=error)
            connection.abort(Ending(End.LOST, f"the outbox failed: {type(error).__name__}"))

    def _state(self, state: Literal["online", "offline", "lost"], conn: int) -> bytes:
        return msgspec.json.encode(self._identity.on(State(state=state, boot=self._boot, conn=conn)))

    def _writer(self, signer: Signer | None) -> Writer:
        return Writer(signer, only=self._config.sign == "only")

    async def _until_stopped_or(self, future: asyncio.Future[Any]) -> None:
        stopping: asyncio.Future[Any] = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({future, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()


_WHAT_HAPPENED = {
    End.UNREACHABLE: "cannot be reached",
    End.UNANSWERED: "does not answer as a broker",
    End.SILENT: "does not answer",
    End.UNSUPPORTED: "does not speak our version of MQTT",
    End.REFUSED: "refused the connection",
    End.LOST: "connection lost",
}


def _is_local(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")
