"""Traces whose every value is known: drawn by formula, at any frame rate, with or without hover frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from penlatch.ink import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Curve = Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]
    """x [mm], y [mm] and p [0..1] at times [s]."""


def draw(curve: Curve, strokes: Sequence[tuple[float, float]], *, hz: float = 100.0, hover: bool = False) -> Trace:
    """Sample a curve at `hz` while the pen is down, from the first to the last moment of each stroke.

    Args:
        curve: what the hand does, also in the air.
        strokes: when the pen touches and lifts [s].
        hz: frame rate of the tablet.
        hover: whether the frames in the air are in the trace, as a live pen delivers them.
    """
    count = round((strokes[-1][1] - strokes[0][0]) * hz) + 1
    t = strokes[0][0] + np.arange(count) / hz
    slack = 0.01 / hz
    down = np.zeros(count, dtype=np.bool_)
    for begin, end in strokes:
        down |= (t >= begin - slack) & (t <= end + slack)
    x, y, p = curve(t)
    trace = Trace(t=t, x=x, y=y, p=np.where(down, p, 0.0), down=down)
    return trace if hover else without_hover(trace)


def without_hover(trace: Trace) -> Trace:
    """Leave the frames in the air out, as databases do."""
    down = trace.down
    return Trace(t=trace.t[down], x=trace.x[down], y=trace.y[down], p=trace.p[down], down=down[down])


def scrawl(seed: int, *, hz: float = 100.0, hover: bool = False) -> Trace:
    """Draw something like a signature: three strokes of smooth loops that wander to the right, 40 mm or so wide."""
    rng = np.random.default_rng(seed)
    amplitude = rng.uniform(1.0, 4.0, (2, 4))
    rate = rng.uniform(0.5, 4.0, (2, 4))
    phase = rng.uniform(0.0, 2 * np.pi, (2, 4))
    press = rng.uniform(0.0, 2 * np.pi)

    def curve(t: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        waves = (amplitude[..., None] * np.sin(2 * np.pi * rate[..., None] * t + phase[..., None])).sum(axis=1)
        return waves[0] + 15 * t, waves[1], 0.5 + 0.3 * np.sin(2 * np.pi * t + press)

    cuts = np.round(np.cumsum(rng.uniform(0.2, 0.9, 6)), 2)
    return draw(curve, [(0.0, cuts[0]), (cuts[1], cuts[2]), (cuts[3], cuts[4])], hz=hz, hover=hover)
