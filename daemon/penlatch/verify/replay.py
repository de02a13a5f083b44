"""Replay: is this signature one that was written before, played back?

Nobody signs twice in the same way; a recording does. The **course** of a signature is where the pen is at `POINTS`
equal shares of its time, around the middle and in units of the RMS radius. That makes it independent of place, size,
tempo and frame rate; of pressure nothing is kept, for it is easily altered. There are two views of it, in which pauses
in the air count for more or for less (`LONGEST_PAUSES`): longer pauses hide a replay from the first, another frame rate
from the second. The **distance** of two courses is that of the nearer views: what is left of the ink when one was laid
over the other as well as can be, turned, moved and scaled as a whole, with a beginning and an end of its own (cut off
by up to `CUT` in all) and a tempo that swings slowly (`SWINGS`). Its unit is the RMS radius of the signature; the
`TRIM` of the points that fit worst do not count.

In the terms of ISO/IEC 30107-3 this is presentation attack detection; `scripts/replays` measures both of its errors.

Finding the nearest of thousands takes two steps: each is correlated with the signature at a few beginnings and ends
(`_EDGES`), which is one product of matrices, and the `_NEAREST` best are laid over it exactly, by Gauss and Newton.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from penlatch.errors import TraceError
from penlatch.signal.preprocess import GAP_FRAMES, GAP_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from penlatch.ink import Trace

    Course = NDArray[np.int16]
    Complex = NDArray[np.complex128]
    Real = NDArray[np.float64]

POINTS: Final = 128
"""Points of a course."""
LIMIT: Final = 0.017
"""A signature that is nearer than this to an earlier one is a replay [RMS radius]; docs/replays.md says why."""
CUT: Final = 0.2
"""Share of a signature that may be missing in the other one."""
SWINGS: Final = 2
"""Half waves of the tempo's slow swing."""
TRIM: Final = 0.1
"""Share of the points that are left out because they fit worst."""
LONGEST_PAUSES: Final = (0.15, 0.02)
"""What a pause in the air counts for at most, by view [share of the time in contact]."""
VIEWS: Final = len(LONGEST_PAUSES)
FORMAT: Final = 2
"""Version of the stored form; courses of another one cannot be compared with these."""

_SCALE: Final = 4096.0
"""Steps of the stored form per RMS radius; int16 then reaches to 8 radii."""
_FINE: Final = 4
"""Places on the line from which a point is made."""
_SMOOTH_POINTS: Final = 1.0
"""Standard deviation of the Gaussian by which the line is smoothed, in ink alone [points]."""
_COARSE: Final = 32
"""Points that the first step looks at."""
_EDGES: Final = (-0.09, -0.06, -0.03, 0.0, 0.03, 0.06, 0.09)
"""Beginnings and ends that the first step tries: how far inside the other signature [share of its time]."""
_NEAREST: Final = 4
"""How many the second step looks at."""
_ITERATIONS: Final = 6
_STEP: Final = 0.03
"""Greatest change of an alignment in one iteration [share of the time]."""
_SETTLED: Final = 0.0002
"""A distance that an iteration makes less by no more than this [RMS radius] stays as it is."""
_RIDGE: Final = 1e-6
"""Keeps the normal equations solvable where a signature leaves a parameter open, as a straight line does."""
_ROBUST: Final = 9.0
"""Points that are farther off than the root of so many medians pull less."""
_TINY: Final = 1e-12


class Nearest(NamedTuple):
    """The earlier signature that is nearest."""

    position: int
    """Which one, from 0."""
    distance: float
    """What is left between the two [RMS radius]; 1 at most."""

    @property
    def replay(self) -> bool:
        """Whether it is nearer than two genuine signatures are."""
        return self.distance < LIMIT


def course(trace: Trace) -> Course:
    """Return the course of a signature, int16 [VIEWS, POINTS, 3]: x and y [1 / 4096 RMS radius], and 1 for ink.

    A dot has a course of zeros, which is near to nothing.

    Raises:
        TraceError: if the pen never touched.
    """
    contact = np.flatnonzero(trace.down)
    if len(contact) == 0:
        raise TraceError(problem="the pen never touched")
    stroke = np.cumsum(np.diff(contact, prepend=contact[0]) > 1)
    later = np.diff(trace.t[contact], prepend=-np.inf) > 0
    contact, stroke = contact[later], stroke[later]
    line = trace.x[contact] + 1j * trace.y[contact]
    empty = np.zeros((VIEWS, POINTS, 3), dtype=np.int16)
    if len(line) < 2:
        return empty
    interval = np.diff(trace.t[contact])
    pause = (np.diff(stroke) > 0) | (interval > max(GAP_FRAMES * float(np.median(interval)), GAP_S))
    if pause.all():
        return empty
    written = interval[~pause].sum()
    return np.stack(
        [_view(line, np.where(pause, np.minimum(interval, most * written), interval), pause) for most in LONGEST_PAUSES]
    )


def _view(line: Complex, interval: Real, pause: NDArray[np.bool_]) -> Course:
    """Return one view: a line whose points are these intervals apart, of which some are pauses."""
    time = np.concatenate(([0.0], np.cumsum(interval)))
    place = (np.arange(POINTS * _FINE) + 0.5) / (POINTS * _FINE) * time[-1]
    row = np.clip(np.searchsorted(time, place, side="right") - 1, 0, len(interval) - 1)
    straight = line[row] + (place - time[row]) / interval[row] * (line[row + 1] - line[row])
    return _packed(straight, ~pause[row])


def _packed(line: Complex, ink: NDArray[np.bool_]) -> Course:
    """Smooth a line of POINTS * _FINE places where it is ink, and bring it to POINTS, to the middle and to radius 1."""
    weight = ink.astype(np.float64)
    kernel = _gaussian()
    inked = np.convolve(line * weight, kernel, mode="same") / np.maximum(np.convolve(weight, kernel, "same"), _TINY)
    weights = weight.reshape(POINTS, _FINE)
    share = weights.mean(axis=1)
    inside = share >= 0.5
    drawn = (np.where(ink, inked, 0).reshape(POINTS, _FINE)).mean(axis=1) / np.maximum(share, _TINY)
    points = np.where(inside, drawn, line.reshape(POINTS, _FINE).mean(axis=1))
    if not inside.any():
        return np.zeros((POINTS, 3), dtype=np.int16)
    points -= points[inside].mean()
    radius = float(np.sqrt(np.mean(np.abs(points[inside]) ** 2)))
    if radius <= _TINY:
        return np.zeros((POINTS, 3), dtype=np.int16)
    steps = np.rint(np.stack((points.real, points.imag), axis=1) * (_SCALE / radius)).clip(-32767, 32767)
    return np.asarray(np.concatenate((steps, inside[:, None]), axis=1), dtype=np.int16)


@lru_cache(maxsize=1)
def _gaussian() -> Real:
    reach = int(3 * _SMOOTH_POINTS * _FINE)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (_SMOOTH_POINTS * _FINE)) ** 2)
    return np.asarray(bell / bell.sum())


def to_bytes(points: Course) -> bytes:
    """Return a course as it is kept: 6 * VIEWS * POINTS bytes, little-endian."""
    return bytes(points.astype("<i2").tobytes())


def from_bytes(data: bytes) -> Course:
    """Read what `to_bytes` wrote, int16 [VIEWS, POINTS, 3].

    Raises:
        ValueError: if it is of another length.
    """
    return np.frombuffer(data, dtype="<i2").reshape(VIEWS, POINTS, 3).astype(np.int16)


def nearest(signature: Course, before: Course) -> Nearest | None:
    """Return the one of some earlier signatures that is nearest; None where there is none.

    Args:
        signature: a course, int16 [VIEWS, POINTS, 3].
        before: courses, int16 [n, VIEWS, POINTS, 3].
    """
    if len(before) == 0:
        return None
    chosen, starts = [], []
    for view in range(VIEWS):
        rough, begin, end = _first_step(signature[view], before[:, view])
        best = np.argsort(rough)[:_NEAREST]
        chosen.append(best)
        starts.append((begin[best], end[best]))
    # All views at once: what a fit costs is the number of steps, hardly what each of them is done to.
    exact = _overlay(
        np.concatenate([np.broadcast_to(signature[v], (len(rows), POINTS, 3)) for v, rows in enumerate(chosen)]),
        np.concatenate([before[rows, v] for v, rows in enumerate(chosen)]),
        np.concatenate([begin for begin, _ in starts]),
        np.concatenate([end for _, end in starts]),
    )
    place = int(exact.argmin())
    return Nearest(int(np.concatenate(chosen)[place]), float(exact[place]))


def distances(signature: Course, others: Course) -> Real:
    """Return the distance of a signature to each of others, float64 [n], 1 at most; `nearest` looks at the best alone.

    Args:
        signature: a course, int16 [VIEWS, POINTS, 3].
        others: courses, int16 [n, VIEWS, POINTS, 3].
    """
    found = []
    for view in range(VIEWS):
        _, begin, end = _first_step(signature[view], others[:, view])
        query = np.broadcast_to(signature[view], (len(others), POINTS, 3))
        found.append(_overlay(query, others[:, view], begin, end))
    return np.asarray(np.min(found, axis=0))


def _first_step(signature: Course, before: Course) -> tuple[Real, Real, Real]:
    """Lay a view of a signature over that of each of others at a few beginnings and ends, lines in the air and all.

    Returns:
        The smallest distance, and the begin and the end of the signature in the other's time; float64 [n] each.
    """
    windows, inside, edges = _windows(_complex(signature).reshape(_COARSE, -1).mean(axis=1))
    # Contiguous, or the products of matrices take five times as long.
    every = POINTS // _COARSE
    x, y = (before[:, every // 2 :: every, axis].astype(np.float32) / np.float32(_SCALE) for axis in (0, 1))
    real, imag = (np.ascontiguousarray(part.T) for part in (windows.real, windows.imag))
    within = np.ascontiguousarray(inside.T)
    count = inside.sum(axis=1)
    power = (x**2 + y**2) @ within - ((x @ within) ** 2 + (y @ within) ** 2) / count
    agreement = (x @ real + y @ imag) ** 2 + (y @ real - x @ imag) ** 2
    left = 1.0 - agreement / np.maximum(power * count, np.float32(_TINY))
    best = left.argmin(axis=1)
    return left[np.arange(len(before)), best].astype(np.float64), edges[best, 0], edges[best, 1]


def _windows(query: Complex) -> tuple[NDArray[np.complex64], NDArray[np.float32], Real]:
    """Return a signature at each beginning and end, centred and of RMS radius 1; where it then is; and these edges."""
    time = (np.arange(_COARSE) + 0.5) / _COARSE
    edges = np.array([(begin, 1.0 - end) for begin in _EDGES for end in _EDGES])
    share = (time - edges[:, :1]) / (edges[:, 1:] - edges[:, :1])
    inside = (share >= 0) & (share <= 1)
    placed = np.interp(share, time, query.real) + 1j * np.interp(share, time, query.imag)
    count = inside.sum(axis=1, keepdims=True)
    placed = np.where(inside, placed - (placed * inside).sum(axis=1, keepdims=True) / count, 0.0)
    power = (np.abs(placed) ** 2).sum(axis=1, keepdims=True) / count
    placed /= np.sqrt(np.maximum(power, _TINY))
    return placed.astype(np.complex64), inside.astype(np.float32), edges


def _overlay(signatures: Course, others: Course, begin: Real, end: Real) -> Real:
    """Return what is left when views of signatures are laid over others as well as can be, one by one, float64 [n].

    By Gauss and Newton, from the given begin and end of the signature in the other's time. Unknown are these, the swing
    of the tempo, and a complex factor and a complex constant, which turn, scale and move the other one as a whole.
    """
    query, other, drawn, inked = _complex(signatures), _complex(others), signatures[..., 2] > 0, others[..., 2] > 0
    n, rows = len(other), np.arange(len(other))[:, None]
    share = (np.arange(POINTS) + 0.5) / POINTS
    tempo = np.stack((np.ones(POINTS), share, *(np.sin((k + 1) * np.pi * share) for k in range(SWINGS))))
    alignment = np.zeros((n, len(tempo)))
    alignment[:, 0], alignment[:, 1] = begin, end - begin
    least = (1.0 - CUT) * np.maximum(drawn.sum(axis=1), inked.sum(axis=1))
    best = np.ones(n)
    for last in (False,) * (_ITERATIONS - 1) + (True,):
        place = (alignment @ tempo) * POINTS - 0.5
        row = np.clip(place, 0.0, POINTS - 2).astype(np.intp)
        beside = np.rint(place).clip(0, POINTS - 1).astype(np.intp)
        compared = (place >= 0) & (place <= POINTS - 1) & drawn & inked[rows, beside]
        inside = compared.astype(np.float64)
        count = np.maximum(inside.sum(axis=1, keepdims=True), 1.0)
        first = other[rows, row]
        rise = other[rows, row + 1] - first
        of_query = _centred(query, inside, count)
        of_other = _centred(first + (place - row) * rise, inside, count)
        factor = (of_query * of_other.conj()).sum(axis=1) / ((np.abs(of_other) ** 2).sum(axis=1) + _TINY)
        left = of_query - factor[:, None] * of_other
        ordered = np.sort(np.where(compared, np.abs(left) ** 2, np.inf), axis=1)
        found = _trimmed(ordered, of_query, count[:, 0])
        before, best = best, np.minimum(best, np.where(count[:, 0] >= least, found, 1.0))
        # What cannot be laid at all (1) may still slip into place.
        if last or ((before - best < _SETTLED) & (best < 1.0)).all():
            break
        along = factor[:, None] * rise * POINTS * inside
        columns = [along * each for each in tempo] + [of_other, 1j * of_other, inside + 0j, 1j * inside]
        median = ordered[rows[:, 0], (count[:, 0] / 2).astype(np.intp)]
        alignment += _change(columns, left, median)[:, : len(tempo)].clip(-_STEP, _STEP)
    return best


def _change(columns: list[Complex], left: Complex, median: Real) -> Real:
    """Return the step of Gauss and Newton for each of n fits, float64 [n, len(columns)].

    Args:
        columns: what each unknown moves, complex128 [n, POINTS] each.
        left: what is left, complex128 [n, POINTS].
        median: of its square, float64 [n].
    """
    jacobian = np.stack([np.concatenate((each.real, each.imag), axis=1) for each in columns], axis=1)
    wanted = np.concatenate((left.real, left.imag), axis=1)
    scale = _ROBUST * np.where(np.isfinite(median), median, 1.0)[:, None] + _TINY
    weight = np.tile(1.0 / (1.0 + np.abs(left) ** 2 / scale), 2)
    weighted = jacobian * weight[:, None, :]
    normal = weighted @ jacobian.transpose(0, 2, 1)
    ridge = _RIDGE * np.trace(normal, axis1=1, axis2=2) + _TINY
    normal += ridge[:, None, None] * np.eye(normal.shape[1])
    return np.asarray(np.linalg.solve(normal, weighted @ wanted[:, :, None])[:, :, 0])


def _trimmed(ordered: Real, query: Complex, count: Real) -> Real:
    """Return the RMS of the points that fit best, in units of the signature's RMS radius; 1 where it has none."""
    kept = np.maximum(((1.0 - TRIM) * count).astype(np.intp), 1)
    total = np.where(np.arange(POINTS) < kept[:, None], ordered, 0.0).sum(axis=1)
    radius = (np.abs(query) ** 2).sum(axis=1) / count
    return np.where(radius > _TINY, np.minimum(np.sqrt(total / kept / np.maximum(radius, _TINY)), 1.0), 1.0)


def _centred(points: Complex, inside: Real, count: Real) -> Complex:
    return np.asarray(inside * (points - (inside * points).sum(axis=1, keepdims=True) / count))


def _complex(points: Course) -> Complex:
    return np.asarray((points[..., 0] + 1j * points[..., 1]) / _SCALE)
