"""Outgoing: a decision as it is published, with or without its signature, and never in full precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from penlatch.messages import SignedDecision
from penlatch.rounding import rounded

if TYPE_CHECKING:
    from penlatch.messages import Decision
    from penlatch.report.signing import Signer


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes decisions as `mqtt.sign` wants them."""

    signer: Signer | None = None
    """None to sign nothing."""
    only: bool = False
    """Write nothing beside the signature."""

    def signed(self, decision: Decision, *, historical: bool) -> Decision:
        """Return a decision as it leaves the terminal, with its signature if this terminal signs."""
        told = msgspec.structs.replace(rounded(decision), historical=historical)
        if self.signer is None:
            return told
        return msgspec.structs.replace(told, jws=self.signer.sign(msgspec.json.encode(told)))

    def payload(self, decision: Decision, *, historical: bool) -> bytes:
        """Return the payload of a message on the topic of decisions."""
        told = self.signed(decision, historical=historical)
        if self.only and isinstance(told.jws, str):
            return msgspec.json.encode(SignedDecision(jws=told.jws))
        return msgspec.json.encode(told)
