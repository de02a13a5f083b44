"""Mixture: is a signature made of two earlier ones, row by row?

The mean of two signatures of a person looks like a third one and is near to neither. But it lies on the line between
them: what is left when it is mixed of these two is far less than any third signature of the person leaves. There are
two **views** in which rows may have been taken together: equal shares of the whole time, and equal shares of the frames
in contact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from penlatch.verify.course import VIEW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from penlatch.verify.course import Course

    Complex = NDArray[np.complex128]
    Real = NDArray[np.float64]

LIMIT: Final = 0.027
"""Greatest distance of a probe to a mixture that makes it a replay, as a share of its own size."""
POINTS: Final = VIEW
"""Places of a view."""
LEAST: Final = 0.1
"""Least weight of either of the two."""
TURNED: Final = 0.25
"""Greatest angle between the two [rad]: they are mixed as they were written."""
TRIM: Final = 0.12
"""Share of the places that are left out because they fit worst."""
_FIRST: Final = 8
"""How many of the nearest signatures are mixed with every other one."""
_FITS: Final = 5
"""How many of the best mixtures are looked at closely."""
_ROUNDS: Final = 3
_LEAST_POINTS: Final = 16
"""Fewer places of ink than this say nothing."""
_TINY: Final = 1e-9


class Mixed(NamedTuple):
    """The best mixture of two."""

    position: int
    """The one that weighs more, from 0."""
    distance: float
    """What is left, as a share of the RMS radius of the probe where it is written."""


class Views:
    """Earlier signatures in the form in which they are mixed."""

    def __init__(self) -> None:
        self._points: NDArray[np.float32] = np.zeros((2, 0, 2 * POINTS), dtype=np.float32)
        """By view and signature: all x, then all y, around their middle [RMS radius]."""
        self._power: NDArray[np.float32] = np.zeros((2, 0), dtype=np.float32)
        """Sum of their squares."""

    def __len__(self) -> int:
        return int(self._points.shape[1])

    @property
    def nbytes(self) -> int:
        """Memory that they take [bytes]."""
        return self._points.nbytes + self._power.nbytes

    def add(self, courses: Sequence[Course]) -> None:
        """Take in more signatures."""
        lines = np.array([[view(each, kind)[0] for each in courses] for kind in (0, 1)]).reshape(2, -1, POINTS)
        lines -= lines.mean(axis=2, keepdims=True)
        more = np.concatenate((lines.real, lines.imag), axis=2).astype(np.float32)
        self._points = np.concatenate((self._points, more), axis=1)
        self._power = np.concatenate((self._power, (more**2).sum(axis=2) + np.float32(_TINY)), axis=1)

    def lines(self, kind: int, rows: NDArray[np.intp]) -> Complex:
        """Return signatures in one view, complex128 [len(rows), POINTS]."""
        points = self._points[kind, rows].astype(np.float64)
        return np.asarray(points[:, :POINTS] + 1j * points[:, POINTS:])

    def products(self, kind: int, lines: Complex) -> NDArray[np.complex64]:
        """Return the product of each line, conjugated, with each signature, complex64 [len(lines), n]."""
        real, imag = lines.real.astype(np.float32), lines.imag.astype(np.float32)
        query = np.concatenate((np.concatenate((real, imag), axis=1), np.concatenate((-imag, real), axis=1)))
        found = query @ self._points[kind].T
        return np.asarray(found[: len(lines)] + np.complex64(1j) * found[len(lines) :])

    def power(self, kind: int) -> NDArray[np.float32]:
        """Return the sum of squares of each signature, float32 [n]."""
        return np.asarray(self._power[kind])


def view(course: Course, kind: int) -> tuple[Complex, NDArray[np.bool_]]:
    """Return the positions of a course at equal shares of time (0) or of frames (1), and where they are ink."""
    n = len(course.line)
    if kind == 1 or n < 2:
        return course.frames, np.full(POINTS, n > 1)
    step = np.ones(n)
    step[course.starts] = course.pauses
    time = np.cumsum(step) - step[0]
    place = np.linspace(0.0, time[-1], POINTS)
    ink = np.ones(n, dtype=np.bool_)
    ink[course.starts[1:]] = False
    after = np.searchsorted(time, place).clip(0, n - 1)
    return np.interp(place, time, course.line.real) + 1j * np.interp(place, time, course.line.imag), ink[after]


def nearest(probe: Course, views: Views) -> Mixed | None:
    """Return the mixture of two that is nearest to a probe; None if there are no two."""
    if len(views) < 2:
        return None
    return min((_nearest(probe, views, kind) for kind in (0, 1)), key=lambda mixed: mixed.distance)


def _nearest(probe: Course, views: Views, kind: int) -> Mixed:
    """Return the nearest mixture in one view."""
    line, ink = view(probe, kind)
    wanted = line - line.mean()
    size = float((np.abs(wanted) ** 2).sum())
    if size <= _TINY or ink.sum() < _LEAST_POINTS:
        return Mixed(0, np.inf)
    own, power = views.products(kind, wanted[None])[0].conj(), views.power(kind)
    first = np.argsort(-(own.real**2 + own.imag**2) / power)[:_FIRST]
    cross = views.products(kind, views.lines(kind, first))
    left, weight = _pairs(own, power, first, cross, size)
    best = np.argpartition(left, min(_FITS, left.size - 1), axis=None)[:_FITS]
    best = best[np.isfinite(left.ravel()[best])]
    if len(best) == 0:
        return Mixed(0, np.inf)
    one, other = first[best // left.shape[1]], best % left.shape[1]
    exact = _trimmed(line[ink], views.lines(kind, one)[:, ink], views.lines(kind, other)[:, ink])
    at = int(exact.argmin())
    heavier = one[at] if weight.ravel()[best[at]] >= 0.5 else other[at]
    return Mixed(int(heavier), float(exact[at]))


def _trimmed(wanted: Complex, ones: Complex, others: Complex) -> Real:
    """Return what is left of a probe after each mixture where it fits best, as a share of its size, float64 [k].

    What was mixed across a lift of the pen is a place where no two recordings agree on the line. `TRIM` of the places
    are therefore left out.
    """
    columns = np.stack((ones, others, np.ones_like(ones)), axis=2)
    kept = max(int((1 - TRIM) * len(wanted)), 1)
    weight = np.ones(ones.shape)
    for _ in range(_ROUNDS):
        weighted = (columns * weight[:, :, None]).conj().transpose(0, 2, 1)
        normal = weighted @ columns
        normal += _TINY * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(3)
        factors = np.linalg.solve(normal, weighted @ wanted[:, None])
        square = np.abs(wanted - (columns @ factors)[:, :, 0]) ** 2
        ordered = np.sort(square, axis=1)
        weight = (square <= ordered[:, kept - 1 : kept]).astype(np.float64)
    return np.asarray(np.sqrt(ordered[:, :kept].mean(axis=1) / (np.abs(wanted - wanted.mean()) ** 2).mean()))


def _pairs(
    own: NDArray[np.complex64],
    power: NDArray[np.float32],
    first: NDArray[np.intp],
    cross: NDArray[np.complex64],
    size: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return for each pair of a first signature and any one what is left of 1, and the first's weight.

    Args:
        own: product of each signature, conjugated, with the probe, [n].
        power: of each signature, [n].
        first: which ones are the first of a pair, [m].
        cross: product of each first one, conjugated, with each signature, [m, n].
        size: power of the probe.
    """
    of_first, own_first = power[first][:, None], own[first][:, None]
    det = of_first * power - (cross.real**2 + cross.imag**2)
    safe = np.maximum(det, np.float32(_TINY))
    a = (power * own_first - cross * own) / safe
    b = (of_first * own - cross.conj() * own_first) / safe
    left = 1 - ((a.conj() * own_first).real + (b.conj() * own).real) / np.float32(size)
    sizes = np.abs(a), np.abs(b)
    weight = sizes[0] / (sizes[0] + sizes[1] + np.float32(_TINY))
    turned = a * b.conj()
    alike = np.abs(turned.imag) <= TURNED * turned.real
    usable = alike & (weight >= LEAST) & (weight <= 1 - LEAST) & (det > 1e-4 * of_first * power)
    return np.where(usable, left, np.float32(np.inf)).astype(np.float32), weight.astype(np.float32)
