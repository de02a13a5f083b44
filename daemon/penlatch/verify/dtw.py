"""Plain dynamic time warping: the honest baseline that every other scorer is measured against.

Rows of the channels x, y, dx, dy, p, each normalised over its signature, are aligned by `warping`; what two aligned
rows cost is the L1 distance between them.

Raw distances mean little under one threshold for everybody: `normalised_score` measures them by the user's own spread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.signal.channels import dtw_channels
from penlatch.verify import warping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from penlatch.ink import Trace
    from penlatch.signal.preprocess import Ink

BAND: Final = 0.1
"""Rows may be aligned where their places in their signatures differ by at most this share of the whole."""

_LEAST_SPREAD: Final = 1e-6
"""References closer than this are copies of one; the floor keeps their user's scores finite, and strict."""


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
    """Compute the warping distance from a query to each reference; see `warping.distances`.

    Args:
        query: float32 [n, channels], n >= 1.
        references: float32 [m, channels] each, m >= 1.
        band: half width of the band as a share of the signature.

    Returns:
        float64 [len(references)], L1 distance per row [channel standard deviations], to float32's precision.
    """
    return warping.distances(query, references, band=band, cost=warping.city_block)


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
