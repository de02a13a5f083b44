"""Handwriting: does a picture show one signature, and how much would a forger have to get right?

Pictures have no time, so this looks at lines: how many pieces they are, how thin, how straight, how near to each other,
and how often a level or an upright line meets them. It tells print, tables, diagrams of boxes, photographs and codes
from a signature. It does not tell whose a signature is, nor a drawing by hand from one: people look at the preview.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

INK: Final = 0.5
"""Share of ink from which on a place of a picture is ink, as `signal.raster.found` cuts it out."""
FAINT: Final = 200
"""Grey value below which a pixel of a raster is ink: a thin line of a scan is pale when it was shrunk."""

LEAST_PIECE: Final = 8
"""Pixels of a piece; smaller ones are dots and specks."""
MOST_PIECES: Final = 14
"""Pieces of a signature; of 160 scanned ones the most had 9, a printed word of 13 letters has 15."""
LARGEST: Final = 3
"""Pieces that hold most of the ink."""
LEAST_LARGEST: Final = 0.4
"""Share of the ink in the `LARGEST` pieces; scanned signatures have 0.54 and more, print 0.29 and less."""
MOST_STRAIGHT: Final = 0.6
"""Share of the ink that lies on level or upright lines; signatures have 0.46 at most, a diagram of boxes 0.83."""
STRAIGHT: Final = 0.12
"""Length of such a line, as a share of the longer side."""
MOST_WIDTH: Final = 0.035
"""Width of a line, as a share of the longer side; more is a surface."""
GAP: Final = 0.24
"""Pieces that are nearer to each other than this share of the longer side belong together."""
LEAST_TOGETHER: Final = 0.9
"""Share of the ink that belongs together."""

_SCALE: Final = 11.0
"""Makes complexity of the lines that are met: a circle comes out at 0.16, as with a pen."""


def single(soft: NDArray[np.float32]) -> str:
    """Tell why this is not one signature.

    Args:
        soft: How inked each place is, 0..1, float32 [h, w], as `signal.raster.found` returns it.

    Returns:
        A clause for people, empty where it may be one.
    """
    mask = soft > INK
    ink = int(mask.sum())
    if not ink:
        return "nothing in it looks like a signature"
    side = max(mask.shape)
    across, down = _runs(mask), _runs(mask.T).T
    pieces = sorted(np.bincount(_labels(mask)[mask]).tolist(), reverse=True)
    long = STRAIGHT * side
    if float(np.median(np.minimum(across, down)[mask])) > MOST_WIDTH * side:
        return "it shows surfaces and no lines of a pen: give a scan of one signature"
    if ((across >= long) | (down >= long))[mask].mean() > MOST_STRAIGHT:
        return "it shows level and upright lines, as a table or a diagram: cut the signature out"
    if sum(size >= LEAST_PIECE for size in pieces) > MOST_PIECES or sum(pieces[:LARGEST]) < LEAST_LARGEST * ink:
        return "it shows many small pieces, as print or a page: cut the signature out"
    joined = _labels(_grown(mask, round(GAP * side / 2)))
    if np.bincount(joined[mask]).max() < LEAST_TOGETHER * ink:
        return "it shows parts that lie far from each other: cut one signature out"
    return ""


def complexity(raster: NDArray[np.uint8]) -> float:
    """Return how much of a picture a forger would have to get right, 0..1.

    It counts how often a level and an upright line meet the signature on average, on the scale of
    `verify.quality.complexity`: 0 for a line, 0.16 for a circle, 0.3 to 0.5 for most signatures.

    Args:
        raster: uint8 [HEIGHT, WIDTH] of `signal.raster`, 0 for ink and 255 for paper.
    """
    mask = raster < FAINT
    if not mask.any():
        return 0.0
    met = _met(mask) + _met(mask.T)
    return float(1.0 - np.exp(-max(met - 2.0, 0.0) / _SCALE))


def _met(mask: Mask) -> float:
    """Return how many lines the rows that have ink meet on average."""
    rows = mask[mask.any(axis=1)]
    return float((np.diff(np.pad(rows, ((0, 0), (1, 0))).astype(np.int8), axis=1) == 1).sum(axis=1).mean())


def _runs(mask: Mask) -> NDArray[np.intp]:
    """Return of each ink pixel how long the level run is in which it lies [pixels], intp [h, w]; 0 for paper."""
    padded = np.pad(mask, ((0, 0), (1, 1))).astype(np.int8).ravel()
    edges = np.flatnonzero(np.diff(padded, prepend=0))
    begins, ends = edges[::2], edges[1::2]
    lengths = np.zeros(len(padded), dtype=np.intp)
    lengths[padded > 0] = np.repeat(ends - begins, ends - begins)
    return lengths.reshape(len(mask), -1)[:, 1:-1]


def _grown(mask: Mask, reach: int) -> Mask:
    """Return what lies within `reach` pixels of ink, by rows and columns."""
    for _ in range(2):
        width = mask.shape[1]
        summed = np.cumsum(np.pad(mask, ((0, 0), (reach + 1, reach))), axis=1, dtype=np.int32)
        mask = (summed[:, 2 * reach + 1 :] - summed[:, :width] > 0).T
    return mask


def _labels(mask: Mask) -> NDArray[np.intp]:
    """Number the pieces of a mask, connected in eight directions: intp [h, w], numbers of ink from 1, 0 for paper.

    Every pixel takes the least number among its neighbours' until nothing changes; whole runs take it at once.
    """
    height, width = mask.shape
    labels = np.where(mask, np.arange(1, mask.size + 1).reshape(height, width), 0)
    while True:
        before = labels
        for _ in range(2):
            labels = _least_of_runs(_least_of_three(labels, mask), mask).T
            mask = mask.T
        if np.array_equal(labels, before):
            break
    numbers: NDArray[np.intp] = np.unique(labels, return_inverse=True)[1].reshape(height, width)
    return numbers if (labels == 0).any() else numbers + 1


def _least_of_three(labels: NDArray[np.intp], mask: Mask) -> NDArray[np.intp]:
    """Return the least number among each pixel and its neighbours in the rows above and below."""
    none = np.iinfo(labels.dtype).max
    padded = np.pad(np.where(mask, labels, none), 1, constant_values=none)
    views = [padded[i : i + len(mask), j : j + mask.shape[1]] for i in range(3) for j in range(3)]
    return np.where(mask, np.minimum.reduce(views), 0)


def _least_of_runs(labels: NDArray[np.intp], mask: Mask) -> NDArray[np.intp]:
    """Give every level run the least number in it."""
    padded = np.pad(mask, ((0, 0), (1, 1))).astype(np.int8).ravel()
    edges = np.flatnonzero(np.diff(padded, prepend=0))
    begins, ends = edges[::2], edges[1::2]
    if not len(begins):
        return labels
    flat = np.pad(labels, ((0, 0), (1, 1))).ravel()
    least = np.minimum.reduceat(flat, np.stack((begins, ends), axis=1).ravel())[::2]
    flat[padded > 0] = np.repeat(least, ends - begins)
    return flat.reshape(len(mask), -1)[:, 1:-1]
