"""Writers: synthetic people who sign, again and again, and who try to sign as somebody else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from penlatch.sim.hand import Hand
from penlatch.sim.program import Variation
from penlatch.sim.script import ActionPlan, Move, invent

if TYPE_CHECKING:
    from penlatch.ink import Trace
    from penlatch.sim.program import MotorProgram

WIDTH_MM = (42.0, 86.0)
"""How wide people sign."""
HEIGHT_MM = 58.0
"""How high a signature may be."""
DURATION_S = (1.6, 4.5)
"""How long people take to sign."""

GENUINE = Variation(share=(0.0, 0.25), angle_rad=0.1, force=0.035, steering=0.1, spacing=0.1, tremor_mm=0.04)
"""How one person's signatures vary."""
FORGED = Variation(share=(0.40, 0.65), angle_rad=0.2, force=0.05, steering=0.5, spacing=0.15, tremor_mm=0.06)
"""How a forger, who looks where the pen goes, departs from what the victim's plan demands."""


class Writer:
    """Somebody who signs in the same way every time. The same seed is the same person."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.seed = seed
        self.plan, self.hand, self.program = _sized(_styled(invent(rng), rng), Hand.born(rng), rng)
        """The plan is in mm; the program is what the writer's own hand has made of it."""

    @property
    def usual_s(self) -> float:
        """How long this writer usually takes to sign [s]."""
        impulses = self.program.strokes.impulses
        return float(impulses.end.max() - impulses.start[0])

    def genuine(self, rng: np.random.Generator) -> Trace:
        """Sign once."""
        program = self.program.drifted(**_sitting(rng))
        return program.varied(GENUINE, rng).performed(rng, tremor_mm=GENUINE.tremor_mm)

    def forgery(self, rng: np.random.Generator, by: Writer) -> Trace:
        """Return this writer's signature as `by` forges it: the same shape, traced with another hand's dynamics.

        The forger goes slower, corrects on the way (long strokes fall into two), hesitates, trembles, and presses in
        a way that has little to do with the strokes.
        """
        pace = float(rng.uniform(0.95, 1.2))
        hand = replace(
            by.hand,
            stroke_s=pace * (by.hand.stroke_s + self.hand.stroke_s) / 2,
            overlap=min(by.hand.overlap + float(rng.uniform(0.03, 0.1)), 0.75),
            emphasis=0.4 * by.hand.emphasis,
            growth=0.4 * by.hand.growth,
        )
        traced = self.plan.with_corrections(rng, chance=0.25, longer_than=1.2 * _usual_stroke(self.plan))
        program = hand.learn(traced, rng).hesitant(rng, chance=0.08, pause_s=(0.03, 0.12))
        return program.drifted(**_sitting(rng)).varied(FORGED, rng).performed(rng, tremor_mm=FORGED.tremor_mm)

    def scribble(self, rng: np.random.Generator) -> Trace:
        """Touch the tablet only: one short stroke, far from a signature in duration and in ink."""
        plan = ActionPlan.of([Move(float(rng.uniform(3.0, 6.0)), float(rng.uniform(-2.0, 2.0)))])
        quick = replace(self.hand, stroke_s=0.12, touch_s=0.03)
        return quick.learn(plan, rng).performed(rng, tremor_mm=GENUINE.tremor_mm)


def _usual_stroke(plan: ActionPlan) -> float:
    return float(np.median(np.hypot(np.diff(plan.x), np.diff(plan.y))))


def _styled(plan: ActionPlan, rng: np.random.Generator) -> ActionPlan:
    return plan.styled(
        slant=float(rng.normal(0.22, 0.22)),
        stretch=float(rng.uniform(0.85, 1.35)),
        roundness=float(rng.uniform(0.75, 1.15)),
        rise=float(rng.normal(0.04, 0.07)),
        quirk=0.09,
        rng=rng,
    )


def _sized(plan: ActionPlan, hand: Hand, rng: np.random.Generator) -> tuple[ActionPlan, Hand, MotorProgram]:
    """Bring a plan to the size and the tempo of a signature. Overlap makes it smaller than its targets say."""
    program = hand.learn(plan, rng)
    ink = program.performed(rng, tremor_mm=0.0)
    width, height = np.ptp(ink.x[ink.down]), np.ptp(ink.y[ink.down])
    size = min(float(rng.uniform(*WIDTH_MM)) / width, HEIGHT_MM / height)
    tempo = ink.duration / float(np.clip(ink.duration, *DURATION_S))
    return (
        plan.scaled(size),
        replace(hand, stroke_s=hand.stroke_s / tempo),
        program.drifted(size=size, tempo=tempo, rotation=0.0, pressure=0.0),
    )


def _sitting(rng: np.random.Generator) -> dict[str, float]:
    """Return how somebody signs today: a little larger, faster, more oblique or harder than at other times."""
    return {
        "size": float(np.exp(rng.normal(0.0, 0.05))),
        "tempo": float(np.exp(rng.normal(0.0, 0.05))),
        "rotation": float(rng.normal(0.0, 0.04)),
        "pressure": float(rng.normal(0.0, 0.03)),
    }
