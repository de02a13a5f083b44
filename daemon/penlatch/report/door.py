"""What a door controller checks before it opens on a message of a terminal: everything, in one place, for its maker.

Needs nothing of a terminal but its name, its public key and its instance, which are learned once, at the terminal:
`penlatch info` there, not from the broker that is not to be believed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from penlatch.decoding import UNREADABLE
from penlatch.foreign import quoted
from penlatch.messages import CHECK, DOOR, Grade, Verdict
from penlatch.report.signing import SignatureError, verified

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

MAX_AGE_S: Final = 5.0
"""How old a decision may be, by the clocks of terminal and door [s]."""
LARGEST_MESSAGE: Final = 64 * 1024
"""Longer messages are refused unread [bytes]; a signed decision has about 1,400."""
_INSTANCE: Final = re.compile(r"[0-9a-f]{32}\Z")


class NotOpeningError(Exception):
    """The door stays shut, and why."""


class OtherInstanceError(NotOpeningError):
    """The decision is of an instance that no person has accepted: the database was restored, begun anew, or another."""

    def __init__(self, instance: str, accepted: str | None) -> None:
        self.instance = instance
        """Of the decision, whose signature is good."""
        self.accepted = accepted
        """The one that this door believes, None for none yet."""
        believed = f"this door believes {accepted}" if accepted else "this door believes none yet"
        super().__init__(
            f"it is of instance {quoted(instance)}, {believed}: a person compares it with `penlatch info` at the "
            "terminal and calls accept_instance"
        )


@dataclass
class Door:
    """Opens for fresh, signed matches of one terminal, and for each of them once."""

    terminal: str
    jwk: Mapping[str, str]
    """The terminal's public key."""
    instance: str | None = None
    """Life of the terminal's database, as a person read it at the terminal; None opens for nothing yet."""
    last_seq: int = 0
    """Number of the last decision of `instance` that was looked at. Keep both over restarts: no number opens twice."""
    max_age_s: float = MAX_AGE_S
    purposes: Collection[str] = frozenset({DOOR})
    """Purposes of a signature for which this door opens."""
    grades: Collection[str] = frozenset({Grade.PEN.value})
    """Grades for which it opens; `picture`, a weaker proof, is not among them unless its maker says so."""
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def accept_instance(self, instance: str, *, last_seq: int = 0) -> None:
        """Believe another instance from now on, and the one before no more.

        To be called for a person who has compared it with `penlatch info` at the terminal; never because a message
        said so.

        Args:
            instance: 32 hexadecimal digits.
            last_seq: number of its last decision that shall not open.

        Raises:
            ValueError: if it is no instance.
        """
        if not _INSTANCE.match(instance):
            raise ValueError("an instance has 32 hexadecimal digits")
        if instance != self.instance:
            self.instance, self.last_seq = instance, last_seq

    def opens_for(self, payload: bytes, *, retained: bool = False, transaction: str | None = None) -> str:
        """Return for whom the door opens.

        Args:
            payload: of a message on `penlatch/<terminal>/decision`, in either form of `mqtt.sign`; or a bare JWS.
            retained: its retain flag.
            transaction: what this door gave with its own request, where only an answer to that may open. Unguessable,
                it makes sure of what a clock can only suppose: that the decision was not held back.

        Raises:
            OtherInstanceError: for a decision of an instance that no person has accepted.
            NotOpeningError: for anything but a fresh match.
        """
        if retained:
            raise NotOpeningError("decisions are never retained: somebody else published it")
        fact = self._believed(payload)
        if fact.instance != self.instance:
            raise OtherInstanceError(fact.instance, self.instance)
        if fact.seq <= self.last_seq:
            raise NotOpeningError(f"decision {fact.seq} was here before")
        # Whatever follows, nothing up to here opens any more.
        self.last_seq = fact.seq
        if fact.verdict != Verdict.MATCH or fact.user is None:
            raise NotOpeningError(f"it says {quoted(fact.verdict)}")
        if fact.historical:
            raise NotOpeningError("it is historical")
        if fact.purpose not in self.purposes:
            raise NotOpeningError(f"the signature was given for {quoted(fact.purpose)}")
        if fact.grade not in self.grades:
            raise NotOpeningError(f"the references are of the grade {quoted(fact.grade)}")
        if transaction is not None and fact.transaction != transaction:
            raise NotOpeningError("it answers another request")
        age_s = self._age_s(fact)
        if abs(age_s) > self.max_age_s:
            raise NotOpeningError(f"it is {age_s:.0f} s old")
        return fact.user

    def _age_s(self, fact: _Fact) -> float:
        try:
            return (self.now() - datetime.fromisoformat(fact.time)).total_seconds()
        except (ValueError, TypeError, OverflowError) as error:  # no time, or one without a zone
            raise NotOpeningError("it does not tell when it was made") from error

    def _believed(self, payload: bytes) -> _Fact:
        try:
            fact = msgspec.json.decode(verified(_jws(payload), self.jwk), type=_Fact)
        except (SignatureError, *UNREADABLE) as error:
            raise NotOpeningError(f"it is not to be believed: {quoted(error)}") from error
        if fact.terminal != self.terminal:
            raise NotOpeningError(f"it is of terminal {quoted(fact.terminal)}")
        return fact


def _jws(payload: bytes) -> str:
    """Return the one part of a message that is believed: its field `jws`, or all of it."""
    if len(payload) > LARGEST_MESSAGE:
        raise SignatureError(f"it has more than {LARGEST_MESSAGE} bytes")
    return msgspec.json.decode(payload, type=_Signed).jws if payload[:1] == b"{" else payload.decode()


class _Signed(msgspec.Struct):
    """The one field of a message that is believed."""

    jws: str


class _Fact(msgspec.Struct, tag_field="kind", tag="decision"):
    """Fields of a signed decision on which a door decides. It passes over all others, and over words it does not know.

    What an earlier release did not write opens nothing: it has no instance.
    """

    terminal: str
    seq: int
    time: str
    user: str | None
    verdict: str
    historical: bool
    instance: str = ""
    purpose: str = CHECK
    grade: str | None = None
    transaction: str | None = None
