"""Scorer `multichannel`: time warping over eleven channels, not only position, speed and pressure.

Direction, turning and acceleration of the pen are what a forger who has practised the shape still gets wrong. Each
channel is normalised over its signature, so that none outweighs another; nothing is learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.signal.channels import sequence
from penlatch.verify import warping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from penlatch.signal.preprocess import Ink

CHANNELS: Final = ("x", "y", "dx", "dy", "p", "log_speed", "cos", "sin", "turn", "acceleration", "dp")
ROWS: Final = 384
"""Longer signatures are resampled to so many rows: bounds the time of one comparison."""
_LEAST_ROWS: Final = 8
"""And shorter ones to so few."""
BAND: Final = 0.1
"""Rows may be aligned where their places differ by at most this share of the signature."""
_LEAST_DEVIATION: Final = 1e-3
"""Added to a channel's deviation, in its own unit: the pressure of a pen that has none stays 0."""


def prepare(ink: Ink) -> NDArray[np.float32]:
    """Compute once what `distances` needs of a signature.

    Returns:
        float32 [n, len(CHANNELS)], `_LEAST_ROWS` <= n <= `ROWS`.
    """
    rows = sequence(ink, channels=CHANNELS, length=min(max(len(ink), _LEAST_ROWS), ROWS))
    centred = rows - rows.mean(axis=0)
    return np.asarray(centred / (centred.std(axis=0) + np.float32(_LEAST_DEVIATION)))


def distances(query: NDArray[np.float32], references: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Compute the warping distance from a query to each reference.

    Args:
        query: as `prepare` gave it.
        references: likewise.

    Returns:
        float64 [len(references)], L1 distance per row of both [channel standard deviations].
    """
    return warping.distances(query, references, band=BAND, cost=warping.city_block)
