"""Characters: strokes grouped so that character k of one signature is compared with character k of another.

The timing feature fusion paper compares signatures character by character and takes the characters as given. Here:

1. In one signature, a stroke begins a new character when it lies beside all of the current character: their horizontal
   extents do not touch. A dot or bar that is added later touches, and belongs to what it was added to.
2. A character has at least `LEAST_ROWS` rows; one with fewer is joined to its successor, the last to its predecessor.
3. References of one user differ now and then, so they vote: the number of characters is the lower median of theirs,
   and the cuts lie at the median places, as shares of the time in contact, of those references that have this number.
4. Every signature compared with these references, each of them included, is cut at the same shares of its own time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from penlatch.signal.preprocess import Ink

LEAST_ROWS: Final = 30
"""A character is sampled at 5 x 6 times, so it should have as many rows [10 ms]."""


def character_starts(ink: Ink) -> NDArray[np.bool_]:
    """Mark the rows where a character of this signature begins (steps 1 and 2).

    Returns:
        bool [n], true at row 0.
    """
    begins = [0]
    left, right = np.inf, -np.inf
    for stroke in ink.strokes():
        least, greatest = ink.x[stroke].min(), ink.x[stroke].max()
        if stroke.start > 0 and (least > right or greatest < left):
            begins.append(stroke.start)
            left, right = least, greatest
        else:
            left, right = min(left, least), max(right, greatest)

    kept = [0]
    for begin in begins[1:]:
        if begin - kept[-1] >= LEAST_ROWS:
            kept.append(begin)
    if len(kept) > 1 and len(ink) - kept[-1] < LEAST_ROWS:
        kept.pop()
    starts = np.zeros(len(ink), dtype=np.bool_)
    starts[kept] = True
    return starts


def common_cuts(starts: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Agree on one layout for all signatures that are compared with these references (step 3).

    Args:
        starts: of each reference, what `character_starts` gave; at least one.

    Returns:
        float64 [characters + 1], strictly increasing from 0 to 1: bounds as shares of the time in contact.
    """
    counts = sorted(int(np.count_nonzero(start)) for start in starts)
    count = counts[(len(counts) - 1) // 2]
    bounds = [
        np.append(np.flatnonzero(start) / len(start), 1.0) for start in starts if np.count_nonzero(start) == count
    ]
    return np.asarray(np.median(bounds, axis=0), dtype=np.float64)
