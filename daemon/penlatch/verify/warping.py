"""Dynamic time warping: the cost of the cheapest monotone alignment of the rows of two signatures.

The alignment stays in a band around the straight line from the first pair of rows to the last (Sakoe and Chiba 1978,
the diagonal scaled to unequal lengths). What it costs to align two rows is the scorer's choice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Cost = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
"""From a query [n, channels] and, for each of its rows, a window of rows of each reference [n, references, places,
channels], to the costs of aligning them [n, references, places]."""

_WALL: Final = 1e30
"""Cost of a pair outside the band. Not infinite: sums of costs are subtracted from each other."""
_BLOCK: Final = 16
"""Rows of the query that are worked on at a time: a small board has no megabytes to spare for all of them."""
_ROUNDING: Final = 1e-9
"""Keeps a pair that lies exactly on the band's edge inside it, whichever way its quotients were rounded."""


def distances(
    query: NDArray[np.float32], references: Sequence[NDArray[np.float32]], *, band: float, cost: Cost
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
        cost: of aligning two rows.

    Returns:
        float64 [len(references)], cost per row of both, to float32's precision.
    """
    if not references:
        return np.empty(0)
    n, width = len(query), len(references)
    rows = np.array([len(reference) for reference in references])
    low, high = _band(band, n, rows)
    step = np.diff(low, axis=0)

    # A row's places: a wall, j from low(i) to the widest band's end, and room for the band to step on.
    places = 1 + int((high - low).max()) + 1 + int(step.max())
    windows = _Windows(references, places - 1)
    outside = (high - low)[1:, :, np.newaxis]

    # In row 0, j = 0 is in the wall's place. From row to row a reference's places move on by `step`, so the pair of
    # totals that a place looks back at begins step - 1 places later; what a wall finds there does not matter.
    total = np.full((width, places), _WALL)
    total[:, 0] = 0.0
    flat = total.reshape(-1)
    here, beside = flat[:-1], flat[1:]
    least, best = np.empty_like(here), np.empty_like(total)
    look_back = (np.arange(width) * places + step - 1)[..., np.newaxis]
    until, before = np.zeros((2, min(_BLOCK, n), width, places))
    for first in range(0, n, _BLOCK):
        block = slice(first, min(first + _BLOCK, n))
        costs = cost(query[block], windows.from_row(low[1:][block]))
        costs[np.arange(places - 1) > outside[block]] = _WALL
        np.cumsum(costs, axis=-1, dtype=np.float64, out=until[: len(costs), :, 1:])
        before[..., 1:] = until[..., :-1]
        before[..., 0] = -_WALL
        neighbours = look_back[block] + np.arange(places)
        for those, sum_before, sum_until in zip(neighbours, before, until, strict=False):
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


class _Windows:
    """Rows of each reference, to be looked at by rows of a query."""

    def __init__(self, references: Sequence[NDArray[np.float32]], places: int) -> None:
        """Of `references`, [m, channels] each, that count as zeros beyond their ends, look at `places` rows."""
        self._shape = places, references[0].shape[1]
        self._room = max(len(reference) for reference in references) + places
        padded = np.zeros((len(references), self._room, self._shape[1]), dtype=np.float32)
        for k, reference in enumerate(references):
            padded[k, : len(reference)] = reference
        self._windows = sliding_window_view(padded.reshape(-1), places * self._shape[1])

    def from_row(self, low: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the rows j = `low`, `low` + 1, … for some rows of the query.

        Args:
            low: Where to begin, from 1, [rows of the query, references].

        Returns:
            [rows of the query, references, places, channels], a copy.
        """
        begin = np.arange(low.shape[1]) * self._room + low - 1
        return np.asarray(self._windows[begin * self._shape[1]].reshape(*low.shape, *self._shape))


def city_block(query: NDArray[np.float32], windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cost: the L1 distance between two rows. Overwrites `windows`; see `Cost`."""
    channels = query.shape[1]
    windows -= query[:, np.newaxis, np.newaxis]
    np.abs(windows, out=windows)
    summed = windows.reshape(-1, channels) @ np.ones(channels, dtype=np.float32)
    return np.asarray(summed.reshape(windows.shape[:-1]))


def squared(query: NDArray[np.float32], windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cost: the squared Euclidean distance between two rows. Overwrites `windows`; see `Cost`."""
    windows -= query[:, np.newaxis, np.newaxis]
    return np.asarray(np.einsum("nrpc,nrpc->nrp", windows, windows))
