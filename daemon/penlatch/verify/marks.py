"""Marks: keyed numbers by which a signature is known again after everything else about it was deleted.

A mark is made of one window (`verify.windows`), turned to a standard direction: its cosines are projected on secret
directions, rounded, and put through keyed BLAKE2b. Without the key nothing can be computed from a mark; with it, a
guess of the window can be tried and no more. Windows that are nearly straight have none: all straight lines are alike.
A probe has several marks for each window, of the neighbouring roundings, so that small changes are seen through.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from penlatch.verify import windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from penlatch.verify.course import Course
    from penlatch.verify.windows import Windows

KEY_BYTES: Final = 32
"""Length of the key."""
MOST: Final = 24
"""Marks of one signature at most."""
COVERED: Final = 0.6
"""Least `Shared.cover` of a replay."""
SHARED: Final = 4
"""Least `Shared.marks` of a replay. A signature with fewer marks is not known again by them."""
_DIRECTIONS: Final = 20
_CELL: Final = 0.045
"""Width of the rounding, beside a window of length 1."""
_LEAST_TURN: Final = 0.3
"""A window whose first cosine is less than this has no standard direction."""
_MOST_DOUBT: Final = 1.5
"""A window of more than this `Windows.doubt` is too straight."""
_NEIGHBOURS: Final = ((), (0,), (1,), (2,), (3,), (0, 1), (0, 2))
"""Which of the roundings that were closest to another result are changed, for the marks of a probe."""
_BINS: Final = 64


class Marker:
    """Makes marks with one key."""

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(key=key, digest_size=8)
        seed = int.from_bytes(blake2b(b"directions", key=key, digest_size=16).digest(), "little")
        rng = np.random.default_rng(seed)
        directions = rng.normal(size=(2 * windows.ORDERS, _DIRECTIONS))
        self._directions = directions / np.linalg.norm(directions, axis=0)
        self._offset = rng.uniform(0.0, 1.0, _DIRECTIONS)

    def of_remembered(self, course: Course) -> list[int]:
        """Return the marks by which a signature is remembered: `MOST` at most, 63 bits each."""
        _, cells = self._cells(windows.remembered(course))
        return sorted({self._mark(row) for row in np.floor(cells)[:MOST].astype("<i2")})

    def of_probe(self, course: Course) -> dict[int, list[int]]:
        """Return the marks that a remembered signature may share with a probe, and the bins of its ink for each."""
        cut = windows.of_probe(course)
        usable, cells = self._cells(cut)
        if len(cells) == 0:
            return {}
        middles = (np.arange(_BINS) + 0.5) * len(course.line) / _BINS
        lower = np.floor(cells)
        rest = cells - lower
        closest = np.argsort(np.minimum(rest, 1.0 - rest), axis=1)
        change = np.where(rest < 0.5, -1, 1).astype(np.int16)
        tried = np.repeat(lower.astype("<i2")[:, None], len(_NEIGHBOURS), axis=1)
        rows = np.arange(len(cells))
        for number, changed in enumerate(_NEIGHBOURS):
            for place in changed:
                tried[rows, number, closest[:, place]] += change[rows, closest[:, place]]
        edges = cut.edges[usable]
        inside = (middles >= edges[:, :1]) & (middles <= edges[:, 1:])
        found: dict[int, list[int]] = {}
        for row, of_row in zip(inside, tried, strict=True):
            bins = np.flatnonzero(row).tolist()
            for cell in of_row:
                found.setdefault(self._mark(cell), []).extend(bins)
        return found

    def _cells(self, cut: Windows) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return which windows have marks, and what is rounded of these, float64 [n, _DIRECTIONS]."""
        first = cut.shapes[:, 0].astype(np.complex128)
        size = np.abs(first)
        usable = (size >= _LEAST_TURN) & (cut.doubt() <= _MOST_DOUBT)
        turned = cut.shapes[usable] * (first[usable].conj() / size[usable])[:, None]
        return usable, np.concatenate((turned.real, turned.imag), axis=1) @ self._directions / _CELL + self._offset

    def _mark(self, cell: NDArray[np.int16]) -> int:
        keyed = self._keyed.copy()
        keyed.update(cell.tobytes())
        return int.from_bytes(keyed.digest(), "little") >> 1


class Shared(NamedTuple):
    """What a probe shares with one signature."""

    cover: float
    """Ink in windows that share a mark, as a share of the probe's ink in windows that have marks [0..1]."""
    marks: int
    """Number of marks that both have."""

    @property
    def replay(self) -> bool:
        """True if nobody shares so much with an earlier signature of their own, even of thousands."""
        return self.cover >= COVERED and self.marks >= SHARED


def shared(probe: Mapping[int, Sequence[int]], found: Iterable[tuple[int, int]]) -> dict[int, Shared]:
    """Return by signature how much a probe shares with it.

    Args:
        probe: what `Marker.of_probe` returned.
        found: mark and signature of all that share a mark.
    """
    bins: dict[int, set[int]] = {}
    marks: dict[int, int] = {}
    for mark, signature in found:
        bins.setdefault(signature, set()).update(probe[mark])
        marks[signature] = marks.get(signature, 0) + 1
    whole = len({place for places in probe.values() for place in places})
    return {signature: Shared(len(covered) / max(whole, 1), marks[signature]) for signature, covered in bins.items()}
