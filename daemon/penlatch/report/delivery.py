"""What goes over a connection to the broker and how it ends: plain values, no paho in them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """What became of one publish or subscription."""

    ACCEPTED = "accepted"
    """The broker acknowledged it with a success code: it is the broker's now."""
    REFUSED = "refused"
    """The broker acknowledged it with a failure code (MQTT 5 only, where it concerns a publish)."""
    LOST = "lost"
    """The connection ended first: the broker may have it or not."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The end of one publish or subscription."""

    outcome: Outcome
    reason: str = ""
    unheard: bool = False
    """The broker took it, and says that nobody is subscribed to its topic (reason code 0x10, MQTT 5 only)."""


class End(Enum):
    """How far a connection came."""

    UNREACHABLE = "unreachable"
    """No socket: name, route, port, TLS, or our own credentials."""
    UNANSWERED = "unanswered"
    """A socket, closed without a CONNACK that can be read."""
    SILENT = "silent"
    """A socket, and no CONNACK in time."""
    UNSUPPORTED = "unsupported"
    """The broker does not speak this version of MQTT."""
    REFUSED = "refused"
    """A CONNACK that says no."""
    LOST = "lost"
    """It was accepted, and ended without our wish."""
    CLOSED = "closed"
    """We ended it."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How far a connection came, and why no further, for people."""

    end: End
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says, retained, when we vanish."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message the broker forwarded."""

    topic: str
    payload: bytes
    retained: bool
    response_topic: str | None = None
    """MQTT 5 only."""
    correlation: bytes | None = None
    """MQTT 5 only."""
