"""References: the signatures of an enrolment that is still going on, and which of them belong together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penlatch.errors import TraceError
from penlatch.messages import Reason

if TYPE_CHECKING:
    from penlatch.ink import Trace
    from penlatch.verify.verifier import Analysis, Verifier


@dataclass(frozen=True, slots=True)
class Reference:
    """A signature given as a reference."""

    trace: Trace
    analysis: Analysis


@dataclass(slots=True)
class References:
    """What was given so far."""

    accepted: list[Reference] = field(default_factory=list)
    refused: Reference | None = None
    """The last one that disagreed, None when the last one agreed."""

    def add(self, trace: Trace, verifier: Verifier) -> Reason | None:
        """Take `trace` as the next reference, or say why not.

        Where the second and the third signature agree with each other but not with the first, the first is the
        one that is dropped.

        Returns:
            None when it was accepted, else the reason of the retry.

        Raises:
            ModelError: if the models fail.
        """
        try:
            candidate = Reference(trace, verifier.analyse(trace))
        except TraceError:
            return Reason.TOO_LITTLE_INK
        odd, self.refused = self.refused, None
        if not self.accepted or verifier.agrees([r.analysis for r in self.accepted], candidate.analysis):
            self.accepted.append(candidate)
            return None
        if len(self.accepted) == 1 and odd and verifier.agrees([odd.analysis], candidate.analysis):
            self.accepted = [odd, candidate]
            return None
        self.refused = candidate
        return Reason.DISAGREES
