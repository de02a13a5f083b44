"""A witness: an MQTT client that knows of the terminal what any consumer on the broker could know, and no more."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from penlatch.messages import DOOR, Armed, Decision, Health, Request, Response
from penlatch.report.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Callable

M = TypeVar("M", Decision, Health, Response)

_AT_LEAST_ONCE = 1
_LOOK_S = 0.2
"""How often it is looked whether what is waited for can still come [s]."""
_CONNECT_LIMIT_S = 10.0
"""How long the broker, which is in this process, may take to accept a client and its subscription [s]."""


class Witness:
    """`with Witness(terminal, host, port) as witness:` is subscribed before the block begins.

    Every method is for one thread.
    """

    def __init__(self, terminal: str, host: str, port: int, *, watch: Callable[[], None] = lambda: None) -> None:
        """Prepare to listen to `terminal` on the broker at `host`:`port`.

        `watch` is called now and then while something is waited for. It raises where that can no longer come.
        """
        self._watch = watch
        self._topics = Topics(terminal)
        self._address = host, port
        self._types: dict[str, type[Decision | Health | Response]] = {
            self._topics.decision: Decision,
            self._topics.health: Health,
            self._topics.response("verify"): Response,
        }
        self._inboxes: dict[type, queue.Queue[Any]] = {kind: queue.Queue() for kind in self._types.values()}
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self.decisions: list[Decision] = []
        """All that were received, in order of arrival."""
        self.retained_decisions = 0
        """How many of them the broker had kept, which none may be."""

    def __enter__(self) -> Self:
        """Connect and subscribe.

        Raises:
            OSError: if there is no broker.
            TimeoutError: if it does not accept the subscription.
        """
        self._client.connect(*self._address)
        self._client.loop_start()
        if not self._subscribed.wait(_CONNECT_LIMIT_S):
            raise TimeoutError("the broker does not accept subscriptions")
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def ask_for(self, user: str, *, transaction: str) -> None:
        """Ask the terminal to verify `user`, as a card reader would."""
        payload = msgspec.json.encode(Request(user=user, purpose=DOOR, transaction=transaction))
        self._client.publish(f"{self._topics.base}/request/verify", payload, qos=_AT_LEAST_ONCE)

    def armed(self, transaction: str, *, attempt: int, limit_s: float) -> None:
        """Wait until the terminal waits for a signature.

        Raises:
            TimeoutError: if it does not within `limit_s`.
            RuntimeError: if it refuses.
        """

        def is_it(response: Response) -> bool:
            if response.transaction != transaction:
                return False
            if response.status == "error":
                raise RuntimeError(f"the terminal refuses: {response.error}")
            return isinstance(response.data, Armed) and response.data.attempt == attempt

        self._wait(Response, is_it, limit_s, f"the terminal does not arm for attempt {attempt}")

    def decision(self, *, limit_s: float) -> Decision:
        """Wait for the next decision.

        Raises:
            TimeoutError: if none is published within `limit_s`.
        """
        return self._wait(Decision, lambda _: True, limit_s, "no decision was published")

    def health(self, wanted: Callable[[Health], bool], *, limit_s: float, otherwise: str) -> Health:
        """Wait until the terminal publishes a health that is as `wanted`.

        Raises:
            TimeoutError: if it does not within `limit_s`, saying `otherwise` and what the last health said.
        """
        last = "it never told its health"

        def is_it(health: Health) -> bool:
            nonlocal last
            last = _faults(health)
            return wanted(health)

        try:
            return self._wait(Health, is_it, limit_s, otherwise)
        except TimeoutError as error:
            raise TimeoutError(f"{error} ({last})") from None

    def _wait(self, kind: type[M], is_it: Callable[[M], bool], limit_s: float, otherwise: str) -> M:
        end = time.monotonic() + limit_s
        while True:
            left_s = end - time.monotonic()
            try:
                message: M = self._inboxes[kind].get(timeout=max(0.0, min(left_s, _LOOK_S)))
            except queue.Empty:
                self._watch()
                if left_s <= _LOOK_S:
                    raise TimeoutError(f"{otherwise} within {limit_s:.0f} s") from None
                continue
            if is_it(message):
                return message

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        client.subscribe([(topic, _AT_LEAST_ONCE) for topic in self._types])

    def _on_subscribe(self, *_: Any) -> None:
        self._subscribed.set()

    def _on_message(self, _client: paho.Client, _userdata: object, received: paho.MQTTMessage) -> None:
        kind = self._types[received.topic]
        message = msgspec.json.decode(received.payload, type=kind)
        if isinstance(message, Decision):
            self.decisions.append(message)
            self.retained_decisions += received.retain
        self._inboxes[kind].put(message)


def _faults(health: Health) -> str:
    parts = {"pen": health.pen, "models": health.models, "store": health.store, "broker": health.broker}
    return "; ".join(f"{name}: {part.detail}" for name, part in parts.items() if not part.ok) or "it says it is well"
