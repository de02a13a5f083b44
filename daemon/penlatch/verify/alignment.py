"""Scorer `alignment`: how far apart two signatures are, frame by frame, in features that the network learned.

The network gives a few dozen frames per signature (`bilstm_se`); they are compared by time warping with a squared
Euclidean cost, for which they were trained (after DsDTW: Jiang et al., "DsDTW: Local Representation Learning with Deep
soft-DTW for Dynamic Signature Verification", IEEE TIFS 2022).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penlatch.verify import warping

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

BAND: Final = 0.2
"""Frames may be aligned where their places differ by at most this share of the signature."""


def distances(query: NDArray[np.float32], references: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Compute the learned distance from a query to each reference.

    Args:
        query: The network's frames, float32 [frames, features].
        references: likewise.

    Returns:
        float64 [len(references)], squared Euclidean distance per frame of both.
    """
    return warping.distances(query, references, band=BAND, cost=warping.squared)
