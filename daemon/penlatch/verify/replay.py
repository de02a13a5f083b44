"""Replay: is this signature one that was written before, or made of parts of such ones?

Nobody writes the same line twice; a recording does. In the terms of ISO/IEC 30107-3 this is presentation attack
detection; `scripts/replays` measures its errors. A probe is compared with signatures of before in three ways:

- **windows** (`verify.windows`): windows of the probe that are near to windows of *one* earlier signature, wherever
  they are in it, are counted by the share of the probe's ink that they cover. Finds what was cut, put into another
  order, moved, turned, scaled, slowed down or warped in time.
- **stretch**: from the nearest windows on, the line of the earlier signature is laid over the probe as well as can be.
  The distance is what is left on the best stretch of a given length, in RMS radii of the probe. Finds short parts.
- **mixture** (`verify.mixture`): the probe is compared with what can be mixed of two earlier signatures.

Each has limits (`COVERED`, `STRETCHES`, `mixture.LIMIT`): a longer part may be less near. The nearest of many earlier
signatures is nearer than the nearest of few, so the limits fall with their number (`FALLS`). docs/replays.md says how
they were chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from penlatch.verify import mixture, windows
from penlatch.verify.course import STEPS, course

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from penlatch.verify.course import Course
    from penlatch.verify.windows import Windows

    Complex = NDArray[np.complex128]
    Real = NDArray[np.float64]
    Rows = NDArray[np.intp]

__all__ = ["Finding", "Remembered", "course", "find", "nearness"]

COVERED: Final = ((0.2, 0.0175), (0.32, 0.03), (0.45, 0.04), (0.58, 0.053), (0.7, 0.064))
"""Share of the probe's ink that near windows cover, and the greatest distance of these windows."""
STRETCHES: Final = ((0.28, 0.0085), (0.4, 0.0135), (0.55, 0.024), (0.75, 0.0305), (0.9, 0.041))
"""Share of the probe's ink that a stretch has, and the greatest distance on it [RMS radius]."""

FEW: Final = 20
"""Number of remembered signatures up to which the limits hold as they stand."""
FALLS: Final[dict[str, float]] = {"windows": 0.1, "stretch": 0.08, "mixture": 0.14}
"""Exponents with which the limits fall: among n signatures a limit is multiplied by (`FEW` / n) ** exponent."""

_SCREEN: Final = 0.08
"""Windows that are farther apart than this are not looked at."""
_CANDIDATES: Final = 6
"""How many signatures are looked at closely for what their windows cover."""
_FITS: Final = 6
"""How many pairs of windows a stretch is grown from."""
_ROUNDS: Final = 3
"""Steps of Gauss and Newton."""
_EVERY: Final = 2
"""Of the probe's line, every so many steps is laid over the other line."""
_FAR: Final = 0.2
"""What is left at a place counts as this at most [RMS radius]."""
_HOPE: Final = (0.08, 0.045, 0.025, 0.0)
"""A stretch that is less near than this after so many rounds is given up [RMS radius]."""
_TYPICAL: Final = 1e-5
"""Least mean square by which outliers are known."""
_STEP: Final = 12.0
"""Greatest change of an alignment in one round [steps]."""
_RIDGE: Final = 1e-6
_TINY: Final = 1e-12
_BINS: Final = 64
"""Parts of the probe by which the covered share is counted."""


class Finding(NamedTuple):
    """The earlier signature by which a probe is known as a replay."""

    position: int
    """Which one, from 0."""
    way: str
    """`windows`, `stretch` or `mixture`."""


class Nearness(NamedTuple):
    """How near a probe is to earlier signatures; the smallest over all of them. Infinite where nothing is near."""

    covered: tuple[float, ...]
    """Distance within which windows of one signature cover each share of `COVERED`."""
    stretches: tuple[float, ...]
    """Distance on the best stretch of each length of `STRETCHES` [RMS radius]."""
    mixture: float
    """Distance to the best mixture of two of them [RMS radius]."""


class Remembered:
    """Signatures of before, ready to be compared."""

    def __init__(self, courses: Sequence[Course] = ()) -> None:
        self.courses: list[Course] = []
        """Their courses, by position."""
        self._lines = 0
        """Memory of the courses [bytes]."""
        self._edges: Real = np.zeros((0, 2))
        self._owner: Rows = np.zeros(0, dtype=np.intp)
        self._shapes: NDArray[np.float32] = np.zeros((2 * windows.ORDERS, 0), dtype=np.float32)
        self.views = mixture.Views()
        """The form in which they are mixed."""
        self.add(courses)

    def __len__(self) -> int:
        return len(self.courses)

    @property
    def nbytes(self) -> int:
        """Memory that they take [bytes], about."""
        return self._lines + self._edges.nbytes + self._owner.nbytes + self._shapes.nbytes + self.views.nbytes

    def add(self, courses: Sequence[Course]) -> None:
        """Take in more signatures, after those that are there."""
        if not courses:
            return
        cut = [windows.remembered(each) for each in courses]
        first = len(self.courses)
        count = [len(each.edges) for each in cut]
        owner = np.repeat(np.arange(first, first + len(courses)), count)
        shapes = np.concatenate([each.shapes for each in cut]).T
        self.courses.extend(courses)
        self._lines += sum(each.line.nbytes + each.frames.nbytes for each in courses)
        self._owner = np.concatenate((self._owner, owner))
        self._edges = np.concatenate((self._edges, *(each.edges for each in cut)))
        self._shapes = np.ascontiguousarray(
            np.concatenate((self._shapes, np.concatenate((shapes.real, shapes.imag))), axis=1)
        )
        self.views.add(courses)

    def hits(self, cut: Windows) -> Hits:
        """Return which windows of a probe are near to which remembered ones."""
        real, imag = cut.shapes.real, cut.shapes.imag
        query = np.concatenate((np.concatenate((real, imag), axis=1), np.concatenate((imag, -real), axis=1)))
        agreement = query @ self._shapes
        np.square(agreement, out=agreement)
        n = len(cut.edges)
        power = np.add(agreement[:n], agreement[n:], out=agreement[:n])
        # Over the flat array, or this takes as long as all the rest.
        near = np.flatnonzero(power.ravel() > np.float32((1 - _SCREEN**2 / 2) ** 2))
        of_probe, of_other = np.divmod(near, max(power.shape[1], 1))
        distance = np.sqrt(2 * (1 - np.sqrt(power.ravel()[near].astype(np.float64))).clip(0.0))
        return Hits(of_probe, of_other, self._owner[of_other], distance * cut.doubt()[of_probe])

    def edges(self, window: Rows) -> Real:
        """Return where remembered windows begin and end on their lines [steps], float64 [n, 2]."""
        return self._edges[window]


class Hits(NamedTuple):
    """Pairs of windows that are near to each other."""

    of_probe: Rows
    """Which window of the probe, [n]."""
    of_other: Rows
    """Which remembered window, [n]."""
    owner: Rows
    """Signature of that one, [n]."""
    distance: Real
    """How far they are apart, as far as the window of the probe is curved, float64 [n]."""

    def at(self, rows: Rows) -> Hits:
        """Return some of them."""
        return Hits(self.of_probe[rows], self.of_other[rows], self.owner[rows], self.distance[rows])


def find(probe: Course, remembered: Remembered, *, among: int | None = None) -> Finding | None:
    """Return by which earlier signature a probe is known as a replay; None if it is none.

    Args:
        probe: the signature.
        remembered: what it is compared with.
        among: number of signatures for which the limits hold; None for that of those remembered.
    """
    found = _find(probe, remembered, among or len(remembered))
    if found is None and probe.joined is not None:
        return _find(probe.joined, remembered, among or len(remembered))
    return found


def _find(probe: Course, remembered: Remembered, among: int) -> Finding | None:
    """Return the same for one reading of the probe."""
    if len(remembered) == 0 or len(probe.line) < 2:
        return None
    nearer = {way: min(1.0, FEW / among) ** fall for way, fall in FALLS.items()}
    cut = windows.of_probe(probe)
    if len(cut.edges):
        hits = remembered.hits(cut)
        for owner, found in _by_cover(probe, cut, hits):
            if any(d <= nearer["windows"] * limit for d, (_, limit) in zip(found, COVERED, strict=True)):
                return Finding(owner, "windows")
        chosen = _chosen(hits)
        if len(chosen):
            left = _stretched(probe, cut, remembered, hits.at(chosen))
            near = (left <= nearer["stretch"] * np.array([limit for _, limit in STRETCHES])).any(axis=1)
            if near.any():
                return Finding(int(hits.owner[chosen[int(near.argmax())]]), "stretch")
    mixed = mixture.nearest(probe, remembered.views)
    if mixed is not None and mixed.distance <= nearer["mixture"] * mixture.LIMIT:
        return Finding(mixed.position, "mixture")
    return None


def nearness(probe: Course, remembered: Remembered) -> Nearness:
    """Return how near a probe is to earlier signatures in each way, for those who choose limits."""
    found = _nearness(probe, remembered)
    if probe.joined is None:
        return found
    other = _nearness(probe.joined, remembered)
    return Nearness(
        tuple(map(min, found.covered, other.covered)),
        tuple(map(min, found.stretches, other.stretches)),
        min(found.mixture, other.mixture),
    )


def _nearness(probe: Course, remembered: Remembered) -> Nearness:
    """Return the same for one reading of the probe."""
    covered, stretches = np.full(len(COVERED), np.inf), np.full(len(STRETCHES), np.inf)
    cut = windows.of_probe(probe)
    if len(cut.edges) and len(remembered):
        hits = remembered.hits(cut)
        for _, found in _by_cover(probe, cut, hits):
            covered = np.minimum(covered, found)
        chosen = _chosen(hits)
        if len(chosen):
            stretches = _stretched(probe, cut, remembered, hits.at(chosen)).min(axis=0)
    mixed = mixture.nearest(probe, remembered.views) if len(probe.line) > 1 else None
    return Nearness(
        tuple(map(float, covered)), tuple(map(float, stretches)), mixed.distance if mixed is not None else np.inf
    )


def _by_cover(probe: Course, cut: Windows, hits: Hits) -> Iterator[tuple[int, Real]]:
    """Yield the signatures with the most near windows, and within which distance these cover each share."""
    if len(hits.distance) == 0:
        return
    weight = np.bincount(hits.owner, weights=(_SCREEN - hits.distance).clip(0.0))
    middles = (np.arange(_BINS) + 0.5) * len(probe.line) / _BINS
    covers = (middles >= cut.edges[:, :1]) & (middles <= cut.edges[:, 1:])
    for owner in np.argsort(-weight)[:_CANDIDATES].tolist():
        rows = np.flatnonzero(hits.owner == owner)
        rows = rows[np.argsort(hits.distance[rows])]
        share = np.logical_or.accumulate(covers[hits.of_probe[rows]], axis=0).mean(axis=1)
        distance = np.append(hits.distance[rows], np.inf)
        yield owner, distance[np.searchsorted(share, [least for least, _ in COVERED])]


def _chosen(hits: Hits) -> Rows:
    """Return the pairs of windows from which stretches are grown: the nearest, at most two of one signature."""
    rows = np.argsort(hits.distance)[: 20 * _FITS]
    chosen: list[int] = []
    taken: dict[int, int] = {}
    for row in rows.tolist():
        owner = int(hits.owner[row])
        if taken.get(owner, 0) < 2:
            taken[owner] = taken.get(owner, 0) + 1
            chosen.append(row)
            if len(chosen) == _FITS:
                break
    return np.asarray(chosen, dtype=np.intp)


def _stretched(probe: Course, cut: Windows, remembered: Remembered, pairs: Hits) -> Real:
    """Return what is left on the best stretch of each length, float64 [pairs, len(STRETCHES)] [RMS radius].

    By Gauss and Newton: unknown are the place in the other line, as a quadratic in that of the probe, and a complex
    factor and constant, which turn, scale and move the other line.
    """
    lines = [remembered.courses[owner].line for owner in pairs.owner.tolist()]
    last = np.array([len(line) - 1.0 for line in lines])[:, None]
    other = np.zeros((len(lines), max(map(len, lines)) + 1), dtype=np.complex128)
    for row, line in enumerate(lines):
        other[row, : len(line)] = line
    tau = np.arange(0, len(probe.line), _EVERY, dtype=np.float64)
    query = probe.line[::_EVERY]
    here, there = cut.edges[pairs.of_probe], remembered.edges(pairs.of_other)
    half = STEPS / 4
    pace = (there[:, 1] - there[:, 0]) / (here[:, 1] - here[:, 0])
    alignment = np.stack((there.mean(axis=1), pace * half, np.zeros(len(pace))), axis=1)
    share = (tau - here.mean(axis=1)[:, None]) / half
    basis = np.stack((np.ones_like(share), share, share**2), axis=1)
    weight = ((tau >= here[:, :1] - 1) & (tau <= here[:, 1:] + 1)).astype(np.float64)
    lengths = [max(int(least * len(tau)), 4) for least, _ in STRETCHES]
    doubts = [_doubt(query, length) for length in lengths]
    best = np.full((len(lines), len(lengths)), np.inf)
    kept = np.arange(len(lines))
    for number in range(_ROUNDS + 1):
        place = (alignment[:, None] @ basis)[:, 0]
        inside = (place >= 0) & (place <= last)
        rows = place.clip(0, last - 1).astype(np.intp)
        first = other[kept[:, None], rows]
        rise = other[kept[:, None], rows + 1] - first
        laid = first + (place - rows) * rise
        factor, left = _fitted(query, laid, weight * inside)
        square = np.where(inside, np.minimum(left.real**2 + left.imag**2, _FAR**2), _FAR**2)
        total = np.concatenate((np.zeros((len(kept), 1)), np.cumsum(square, axis=1)), axis=1)
        means = [(total[:, n:] - total[:, :-n]) / n * doubt for n, doubt in zip(lengths, doubts, strict=True)]
        found = np.sqrt(np.stack([mean.min(axis=1) for mean in means], axis=1).clip(0.0))
        best[kept] = np.minimum(best[kept], found)
        hopeful = np.flatnonzero(found[:, 0] <= _HOPE[number])
        if number == _ROUNDS or len(hopeful) == 0:
            break
        begin = means[0].argmin(axis=1)[:, None]
        column = np.arange(len(tau))
        typical = np.maximum(means[0].min(axis=1)[:, None], _TYPICAL)
        weight = ((column >= begin) & (column < begin + lengths[0]) & inside) / (1 + square / (9 * typical))
        kept = kept[hopeful]
        weight, basis, alignment, last = (each[hopeful] for each in (weight, basis, alignment, last))
        terms = 2 if number == 0 else 3
        factor, rise, laid, left = (each[hopeful] for each in (factor, rise, laid, left))
        change = _change(factor, rise, laid, left, basis[:, :terms], weight)
        alignment[:, :terms] += change.clip(-_STEP, _STEP)
    return best


def _doubt(line: Complex, length: int) -> Real:
    """Return by how much the mean square on each stretch says less than that on a curved one; see `Windows.doubt`."""
    sums = np.cumsum(np.stack([np.append(0, part) for part in (line, np.abs(line) ** 2, line**2)]), axis=1)
    mean, square, turned = ((each[length:] - each[:-length]) / length for each in sums)
    across = 0.5 * (square.real - np.abs(mean) ** 2 - np.abs(turned - mean**2))
    return np.asarray(np.maximum(windows.CURVED**2 / across.clip(_TINY), 1.0))


def _fitted(query: Complex, laid: Complex, weight: Real) -> tuple[Complex, Complex]:
    """Return the factor by which lines are turned and scaled onto the probe, [k, 1], and what is left, [k, n]."""
    count = weight.sum(axis=1, keepdims=True) + _TINY
    of_laid = laid - (weight * laid).sum(axis=1, keepdims=True) / count
    of_query = query - (weight * query).sum(axis=1, keepdims=True) / count
    factor = (weight * of_query * of_laid.conj()).sum(axis=1, keepdims=True)
    factor /= (weight * np.abs(of_laid) ** 2).sum(axis=1, keepdims=True) + _TINY
    return factor, of_query - factor * of_laid


def _change(factor: Complex, rise: Complex, laid: Complex, left: Complex, basis: Real, weight: Real) -> Real:
    """Return the step of Gauss and Newton for the alignments, float64 [k, terms]."""
    terms = basis.shape[1]
    moved = (factor * rise)[:, None] * basis
    jacobian = np.concatenate(
        (moved, np.stack((laid, 1j * laid, np.ones_like(laid), np.full_like(laid, 1j)), axis=1)), axis=1
    )
    weighted = jacobian.conj() * weight[:, None]
    normal = (weighted @ jacobian.transpose(0, 2, 1)).real
    wanted = (weighted @ left[:, :, None]).real
    normal += (_RIDGE * np.trace(normal, axis1=1, axis2=2) + _TINY)[:, None, None] * np.eye(normal.shape[1])
    return np.asarray(np.linalg.solve(normal, wanted)[:, :terms, 0])
