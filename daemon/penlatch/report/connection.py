"""One connection to the broker: paho-mqtt in its own thread, seen from the event loop.

A `Connection` is opened once and ends once; it never reconnects, so nothing that paho keeps in memory can outlive the
socket it was sent on. What was not acknowledged when it ends is the caller's to send again on the next one.

Two threads meet here. paho's network thread runs the methods named `_net_…`, which touch nothing but paho and the
loop's `call_soon_threadsafe`; everything else runs on the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paho.mqtt import client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.enums import MQTTProtocolVersion as Version
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from penlatch.foreign import quoted
from penlatch.report.credentials import read_password, tls_context
from penlatch.report.delivery import Delivery, End, Ending, Incoming, Outcome, Will
from penlatch.report.oneshot import OneShotClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.reasoncodes import ReasonCode

    from penlatch.config import Mqtt

log = logging.getLogger(__name__)

IN_FLIGHT = 20
"""Publishes that may wait for their PUBACK at a time, unless the broker's Receive Maximum allows fewer."""
CONNACK_TIMEOUT_S = 3.0
"""How long a broker may think about a CONNECT, unless told otherwise [s]."""
ACK_TIMEOUT_S = 15.0
"""A broker that leaves a publish unacknowledged for so long is given up [s]: the line is dead, or the broker is."""
CLOSE_TIMEOUT_S = 0.2
"""How long a DISCONNECT may take to leave [s]."""
LARGEST_PACKET = 64 * 1024
"""Packets we accept from an MQTT 5 broker, announced in CONNECT [bytes]."""

_QOS = 1
_UNSUPPORTED_VERSION = 132
_SESSION_TAKEN_OVER = 142
_NO_MATCHING_SUBSCRIBERS = 16


@dataclass(frozen=True, slots=True)
class _Outgoing:
    topic: str
    payload: bytes | Callable[[], bytes]
    retain: bool
    correlation: bytes | None
    delivery: asyncio.Future[Delivery]


class Connection:
    """One connection to the broker. Make it, `open` it once, use it until `ended`."""

    def __init__(
        self,
        config: Mqtt,
        *,
        client_id: str,
        version: Version,
        will: Will,
        receive: Callable[[Incoming], None],
        connack_timeout_s: float | None = None,
    ) -> None:
        """Prepare; `receive` is called on the loop with every message, after `open`."""
        self._config = config
        self._version = version
        self._receive = receive
        self._connack_timeout_s = connack_timeout_s or CONNACK_TIMEOUT_S
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[Ending] = self._loop.create_future()
        """Resolved once, after every delivery of this connection is."""
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._waiting: deque[_Outgoing] = deque()
        self._in_flight: dict[int, tuple[asyncio.Future[Delivery], asyncio.TimerHandle]] = {}
        self._window = IN_FLIGHT
        self._accepted = False
        self._closing = False
        self._has_socket = False
        self._abandoned = False
        """Written by the loop, read by paho's thread: nobody waits for this connection any more."""
        self._ending: Ending | None = None
        """Set as soon as it is known why this connection ends; the thread may still be on its way out."""
        self._connack_timer: asyncio.TimerHandle | None = None

        self._client = OneShotClient(client_id=client_id, version=version, prepare=self._net_prepare)
        self._client.will_set(will.topic, will.payload, qos=_QOS, retain=True)
        self._client.on_socket_open = self._net_socket_open
        self._client.on_connect = self._net_connect
        self._client.on_disconnect = self._net_disconnect
        self._client.on_publish = self._net_publish
        self._client.on_subscribe = self._net_subscribe
        self._client.on_message = self._net_message
        self._client.finished = self._net_finished

    # From here on: the loop's side.

    @property
    def accepted(self) -> bool:
        """Whether the broker took us and the connection stands, as far as is known."""
        return self._accepted and self._ending is None

    async def open(self) -> bool:
        """Connect; return whether the broker accepted. Where it did not, `ended` tells why."""
        self._client.connect_async(
            self._config.host,
            self._config.port,
            keepalive=self._config.keepalive_s,
            **self._connect_options(),
        )
        self._client.loop_start()
        either: set[asyncio.Future[Any]] = {self._opened, self.ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return self._opened.done()

    def publish(
        self,
        topic: str,
        payload: bytes | Callable[[], bytes],
        *,
        retain: bool = False,
        correlation: bytes | None = None,
    ) -> asyncio.Future[Delivery]:
        """Publish with QoS 1; the future is resolved at the PUBACK, or as lost when the connection ends.

        No more than the window of publishes is on the way at a time; the others wait here, in order. A payload that
        depends on the time is a function, which is called when the message leaves.
        """
        delivery: asyncio.Future[Delivery] = self._loop.create_future()
        if self.accepted:
            self._waiting.append(_Outgoing(topic, payload, retain, correlation, delivery))
            self._send_waiting()
        else:
            delivery.set_result(Delivery(Outcome.LOST))
        return delivery

    def subscribe(self, topic_filter: str) -> asyncio.Future[Delivery]:
        """Subscribe with QoS 1. On MQTT 5 the retain flag arrives as it was published, so a stale order shows."""
        delivery: asyncio.Future[Delivery] = self._loop.create_future()
        if not self.accepted:
            delivery.set_result(Delivery(Outcome.LOST))
            return delivery
        if self._version is Version.MQTTv5:
            options = SubscribeOptions(qos=_QOS, retainAsPublished=True)
            code, mid = self._client.subscribe(topic_filter, options=options)
        else:
            code, mid = self._client.subscribe(topic_filter, qos=_QOS)
        self._track(mid, delivery, code)
        return delivery

    async def close(self) -> None:
        """Say DISCONNECT, so that the will stays unsaid, and wait for the end, but not for ever."""
        self._closing = True
        self._client.disconnect()
        await asyncio.wait({self.ended}, timeout=CLOSE_TIMEOUT_S)
        self.abort(Ending(End.CLOSED))

    def abort(self, ending: Ending) -> None:
        """End it now. The thread that a name look-up or a handshake may still hold goes when it can."""
        self._abandoned = True
        self._note(ending)
        sock = self._client.socket()
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                # Not SSLSocket's own shutdown, which pulls the TLS layer away under paho's thread.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        self._finish()

    def _connect_options(self) -> dict[str, Any]:
        """Ask for a session that ends with the connection: what it knew, the outbox knows better."""
        if self._version is not Version.MQTTv5:
            return {}
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho left it untyped
        properties.MaximumPacketSize = LARGEST_PACKET
        return {"clean_start": True, "properties": properties}  # no SessionExpiryInterval means 0

    def _send_waiting(self) -> None:
        while self._waiting and len(self._in_flight) < self._window and self._ending is None:
            message = self._waiting.popleft()
            properties = None
            if message.correlation is not None and self._version is Version.MQTTv5:
                properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho left it untyped
                properties.CorrelationData = message.correlation
            payload = message.payload if isinstance(message.payload, bytes) else message.payload()
            info = self._client.publish(message.topic, payload, _QOS, message.retain, properties)
            self._track(info.mid, message.delivery, info.rc)

    def _track(self, mid: int | None, delivery: asyncio.Future[Delivery], code: MQTTErrorCode) -> None:
        if mid is None or code not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            _resolve(delivery, Delivery(Outcome.LOST))
            self.abort(Ending(End.LOST, f"paho-mqtt: {paho.error_string(code)}"))
            return
        overdue = Ending(End.LOST, f"no acknowledgement within {ACK_TIMEOUT_S:g} s")
        self._in_flight[mid] = (delivery, self._loop.call_later(ACK_TIMEOUT_S, self.abort, overdue))

    def _note(self, ending: Ending) -> None:
        if self._ending is None:
            self._ending = Ending(End.CLOSED) if self._closing else ending

    def _finish(self) -> None:
        if self.ended.done():
            return
        if self._connack_timer is not None:
            self._connack_timer.cancel()
        for delivery, timer in self._in_flight.values():
            timer.cancel()
            _resolve(delivery, Delivery(Outcome.LOST))
        self._in_flight.clear()
        for message in self._waiting:
            _resolve(message.delivery, Delivery(Outcome.LOST))
        self._waiting.clear()
        self.ended.set_result(self._ending or Ending(End.LOST))

    def _socket_open(self) -> None:
        self._has_socket = True
        limit_s = self._connack_timeout_s
        silent = Ending(End.SILENT, f"no answer to CONNECT within {limit_s:g} s")
        self._connack_timer = self._loop.call_later(limit_s, self.abort, silent)

    def _connack(self, code: ReasonCode, properties: Properties) -> None:
        if self._connack_timer is not None:
            self._connack_timer.cancel()
        if self.ended.done():
            return
        if code.is_failure:
            end = End.UNSUPPORTED if code.value == _UNSUPPORTED_VERSION else End.REFUSED
            self._note(Ending(end, _text(code, properties)))
            return
        self._window = min(IN_FLIGHT, getattr(properties, "ReceiveMaximum", IN_FLIGHT))
        self._accepted = True
        if not self._opened.done():
            self._opened.set_result(None)

    def _disconnected(self, code: ReasonCode, properties: Properties) -> None:
        reason = _text(code, properties)
        if code.value == _SESSION_TAKEN_OVER:
            reason += ": is this terminal's name used twice?"
        self._note(Ending(End.LOST, reason))

    def _acknowledged(self, mid: int, codes: list[ReasonCode], properties: Properties) -> None:
        delivery, timer = self._in_flight.pop(mid, (None, None))
        if delivery is None or timer is None:
            return
        timer.cancel()
        refusal = next((code for code in codes if code.is_failure), None)
        if refusal is None:
            unheard = any(code.value == _NO_MATCHING_SUBSCRIBERS for code in codes)
            _resolve(delivery, Delivery(Outcome.ACCEPTED, unheard=unheard))
        else:
            _resolve(delivery, Delivery(Outcome.REFUSED, _text(refusal, properties)))
        self._send_waiting()

    def _thread_finished(self, problem: str) -> None:
        if self._accepted:
            self._note(Ending(End.LOST, problem or "closed by the broker"))
        elif self._has_socket:
            self._note(Ending(End.UNANSWERED, problem or "closed without an answer to CONNECT"))
        else:
            self._note(Ending(End.UNREACHABLE, problem))
        self._finish()

    # From here on: paho's network thread.

    def _tell(self, call: Callable[..., None], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(call, *args)

    def _net_prepare(self, client: paho.Client) -> None:
        """Read password and certificates: files, so not on the loop."""
        if self._config.username is not None:
            client.username_pw_set(self._config.username, read_password(self._config))
        if self._config.tls is not None:
            client.tls_set_context(tls_context(self._config.tls))

    def _net_socket_open(self, _client: paho.Client, _userdata: object, sock: Any) -> None:
        if self._abandoned:
            # A late handshake must not take the client id from the connection that came after this one.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
            return
        # Small writes, each awaited by a person at a door: never held back for a fuller segment.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tell(self._socket_open)

    def _net_connect(
        self, _client: paho.Client, _userdata: object, _flags: object, code: ReasonCode, properties: Properties | None
    ) -> None:
        self._tell(self._connack, code, properties)

    def _net_disconnect(
        self,
        _client: paho.Client,
        _userdata: object,
        flags: paho.DisconnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._tell(self._disconnected, code, properties)

    def _net_publish(
        self, _client: paho.Client, _userdata: object, mid: int, code: ReasonCode, properties: Properties
    ) -> None:
        self._tell(self._acknowledged, mid, [code], properties)

    def _net_subscribe(
        self, _client: paho.Client, _userdata: object, mid: int, codes: list[ReasonCode], properties: Properties
    ) -> None:
        self._tell(self._acknowledged, mid, codes, properties)

    def _net_message(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        incoming = Incoming(
            topic=message.topic,
            payload=bytes(message.payload),
            retained=message.retain,
            response_topic=getattr(message.properties, "ResponseTopic", None),
            correlation=getattr(message.properties, "CorrelationData", None),
        )
        self._tell(self._receive, incoming)

    def _net_finished(self) -> None:
        self._tell(self._thread_finished, self._client.problem)


def _resolve(delivery: asyncio.Future[Delivery], outcome: Delivery) -> None:
    if not delivery.done():
        delivery.set_result(outcome)


def _text(code: ReasonCode, properties: Properties | None) -> str:
    said = getattr(properties, "ReasonString", None)
    return f"{code}: {quoted(said)}" if said else str(code)
