"""Conditions: what befalls a signature on paper. Each turns a page into a grey picture, uint8 of the page's shape.

`clean`, `noise`, `background` (tinted, shaded, patterned paper), `rules` (ruled lines), `stamp` (over the signature),
`scan` (another pen, a soft focus, the paper's grain) and `degraded`, which is all of the middle four together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.signal.raster import coverage

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLEAN: Final = "clean"
DEGRADED: Final = "degraded"
CONDITIONS: Final = (CLEAN, "scan", "noise", "background", "rules", "stamp", DEGRADED)

_INK: Final = (0.6, 0.95)
"""How dark ink is [share of the paper's brightness]."""
_STAMP: Final = (0.25, 0.6)
"""How dark a stamp is."""


def seen(inked: NDArray[np.float32], condition: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return what a scanner sees of a page in a condition.

    Args:
        inked: Share of each pixel that is inked, float32 [h, w].
        condition: One of `CONDITIONS`.
        rng: Decides on everything else.
    """
    everything = condition == DEGRADED
    paper = _paper(inked.shape, rng) if everything or condition == "background" else np.full(inked.shape, 252.0)
    if condition == "scan":
        inked = _soft(_faded(inked, rng))
    dark = rng.uniform(*_INK) * inked
    if everything or condition == "rules":
        dark = np.maximum(dark, _rules(inked.shape, rng))
    if everything or condition == "stamp":
        # A stamp's ink and a pen's are both seen where they overlap.
        dark = 1.0 - (1.0 - dark) * (1.0 - _stamp(inked, rng))
    grey = paper * (1.0 - dark)
    if condition == "scan":
        grey += rng.normal(0, rng.uniform(1, 5), grey.shape) - rng.uniform(0, 25)
    if everything or condition == "noise":
        grey = _noisy(grey, rng)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def _paper(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Tinted paper, brighter on one side, with blotches and a fine pattern of waves."""
    height, width = shape
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :]
    level = rng.uniform(140, 235)
    shade = rng.uniform(-40, 40) * x + rng.uniform(-25, 25) * y
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(5, 16)
    along = (np.cos(angle) * x * width + np.sin(angle) * y * height) / pitch
    pattern = rng.uniform(0, 12) * np.sin(2 * np.pi * (along + 0.8 * np.sin(2 * np.pi * rng.uniform(1, 4) * (x - y))))
    coarse = rng.normal(0, 6, (-(-height // 16), -(-width // 16)))
    blotches = np.kron(coarse, np.ones((16, 16)))[:height, :width]
    paper: NDArray[np.float64] = level + shade + pattern + _soft(_soft(blotches.astype(np.float32)))
    return paper


def _faded(inked: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Ink that runs dry here and there."""
    coarse = rng.uniform(0.55, 1.0, (inked.shape[0] // 8, inked.shape[1] // 8))
    return (inked * _soft(np.kron(coarse, np.ones((8, 8))).astype(np.float32))).astype(np.float32)


def _soft(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of the nine pixels around and at each."""
    padded = np.pad(picture, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    soft: NDArray[np.float32] = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / np.float32(9)
    return soft


def _rules(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Ruled lines across the page, a little askew."""
    height, width = shape
    spacing = rng.uniform(18, 60)
    lines = np.arange(rng.uniform(0, spacing), height, spacing)
    askew = rng.uniform(-2, 2)
    x = np.tile([0.0, float(width)], len(lines))
    y = np.stack([lines, lines + askew], axis=1).ravel()
    start = np.tile([True, False], len(lines))
    drawn = coverage(x, y, start, height=height, width=width, line=rng.uniform(0.8, 2.2))
    return np.float32(rng.uniform(0.25, 0.7)) * drawn


def _noisy(grey: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Grain, and specks of black and white."""
    grey = grey + rng.normal(0, rng.uniform(6, 24), grey.shape)
    specks, share = rng.random(grey.shape), rng.uniform(0, 0.008)
    return np.where(specks < share, 30.0, np.where(specks > 1 - share, 255.0, grey))


def _stamp(inked: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A stamp over the signature, round or square: a double frame and writing that nobody can read."""
    height, width = inked.shape
    rows, columns = np.nonzero(inked > 0.5)
    at = rng.integers(len(rows)) if len(rows) else 0
    y, x = (rows[at], columns[at]) if len(rows) else (height / 2, width / 2)
    lines = _round_stamp(rng) if rng.random() < 0.6 else _square_stamp(rng)
    turn = rng.normal(0, 0.25)
    cos, sin = np.cos(turn), np.sin(turn)
    points = np.concatenate(lines)
    start = np.zeros(len(points), dtype=np.bool_)
    start[np.cumsum([0, *(len(line) for line in lines[:-1])])] = True
    drawn = coverage(
        x + cos * points[:, 0] - sin * points[:, 1],
        y + sin * points[:, 0] + cos * points[:, 1],
        start,
        height=height,
        width=width,
        line=rng.uniform(1.2, 2.6),
    )
    return np.float32(rng.uniform(*_STAMP)) * drawn


def _round_stamp(rng: np.random.Generator) -> list[NDArray[np.float64]]:
    radius = rng.uniform(24, 44)
    around = np.linspace(0, 2 * np.pi, 60)
    circle = np.stack([np.cos(around), np.sin(around)], axis=1)
    lines = [radius * circle, rng.uniform(0.55, 0.7) * radius * circle]
    for angle in np.arange(0, 2 * np.pi, 6 / radius):
        towards, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        lines.append(0.84 * radius * towards + _letter(rng) @ np.stack([across, towards]))
    lines += _words(rng, wide=0.45 * radius, tall=0.35 * radius)
    return lines


def _square_stamp(rng: np.random.Generator) -> list[NDArray[np.float64]]:
    wide, tall = rng.uniform(35, 60), rng.uniform(14, 26)
    frame = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0]])
    return [frame * [wide, tall], *_words(rng, wide=0.85 * wide, tall=0.75 * tall)]


def _words(rng: np.random.Generator, *, wide: float, tall: float) -> list[NDArray[np.float64]]:
    """Rows of letters that fill a box of these half sides [pixels]."""
    return [
        np.array([x, y]) + _letter(rng)
        for y in np.arange(-tall, tall + 1, 9)
        for x in np.arange(-wide, wide + 1, 6)
        if rng.random() < 0.8
    ]


def _letter(rng: np.random.Generator) -> NDArray[np.float64]:
    """Four corners of a letter, 4 pixels wide and 6 high."""
    return rng.uniform(-1, 1, (4, 2)) * [2.0, 3.0]
