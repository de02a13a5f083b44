"""Motor programs: what a hand has learnt to do for a signature; performed, it gives a trace, each time a little other.

The ranges by which the parameters vary are those of Lai, Jin, Zhu, Li and Lin, "SynSig2Vec: forgery-free learning of
dynamic signature representations by sigma-lognormal-based synthesis", TPAMI 44 (2022), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from penlatch.ink import PenInfo, Trace
from penlatch.sim.kinematics import Impulses, Strokes, chord

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

RATE_HZ = 200.0
"""Frames per second of a common pen tablet."""

SYNTHETIC_PEN = PenInfo(name="synthetic")

D_RANGE = (-0.10, 0.10)
"""By what share a stroke's distance may differ between similar hands."""
ONSET_RANGE = (-0.085, 0.0825)
"""Likewise the time between a command and the next one."""
MU_RANGE = (-0.25, 0.26)
SIGMA_RANGE = (-0.29, 0.32)

_MARGIN_MM = (5.0, 30.0)
"""How far from the left and the upper edge of the tablet people sign [mm]."""

_HOVER = -0.5
"""What the force on the pen would be while it hovers: how far the hand has lifted it, in units of full pressure."""

_FORCE_LAG = 0.7
"""Share of a stroke's duration in which the force arrives at what that stroke calls for."""

_LANDING_LEAD, _LIFT_LEAD = 0.5, 0.2
"""How long before a stroke sets out the pen begins to land for it or to lift for it, as a share of that change."""

_TOUCH_OF_AIR = 0.45
"""Longest landing or lift, as a share of the stroke in the air."""

_FORCE_ASYMMETRY = 0.08
"""Asymmetry of the responses that carry the force."""

_TREMOR_HZ = (8.0, 12.0)
"""Band of physiological tremor of the hand."""
_TREMOR_TONES = 5

_RIPPLE = 0.006
"""Standard deviation of the pressure sensor and the hand's hold on the pen, in units of full pressure."""


@dataclass(frozen=True, slots=True)
class Variation:
    """How far one performance departs from the program."""

    share: tuple[float, float]
    """Least and greatest share of each parameter's range that is drawn."""
    angle_rad: float
    """Greatest change of a stroke's first and last direction [rad]."""
    force: float
    """Standard deviation of each stroke's force, in units of full pressure."""
    steering: float
    """Share of the distance from where the pen should be that the next stroke makes up for: the eye's part."""
    spacing: float
    """Standard deviation of distances and waits in the air, between strokes that leave ink, as a share."""
    tremor_mm: float
    """Standard deviation of the tremor [mm]."""


@dataclass(frozen=True, slots=True, eq=False)
class MotorProgram:
    """n strokes with the force they call for. Coordinates are millimetres, y downwards."""

    strokes: Strokes
    down: NDArray[np.bool_]
    """Whether each stroke leaves ink; the first and the last do."""
    force: Array
    """Force on the pen that each stroke calls for, in units of full pressure; of no meaning in the air."""
    touch_s: float
    """How long the pen takes to land with full force, and to lift [s]."""
    follow_through: float
    """Share of the last stroke's duration that is left when the pen lifts."""

    def __len__(self) -> int:
        return len(self.strokes)

    def drifted(self, *, size: float = 1.0, tempo: float = 1.0, rotation: float = 0.0, pressure: float = 0.0) -> Self:
        """Return the program of another sitting: `size` and `tempo` are factors, `rotation` is in rad, y downwards."""
        strokes, impulses = self.strokes, self.strokes.impulses
        return replace(
            self,
            strokes=Strokes(
                impulses=Impulses(t0=impulses.t0 / tempo, mu=impulses.mu - np.log(tempo), sigma=impulses.sigma),
                distance=strokes.distance * size,
                theta_s=strokes.theta_s + rotation,
                theta_e=strokes.theta_e + rotation,
            ),
            force=self.force + pressure,
        )

    def hesitant(self, rng: np.random.Generator, *, chance: float, pause_s: tuple[float, float]) -> Self:
        """Return the program with pauses before some of the strokes."""
        impulses = self.strokes.impulses
        paused = rng.random(len(self)) < chance
        pauses = np.cumsum(np.where(paused, rng.uniform(*pause_s, len(self)), 0.0))
        return replace(self, strokes=replace(self.strokes, impulses=replace(impulses, t0=impulses.t0 + pauses)))

    def varied(self, variation: Variation, rng: np.random.Generator) -> Self:
        """Return the program as it is carried out once."""
        n = len(self)
        impulses = self.strokes.impulses

        def factors(low: float, high: float) -> Array:
            side = np.where(rng.random(n) < 0.5, low, high)
            return np.asarray(1.0 + side * rng.uniform(*variation.share, n))

        air = np.diff(self.down, prepend=True) != 0
        looseness = np.exp(np.where(air, variation.spacing, 0.0) * rng.normal(size=n))
        waits = np.diff(impulses.t0, prepend=impulses.t0[0]) * factors(*ONSET_RANGE) * looseness
        stretch = factors(*D_RANGE) * np.exp(np.where(self.down, 0.0, variation.spacing) * rng.normal(size=n))
        bend_s, bend_e = rng.uniform(-variation.angle_rad, variation.angle_rad, (2, n))
        carried_out = Impulses(
            t0=impulses.t0[0] + np.cumsum(waits),
            mu=impulses.mu * factors(*MU_RANGE),
            sigma=impulses.sigma * factors(*SIGMA_RANGE),
        )
        drawn = _steered(self.strokes, stretch=stretch, bend_s=bend_s, bend_e=bend_e, steering=variation.steering)
        return replace(
            self,
            strokes=Strokes(carried_out, *drawn),
            force=self.force + rng.normal(0.0, variation.force, n),
        )

    def performed(self, rng: np.random.Generator, *, tremor_mm: float, rate_hz: float = RATE_HZ) -> Trace:
        """Return the trace that a pen tablet reports, from first contact to last, somewhere on the sheet.

        Frames come at `rate_hz`; those in which the pen hovers between strokes are among them.
        """
        impulses = self.strokes.impulses
        first, last = float(impulses.start[0]) - 2 * self.touch_s, float(impulses.end.max()) + 2 * self.touch_s
        t = np.arange(first + rng.uniform(0.0, 1.0 / rate_hz), last, 1.0 / rate_hz)
        x, y = self.strokes.position(t)
        x, y = x + _tremor(t, tremor_mm, rng), y + _tremor(t, tremor_mm, rng)
        force = self._force(t)
        touching = np.flatnonzero(force > 0)
        seen = slice(int(touching[0]), int(touching[-1]) + 1)
        t, x, y, force = t[seen], x[seen], y[seen], force[seen]
        down = force > 0
        left, top = rng.uniform(*_MARGIN_MM, 2)
        ripple = rng.normal(0.0, _RIPPLE, len(t))
        return Trace(
            t=t - t[0],
            x=x - x.min() + left,
            y=y - y.min() + top,
            p=np.where(down, np.clip(force + ripple, 1e-3, 1.0), 0.0),
            down=down,
            pen=SYNTHETIC_PEN,
        )

    def _force(self, t: Array) -> Array:
        """Return the force on the pen at the times `t` [s], below 0 where it is lifted.

        Force is led by the same lognormal responses as the movement: each stroke takes it to a level of its own,
        each landing and each lift does so faster.
        """
        impulses = self.strokes.impulses
        start, span = impulses.start, impulses.end - impulses.start
        level = np.where(self.down, self.force, _HOVER)
        changes = np.diff(self.down, prepend=False) != 0
        # However slow the touch, the pen is off the sheet for some of each stroke in the air.
        in_air = np.where(self.down, np.roll(span, 1), span)
        in_air[0] = np.inf
        touch = np.minimum(self.touch_s, _TOUCH_OF_AIR * in_air)
        begin = np.where(changes, start - np.where(self.down, _LANDING_LEAD, _LIFT_LEAD) * touch, start)
        duration = np.where(changes, touch, _FORCE_LAG * span)
        end = impulses.end[-1] - self.follow_through * span[-1]
        steps = np.diff(np.concatenate((level, [_HOVER])), prepend=_HOVER)
        responses = Impulses.lasting(
            np.append(begin, end),
            np.append(duration, self.touch_s),
            np.full(len(self) + 1, _FORCE_ASYMMETRY),
        )
        return np.asarray(_HOVER + steps @ responses.progress(t))


def _steered(
    strokes: Strokes, *, stretch: Array, bend_s: Array, bend_e: Array, steering: float
) -> tuple[Array, Array, Array]:
    """Bend and stretch each stroke, once it is aimed to make up for a share `steering` of where the pen went wrong.

    Returns (distance, theta_s, theta_e).
    """
    planned = np.stack(chord(strokes.distance, strokes.theta_s, strokes.theta_e), axis=1)
    distance, theta_s, theta_e = (np.empty(len(strokes)) for _ in range(3))
    error = np.zeros(2)
    for i, wanted in enumerate(planned):
        aim = wanted - steering * error
        swing = np.arctan2(aim[1], aim[0]) - np.arctan2(wanted[1], wanted[0])
        theta_s[i] = strokes.theta_s[i] + swing + bend_s[i]
        theta_e[i] = strokes.theta_e[i] + swing + bend_e[i]
        distance[i] = strokes.distance[i] * stretch[i] * np.hypot(*aim) / np.hypot(*wanted)
        error = error + np.array(chord(distance[i], theta_s[i], theta_e[i])) - wanted
    return distance, theta_s, theta_e


def _tremor(t: Array, deviation: float, rng: np.random.Generator) -> Array:
    """Return a narrow band of noise: a few tones of random pitch and phase, of the given standard deviation."""
    pitch, phase = rng.uniform(*_TREMOR_HZ, _TREMOR_TONES), rng.uniform(0.0, 2 * np.pi, _TREMOR_TONES)
    tones = np.sin(2 * np.pi * pitch[:, None] * t[None, :] + phase[:, None])
    return np.asarray(deviation * np.sqrt(2.0 / _TREMOR_TONES) * tones.sum(axis=0))
