"""Plain dynamic time warping: the honest baseline that every other scorer is measured against.

The distance between two signatures is the cost of the cheapest monotone alignment of their rows (channels x, y, dx,
dy, p, each normalised over its signature), the cost of two aligned rows being the L1 distance between them, divided by
the number of rows of both. The alignment stays in a band around the straight line from the first pair of rows to the
last (Sakoe and Chiba 1978, the diagonal scaled to unequal lengths).

Raw distances mean little under one threshold for everybody: `normalised_score` measures them by the user's own spread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from penlatch.signal.channels import dtw_channels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from penlatch.ink import Trace
    from penlatch.signal.preprocess import Ink

BAND: Final = 0.1
"""Rows may be aligned where their places in their signatures differ by at most this share of the whole."""

_BLOCK: Final = 32
"""Anti-diagonals whose costs are computed at once: few enough that they stay in the processor's cache."""
_LEAST_SPREAD: Final = 1e-6
"""References closer than this are copies of one; the floor keeps their user's scores finite, and strict."""
_ROUNDING: Final = 1e-9
"""Keeps a pair that lies exactly on the band's edge inside it, whichever way its quotients were rounded."""


def prepare(signature: Trace | Ink) -> NDArray[np.float32]:
    """Compute once what `distances` needs of a signature.

    Returns:
        float32 [n, 5], n <= `channels.DTW_ROWS`.

    Raises:
        TraceError: if the pen never touched.
    """
    return dtw_channels(signature).astype(np.float32)


def distances(
    query: NDArray[np.float32], references: Sequence[NDArray[np.float32]], *, band: float = BAND
) -> NDArray[np.float64]:
    """Compute the warping distance from a query to each reference, all references at once.

    Rows are numbered from 1. With rows i of the query and j of a reference, n and m of them, a pair (i, j) may be
    aligned where |i/n - j/m| <= max(band, 2/min(n, m)), and::

        total(0, 0) = 0
        total(i, j) = cost(i, j) + min(total(i-1, j), total(i, j-1), total(i-1, j-1))
        distance    = total(n, m) / (n + m)

    All pairs with the same i + j (an anti-diagonal) depend on the two anti-diagonals before alone, so each is one
    vector operation over all its pairs and all references. Symmetric: who is the query does not matter.

    Args:
        query: float32 [n, channels], n >= 1.
        references: float32 [m, channels] each, m >= 1.
        band: half width of the band as a share of the signature.

    Returns:
        float64 [len(references)], L1 distance per row [channel standard deviations], to float32's precision.
    """
    if not references:
        return np.empty(0)
    n, width = len(query), len(references)
    rows = np.array([len(reference) for reference in references])
    lattice = _Lattice.within(band, n, rows)

    # One place per row of the query, from 0 for "no row yet"; in each place, one value per reference.
    before, last, now = (np.full((n + 1) * width, np.inf, dtype=np.float32) for _ in range(3))
    before[:width] = 0.0
    ends: dict[int, list[int]] = {}
    for reference, diagonal in enumerate((n + rows).tolist()):
        ends.setdefault(diagonal, []).append(reference)

    result = np.empty(width)
    begins = (lattice.first * width).tolist()
    stops = ((lattice.last + 1) * width).tolist()
    for diagonal, cost in _costs(query, references, lattice):
        begin, stop = begins[diagonal], stops[diagonal]
        now.fill(np.inf)
        best = now[begin:stop]
        np.minimum(last[begin:stop], last[begin - width : stop - width], out=best)
        np.minimum(best, before[begin - width : stop - width], out=best)
        best += cost[: stop - begin]
        for reference in ends.get(diagonal, ()):
            result[reference] = now[n * width + reference]
        before, last, now = last, now, before
    result /= n + rows
    return result


class _Lattice(NamedTuple):
    """Which pairs (i, d - i) of rows, numbered from 1, lie in the band, for every anti-diagonal d."""

    low: NDArray[np.intp]
    """Least i [diagonals, references]; no pair lies in the band where `low` > `high`."""
    high: NDArray[np.intp]
    """Greatest i [diagonals, references]."""
    first: NDArray[np.intp]
    """Least i over all references [diagonals]."""
    last: NDArray[np.intp]
    """Greatest i over all references [diagonals]."""

    @classmethod
    def within(cls, band: float, n: int, rows: NDArray[np.intp]) -> _Lattice:
        """Solve |i/n - (d-i)/m| <= band for i, with 1 <= i <= n and 1 <= d - i <= m."""
        d = np.arange(n + int(rows.max()) + 1)[:, np.newaxis]
        band_of = np.maximum(band, 2.0 / np.minimum(n, rows)) + _ROUNDING
        unit = 1.0 / n + 1.0 / rows
        low = np.maximum(np.ceil((d / rows - band_of) / unit), np.maximum(1, d - rows)).astype(np.intp)
        high = np.minimum(np.floor((d / rows + band_of) / unit), np.minimum(n, d - 1)).astype(np.intp)
        some = low <= high
        first, last = np.where(some, low, n).min(axis=1), np.where(some, high, 0).max(axis=1)
        return cls(low, high, first, last)


def _costs(
    query: NDArray[np.float32], references: Sequence[NDArray[np.float32]], lattice: _Lattice
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield every anti-diagonal from 2 on with the costs of its pairs, infinite outside the band.

    A diagonal's costs are float32 [reach * references]: from i = `first` on, in each place one value per reference.
    """
    channels, width = query.shape[1], len(references)
    most = max(len(reference) for reference in references)
    reach = int((lattice.last - lattice.first).max()) + 1

    # With the references turned round, both partners of a diagonal's pairs lie in ascending order: i and most - j.
    ahead = np.zeros((len(query) + reach, width, channels), dtype=np.float32)
    ahead[: len(query)] = query[:, np.newaxis]
    turned = np.zeros((most + reach, width, channels), dtype=np.float32)
    for k, reference in enumerate(references):
        turned[most - len(reference) : most, k] = reference[::-1]
    window = reach * width * channels
    step = width * channels
    ahead_windows = sliding_window_view(ahead.reshape(-1), window)
    turned_windows = sliding_window_view(turned.reshape(-1), window)

    ones = np.ones(channels, dtype=np.float32)
    places = np.arange(reach)[:, np.newaxis]
    for begin in range(2, len(lattice.first), _BLOCK):
        block = np.arange(begin, min(begin + _BLOCK, len(lattice.first)))
        first = lattice.first[block]
        gap = ahead_windows[(first - 1) * step]
        gap -= turned_windows[(most - block + first) * step]
        np.abs(gap, out=gap)
        cost = (gap.reshape(-1, channels) @ ones).reshape(len(block), reach, width)
        i = first[:, np.newaxis, np.newaxis] + places
        cost[(i < lattice.low[block, np.newaxis]) | (i > lattice.high[block, np.newaxis])] = np.inf
        yield from zip(block.tolist(), cost.reshape(len(block), -1), strict=True)


def normalised_score(to_references: NDArray[np.float64], between_references: NDArray[np.float64]) -> float:
    """Measure distances by the user's own: d_min / sqrt(mean of least) + d_mean / sqrt(mean of all).

    Args:
        to_references: float64 [r], from the query to each reference.
        between_references: float64 [r, r], from each reference to each; its diagonal is not looked at. r >= 2.

    Returns:
        Small for a genuine signature. The roots are measured to serve a common threshold better than plain quotients:
        half way between a limit in units of the user's spread and one limit for all.

    Raises:
        ValueError: if there are fewer than two references: a spread needs two.
    """
    count = len(between_references)
    if count < 2:
        raise ValueError("normalising needs the distances between two references or more")
    apart = between_references[~np.eye(count, dtype=np.bool_)].reshape(count, count - 1)
    least, mean = max(apart.min(axis=1).mean(), _LEAST_SPREAD), max(apart.mean(), _LEAST_SPREAD)
    return float(to_references.min() / np.sqrt(least) + to_references.mean() / np.sqrt(mean))
