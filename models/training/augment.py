"""Variations of one signature that leave its writer the same: pace, slant, proportions, the pen's pressure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from penlatch.signal.preprocess import CLOCK_HZ, Ink

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PACE = 0.08
"""Deviation of the logarithm of the whole signature's pace."""
_LOCAL_PACE = 0.10
"""The same for the pace between knots."""
_KNOT_ROWS = 25
"""Rows between knots of the local pace: a quarter of a second, about two strokes of the hand."""
_ROTATION = 0.10
"""Deviation of the rotation [rad]."""
_STRETCH = 0.06
"""Deviation of the logarithm of the scale of either axis."""
_PRESSURE_GAIN = 0.10
"""Deviation of the logarithm of the pressure."""
_PRESSURE_LOST = 0.10
"""Share of variations in which the pen knows contact only."""


def vary(ink: Ink, rng: np.random.Generator) -> Ink:
    """Return `ink` as the same writer might have written it another day, on another pen."""
    rows = _pace(len(ink), rng)
    x, y = _distort(_at(ink.x, rows), _at(ink.y, rows), rng)
    p = (
        np.ones(len(rows))
        if rng.random() < _PRESSURE_LOST
        else _at(ink.p, rows) * np.exp(rng.normal(0, _PRESSURE_GAIN))
    )
    stroke = (np.cumsum(ink.start) - 1)[rows.astype(np.intp)]
    start = np.diff(stroke, prepend=-1) > 0
    # Pauses keep their length; a stroke that fell between two rows leaves its pause to the next.
    pause = np.cumsum(np.where(ink.start, np.diff(ink.t, prepend=0.0), 0.0))[ink.start][stroke]
    t = (np.arange(len(rows)) - stroke) / CLOCK_HZ + pause
    return Ink(t=np.maximum.accumulate(t - t[0]), x=x, y=y, p=p.clip(0, 1), start=start)


def _pace(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return where the rows of the variation lie between the rows of the original, increasing, 0 to n - 1."""
    length = max(int(n * np.exp(rng.normal(0, _PACE))), 2)
    knots = np.exp(rng.normal(0, _LOCAL_PACE, length // _KNOT_ROWS + 3))
    speed = np.interp(np.linspace(0, len(knots) - 1, length), np.arange(len(knots)), knots)
    rows: NDArray[np.float64] = np.cumsum(speed) - speed[0]
    return rows * float((n - 1) / rows[-1])


def _at(values: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.interp(rows, np.arange(len(values)), values)


def _distort(
    x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = x * np.exp(rng.normal(0, _STRETCH)), y * np.exp(rng.normal(0, _STRETCH))
    angle = rng.normal(0, _ROTATION)
    return np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y
