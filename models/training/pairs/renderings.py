"""Renderings: signatures as rasters, as a terminal would get them, and in variations to train on."""

from __future__ import annotations

import multiprocessing
import os
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.errors import PictureError
from penlatch.signal.preprocess import Ink
from penlatch.signal.raster import draw, normalise
from training.pairs.conditions import CLEAN, seen
from training.pairs.pages import bent, page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from training.pairs.people import Signature

_SHARES: Final = {
    CLEAN: 0.20,
    "scan": 0.20,
    "noise": 0.10,
    "background": 0.10,
    "rules": 0.10,
    "stamp": 0.12,
    "degraded": 0.18,
}
"""How often each condition occurs in training."""


def plain(signature: Signature) -> NDArray[np.uint8]:
    """Return the raster that a terminal makes of the signature itself."""
    drawing = signature.drawing
    return draw(drawing) if isinstance(drawing, Ink) else normalise(drawing)


def degraded(signature: Signature, condition: str, rng: np.random.Generator) -> NDArray[np.uint8] | None:
    """Return the raster of the signature on paper in a condition; None where nothing could be found on it."""
    try:
        return normalise(seen(page(signature, rng, vary=False), condition, rng))
    except PictureError:
        return None


def variation(signature: Signature, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a raster to train on: the same hand in another shape, in a condition drawn by `_SHARES`."""
    condition = str(rng.choice(list(_SHARES), p=list(_SHARES.values())))
    if condition == CLEAN and isinstance(signature.drawing, Ink):
        return draw(bent(signature.drawing, rng))
    try:
        return normalise(seen(page(signature, rng, vary=True), condition, rng))
    except PictureError:
        return plain(signature)


def variations(signatures: Sequence[Signature], number: int, kept: Path) -> NDArray[np.uint8]:
    """Return variation `number` of every signature, uint8 [n, HEIGHT, WIDTH]; made once, then read from `kept`.

    Each signature has a seed of its own, so that the number of processes changes nothing.
    """
    path = kept / f"variation-{number:02d}.npy"
    if path.exists():
        made: NDArray[np.uint8] = np.load(path)
        if len(made) == len(signatures):
            return made
    jobs = [(signature, number, place) for place, signature in enumerate(signatures)]
    with multiprocessing.get_context("fork").Pool(min(os.cpu_count() or 1, 4)) as pool:
        made = np.stack(pool.map(_variation, jobs, chunksize=64))
    kept.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part.npy")
    np.save(unfinished, made)
    unfinished.replace(path)
    return made


def _variation(job: tuple[Signature, int, int]) -> NDArray[np.uint8]:
    signature, number, place = job
    return variation(signature, np.random.default_rng((number, place)))
