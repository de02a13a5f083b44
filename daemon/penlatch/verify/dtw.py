"""Plain dynamic time warping: the honest baseline that every other scorer is measured against.

The distance between two signatures is the cost of the cheapest monotone alignment of their rows (channels x, y, dx,
dy, p, each normalised over its signature), the cost of two aligned rows being the L1 distance between them, divided by
the number of rows of both. The alignment stays in a band around the straight line from the first pair of rows to the
last (Sakoe and Chiba 1978, the diagonal scaled to unequal lengths).

Raw distances mean little under one threshold for everybody: `normalised_score` measures them by the user's own spread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from penlatch.signal.channels import dtw_channels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from penlatch.ink import Trace
    from penlatch.signal.preprocess import Ink

BAND: Final = 0.1
"""Rows may be aligned where their places in their signatures differ by at most this share of the whole."""

_WALL: Final = 1e30
"""Cost of a pair outside the band. Not infinite: sums of costs are subtracted from each other."""
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

    Within a row i, total(i, j-1) is the only term that waits for its neighbour. With sum(i, j), the sum of the row's
    costs up to j, it unrolls into one running minimum, so that a row of all references is five vector operations::

        least(i, j) = min(total(i-1, j-1), total(i-1, j))
        total(i, j) = sum(i, j) + min over k <= j of (least(i, k) - sum(i, k-1))

    Symmetric: who is the query does not matter.

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
    low, high = _band(band, n, rows)
    step = np.diff(low, axis=0)

    # A row's places: a wall, j from low(i) to the widest band's end, and room for the band to step on.
    places = 1 + int((high - low).max()) + 1 + int(step.max())
    cost = _costs(query, references, low[1:], places - 1)
    cost[np.arange(places - 1) > (high - low)[1:, :, np.newaxis]] = _WALL
    until, before = np.zeros((2, n, width, places))
    np.cumsum(cost, axis=-1, dtype=np.float64, out=until[..., 1:])
    before[..., 1:] = until[..., :-1]
    before[..., 0] = -_WALL

    # In row 0, j = 0 is in the wall's place. From row to row a reference's places move on by `step`, so the pair of
    # totals that a place looks back at begins step - 1 places later; what a wall finds there does not matter.
    total = np.full((width, places), _WALL)
    total[:, 0] = 0.0
    flat = total.reshape(-1)
    here, beside = flat[:-1], flat[1:]
    least, best = np.empty_like(here), np.empty_like(total)
    neighbours = (np.arange(width) * places + step - 1)[..., np.newaxis] + np.arange(places)
    for those, sum_before, sum_until in zip(neighbours, before, until, strict=True):
        np.minimum(here, beside, out=least)
        least.take(those, out=best, mode="clip")
        best -= sum_before
        np.minimum.accumulate(best, axis=1, out=best)
        np.add(best, sum_until, out=total)
    return np.asarray(total[np.arange(width), 1 + rows - low[-1]] / (n + rows))


def _band(band: float, n: int, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the least and greatest j that may be aligned with i = 0..n, [n + 1, references] each: 1 <= j <= m."""
    share = np.arange(n + 1)[:, np.newaxis] / n
    reach = np.maximum(band, 2.0 / np.minimum(n, rows)) + _ROUNDING
    low = np.maximum(np.ceil((share - reach) * rows), 1)
    high = np.minimum(np.floor((share + reach) * rows), rows)
    return low.astype(np.intp), high.astype(np.intp)


def _costs(
    query: NDArray[np.float32], references: Sequence[NDArray[np.float32]], low: NDArray[np.intp], places: int
) -> NDArray[np.float32]:
    """Return the costs of aligning each row of the query with the rows j = `low`, `low` + 1, … of each reference.

    Args:
        query: [n, channels].
        references: [m, channels] each; beyond their ends they count as zeros.
        low: Where to begin, from 1, [n, references].
        places: How many rows j to look at.

    Returns:
        [n, references, places].
    """
    channels = query.shape[1]
    room = max(len(reference) for reference in references) + places
    padded = np.zeros((len(references), room, channels), dtype=np.float32)
    for k, reference in enumerate(references):
        padded[k, : len(reference)] = reference
    begin = np.arange(len(references)) * room + low - 1
    gap = sliding_window_view(padded.reshape(-1), places * channels)[begin * channels]
    gap -= np.tile(query, places)[:, np.newaxis]
    np.abs(gap, out=gap)
    summed = gap.reshape(-1, channels) @ np.ones(channels, dtype=np.float32)
    return np.asarray(summed.reshape(*low.shape, places))


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
