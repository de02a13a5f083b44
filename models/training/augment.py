"""Variations of one signature: as its writer might have written it another day, or as a forger might have."""

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
_ROTATION = 0.05
"""Deviation of the rotation [rad]."""
_STRETCH = 0.04
"""Deviation of the logarithm of the scale of either axis."""
_PRESSURE_GAIN = 0.10
"""Deviation of the logarithm of the pressure."""

_FORGED_PACE = (0.0, 0.55)
"""Bounds of the logarithm of how much slower a forger is."""
_FORGED_LOCAL_PACE = 0.4
_FORGED_KNOT_ROWS = 12
"""A forger hesitates within strokes of the hand, too."""
_DRIFT, _DRIFT_ROWS = 0.10, 40
"""Slow departure from the line [RMS radius], and rows between its knots."""
_TREMOR, _TREMOR_ROWS = 0.02, 8
"""Fast departure from the line, likewise."""
_FORGED_PRESSURE, _FORGED_PRESSURE_ROWS = 0.12, 20
"""Departure of the pressure [share of the pen's range], likewise."""
_LEAST_PRESSURE = 0.01
"""A pen that writes presses."""


def vary(ink: Ink, rng: np.random.Generator) -> Ink:
    """Return `ink` as the same writer might have written it another day."""
    rows = _pace(len(ink), rng, slower=float(rng.normal(0, _PACE)), local=_LOCAL_PACE, knot=_KNOT_ROWS)
    x, y = _distort(_at(ink.x, rows), _at(ink.y, rows), rng)
    p = _at(ink.p, rows) * np.exp(rng.normal(0, _PRESSURE_GAIN))
    return _timed(ink, rows, x, y, p)


def forge(ink: Ink, rng: np.random.Generator) -> Ink:
    """Return `ink` as somebody might have copied it who sees where the line goes: slower, uneven, trembling.

    Not a model of forgers; a negative example where a writer of a database has no forger, of a kind that no genuine
    signature of another person can be.
    """
    slower = float(rng.uniform(*_FORGED_PACE))
    rows = _pace(len(ink), rng, slower=slower, local=_FORGED_LOCAL_PACE, knot=_FORGED_KNOT_ROWS)
    x, y = _distort(_at(ink.x, rows), _at(ink.y, rows), rng)
    n, radius = len(rows), float(np.hypot(ink.x.std(), ink.y.std()))
    x, y = (
        line + _wander(n, _DRIFT * radius, _DRIFT_ROWS, rng) + _wander(n, _TREMOR * radius, _TREMOR_ROWS, rng)
        for line in (x, y)
    )
    p = _at(ink.p, rows) * np.exp(rng.normal(0, 1.5 * _PRESSURE_GAIN))
    if np.ptp(ink.p) > 0:
        p = p + _wander(n, _FORGED_PRESSURE, _FORGED_PRESSURE_ROWS, rng)
    return _timed(ink, rows, x, y, p.clip(_LEAST_PRESSURE))


def _timed(
    ink: Ink,
    rows: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    p: NDArray[np.float64],
) -> Ink:
    """Put columns read at `rows` of the original on the clock. Pauses keep their length.

    A stroke that fell between two rows leaves its pause to the next.
    """
    stroke = (np.cumsum(ink.start) - 1)[rows.astype(np.intp)]
    start = np.diff(stroke, prepend=-1) > 0
    pause = np.cumsum(np.where(ink.start, np.diff(ink.t, prepend=0.0), 0.0))[ink.start][stroke]
    t = (np.arange(len(rows)) - stroke) / CLOCK_HZ + pause
    return Ink(t=np.maximum.accumulate(t - t[0]), x=x, y=y, p=p.clip(0, 1), start=start)


def _pace(n: int, rng: np.random.Generator, *, slower: float, local: float, knot: int) -> NDArray[np.float64]:
    """Return where the rows of the variation lie between the rows of the original, increasing, 0 to n - 1."""
    length = max(int(n * np.exp(slower)), 2)
    knots = np.exp(rng.normal(0, local, length // knot + 3))
    speed = np.interp(np.linspace(0, len(knots) - 1, length), np.arange(len(knots)), knots)
    rows: NDArray[np.float64] = np.cumsum(speed) - speed[0]
    return rows * float((n - 1) / rows[-1])


def _at(values: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.interp(rows, np.arange(len(values)), values)


def _wander(n: int, deviation: float, knot: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a smooth random walk around zero over n rows."""
    knots = rng.normal(0, deviation, n // knot + 3)
    return np.interp(np.linspace(0, len(knots) - 1, n), np.arange(len(knots)), knots)


def _distort(
    x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = x * np.exp(rng.normal(0, _STRETCH)), y * np.exp(rng.normal(0, _STRETCH))
    angle = rng.normal(0, _ROTATION)
    return np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y
