"""Sigma-lognormal fits: which strokes might have written a signature, and what they write when they vary a little.

A simple extraction: strokes are what lies between minima of the speed; their parameters, first guessed from where each
begins, ends and heads, are then fitted to the velocity all together by Levenberg and Marquardt. It reaches lower
signal-to-noise ratios than the published extractors, which is reported (`Fit.snr_db`) and not hidden.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.sim.kinematics import Impulses, Strokes
from penlatch.sim.program import MotorProgram, Variation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from penlatch.ink import Trace

    Array = NDArray[np.float64]

CLOCK_HZ: Final = 100.0
_SHORTEST_S: Final = 0.05
"""Minima of the speed that are closer belong to one stroke."""
_WIDENED: Final = 1.6
"""A stroke lasts longer than what is seen of it between two minima, for it overlaps with its neighbours."""
_ASYMMETRY: Final = 0.08
_ITERATIONS: Final = 30
_STEP: Final = 1e-5
_PARAMETERS: Final = 6
"""Of a stroke: t0 [s], mu, ln sigma, distance, theta_s, theta_e."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A signature as strokes."""

    trace: Trace
    strokes: Strokes
    snr_db: float
    """Power of the velocity over that of what the strokes leave of it [dB]; 15 and more is said to be good."""

    def duplicate(self, rng: np.random.Generator, *, share: float) -> Trace:
        """Write it again, with every parameter varied by up to a `share` of the ranges of SynSig2Vec (0: as fitted).

        Pressure and lifts are those of the original, at the same place in the order of strokes.
        """
        strokes = self.strokes
        if share > 0:
            variation = Variation(
                share=(0.0, share), angle_rad=0.4 * share, force=0.0, steering=0.3, spacing=0.0, tremor_mm=0.0
            )
            n = len(strokes)
            program = MotorProgram(strokes, np.ones(n, dtype=np.bool_), np.ones(n), touch_s=0.1, follow_through=0.0)
            strokes = program.varied(variation, rng).strokes
        before, after = (np.maximum.accumulate(s.impulses.peak) for s in (self.strokes, strokes))
        stamps = self.trace.t
        knots = np.concatenate(([before[0] - 1.0], before, [before[-1] + 1.0]))
        moved = np.interp(stamps, knots, np.concatenate(([after[0] - 1.0], after, [after[-1] + 1.0])))
        moved = np.maximum.accumulate(moved)
        x, y = strokes.position(moved)
        return replace(self.trace, t=moved - moved[0], x=x, y=y)


def fit(trace: Trace) -> Fit:
    """Find strokes that write a signature.

    Raises:
        ValueError: if it is too short to hold one.
    """
    t, vx, vy = _velocity(trace)
    parameters = _guess(t, vx, vy)
    wanted = np.concatenate((vx, vy))
    damping, error = 1e-2, np.inf
    left = wanted - _written(parameters, t).sum(axis=0)
    error = float(left @ left)
    for _ in range(_ITERATIONS):
        now = _written(parameters, t)
        jacobian = np.empty((len(parameters), _PARAMETERS, len(wanted)))
        for k in range(_PARAMETERS):
            moved = parameters.copy()
            size = _STEP * np.maximum(1.0, np.abs(parameters[:, k]))
            moved[:, k] += size
            jacobian[:, k] = (_written(moved, t) - now) / size[:, None]
        flat = jacobian.reshape(-1, len(wanted))
        normal, slope = flat @ flat.T, flat @ left
        for _ in range(6):
            diagonal = np.diag(normal)
            step = np.linalg.solve(normal + np.diag(damping * diagonal + 1e-9 * diagonal.max()), slope)
            tried = _bounded(parameters + step.reshape(parameters.shape))
            rest = wanted - _written(tried, t).sum(axis=0)
            if float(rest @ rest) < error:
                parameters, left, error, damping = tried, rest, float(rest @ rest), damping / 3
                break
            damping *= 4
        else:
            break
    order = np.argsort(_strokes(parameters).impulses.peak)
    snr = 10 * np.log10(float(wanted @ wanted) / max(error, 1e-12))
    return Fit(trace=trace, strokes=_strokes(parameters[order]), snr_db=float(snr))


def _velocity(trace: Trace) -> tuple[Array, Array, Array]:
    """Return times [s] and velocities at CLOCK_HZ, straight where the pen was in the air."""
    keep = np.concatenate(([True], np.diff(trace.t) > 0)) & trace.down
    stamps = trace.t[keep]
    t = np.arange(0.0, stamps[-1], 1.0 / CLOCK_HZ)
    if len(t) < 10:
        raise ValueError("too short to be fitted")
    kernel = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9.0
    columns = []
    for values in (trace.x[keep], trace.y[keep]):
        smooth = np.convolve(np.pad(np.interp(t, stamps, values), 2, mode="edge"), kernel, mode="valid")
        columns.append(np.gradient(smooth, 1.0 / CLOCK_HZ))
    return t, columns[0], columns[1]


def _guess(t: Array, vx: Array, vy: Array) -> Array:
    speed = np.hypot(vx, vy)
    low = np.flatnonzero((speed[1:-1] <= speed[:-2]) & (speed[1:-1] < speed[2:])) + 1
    cuts = [0]
    for row in low:
        if row - cuts[-1] >= _SHORTEST_S * CLOCK_HZ:
            cuts.append(int(row))
    cuts.append(len(t) - 1)
    begin, end = np.array(cuts[:-1]), np.array(cuts[1:])
    duration = (end - begin) / CLOCK_HZ
    start = t[begin] - (_WIDENED - 1) / 2 * duration
    impulses = Impulses.lasting(start, _WIDENED * duration, np.full(len(begin), _ASYMMETRY))
    distance = np.array([speed[a:b].sum() / CLOCK_HZ for a, b in zip(begin, end, strict=True)])
    heading = np.unwrap(np.arctan2(vy, vx))
    quarter = np.maximum((end - begin) // 4, 1)
    first, last = heading[begin + quarter], heading[end - quarter]
    return np.stack((impulses.t0, impulses.mu, np.log(impulses.sigma), distance, first, last), axis=1)


def _strokes(parameters: Array) -> Strokes:
    t0, mu, log_sigma, distance, theta_s, theta_e = parameters.T
    return Strokes(Impulses(t0, mu, np.exp(log_sigma)), distance, theta_s, theta_e)


def _bounded(parameters: Array) -> Array:
    """Keep what no hand does out: responses that are too narrow or too wide, and strokes backwards."""
    bounded = parameters.copy()
    bounded[:, 2] = bounded[:, 2].clip(np.log(0.02), np.log(0.6))
    bounded[:, 1] = bounded[:, 1].clip(-4.0, 1.0)
    bounded[:, 3] = np.maximum(bounded[:, 3], 1e-6)
    return bounded


def _written(parameters: Array, t: Array) -> Array:
    """Return the velocity that each stroke adds, float64 [n, 2 * len(t)]: x, then y."""
    strokes = _strokes(parameters)
    speed = strokes.distance[:, None] * strokes.impulses.density(t)
    theta = strokes.theta_s[:, None] + (strokes.theta_e - strokes.theta_s)[:, None] * strokes.impulses.progress(t)
    return np.concatenate((speed * np.cos(theta), speed * np.sin(theta)), axis=1)
