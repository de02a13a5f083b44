"""Pages: one signature on a sheet of paper, as its writer might have written it another day.

A page is the inked share of every pixel, float32 [PAGE_HEIGHT, PAGE_WIDTH], about twice as fine as a raster.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.signal.preprocess import Ink
from penlatch.signal.raster import coverage, found, placed, resampled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.pairs.people import Signature

PAGE_HEIGHT: Final = 128
PAGE_WIDTH: Final = 256

_ROOM: Final = (0.62, 0.95)
"""Share of the page that a signature may fill, in its longer direction."""
_PEN: Final = (1.8, 4.6)
"""Width of a pen's line [pixels of a page]."""
_USUAL_PEN: Final = 3.0
_ROTATION: Final = 0.05
"""Deviation of the rotation [rad]."""
_SHEAR: Final = 0.06
"""Deviation of the slant's tangent."""
_STRETCH: Final = 0.07
"""Deviation of the logarithm of the scale of either axis."""
_WAVE: Final = 0.012
"""Deviation of the amplitude of each wave that bends the page [widths of the signature]."""
_WAVES: Final = 3
_FINE: Final = 240
"""Width that a scan is reduced to before it is bent [pixels]."""


class Bend:
    """A change of shape that leaves the writer the same: turned, slanted, stretched, gently bent."""

    def __init__(self, rng: np.random.Generator) -> None:
        turn = rng.normal(0, _ROTATION)
        stretch = np.diag(np.exp(rng.normal(0, _STRETCH, 2)))
        slant = np.array([[1.0, rng.normal(0, _SHEAR)], [0.0, 1.0]])
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        self._matrix = rotation @ slant @ stretch
        self._waves = rng.normal(0, _WAVE, (2, _WAVES)) / np.arange(1, _WAVES + 1)
        self._phase = rng.uniform(0, 2 * np.pi, (2, _WAVES))

    def __call__(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Move points, given in widths of the signature around its middle."""
        a, b = self._matrix @ np.stack([x.ravel(), y.ravel()])
        number = np.arange(1, _WAVES + 1)[:, None]
        # The waves run from left to right: across, letters move apart; down, the line of writing wanders.
        wave = np.sin(2 * np.pi * number * x.ravel()[None] + self._phase[:, :, None])
        a, b = a + self._waves[0] @ wave[0], b + self._waves[1] @ wave[1]
        return a.reshape(x.shape), b.reshape(y.shape)


def bent(ink: Ink, rng: np.random.Generator) -> Ink:
    """Return `ink` in another shape of the same hand."""
    x, y = ink.x - (ink.x.min() + ink.x.max()) / 2, ink.y - (ink.y.min() + ink.y.max()) / 2
    side = max(float(np.ptp(ink.x)), float(np.ptp(ink.y)), 1e-9)
    x, y = Bend(rng)(x / side, y / side)
    return Ink(t=ink.t, x=x, y=y, p=ink.p, start=ink.start)


def page(signature: Signature, rng: np.random.Generator, *, vary: bool) -> NDArray[np.float32]:
    """Put a signature somewhere on a page.

    Args:
        signature: By pen or by scanner.
        rng: Decides on place, size and width of the line, and on the variation.
        vary: Change its shape as the same hand would.
    """
    drawing = signature.drawing
    height, width = np.array([PAGE_HEIGHT, PAGE_WIDTH]) * rng.uniform(*_ROOM)
    top, left = rng.uniform(0, PAGE_HEIGHT - height), rng.uniform(0, PAGE_WIDTH - width)
    if isinstance(drawing, Ink):
        ink = bent(drawing, rng) if vary else drawing
        x, y = placed(ink.x, ink.y, height=round(height), width=round(width), margin=3)
        pen = rng.uniform(*_PEN) if vary else _USUAL_PEN
        return coverage(x + left, y + top, ink.start, height=PAGE_HEIGHT, width=PAGE_WIDTH, line=pen)
    return _on_page(_found(signature), left, top, width, height, Bend(rng) if vary else None)


@functools.cache
def _found(signature: Signature) -> NDArray[np.float32]:
    dark = found(np.asarray(signature.drawing))
    if dark.shape[1] <= _FINE:
        return dark
    return resampled(dark, height=max(round(dark.shape[0] * _FINE / dark.shape[1]), 1), width=_FINE)


def _on_page(
    dark: NDArray[np.float32], left: float, top: float, width: float, height: float, bend: Bend | None
) -> NDArray[np.float32]:
    """Put a scan into a box of the page, bent or as it is."""
    tall, wide = dark.shape
    scale = min(width / wide, height / tall)
    columns = (np.arange(PAGE_WIDTH) + 0.5 - left - width / 2) / scale
    rows = (np.arange(PAGE_HEIGHT) + 0.5 - top - height / 2) / scale
    x, y = np.meshgrid(columns, rows)
    if bend is not None:
        side = max(wide, tall)
        x, y = bend(x / side, y / side)
        x, y = x * side, y * side
    return _sampled(dark, y + tall / 2 - 0.5, x + wide / 2 - 0.5)


def _sampled(picture: NDArray[np.float32], y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float32]:
    """Read a picture between its pixels; around it there is nothing."""
    padded = np.pad(picture, 1)
    y, x = np.clip(y + 1, 0, padded.shape[0] - 1.001), np.clip(x + 1, 0, padded.shape[1] - 1.001)
    row, column = y.astype(np.intp), x.astype(np.intp)
    down, across = (y - row).astype(np.float32), (x - column).astype(np.float32)
    upper = padded[row, column] * (1 - across) + padded[row, column + 1] * across
    lower = padded[row + 1, column] * (1 - across) + padded[row + 1, column + 1] * across
    return np.asarray(upper * (1 - down) + lower * down, dtype=np.float32)
