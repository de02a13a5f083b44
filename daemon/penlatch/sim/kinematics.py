"""The sigma-lognormal model of rapid human movement: strokes as lognormal impulses of speed, summed as vectors.

Plamondon, "A kinematic theory of rapid human movements", Biological Cybernetics 72 (1995); O'Reilly and Plamondon,
"Development of a Sigma-Lognormal representation for on-line signatures", Pattern Recognition 42 (2009).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_SUPPORT_SIGMAS = 3.0
"""A lognormal impulse is said to last from mu - 3 sigma to mu + 3 sigma in log time: 99.7 % of its distance."""

_STRAIGHT_RAD = 1e-6
"""A stroke that turns by less is a straight line, where the arc's formula would divide by zero."""

_erf = np.vectorize(math.erf, otypes=[np.float64])


@dataclass(frozen=True, slots=True, eq=False)
class Impulses:
    """Neuromuscular responses to commands: lognormal in the time since each command. Columns of equal length n."""

    t0: Array
    """When the command was given [s]; nothing moves before."""
    mu: Array
    """Log time delay: the response is half done at t0 + exp(mu) [ln s]."""
    sigma: Array
    """Log response time: the width of the response, and its asymmetry [ln s]."""

    def __len__(self) -> int:
        return len(self.t0)

    @classmethod
    def lasting(cls, start: Array, duration: Array, asymmetry: Array) -> Impulses:
        """Return the impulses that are seen to last from `start` [s] for `duration` [s].

        An `asymmetry` of 0 would be a Gaussian; hands write with 0.02 to 0.2. Berio, Akten, Leymarie, Grierson and
        Plamondon, "Calligraphic stylisation learning with a physiologically plausible model", MOCO (2017), eq. 8-10.
        """
        sigma = np.sqrt(-np.log1p(-asymmetry))
        lead = duration / np.expm1(2 * _SUPPORT_SIGMAS * sigma)
        return cls(t0=start - lead, mu=np.log(lead) + _SUPPORT_SIGMAS * sigma, sigma=sigma)

    @property
    def start(self) -> Array:
        """When each response begins to be seen [s]."""
        return np.asarray(self.t0 + np.exp(self.mu - _SUPPORT_SIGMAS * self.sigma))

    @property
    def peak(self) -> Array:
        """When each response is fastest [s]: the mode of the lognormal, t0 + exp(mu - sigma²)."""
        return np.asarray(self.t0 + np.exp(self.mu - self.sigma**2))

    @property
    def end(self) -> Array:
        """When each response is no longer seen [s]."""
        return np.asarray(self.t0 + np.exp(self.mu + _SUPPORT_SIGMAS * self.sigma))

    def density(self, t: Array) -> Array:
        """Return the share of each response done per second at the times `t` [s], as [n, len(t)] in 1/s."""
        since = t[None, :] - self.t0[:, None]
        lapse = np.where(since > 0, since, np.inf)
        z = (np.log(lapse) - self.mu[:, None]) / self.sigma[:, None]
        return np.asarray(np.exp(-0.5 * z**2) / (self.sigma[:, None] * math.sqrt(2 * math.pi) * lapse))

    def progress(self, t: Array) -> Array:
        """Return the share of each response done by the times `t` [s], as [n, len(t)] in 0..1."""
        since = t[None, :] - self.t0[:, None]
        lapse = np.maximum(since, np.finfo(np.float64).tiny)
        z = (np.log(lapse) - self.mu[:, None]) / self.sigma[:, None]
        return np.asarray(0.5 * (1.0 + _erf(z / math.sqrt(2))))


@dataclass(frozen=True, slots=True, eq=False)
class Strokes:
    """Circular arcs, each drawn by one impulse; where they overlap in time, their velocities add. Columns of length n.

    Directions are angles from the x axis towards the y axis: to the eye clockwise where y grows downwards.
    """

    impulses: Impulses
    distance: Array
    """Length of each arc, D in the papers [mm]."""
    theta_s: Array
    """Direction in which each arc starts [rad]."""
    theta_e: Array
    """Direction in which each arc ends [rad]."""

    def __len__(self) -> int:
        return len(self.distance)

    def speed(self, t: Array) -> Array:
        """Return the speed of the pen at the times `t` [s], in mm/s."""
        return np.asarray(np.hypot(*self.velocity(t)))

    def velocity(self, t: Array) -> tuple[Array, Array]:
        """Return the velocity of the pen at the times `t` [s], as (vx, vy) in mm/s."""
        speeds = self.distance[:, None] * self.impulses.density(t)
        theta = self._direction(self.impulses.progress(t))
        return (speeds * np.cos(theta)).sum(axis=0), (speeds * np.sin(theta)).sum(axis=0)

    def position(self, t: Array) -> tuple[Array, Array]:
        """Return where the pen is at the times `t` [s], as (x, y) in mm from where it started.

        The direction turns in step with the distance, so that the integral of the velocity has a closed form.
        """
        progress = self.impulses.progress(t)
        turn = (self.theta_e - self.theta_s)[:, None]
        straight = np.abs(turn) < _STRAIGHT_RAD
        radius = self.distance[:, None] / np.where(straight, 1.0, turn)
        start, now = self.theta_s[:, None], self._direction(progress)
        along = self.distance[:, None] * progress
        x = np.where(straight, along * np.cos(start), radius * (np.sin(now) - np.sin(start)))
        y = np.where(straight, along * np.sin(start), radius * (np.cos(start) - np.cos(now)))
        return x.sum(axis=0), y.sum(axis=0)

    def _direction(self, progress: Array) -> Array:
        return np.asarray(self.theta_s[:, None] + (self.theta_e - self.theta_s)[:, None] * progress)


def arc(chord_x: Array, chord_y: Array, turn: Array) -> tuple[Array, Array, Array]:
    """Return the arcs over the given chords [mm] that turn by `turn` [rad]: (distance, theta_s, theta_e)."""
    heading = np.arctan2(chord_y, chord_x)
    return np.hypot(chord_x, chord_y) / _shortening(turn), heading - turn / 2, heading + turn / 2


def chord(distance: Array, theta_s: Array, theta_e: Array) -> tuple[Array, Array]:
    """Return by how much the arcs move the pen in the end, as (x, y) in mm: the inverse of `arc`."""
    length, heading = distance * _shortening(theta_e - theta_s), (theta_s + theta_e) / 2
    return length * np.cos(heading), length * np.sin(heading)


def _shortening(turn: Array) -> Array:
    """Return the length of a chord as a share of its arc's, which turns by `turn` [rad]."""
    return np.asarray(np.sinc(turn / (2 * np.pi)))
