"""Hands: how somebody's body carries out an action plan, in time and in the force on the pen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from penlatch.sim.kinematics import Impulses, Strokes, arc
from penlatch.sim.program import MotorProgram

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from penlatch.sim.script import ActionPlan

    Array = NDArray[np.float64]

_ISOCHRONY = 0.4
"""Longer strokes are faster: their duration grows with this power of their length (Viviani and Terzuolo, 1982)."""
_SHORTEST, _LONGEST = 0.65, 2.2
"""Bounds of what isochrony makes of a stroke's usual duration."""


@dataclass(frozen=True, slots=True)
class Hand:
    """What is alike in everything that one person writes."""

    stroke_s: float
    """Duration of a stroke of usual length [s]."""
    overlap: float
    """When the next stroke sets out, as a share of a stroke's duration: the less, the rounder."""
    asymmetry: float
    """Of the lognormal responses, see `Impulses.lasting`."""
    force: float
    """Usual force on the pen, in units of full pressure."""
    emphasis: float
    """By how much strokes towards the body are pressed harder than those away from it."""
    growth: float
    """By how much the force grows from landing to lift."""
    touch_s: float
    """How long the pen takes to land or to lift [s]."""
    follow_through: float
    """Share of the last stroke that is left when the pen lifts."""
    unevenness: float
    """How much strokes differ in timing and force from what the rest of these figures say, as a share."""

    @classmethod
    def born(cls, rng: np.random.Generator) -> Self:
        """Return somebody's hand."""
        return cls(
            stroke_s=float(rng.uniform(0.14, 0.22)),
            overlap=float(rng.uniform(0.43, 0.58)),
            asymmetry=float(rng.uniform(0.03, 0.14)),
            force=float(rng.uniform(0.38, 0.75)),
            emphasis=float(rng.uniform(0.05, 0.28)),
            growth=float(rng.uniform(-0.02, 0.2)),
            touch_s=float(rng.uniform(0.07, 0.15)),
            follow_through=float(rng.uniform(0.0, 0.35)),
            unevenness=float(rng.uniform(0.08, 0.18)),
        )

    def learn(self, plan: ActionPlan, rng: np.random.Generator) -> MotorProgram:
        """Return what this hand does every time it carries out `plan` [mm]: fixed from now on, habits included."""
        n = len(plan)
        step_x, step_y = np.diff(plan.x, prepend=0.0), np.diff(plan.y, prepend=0.0)
        # The plan's y grows upwards, the tablet's downwards: what was anticlockwise stays so to the eye.
        distance, theta_s, theta_e = arc(step_x, -step_y, -plan.turn)
        relative = distance / np.median(distance)
        quirk = np.exp(rng.normal(0.0, self.unevenness, (3, n)))
        duration = self.stroke_s * np.clip(relative**_ISOCHRONY, _SHORTEST, _LONGEST) * quirk[0]
        # A lift or a landing takes its time: the pen arrives before it sets out again.
        still = np.diff(plan.down, prepend=True) != 0
        patience = np.where(still, 0.25, 0.0)
        waits = duration[:-1] * np.clip(self.overlap * quirk[1, :-1] + patience[1:], 0.35, 1.0)
        asymmetry = np.clip(self.asymmetry * quirk[2], 0.015, 0.25)
        start = np.concatenate(([0.0], np.cumsum(waits)))
        return MotorProgram(
            strokes=Strokes(
                impulses=Impulses.lasting(start, duration, asymmetry),
                distance=distance,
                theta_s=theta_s,
                theta_e=theta_e,
            ),
            down=plan.down,
            force=self._forces(plan, step_y / np.hypot(step_x, step_y), rng),
            touch_s=self.touch_s,
            follow_through=self.follow_through,
        )

    def _forces(self, plan: ActionPlan, upwards: Array, rng: np.random.Generator) -> Array:
        n = len(plan)
        landings = np.flatnonzero(np.diff(plan.down, prepend=False) & plan.down)
        since_landing = np.arange(n) - landings[np.searchsorted(landings, np.arange(n), side="right") - 1]
        grown = self.growth * (1.0 - np.exp(-since_landing / 6.0))
        force = self.force + grown - 0.5 * self.emphasis * upwards + rng.normal(0.0, 0.5 * self.unevenness, n)
        return np.asarray(np.clip(force, 0.12, 1.05))
