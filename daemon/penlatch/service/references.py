"""References: the signatures of an enrolment that is still going on, and which of them belong together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penlatch.errors import TraceError
from penlatch.messages import Reason
from penlatch.verify import replay
from penlatch.verify.quality import complexity, outlier

if TYPE_CHECKING:
    from penlatch.ink import Trace
    from penlatch.service.claims import Claim
    from penlatch.verify.course import Course
    from penlatch.verify.verifier import Analysis, Verifier


@dataclass(frozen=True, slots=True)
class Reference:
    """A signature given as a reference."""

    trace: Trace
    analysis: Analysis


@dataclass(slots=True)
class References:
    """What was given so far, and what the person had given before."""

    accepted: list[Reference] = field(default_factory=list)
    """Of this sitting."""
    earlier: tuple[Reference, ...] = ()
    """Of earlier sittings: they stay, whatever comes."""
    claim: Claim | None = None
    """What every signature of this sitting is compared with, where the name is known already."""
    min_complexity: float = 0.0
    """Simpler signatures are refused."""
    name: str | None = None
    """Of the person whose earlier signatures are remembered; None for a new one."""
    shown: replay.Remembered = field(default_factory=replay.Remembered)
    """All signatures of this sitting, whether or not they were taken."""
    refused: Reference | None = None
    """The last one that disagreed, None when the last one agreed."""

    @property
    def all(self) -> list[Reference]:
        """Everything the template will be made of."""
        return [*self.earlier, *self.accepted]

    def add(self, trace: Trace, verifier: Verifier) -> Reason | None:
        """Take `trace` as the next reference, or say why not.

        Where the second and the third signature of a new person agree with each other but not with the first, the
        first is the one that is dropped.

        Returns:
            None when it was accepted, else the reason of the retry.

        Raises:
            ModelError: if the models fail.
        """
        try:
            if complexity(trace) < self.min_complexity:
                return Reason.TOO_SIMPLE
            candidate = Reference(trace, verifier.analyse(trace))
        except TraceError:
            return Reason.TOO_LITTLE_INK
        if self.claim is not None and (unlike := self.claim.refuses(trace, candidate.analysis)):
            return unlike
        odd, self.refused = self.refused, None
        # Earlier references are the matter of the claim: what was added later, or adapted, vouches for nobody.
        before = [r.analysis for r in self.accepted]
        if not before or verifier.agrees(before, candidate.analysis):
            self.accepted.append(candidate)
            return None
        if len(before) == 1 and odd and verifier.agrees([odd.analysis], candidate.analysis):
            self.accepted = [odd, candidate]
            return None
        self.refused = candidate
        return Reason.DISAGREES

    def repeats(self, course: Course) -> bool:
        """Tell whether a signature is one of this sitting, played back; if not, note that it was shown."""
        if replay.find(course, self.shown) is not None:
            return True
        self.shown.add([course])
        return False

    def take_out_outlier(self, verifier: Verifier) -> int | None:
        """Take out the reference of this sitting that is unlike all others, if one is.

        Returns:
            Its number in this sitting, from 1; None where all stay.

        Raises:
            ModelError: if the models fail.
        """
        farthest = outlier(verifier.template([r.analysis for r in self.all]))
        if farthest is None or not farthest.beyond or farthest.position < len(self.earlier):
            return None
        place = farthest.position - len(self.earlier)
        del self.accepted[place]
        return place + 1
