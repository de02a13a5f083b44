"""Course: the line of a signature in the form in which signatures of before are remembered and compared.

The line is resampled to `STEPS` equal steps of the time in contact, smoothed, moved to its middle and scaled to RMS
radius 1. Pressure and frames in the air are left out. Its **landmarks** are the ends of strokes and the places where
the pen is slowest. They are the same in a recording that was moved, turned, scaled, slowed down or cut into parts, so
that what lies between two landmarks can be compared without a search for an alignment.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.errors import TraceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from penlatch.ink import Trace

    Complex = NDArray[np.complex128]
    Real = NDArray[np.float64]
    Rows = NDArray[np.intp]

STEPS: Final = 512
"""Steps into which the time in contact is divided."""
MOST_STROKES: Final = 120
"""Strokes that are kept; later ones are left out."""
FORMAT: Final = 3
"""Version of the stored form; courses of another one cannot be compared with these."""

TICKS: Final = 2.0**40
"""Resolution of the time from the first contact to the last: a frame within the tick of the one before says nothing."""
_PAUSE_FRAMES: Final = 3.5
"""A gap between contact frames longer than this many typical frame intervals parts two strokes."""
_TYPICAL_SHARE: Final = 0.16
"""Intervals shorter than the typical one take this share of the time in contact."""
_LONGEST_SHARE: Final = 32.0
"""A gap longer than the time in contact divided by this is a pause in every reading."""
_SMOOTH: Final = 3.0
"""Standard deviation of the smoothing [steps]."""
_REACH: Final = 15
"""Half width of the smoothing kernel [steps]."""
VIEW: Final = 96
"""Positions of `Course.frames`."""
_NEIGHBOURS: Final = STEPS // 40
"""Steps before and after a landmark within which the pen must be clearly faster."""
_SLOW: Final = 0.75
"""Greatest speed of a landmark, as a share of the greatest speed in its neighbourhood."""
_SCALE: Final = 4096.0
"""Stored steps of a coordinate per RMS radius; int16 then reaches to 8 radii."""
_FINE: Final = 32
"""Stored steps of a landmark per step of the line."""
_HEAD: Final = struct.Struct("<3H")
_LONGEST_PAUSE: Final = 1e6
"""Longer pauses count as this long [steps]."""
_TINY: Final = 1e-12
"""Least RMS radius of a line, beside its greatest coordinate; a smaller one is a dot."""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """The line of one signature. A dot has an empty course, which is near to nothing."""

    line: Complex
    """Positions one step apart, complex128 [n]: x + iy around the middle [RMS radius]."""
    starts: Rows
    """First position of each stroke, ascending, [strokes]."""
    pauses: Real
    """Time in the air before each stroke [steps], float64 [strokes]; 0 before the first."""
    landmarks: Real
    """Places of the landmarks on the line [steps], ascending, float64 [m]."""
    frames: Complex
    """Positions at equal shares of the frames in contact, complex128 [VIEW] [RMS radius]; unlike `line` as recorded."""
    joined: Course | None = None
    """Another reading, in which short lifts and gaps part nothing, for those that were put into a recording; None if
    there are none. It is not stored."""

    def __repr__(self) -> str:
        # Never a coordinate: a repr ends up in logs and tracebacks.
        return f"<Course of {len(self.line)} steps>"

    def to_bytes(self) -> bytes:
        """Return the stored form: 390 bytes, 6 a stroke, 2 a landmark and 4 a position, little-endian."""
        return b"".join(
            (
                _HEAD.pack(len(self.line), len(self.starts), len(self.landmarks)),
                self.starts.astype("<u2").tobytes(),
                self.pauses.astype("<f4").tobytes(),
                np.rint(self.landmarks * _FINE).astype("<u2").tobytes(),
                _as_steps(self.line).astype("<i2").tobytes(),
                _as_steps(self.frames).astype("<i2").tobytes(),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Course:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: if it is no course.
        """
        if len(data) < _HEAD.size:
            raise ValueError("too short")
        points, strokes, marks = _HEAD.unpack_from(data)
        sizes = np.cumsum([_HEAD.size, 2 * strokes, 4 * strokes, 2 * marks, 4 * points, 4 * VIEW])
        if len(data) != sizes[-1]:
            raise ValueError(f"{len(data)} bytes, not {sizes[-1]}")
        starts = np.frombuffer(data, "<u2", strokes, sizes[0]).astype(np.intp)
        pauses = np.frombuffer(data, "<f4", strokes, sizes[1]).astype(np.float64)
        landmarks = np.frombuffer(data, "<u2", marks, sizes[2]) / _FINE
        line = _from_steps(np.frombuffer(data, "<i2", 2 * points, sizes[3]).reshape(-1, 2))
        frames = _from_steps(np.frombuffer(data, "<i2", 2 * VIEW, sizes[4]).reshape(-1, 2))
        ordered = (np.diff(starts) > 0).all() and (np.diff(landmarks) > 0).all()
        inside = (starts < points).all() and (landmarks <= max(points - 1, 0)).all()
        usable = np.isfinite(pauses).all() and (pauses >= 0).all()
        if not (ordered and inside and usable and bool(points) == bool(strokes)) or (strokes and starts[0]):
            raise ValueError("its parts contradict each other")
        return cls(line=line, starts=starts, pauses=pauses, landmarks=landmarks, frames=frames)


def course(trace: Trace) -> Course:
    """Return the course of a signature, rounded as it is stored.

    Raises:
        TraceError: if the pen never touched.
    """
    contact = np.flatnonzero(trace.down)
    if len(contact) == 0:
        raise TraceError(problem="the pen never touched")
    lifted = np.cumsum(np.diff(contact, prepend=contact[0]) > 1)
    time = _ticks(trace.t[contact])
    later = np.diff(time, prepend=-1.0) > 0
    time, contact, lifted = time[later], contact[later], lifted[later]
    x, y = _within_one(np.stack((trace.x[contact], trace.y[contact])))
    place = x + 1j * y
    interval = np.diff(time)
    if len(interval) == 0:
        return _EMPTY
    lift = np.diff(lifted) > 0
    frame = _typical(interval if lift.all() else interval[~lift])
    pause = lift | (interval > _PAUSE_FRAMES * frame)
    longest = max(_PAUSE_FRAMES * frame, float(interval[~lift].sum()) / _LONGEST_SHARE)
    joined = pause & (interval > longest)
    as_written = _course(time, place, pause)
    return as_written if (joined == pause).all() else replace(as_written, joined=_course(time, place, joined))


def _course(time: Real, place: Complex, pause: NDArray[np.bool_]) -> Course:
    """Return the course of contact frames of which some are the last before a pause."""
    interval, cut = np.diff(time), np.flatnonzero(pause)
    if len(cut) >= MOST_STROKES:
        end = cut[MOST_STROKES - 1] + 1
        time, place, interval, pause = time[:end], place[:end], interval[: end - 1], pause[: end - 1]
        cut = cut[: MOST_STROKES - 1]
    step = float(interval[~pause].sum()) / STEPS
    if step <= 0:
        return _EMPTY
    first, last = np.concatenate(([0], cut + 1)), np.concatenate((cut, [len(time) - 1]))
    line, starts = _resampled(time, place, first, last, step)
    line = _smoothed(line, starts)
    middle = line.mean()
    line -= middle
    radius = float(np.sqrt(np.mean(np.abs(line) ** 2)))
    if radius <= _TINY:
        return _EMPTY
    line = _from_steps(_as_steps(line / radius))
    rows = np.linspace(0.0, len(place) - 1.0, VIEW)
    frames = np.interp(rows, np.arange(len(place)), place.real) + 1j * np.interp(
        rows, np.arange(len(place)), place.imag
    )
    frames = _from_steps(_as_steps((frames - middle) / radius))
    pauses = np.concatenate(([0.0], np.minimum(interval[cut], _LONGEST_PAUSE * step))) / step
    landmarks = np.rint(_landmarks(line, starts) * _FINE) / _FINE
    return Course(line=line, starts=starts, pauses=pauses, landmarks=landmarks, frames=frames)


def _ticks(time: Real) -> Real:
    """Return moments as whole numbers of ticks since the first one; `TICKS` are the whole time."""
    time = _within_one(time)
    whole = time[-1] - time[0]
    return np.floor((time - time[0]) / whole * TICKS) if whole > 0 else np.zeros(len(time))


def _typical(interval: Real) -> float:
    """Return the typical interval of contact frames.

    Whoever adds frames to a recording must not be able to part the others. Frames therefore count by their time.
    """
    ordered = np.sort(interval)
    spent = np.cumsum(ordered)
    return float(ordered[np.searchsorted(spent, _TYPICAL_SHARE * spent[-1])])


def _within_one(values: Real) -> Real:
    """Scale values to at most 1 by a power of two, which rounds nothing, so that no later product overflows."""
    _, exponent = np.frexp(np.abs(values).max())
    return np.asarray(np.ldexp(values, -exponent))


def _resampled(time: Real, place: Complex, first: Rows, last: Rows, step: float) -> tuple[Complex, Rows]:
    """Return positions one step apart, ends of strokes included, and the first of each stroke."""
    spent = time[last] - time[first]
    points = np.rint(spent / step).astype(np.intp) + 1
    starts = np.cumsum(points) - points
    share = (np.arange(points.sum()) - np.repeat(starts, points)) / np.repeat(np.maximum(points - 1, 1), points)
    wanted = np.repeat(time[first], points) + share * np.repeat(spent, points)
    # A pause has no wanted moment, so that nothing is interpolated across one.
    return np.interp(wanted, time, place.real) + 1j * np.interp(wanted, time, place.imag), starts


def _smoothed(line: Complex, starts: Rows) -> Complex:
    """Smooth each stroke; its ends stay where they are, for it goes on beyond them turned about the end."""
    points = np.diff(starts, append=len(line))
    ends = starts + points - 1
    room = points + 2 * _REACH
    at = np.cumsum(room) - room
    wanted = np.arange(room.sum()) - np.repeat(at, room) - _REACH + np.repeat(starts, room)
    low, high = np.repeat(starts, room), np.repeat(ends, room)
    inside = wanted.clip(low, high)
    mirrored = (2 * inside - wanted).clip(low, high)
    padded = np.where(wanted == inside, line[inside], 2 * line[inside] - line[mirrored])
    smooth = np.convolve(padded, _kernel(), mode="same")
    return np.asarray(smooth[np.arange(len(line)) - np.repeat(starts, points) + np.repeat(at + _REACH, points)])


@lru_cache(maxsize=1)
def _kernel() -> Real:
    """Return a bell whose second moment is 0, so that curves keep their size whatever share of the line they take."""
    row = np.arange(-_REACH, _REACH + 1)
    narrow, wide = (np.exp(-0.5 * (row / deviation) ** 2) for deviation in (_SMOOTH, _SMOOTH * np.sqrt(2)))
    return np.asarray(2 * narrow / narrow.sum() - wide / wide.sum())


def _landmarks(line: Complex, starts: Rows) -> Real:
    """Return the ends of strokes and the slowest places, to a fraction of a step."""
    n = len(line)
    ends = np.append(starts[1:], n) - 1
    speed = np.abs(np.gradient(line)) if n > 1 else np.zeros(n)
    before, now, after = speed[:-2], speed[1:-1], speed[2:]
    padded = np.pad(speed, _NEIGHBOURS, mode="edge")
    fastest = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEIGHBOURS + 1)[1:-1].max(axis=1)
    slow = np.zeros(n, dtype=np.bool_)
    slow[1:-1] = (now <= before) & (now < after) & (now < _SLOW * fastest)
    for near in (starts, starts + 1, ends, ends - 1):
        slow[near.clip(0, n - 1)] = False
    row = np.flatnonzero(slow)
    bend = speed[row - 1] - 2 * speed[row] + speed[row + 1]
    refined = row + 0.5 * (speed[row - 1] - speed[row + 1]) / np.maximum(bend, _TINY)
    return np.asarray(np.unique(np.concatenate((refined.clip(row - 0.5, row + 0.5), starts, ends))))


def _as_steps(line: Complex) -> NDArray[np.float64]:
    return np.asarray(np.rint(np.stack((line.real, line.imag), axis=1) * _SCALE).clip(-32767, 32767))


def _from_steps(steps: NDArray[np.float64] | NDArray[np.int16]) -> Complex:
    whole = steps.astype(np.float64) / _SCALE
    return np.asarray(whole[:, 0] + 1j * whole[:, 1])


_EMPTY: Final = Course(
    line=np.zeros(0, dtype=np.complex128),
    starts=np.zeros(0, dtype=np.intp),
    pauses=np.zeros(0),
    landmarks=np.zeros(0),
    frames=np.zeros(VIEW, dtype=np.complex128),
)
