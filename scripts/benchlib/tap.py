"""A tap on the line to the broker: forwards every byte, and notes when each decision was acknowledged.

It stands between the daemon and Mosquitto, so that the time of a PUBACK is known without any help from the daemon. Its
own forwarding, two more passes over loopback, is part of what it measures.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import msgspec

from penlatch.messages import Decision

if TYPE_CHECKING:
    from collections.abc import Iterator

PUBLISH, PUBACK = 3, 4
"""MQTT control packet types (MQTT 5, 2.1.2; the same in 3.1.1)."""


@dataclass
class _Packets:
    """Cuts one direction of an MQTT connection into control packets."""

    rest: bytes = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Yield type, flags and body of every packet that is complete."""
        self.rest += data
        while (head := self._length()) is not None:
            start, length = head
            if len(self.rest) < start + length:
                return
            first, body, self.rest = self.rest[0], self.rest[start : start + length], self.rest[start + length :]
            yield first >> 4, first & 15, body

    def _length(self) -> tuple[int, int] | None:
        """Return where the body of the first packet starts and how long it is; None while that is not known."""
        length = 0
        for index, byte in enumerate(self.rest[1:5]):
            length |= (byte & 127) << 7 * index
            if byte < 128:
                return 2 + index, length
        return None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """One decision that the broker has."""

    decision: Decision
    published: float
    """When the PUBLISH passed [s, Unix time, as the decision's own]."""
    acknowledged: float
    """When its PUBACK came back [s, likewise]."""


@dataclass
class Tap:
    """Listens on a port of its own and forwards to the broker on `port`."""

    port: int
    seen: dict[int, Acknowledged] = field(default_factory=dict)
    """What was acknowledged, by the number of the decision."""

    def __post_init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.listens_on = int(self._server.getsockname()[1])
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def wait(self, seq: int, *, limit_s: float = 10.0) -> Acknowledged:
        """Return when decision `seq` was acknowledged, waiting for it."""
        with self._news:
            if not self._news.wait_for(lambda: seq in self.seen, limit_s):
                raise SystemExit(f"bench: decision {seq} was not acknowledged within {limit_s} s")
            return self.seen[seq]

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                threading.Thread(target=self._forward, args=(near,), daemon=True).start()

    def _forward(self, near: socket.socket) -> None:
        far = socket.create_connection(("127.0.0.1", self.port))
        for side in (near, far):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        outgoing, incoming = _Packets(), _Packets()
        waiting: dict[int, tuple[Decision, float]] = {}
        with near, far, contextlib.suppress(OSError):
            while True:
                for side in select.select([near, far], [], [])[0]:
                    data = side.recv(65_536)
                    if not data:
                        return
                    (far if side is near else near).sendall(data)
                    if side is near:
                        self._note_publish(outgoing, data, waiting)
                    else:
                        self._note_puback(incoming, data, waiting)

    def _note_publish(self, packets: _Packets, data: bytes, waiting: dict[int, tuple[Decision, float]]) -> None:
        for kind, flags, body in packets.feed(data):
            size = int.from_bytes(body[:2], "big")
            topic = body[2 : 2 + size]
            if kind == PUBLISH and flags & 6 and topic.endswith(b"/decision"):
                mid = int.from_bytes(body[2 + size : 4 + size], "big")
                waiting[mid] = _decision(body[4 + size :]), time.time()

    def _note_puback(self, packets: _Packets, data: bytes, waiting: dict[int, tuple[Decision, float]]) -> None:
        now = time.time()
        for kind, _, body in packets.feed(data):
            mid = int.from_bytes(body[:2], "big")
            if kind == PUBACK and mid in waiting:
                decision, published = waiting.pop(mid)
                with self._news:
                    self.seen[decision.seq] = Acknowledged(decision, published, now)
                    self._news.notify_all()


def _decision(rest: bytes) -> Decision:
    """Read the payload, before which MQTT 5 has its properties: it is a JSON object."""
    return msgspec.json.decode(rest[rest.index(b"{") :], type=Decision)
