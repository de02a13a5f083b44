"""Raster: a signature as a small grey picture, the same whether a pen wrote it or a scanner saw it.

Both roads lead to `HEIGHT` x `WIDTH` pixels of uint8, 0 for ink and 255 for paper, the signature as large as fits
inside `MARGIN`, its proportions kept, in the middle:

* `draw` draws ink with a line of constant width;
* `normalise` finds the signature in a grey picture. It divides by the brightness of the paper around each place, so
  that a tint or a shadow vanishes; takes what is dark by Otsu's threshold for ink; leaves out ruled lines, edges of the
  sheet and specks; and crops to what remains.

The image pair network (`verify.pair`) was trained on what these functions make: a change here asks for a new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.errors import PictureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from penlatch.signal.preprocess import Ink

HEIGHT: Final = 64
"""Height of a raster [pixels]."""
WIDTH: Final = 128
"""Width of a raster [pixels]."""
MARGIN: Final = 3
"""Least distance of the ink from the edge [pixels]."""
LINE: Final = 1.6
"""Width of a drawn line [pixels]: that of a ballpoint in a scan of this size."""

LEAST_INK: Final = 30
"""Fewer dark pixels are no signature."""

_FINER: Final = 3
"""Lines are drawn on a grid so many times finer in both directions, then averaged."""

_WORKING_SIDE: Final = 320
"""The longer side of the picture in which a signature is looked for [pixels]: more shows nothing that would survive."""
_TILE: Final = 20
"""Side of the squares in which the paper's brightness is measured [pixels]: wider than a line, less than a shadow."""
_PAPER: Final = 80
"""Percentile of a tile's brightness that is taken for paper."""
_LEAST_DARKNESS: Final = 0.12
"""What is darker than the paper by a smaller share is paper, whatever Otsu's threshold says."""
_GRAIN: Final = 4.5
"""So many times the median darkness is still grain: about three standard deviations above the paper."""
_MOST_DARKNESS: Final = 0.45
"""But what is darker than the paper by this share is ink on any paper."""
_RULE_SHARE: Final = 0.5
"""A level run of dark pixels longer than this share of the picture's width is a ruled line."""
_RULE_SOLID: Final = 0.8
"""Share of such a run that is dark: noise breaks a line."""
_RULE_THICKNESS: Final = 4
"""And thinner than this [pixels]: a longer stem across it is ink."""
_EDGE: Final = 0.03
"""Share of a picture's width at each side in which an upright line is the edge of the sheet."""
_SPECK: Final = 3
"""A pixel with fewer dark ones among the nine around and at it is a speck."""
_OUTLIERS: Final = 0.002
"""Share of the ink that may lie outside of the crop at each side."""


def draw(ink: Ink) -> NDArray[np.uint8]:
    """Draw ink.

    Returns:
        uint8 [HEIGHT, WIDTH], 0 for ink and 255 for paper.
    """
    x, y = placed(ink.x, ink.y)
    return _grey(coverage(x, y, ink.start, height=HEIGHT, width=WIDTH, line=LINE))


def placed(
    x: NDArray[np.float64], y: NDArray[np.float64], *, height: int = HEIGHT, width: int = WIDTH, margin: float = MARGIN
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale and shift points so that they fill a picture up to its margin, proportions kept.

    Args:
        x: To the right, float64 [n], in any unit.
        y: Downwards, likewise.
        height: Of the picture [pixels].
        width: Of the picture [pixels].
        margin: Around the points [pixels].

    Returns:
        x and y [pixels]; a dot stands in the middle.
    """
    left, right, top, bottom = x.min(), x.max(), y.min(), y.max()
    scale = min((width - 2 * margin) / max(right - left, 1e-9), (height - 2 * margin) / max(bottom - top, 1e-9))
    return width / 2 + (x - (left + right) / 2) * scale, height / 2 + (y - (top + bottom) / 2) * scale


def coverage(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    start: NDArray[np.bool_],
    *,
    height: int,
    width: int,
    line: float,
) -> NDArray[np.float32]:
    """Draw polylines with a round pen; what leaves the picture is cut off.

    Args:
        x: Corners of the lines, to the right [pixels], float64 [n].
        y: Likewise, downwards.
        start: Where a new line begins, bool [n].
        height: Of the picture [pixels].
        width: Of the picture [pixels].
        line: Diameter of the pen [pixels].

    Returns:
        Share of each pixel that is inked, float32 [height, width].
    """
    fine_x, fine_y = x * _FINER, y * _FINER
    step_x, step_y = np.diff(fine_x), np.diff(fine_y)
    # Points no further apart than one fine pixel; a line ends in its last corner, which stands for itself.
    count = np.append(np.where(start[1:], 1, np.ceil(np.hypot(step_x, step_y)).astype(np.intp) + 1), 1)
    corner = np.repeat(np.arange(len(x)), count)
    share = (np.arange(len(corner)) - (np.cumsum(count) - count)[corner]) / count[corner]
    px = fine_x[corner] + share * np.append(step_x, 0.0)[corner]
    py = fine_y[corner] + share * np.append(step_y, 0.0)[corner]

    radius = line * _FINER / 2
    reach = int(np.ceil(radius))
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    inside = np.hypot(dx, dy) <= radius
    # Around the picture lies what a pen at its edge may touch, so that only the pen's middle needs to be watched.
    tall, wide = height * _FINER + 2 * reach, width * _FINER + 2 * reach
    row, column = np.floor(py).astype(np.intp) + reach, np.floor(px).astype(np.intp) + reach
    seen = (row >= reach) & (row < tall - reach) & (column >= reach) & (column < wide - reach)
    middle = row[seen] * wide + column[seen]
    fine = np.zeros(tall * wide, dtype=np.uint8)
    for offset in dy[inside] * wide + dx[inside]:
        fine[middle + offset] = 1
    fine = fine.reshape(tall, wide)[reach : tall - reach, reach : wide - reach]
    # Nine slices added are ten times faster than a mean over two axes of four.
    inked = sum(fine[i::_FINER, j::_FINER] for i in range(_FINER) for j in range(_FINER))
    return np.asarray(inked, dtype=np.float32) / np.float32(_FINER**2)


def normalise(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Find the signature in a picture and show it as `draw` does.

    Args:
        grey: 0 is black, uint8 [h, w] of any size.

    Returns:
        uint8 [HEIGHT, WIDTH].

    Raises:
        PictureError: if nothing in it looks like ink.
    """
    return fitted(found(grey))


def fitted(soft: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Show what `found` cut out as `draw` does, uint8 [HEIGHT, WIDTH]."""
    return _grey(_fitted(soft))


def found(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Find the signature in a picture and cut it out.

    Args:
        grey: 0 is black, uint8 [h, w] of any size.

    Returns:
        How inked each place is, 0..1, float32, its longer side at most `_WORKING_SIDE`.

    Raises:
        PictureError: if nothing in it looks like ink.
    """
    dark = _darkness(grey)
    # The paper's level is that of its brighter grains, so that the median darkness measures how grainy it is.
    grain = float(np.median(dark))
    threshold = max(_otsu(dark), _LEAST_DARKNESS, min(_GRAIN * grain, _MOST_DARKNESS))
    mask = _without_specks(_without_edges(_without_rules(dark > threshold)))
    if np.count_nonzero(mask) < LEAST_INK or grain > _MOST_DARKNESS:
        raise PictureError(problem="nothing in it looks like a signature")
    top, bottom = _extent(mask.sum(axis=1))
    left, right = _extent(mask.sum(axis=0))
    # The soft edge of a line is darker than paper and lighter than the threshold: it lies beside the mask.
    soft = np.where(_grown(mask), np.clip(dark / (2 * threshold), 0.0, 1.0), 0.0).astype(np.float32)
    return soft[top:bottom, left:right]


def _darkness(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Measure how much darker than the paper around it a picture is, 0..1, its longer side at most `_WORKING_SIDE`."""
    bright = _reduced(grey.astype(np.float32))
    darkness: NDArray[np.float32] = np.clip(1.0 - bright / np.maximum(_paper(bright), 1.0), 0.0, 1.0)
    return darkness


def _grey(inked: NDArray[np.float32]) -> NDArray[np.uint8]:
    grey: NDArray[np.uint8] = np.rint(255.0 * (1.0 - inked)).astype(np.uint8)
    return grey


def _reduced(bright: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shrink a picture to the working size; a smaller one stays."""
    height, width = bright.shape
    scale = _WORKING_SIDE / max(height, width)
    if scale >= 1:
        return bright
    return resampled(bright, height=max(round(height * scale), 1), width=max(round(width * scale), 1))


def resampled(picture: NDArray[np.float32], *, height: int, width: int) -> NDArray[np.float32]:
    """Resize by area: every new pixel is the mean of what it covers, float32 [height, width]."""
    down = _areas(picture.shape[0], height)
    across = _areas(picture.shape[1], width)
    return np.asarray(down @ picture @ across.T, dtype=np.float32)


def _areas(old: int, new: int) -> NDArray[np.float32]:
    """Return what share each of `new` pixels takes from each of `old`, float32 [new, old], rows of sum 1."""
    edges = np.linspace(0.0, old, new + 1)
    low, high = edges[:-1, None], edges[1:, None]
    pixel = np.arange(old)[None, :]
    # Enlarged, a pixel covers a part of one or two old ones: at least one old pixel's width is looked at.
    middle, half = (low + high) / 2, np.maximum((high - low) / 2, 0.5)
    share = np.clip(np.minimum(middle + half, pixel + 1) - np.maximum(middle - half, pixel), 0.0, None)
    areas: NDArray[np.float32] = (share / share.sum(axis=1, keepdims=True)).astype(np.float32)
    return areas


def _paper(bright: NDArray[np.float32]) -> NDArray[np.float32]:
    """Estimate the brightness of the paper at every pixel."""
    height, width = bright.shape
    down, across = -(-height // _TILE), -(-width // _TILE)
    padded = np.pad(bright, ((0, down * _TILE - height), (0, across * _TILE - width)), mode="edge")
    tiles = padded.reshape(down, _TILE, across, _TILE).swapaxes(1, 2).reshape(down, across, -1)
    place = tiles.shape[2] * _PAPER // 100
    levels = np.pad(np.partition(tiles, place, axis=2)[:, :, place], 1, mode="edge")
    # A tile full of ink borrows from its neighbours.
    around = np.stack([levels[i : i + down, j : j + across] for i in range(3) for j in range(3)])
    level = np.median(around, axis=0)
    return _spread(_spread(level, height).T, width).T.astype(np.float32)


def _spread(level: NDArray[np.float32] | NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Interpolate between the middles of tiles along the first axis."""
    at = np.clip((np.arange(length) + 0.5) / _TILE - 0.5, 0, len(level) - 1)
    low = np.minimum(at.astype(np.intp), max(len(level) - 2, 0))
    high = np.minimum(low + 1, len(level) - 1)
    share = (at - low)[:, None]
    spread: NDArray[np.float64] = level[low] * (1 - share) + level[high] * share
    return spread


def _otsu(dark: NDArray[np.float32]) -> float:
    """Return the threshold that best parts a picture into two levels (Otsu 1979, equation 18)."""
    counts, edges = np.histogram(dark, bins=128, range=(0.0, 1.0))
    share = counts / counts.sum()
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(share)
    moment = np.cumsum(share * middle)
    between = (moment[-1] * below - moment) ** 2 / np.maximum(below * (1 - below), 1e-9)
    return float(edges[int(np.argmax(between)) + 1])


def _without_rules(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Take ruled lines out: long level runs of dark pixels, except where a stroke crosses them."""
    height, width = mask.shape
    # A line that is a little askew steps from row to row: it is looked for in rows joined with their neighbours.
    joined = mask.copy()
    joined[1:] |= mask[:-1]
    joined[:-1] |= mask[1:]
    least = max(round(_RULE_SHARE * width), 1)
    dark = np.concatenate((np.zeros((height, 1), dtype=np.int32), np.cumsum(joined, axis=1, dtype=np.int32)), axis=1)
    whole = dark[:, least:] - dark[:, :-least] >= _RULE_SOLID * least
    if not whole.any():
        return mask
    ends = np.zeros((height, width + 1), dtype=np.int32)
    starts = whole.astype(np.int32)
    ends[:, : starts.shape[1]] += starts
    ends[:, least : least + starts.shape[1]] -= starts
    level = (np.cumsum(ends, axis=1)[:, :width] > 0) & mask
    return mask & ~(level & ~_stems(mask))


def _without_edges(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Take out the shadow of the sheet's edge: columns near a side that are dark for more than half of their height."""
    reach = round(_EDGE * mask.shape[1])
    edge = mask.mean(axis=0) > _RULE_SHARE
    edge[reach : mask.shape[1] - reach] = False
    # The shadow's own soft border goes with it.
    near = edge.copy()
    near[1:] |= edge[:-1]
    near[:-1] |= edge[1:]
    kept: NDArray[np.bool_] = mask & ~near[None, :]
    return kept


def _stems(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the pixels in vertical runs of at least `_RULE_THICKNESS`."""
    height, width = mask.shape
    if height < _RULE_THICKNESS:
        return np.zeros_like(mask)
    dark = np.concatenate((np.zeros((1, width), dtype=np.int32), np.cumsum(mask, axis=0, dtype=np.int32)))
    whole = dark[_RULE_THICKNESS:] - dark[:-_RULE_THICKNESS] == _RULE_THICKNESS
    stems = np.zeros_like(mask)
    for shift in range(_RULE_THICKNESS):
        stems[shift : shift + len(whole)] |= whole
    return stems


def _without_specks(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return mask & (_neighbours(mask) >= _SPECK)


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return _neighbours(mask) > 0


def _neighbours(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Count the dark pixels among the nine around and at each."""
    padded = np.pad(mask.astype(np.uint8), 1)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    count: NDArray[np.uint8] = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return count


def _extent(ink: NDArray[np.int_]) -> tuple[int, int]:
    """Return where the ink along one axis begins and ends, outliers left out."""
    share = np.cumsum(ink) / ink.sum()
    first = int(np.searchsorted(share, _OUTLIERS, side="right"))
    last = int(np.searchsorted(share, 1.0 - _OUTLIERS, side="left"))
    return first, last + 1


def _fitted(soft: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = soft.shape
    scale = min((WIDTH - 2 * MARGIN) / width, (HEIGHT - 2 * MARGIN) / height)
    tall, wide = max(round(height * scale), 1), max(round(width * scale), 1)
    top, left = (HEIGHT - tall) // 2, (WIDTH - wide) // 2
    raster = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    raster[top : top + tall, left : left + wide] = resampled(soft, height=tall, width=wide)
    return raster
