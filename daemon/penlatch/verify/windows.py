"""Windows: what lies between two landmarks of a course, as numbers that can be compared by one product of matrices.

A window begins at a landmark and ends at the first one that is at least a given share of the ink later. Its positions,
at equal shares of its own time, are taken apart into `ORDERS` cosines, without the constant, and brought to length 1.
The **distance** of two windows is that of these vectors, one of them turned as well as can be: 0 to the root of 2. It
changes neither with place, size, direction and tempo, nor with what was written before and after the window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from penlatch.verify.course import Course

ORDERS: Final = 12
"""Cosines that describe a window."""
SHARE: Final = 0.09
"""Least length of a remembered window, as a share of the steps of its course."""
PROBE_SHARES: Final = (0.078, 0.09, 0.105)
"""Least lengths of the windows of a probe. A part of a recording is another share of the whole than it was."""
SPACING: Final = 0.04
"""Least distance between the beginnings of two remembered windows, as a share of the steps of the course."""
LONGEST: Final = 0.45
"""Greatest length of a window, as a share of the steps of the course."""
CURVED: Final = 0.15
"""Size across the main direction, as a share of the whole, from which on a line counts as curved."""
_POINTS: Final = 32
"""Positions from which the cosines are computed."""
_TINY: Final = 1e-12

_PLACES: Final = (np.arange(_POINTS) + 0.5) / _POINTS
_COSINES: Final = np.sqrt(2 / _POINTS) * np.cos(np.pi * np.outer(np.arange(1, ORDERS + 1), _PLACES))


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """The windows of one course."""

    edges: NDArray[np.float64]
    """Begin and end on the line [steps], float64 [n, 2]."""
    shapes: NDArray[np.complex64]
    """Cosines of each, of length 1, complex64 [n, ORDERS]."""

    def doubt(self) -> NDArray[np.float64]:
        """Return by how much the distance of each window says less than that of a curved one, float64 [n], 1 and more.

        All straight lines are alike. What counts is the distance beside the size across the window's main direction.
        """
        across = np.sqrt((0.5 * (1.0 - np.abs((self.shapes**2).sum(axis=1)))).clip(_TINY))
        return np.asarray(np.maximum(CURVED / across, 1.0), dtype=np.float64)


def remembered(course: Course) -> Windows:
    """Return the windows by which a course is remembered."""
    return _cut(course, (SHARE,), spacing=SPACING)


def of_probe(course: Course) -> Windows:
    """Return the windows of a course that is compared with remembered ones."""
    return _cut(course, PROBE_SHARES, spacing=0.0)


def _cut(course: Course, shares: Sequence[float], *, spacing: float) -> Windows:
    """Cut a course into windows of these least lengths."""
    marks, steps = course.landmarks, len(course.line)
    begins = _spaced(marks, spacing * steps)
    ends = np.searchsorted(marks, marks[begins][:, None] + np.asarray(shares) * steps)
    pairs = np.unique(np.stack((np.repeat(begins, len(shares)), ends.ravel()), axis=1), axis=0)
    pairs = pairs[pairs[:, 1] < len(marks)]
    edges = marks[pairs]
    edges = edges[edges[:, 1] - edges[:, 0] <= LONGEST * steps]
    if len(edges) == 0:
        return Windows(np.zeros((0, 2)), np.zeros((0, ORDERS), dtype=np.complex64))
    place = edges[:, :1] + _PLACES * (edges[:, 1:] - edges[:, :1])
    row = place.astype(np.intp).clip(0, steps - 2)
    first = course.line[row]
    drawn = first + (place - row) * (course.line[row + 1] - first)
    shapes = drawn @ _COSINES.T
    shapes /= np.sqrt((np.abs(shapes) ** 2).sum(axis=1, keepdims=True)) + _TINY
    return Windows(edges, shapes.astype(np.complex64))


def _spaced(marks: NDArray[np.float64], least: float) -> NDArray[np.intp]:
    """Return the rows of landmarks that are at least so far apart."""
    if least <= 0:
        return np.arange(len(marks))
    rows, last = [], -np.inf
    for row, place in enumerate(marks.tolist()):
        if place - last >= least:
            rows.append(row)
            last = place
    return np.asarray(rows, dtype=np.intp)
