"""Channels: ink as sequences, for the network (`sequence`) and for time warping (`dtw_channels`).

A channel is one value per row of ink, a function whose docstring states its formula. Models name the channels they
read in their manifest, so a channel's formula never changes: a better one gets another name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from penlatch.signal.preprocess import CLOCK_HZ, Ink, clean, unit_square

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from penlatch.ink import Trace

PAPER_CHANNELS: Final = ("x", "y", "p")
"""What the BiLSTM-SE dual-task paper feeds its network."""

SEQUENCE_ROWS: Final = 256
"""Rows of a network's input unless its manifest says otherwise: half of all signatures are shorter than 2 s."""

DTW_ROWS: Final = 512
"""Most rows that time warping looks at; longer ink is resampled to so many. Bounds the time of one comparison."""

_SLOW: Final = 0.1
"""Share of the mean speed that is added before a logarithm or a division, so that a resting pen has no outliers."""

_STILL: Final = 0.01
"""Added to a pace before its logarithm [1/s]: slower than anybody writes."""

_ROUNDING: Final = 1e-9
"""What varies by less than this share of its magnitude is constant."""


class _View(NamedTuple):
    """What channel formulas are written in."""

    ink: Ink
    x: NDArray[np.float64]
    """In the unit square."""
    y: NDArray[np.float64]
    vx: NDArray[np.float64]
    """Speed to the right [mean speeds]."""
    vy: NDArray[np.float64]
    v: NDArray[np.float64]
    """Speed [mean speeds]."""
    mean: float
    """Mean speed [sides of the unit square per second], 1 for a pen at rest."""

    @classmethod
    def of(cls, ink: Ink) -> _View:
        x, y = unit_square(ink)
        vx, vy = ink.slope(x), ink.slope(y)
        v = np.hypot(vx, vy)
        mean = v.mean() or 1.0
        return cls(ink, x, y, vx / mean, vy / mean, v / mean, float(mean))


CHANNELS: Final[dict[str, Callable[[_View], NDArray[np.float64]]]] = {}
"""Every channel by name; each function's docstring is its formula."""


def _channel(formula: Callable[[_View], NDArray[np.float64]]) -> Callable[[_View], NDArray[np.float64]]:
    CHANNELS[formula.__name__.lstrip("_")] = formula
    return formula


@_channel
def _x(view: _View) -> NDArray[np.float64]:
    """Position to the right in the unit square [0..1]."""
    return view.x


@_channel
def _y(view: _View) -> NDArray[np.float64]:
    """Position downwards in the unit square [0..1]."""
    return view.y


@_channel
def _p(view: _View) -> NDArray[np.float64]:
    """Pressure, share of the pen's range [0..1]."""
    return view.ink.p


@_channel
def _dx(view: _View) -> NDArray[np.float64]:
    """Speed to the right, dx/dt / mean |v| [mean speeds]."""
    return view.vx


@_channel
def _dy(view: _View) -> NDArray[np.float64]:
    """Speed downwards, dy/dt / mean |v| [mean speeds]."""
    return view.vy


@_channel
def _dp(view: _View) -> NDArray[np.float64]:
    """Change of pressure, 0.1 s * dp/dt [share of the pen's range per 0.1 s]."""
    return 0.1 * view.ink.slope(view.ink.p)


@_channel
def _log_speed(view: _View) -> NDArray[np.float64]:
    """Speed on a logarithmic scale, ln(|v| / mean |v| + 0.1)."""
    return np.asarray(np.log(view.v + _SLOW))


@_channel
def _cos(view: _View) -> NDArray[np.float64]:
    """Cosine of the direction, dx / (|v| + 0.1 mean |v|): 0 at rest [-1..1]."""
    return view.vx / (view.v + _SLOW)


@_channel
def _sin(view: _View) -> NDArray[np.float64]:
    """Sine of the direction, dy / (|v| + 0.1 mean |v|): 0 at rest [-1..1]."""
    return view.vy / (view.v + _SLOW)


@_channel
def _turn(view: _View) -> NDArray[np.float64]:
    """Turning rate, 0.05 s * (c ds/dt - s dc/dt) with c, s the channels cos, sin [about rad per 0.05 s, -3..3]."""
    c, s = _cos(view), _sin(view)
    turn: NDArray[np.float64] = 0.05 * (c * view.ink.slope(s) - s * view.ink.slope(c))
    return turn.clip(-3.0, 3.0)


@_channel
def _acceleration(view: _View) -> NDArray[np.float64]:
    """Acceleration along the path, 0.05 s * d|v|/dt / mean |v| [mean speeds per 0.05 s]."""
    return 0.05 * view.ink.slope(view.v)


@_channel
def _start(view: _View) -> NDArray[np.float64]:
    """1 where a stroke begins, else 0."""
    return view.ink.start.astype(np.float64)


@_channel
def _pause(view: _View) -> NDArray[np.float64]:
    """Pen-up time before this row, ln(1 + pause / 0.1 s) where a stroke begins, else 0."""
    pause = np.diff(view.ink.t, prepend=view.ink.t[0])
    return np.where(view.ink.start, np.log1p(pause / 0.1), 0.0)


@_channel
def _time(view: _View) -> NDArray[np.float64]:
    """Time since first contact, pen-ups included, as a share of the whole [0..1]."""
    return view.ink.t / (view.ink.t[-1] or 1.0)


@_channel
def _pace(view: _View) -> NDArray[np.float64]:
    """Speed in the drawing's own size, ln((|v| + 0.1 mean |v|) / R + 0.01 /s), R = sqrt(var x + var y) [ln 1/s]."""
    radius = np.hypot(view.x.std(), view.y.std()) or 1.0
    return np.asarray(np.log((view.v + _SLOW) * view.mean / radius + _STILL))


_IMPULSES: Final = ("start", "pause")
"""Channels that are zero but for single rows: resampling moves each impulse to the nearest row and does not blur it."""


def sequence(
    signature: Trace | Ink, *, channels: Sequence[str] = PAPER_CHANNELS, length: int = SEQUENCE_ROWS
) -> NDArray[np.float32]:
    """Compute channels and resample them to a fixed length, evenly over the rows of ink (pen-ups take no room).

    Args:
        signature: a trace, or its ink where that is at hand.
        channels: names out of `CHANNELS`.
        length: rows of the result, at least 2.

    Returns:
        float32 [length, len(channels)], finite.

    Raises:
        KeyError: if a channel does not exist.
        TraceError: if the pen never touched.
    """
    ink = signature if isinstance(signature, Ink) else clean(signature)
    view = _View.of(ink)
    places = np.linspace(0.0, len(ink) - 1, length)
    rows = np.empty((length, len(channels)), dtype=np.float32)
    for k, name in enumerate(channels):
        values = CHANNELS[name](view)
        rows[:, k] = _spread(values, length) if name in _IMPULSES else _stretch(values, places)
    return rows


def _stretch(values: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.interp(places, np.arange(len(values)), values)


def _spread(impulses: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    n = len(impulses)
    target = np.rint(np.arange(n) * ((length - 1) / max(n - 1, 1))).astype(np.intp)
    rows = np.zeros(length)
    np.maximum.at(rows, target, impulses)
    return rows


def dtw_channels(signature: Trace | Ink) -> NDArray[np.float64]:
    """Compute the five channels of plain time warping: x, y, dx, dy, p.

    Each is normalised to mean 0 and standard deviation 1 over the signature, or 0 throughout where it is constant
    (pressure of a pen that has none). dx and dy are slopes within strokes: across a pen-up they would tell of the jump.

    Returns:
        float64 [n, 5], finite, n <= DTW_ROWS.

    Raises:
        TraceError: if the pen never touched.
    """
    ink = signature if isinstance(signature, Ink) else clean(signature)
    columns = np.stack([ink.x, ink.y, ink.slope(ink.x), ink.slope(ink.y), ink.p], axis=1)
    if len(columns) > DTW_ROWS:
        places = np.linspace(0.0, len(columns) - 1, DTW_ROWS)
        columns = np.stack([_stretch(column, places) for column in columns.T], axis=1)
    centred: NDArray[np.float64] = columns - columns.mean(axis=0)
    deviation: NDArray[np.float64] = centred.std(axis=0)
    far = max(np.abs(ink.x).max(), np.abs(ink.y).max())
    rounding = _ROUNDING * np.array([far, far, far * CLOCK_HZ, far * CLOCK_HZ, 1.0])
    return np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > rounding)
