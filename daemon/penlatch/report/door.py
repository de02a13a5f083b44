"""What a door controller checks before it opens on a message of a terminal: everything, in one place, for its maker.

Needs nothing of a terminal but its name and its public key, which is learned once, at the terminal: `penlatch status
--json` there, not from the broker that is not to be believed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from penlatch.decoding import UNREADABLE
from penlatch.messages import Decision, Verdict
from penlatch.report.signing import SignatureError, verified

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_AGE_S: Final = 5.0
"""How old a decision may be, by the clocks of terminal and door [s]."""


class NotOpeningError(Exception):
    """The door stays shut, and why."""


@dataclass
class Door:
    """Opens for fresh, signed matches of one terminal, and for each of them once."""

    terminal: str
    jwk: Mapping[str, str]
    """The terminal's public key."""
    last_seq: int = 0
    """Number of the last decision that was looked at. Keep it over restarts: what came before never opens again."""
    max_age_s: float = MAX_AGE_S
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def opens_for(self, payload: bytes, *, retained: bool = False, transaction: str | None = None) -> str:
        """Return for whom the door opens.

        Args:
            payload: of a message on `penlatch/<terminal>/decision`.
            retained: its retain flag.
            transaction: what this door gave with its own request, where only an answer to that may open. Unguessable,
                it makes sure of what a clock can only suppose: that the decision was not held back.

        Raises:
            NotOpeningError: for anything but a fresh match.
        """
        if retained:
            raise NotOpeningError("decisions are never retained: somebody else published it")
        decision = self._believed(payload)
        if decision.seq <= self.last_seq:
            raise NotOpeningError(f"decision {decision.seq} was here before")
        # Whatever follows, nothing up to here opens any more.
        self.last_seq = decision.seq
        if decision.verdict is not Verdict.MATCH or decision.user is None:
            raise NotOpeningError(f"it says {decision.verdict}")
        if decision.historical:
            raise NotOpeningError("it is historical")
        if transaction is not None and decision.transaction != transaction:
            raise NotOpeningError("it answers another request")
        age_s = self._age_s(decision)
        if abs(age_s) > self.max_age_s:
            raise NotOpeningError(f"it is {age_s:.0f} s old")
        return decision.user

    def _age_s(self, decision: Decision) -> float:
        try:
            return (self.now() - datetime.fromisoformat(decision.time)).total_seconds()
        except (ValueError, TypeError) as error:  # no time, or one without a zone
            raise NotOpeningError("it does not tell when it was made") from error

    def _believed(self, payload: bytes) -> Decision:
        try:
            signed = msgspec.json.decode(payload, type=_Signed)
            decision = msgspec.json.decode(verified(signed.jws, self.jwk), type=Decision)
        except (SignatureError, *UNREADABLE) as error:
            raise NotOpeningError(f"it is not to be believed: {error}") from error
        if decision.terminal != self.terminal:
            raise NotOpeningError(f"it is of terminal {decision.terminal}")
        return decision


class _Signed(msgspec.Struct):
    """The one field of a message that is believed."""

    jws: str
