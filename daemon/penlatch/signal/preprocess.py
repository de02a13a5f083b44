"""Preprocessing: a Trace from any pen becomes Ink, the same strokes on one clock, smoothed, without hover frames.

The steps, in order:

1. Contact frames only. What the pen did in the air is used through its duration alone, since databases leave it out.
2. Strokes begin after a lift, or after a gap in time that no frame rate explains (`GAP_FRAMES`, `GAP_S`).
3. Time stamps are steadied: a tablet samples at a fixed rate, and what its stamps do between is the transport's doing.
4. Every stroke is resampled to `CLOCK_HZ` by linear interpolation.
5. Five-point cubic smoothing of x, y and pressure within strokes (BiLSTM-SE dual-task paper, section 2.1).

Scaling to [0, 1] is a separate function, `unit_square`: size is evidence too, and the global features want it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.errors import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from penlatch.ink import Trace

CLOCK_HZ: Final = 100.0
"""Frame rate of every Ink [Hz]: that of SVC2004, and above what handwriting holds (below 20 Hz)."""

GAP_FRAMES: Final = 3.5
"""A pause longer than this many frame intervals is a pen-up: three frames lost in a row still are one stroke."""
GAP_S: Final = 0.035
"""But never a shorter one than this [s]: a fast tablet's frames may be delayed by as much, a hand lifts no faster."""

_HOLE_FRAMES: Final = 1.75
"""An interval longer than this many median intervals lost a frame; shorter ones are jitter of the stamps."""
_SAME_RATE: Final = 0.02
"""A tablet whose frame rate is within this share of `CLOCK_HZ` is taken to run at `CLOCK_HZ`."""
_STAMP_ERROR_FRAMES: Final = 1.5
"""How far the stamps of a stroke may be off its count of frames before the stamps are believed instead."""


@dataclass(frozen=True, eq=False)
class Ink:
    """A cleaned signature: equally long arrays, one row per 10 ms of contact, never empty, always finite."""

    t: NDArray[np.float64]
    """Time since first contact [s]. It runs in steps of 10 ms within a stroke, and on through pen-ups."""
    x: NDArray[np.float64]
    """Position to the right [unit of the pen]."""
    y: NDArray[np.float64]
    """Position downwards [unit of the pen]."""
    p: NDArray[np.float64]
    """Pressure as a share of the pen's range [0..1]."""
    start: NDArray[np.bool_]
    """True at the first row of each stroke, so always at row 0."""

    def __len__(self) -> int:
        return len(self.t)

    def strokes(self) -> Iterator[slice]:
        """Yield the strokes, in order, as slices of the arrays."""
        edges = np.append(np.flatnonzero(self.start), len(self))
        for begin, end in pairwise(edges):
            yield slice(int(begin), int(end))

    def slope(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derive one value per row by time: central differences, one-sided at stroke ends, 0 in one-row strokes.

        Args:
            values: float64 [n].

        Returns:
            float64 [n], in units of `values` per second. No difference spans a pen-up.
        """
        before, after, span = self._neighbours
        rise: NDArray[np.float64] = values[after] - values[before]
        return rise / span

    @cached_property
    def _neighbours(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
        """The rows before and after each in its stroke, and the time between them [s]: infinite where there is none."""
        index = np.arange(len(self))
        before = np.where(self.start, index, index - 1)
        after = np.where(np.append(self.start[1:], True), index, index + 1)
        span = self.t[after] - self.t[before]
        return before, after, np.where(span > 0, span, np.inf)


def clean(trace: Trace) -> Ink:
    """Turn a trace into ink.

    Args:
        trace: of any pen, 60 to 1000 Hz, with hover frames or without.

    Returns:
        At least one row.

    Raises:
        TraceError: if the pen never touched.
    """
    contact = np.flatnonzero(trace.down)
    if len(contact) == 0:
        raise TraceError(problem="the pen never touched")
    lifted = np.diff(contact, prepend=contact[0]) > 1
    lifted[0] = True
    stamps = trace.t[contact] - trace.t[contact[0]]
    t, start = _steady(stamps, lifted)

    clock, first = _clock(t, start)
    x, y, p = (smooth(np.interp(clock, t, column[contact]), first) for column in (trace.x, trace.y, trace.p))
    return Ink(t=clock, x=x, y=y, p=p.clip(0.0, 1.0), start=first)


def _steady(stamps: NDArray[np.float64], lifted: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return steadied time stamps [s] and stroke starts.

    Within a stroke frames are counted, those that were lost included, and spaced evenly: by the tablet's own frame
    interval where the stamps agree with the count (repeated stamps and ticks of a coarse clock do), else by what the
    stamps say.
    """
    intervals = np.diff(stamps)
    moving = intervals[intervals > 0]
    median = float(np.median(moving)) if len(moving) else 1.0 / CLOCK_HZ
    steady = intervals[intervals <= _HOLE_FRAMES * median]
    period = float(steady.mean()) if len(moving) and steady.any() else median
    same_rate = abs(period * CLOCK_HZ - 1.0) <= _SAME_RATE
    if same_rate:
        # Its frames are the rows: nothing is interpolated, however the stamps tremble.
        period = 1.0 / CLOCK_HZ

    start = lifted.copy()
    start[1:] |= intervals > max(GAP_FRAMES * median, GAP_S)
    # A late frame makes one long interval and a short one after it; after a lost frame the next is as long as ever.
    two = intervals + np.append(intervals[1:], median)
    hole = (intervals > _HOLE_FRAMES * median) & (two > (_HOLE_FRAMES + 1) * median)
    number = np.concatenate(([0.0], np.cumsum(np.where(hole, np.rint(intervals / period), 1.0))))

    first = np.flatnonzero(start)
    last = np.append(first[1:], len(stamps)) - 1
    stroke = np.cumsum(start) - 1
    number -= number[first][stroke]
    steps = number[last]
    span = stamps[last] - stamps[first]
    slack = _STAMP_ERROR_FRAMES * period + (_SAME_RATE * span if same_rate else 0.0)
    agrees = np.abs(span - steps * period) <= slack
    step = np.where(agrees, period, span / np.maximum(steps, 1))
    return np.maximum.accumulate(stamps[first][stroke] + number * step[stroke]), start


def _clock(t: NDArray[np.float64], start: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the rows' times at `CLOCK_HZ` [s] and which of them start a stroke; both ends of a stroke are rows."""
    first = np.flatnonzero(start)
    last = np.append(first[1:], len(t)) - 1
    span = t[last] - t[first]
    count = np.rint(span * CLOCK_HZ).astype(np.intp) + 1
    row = np.arange(count.sum())
    begin = np.cumsum(count) - count
    stroke = np.repeat(np.arange(len(first)), count)
    share = (row - begin[stroke]) / np.maximum(count - 1, 1)[stroke]
    starts = np.zeros(len(row), dtype=np.bool_)
    starts[begin] = True
    return t[first][stroke] + share * span[stroke], starts


_MIDDLE: Final = np.array([-3.0, 12.0, 17.0, 12.0, -3.0]) / 35.0
_EDGE: Final = np.array([[69.0, 4.0, -6.0, 4.0, -1.0], [4.0, 54.0, 24.0, -16.0, 4.0]]) / 70.0


def smooth(values: NDArray[np.float64], start: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Five-point cubic smoothing: each value becomes that of the cubic fitted to five neighbours by least squares.

    Within a stroke of five rows or more::

        s[0]   = (69 v[0] +  4 v[1] -  6 v[2] + 4 v[3] -   v[4]) / 70
        s[1]   = ( 2 v[0] + 27 v[1] + 12 v[2] - 8 v[3] + 2 v[4]) / 35
        s[i]   = (-3 v[i-2] + 12 v[i-1] + 17 v[i] + 12 v[i+1] - 3 v[i+2]) / 35

    and mirrored at its end. Shorter strokes stay as they are: a cubic meets four points exactly.

    Args:
        values: float64 [n].
        start: bool [n], true where a stroke begins; row 0 always does.

    Returns:
        float64 [n].
    """
    if len(values) < len(_MIDDLE):
        return values.copy()
    first = np.flatnonzero(start)
    end = np.append(first[1:], len(values))
    long = end - first >= len(_MIDDLE)

    smoothed = np.convolve(values, _MIDDLE, mode="same")
    five = np.arange(len(_MIDDLE))
    head, tail = first[long], end[long] - 1
    smoothed[head[:, None] + five[:2]] = values[head[:, None] + five] @ _EDGE.T
    smoothed[tail[:, None] - five[:2]] = values[tail[:, None] - five] @ _EDGE.T
    keep = np.repeat(~long, end - first)
    smoothed[keep] = values[keep]
    return smoothed


def unit_square(ink: Ink) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale the drawing into [0, 1] x [0, 1].

    The paper scales "the size of the signature" into [0, 1]: one factor for both axes, so that the aspect, which
    belongs to the writer, survives. The longer side fills [0, 1], the shorter is centred around 0.5. Pressure is a
    share of the pen's range and so in [0, 1] already; its level is evidence and stays.

    Returns:
        x and y, float64 [n] each; 0.5 throughout for a dot.
    """
    low_x, low_y = ink.x.min(), ink.y.min()
    width, height = ink.x.max() - low_x, ink.y.max() - low_y
    side = max(width, height)
    if side <= 0:
        return np.full(len(ink), 0.5), np.full(len(ink), 0.5)
    x = 0.5 + (ink.x - (low_x + width / 2)) / side
    y = 0.5 + (ink.y - (low_y + height / 2)) / side
    return x.clip(0.0, 1.0), y.clip(0.0, 1.0)
