"""Motion: where a pen is over a tablet, moment by moment, while somebody writes a given trace on it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.errors import TraceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from penlatch.ink import Trace

USUAL_PERIOD_S: Final = 1 / 133
"""Report period of an ISDV4 pen [s], for a trace too short to have one."""
APPROACH_S: Final = 0.3
"""How long the pen hovers before the first contact [s]."""
RETREAT_S: Final = 0.05
"""How long it hovers after the last one [s], before it is away."""
LIFT_S: Final = 0.035
"""Silence between two contact frames that means a lift [s]; shorter ones are an uneven source."""
LIFT_PERIODS: Final = 3.5
"""The same in report periods; the longer of the two counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Columns of equal length, one row per report of the tablet; the last row is the pen going away."""

    t: NDArray[np.float64]
    """Time since the pen came near [s]."""
    x: NDArray[np.float64]
    """Position from the left edge of the tablet [mm]."""
    y: NDArray[np.float64]
    """Position from its upper edge [mm]."""
    p: NDArray[np.float64]
    """Pressure as a share of the pen's range [0..1]."""
    near: NDArray[np.bool_]
    """The pen is in proximity."""
    down: NDArray[np.bool_]
    """The pen is in contact."""


def over_tablet(trace: Trace, *, width_mm: float, height_mm: float, period_s: float | None = None) -> Motion:
    """Lay the trace on the middle of the tablet, and the pen's ways there, between strokes and back around it.

    The trace keeps its own times. Where it is silent between strokes, the pen hovers from the end of one to the
    beginning of the next.

    Args:
        trace: what is written.
        width_mm: active width of the tablet [mm].
        height_mm: active height [mm].
        period_s: time between two reports while the pen hovers [s]; None for the usual one of the trace.

    Raises:
        TraceError: if the trace is not in millimetres or larger than the tablet.
    """
    if trace.pen.unit != "mm":
        raise TraceError(problem="it is not in millimetres, so nobody knows how large it is on a tablet")
    width, height = np.ptp(trace.x), np.ptp(trace.y)
    if width > width_mm or height > height_mm:
        raise TraceError(problem=f"it does not fit on a tablet of {width_mm:g} x {height_mm:g} mm")
    own_period = _period(trace.t)
    rows = np.column_stack(
        (
            trace.t - trace.t[0] + APPROACH_S,
            trace.x + _shift(trace.x, width_mm),
            trace.y + _shift(trace.y, height_mm),
            np.where(trace.down, trace.p, 0.0),
            trace.down,
        )
    )
    period = period_s or own_period
    written = np.vstack([rows[:1], *_with_hovering(rows, period, lift=max(LIFT_S, LIFT_PERIODS * own_period))])
    retreat = np.arange(1, round(RETREAT_S / period) + 2, dtype=np.float64)
    before = _hovering(APPROACH_S - period * np.arange(round(APPROACH_S / period), 0, -1, dtype=np.float64), written[0])
    after = _hovering(written[-1, 0] + period * retreat[:-1], written[-1])
    away = _hovering(written[-1, 0] + period * retreat[-1:], np.zeros(5))
    t, x, y, p, down = np.vstack((before, written, after, away)).T.copy()
    near = np.ones(len(t), dtype=np.bool_)
    near[-1] = False
    return Motion(t=t - t[0], x=x, y=y, p=p, near=near, down=down > 0)


def _shift(axis: NDArray[np.float64], side_mm: float) -> float:
    """Return by how much to move an axis to the middle of the tablet: whole millimetres, where there is room for that.

    So what a tablet recorded in its own units is reported in the same units again, and not rounded a second time.
    """
    low, high = float(axis.min()), float(axis.max())
    shift = (side_mm - low - high) / 2
    whole = round(shift)
    return whole if low + whole >= 0 and high + whole <= side_mm else shift


def _period(t: NDArray[np.float64]) -> float:
    steps = np.diff(t)
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else USUAL_PERIOD_S


def _with_hovering(rows: NDArray[np.float64], period: float, *, lift: float) -> list[NDArray[np.float64]]:
    """Return every row but the first, and before each the hovering that fills a lift."""
    parts = []
    for before, after in pairwise(rows):
        silence = after[0] - before[0]
        if silence > (lift if before[4] and after[4] else 1.5 * period):
            times = np.arange(before[0] + period, after[0] - period / 2, period)
            share = ((times - before[0]) / silence)[:, np.newaxis]
            way = before + share * (after - before)
            parts.append(_hovering(times, way.T))
        parts.append(after[np.newaxis])
    return parts


def _hovering(t: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows of a pen in the air at the times `t`; `place` holds its position in x = [1] and y = [2]."""
    nothing = np.zeros_like(t)
    return np.column_stack((t, nothing + place[1], nothing + place[2], nothing, nothing))
