"""The cast and the programme: who signs for whom at the demo, in which order, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import count, islice
from typing import TYPE_CHECKING

import numpy as np

from penlatch.messages import DOOR, Reason, Verdict
from penlatch.sim.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penlatch.ink import Trace
    from penlatch.messages import Decision

USER = "ada"
"""The name under which the demo's synthetic person is enrolled."""

LONGEST_S = 2.0
"""Those who sign quickly play in the demo, so that it does not last [s]."""

_SEEDS_APART = 1_000_000
"""So many seeds belong to one seed of the demo: different demos have different people."""


class Kind(StrEnum):
    """What a signature at the demo is."""

    GENUINE = "genuine"
    SKILLED = "skilled"
    RANDOM = "random"
    RETRY = "retry"


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One signature, and what the terminal must make of it."""

    kind: Kind
    trace: Trace
    story: str
    """Who signs and how, for the audience."""
    verdict: Verdict
    reason: Reason | None = None
    """The reason that must be given; None for any."""
    pulled_s: float | None = None
    """When the tablet is pulled out [s of the trace]; None for not at all."""

    def faults(self, decision: Decision) -> list[str]:
        """Return what is wrong with the terminal's decision on this attempt."""
        faults = []
        if decision.verdict is not self.verdict:
            faults.append(f"{self.verdict.value} was expected")
        if self.reason not in (None, decision.reason):
            faults.append(f"the reason should be {self.reason}")
        if decision.done == (decision.verdict is Verdict.RETRY):
            faults.append("a retry goes on, anything else is the end")
        if decision.user != USER:
            faults.append(f"it is about {decision.user}")
        if decision.purpose != DOOR:
            faults.append(f"it is for {decision.purpose}")
        if decision.historical:
            faults.append("it says it is historical")
        if decision.verdict in (Verdict.MATCH, Verdict.NO_MATCH):
            if decision.probability is None or decision.threshold is None:
                faults.append("it names no probability or no threshold")
            elif (decision.probability >= decision.threshold) != (decision.verdict is Verdict.MATCH):
                faults.append("verdict and probability contradict each other")
        return faults


Visit = tuple[Attempt, ...]
"""The attempts of one request: all but the last end in a retry."""


class Cast:
    """The person who is enrolled, and those who try to pass for her."""

    def __init__(self, seed: int) -> None:
        """Find the people of the demo numbered `seed`."""
        quick = (writer for writer in map(Writer, count(seed * _SEEDS_APART)) if writer.usual_s <= LONGEST_S)
        self.ada, *self.others = islice(quick, 5)
        self._rng = np.random.default_rng(seed)

    def reference(self) -> Trace:
        """Return one more signature of the person to enrol."""
        return self.ada.genuine(self._rng)

    def genuine(self) -> Attempt:
        """The enrolled person signs."""
        return Attempt(Kind.GENUINE, self.ada.genuine(self._rng), f"{USER} signs", Verdict.MATCH)

    def skilled(self) -> Attempt:
        """Somebody forges her signature, knowing its shape."""
        return Attempt(
            Kind.SKILLED,
            self.ada.forgery(self._rng, by=self._somebody()),
            f"somebody traces the signature of {USER}",
            Verdict.NO_MATCH,
        )

    def random(self) -> Attempt:
        """Somebody signs with their own name."""
        trace = self._somebody().genuine(self._rng)
        return Attempt(Kind.RANDOM, trace, f"somebody else claims to be {USER}", Verdict.NO_MATCH)

    def scribble(self) -> Attempt:
        """She touches the tablet by mistake."""
        trace = self.ada.scribble(self._rng)
        return Attempt(Kind.RETRY, trace, f"{USER} brushes the tablet", Verdict.RETRY, Reason.TOO_SHORT)

    def pulled(self) -> Attempt:
        """Somebody pulls the tablet's plug while she signs."""
        trace = self.ada.genuine(self._rng)
        return Attempt(
            Kind.RETRY,
            trace,
            f"{USER} signs, and the plug is pulled",
            Verdict.RETRY,
            Reason.PEN_LOST,
            pulled_s=0.6 * trace.duration,
        )

    def programme(self) -> list[Visit]:
        """Return what happens at the demo."""
        return [
            (self.genuine(),),
            (self.skilled(),),
            (self.random(),),
            (self.scribble(), self.genuine()),
            (self.skilled(),),
            (self.random(),),
            (self.pulled(), self.genuine()),
        ]

    def encore(self) -> Iterator[Visit]:
        """Yield visits for ever."""
        acts = (self.genuine, self.genuine, self.skilled, self.random, self.scribble)
        while True:
            act = acts[int(self._rng.integers(len(acts)))]
            yield (self.scribble(), self.genuine()) if act == self.scribble else (act(),)

    def _somebody(self) -> Writer:
        return self.others[int(self._rng.integers(len(self.others)))]
