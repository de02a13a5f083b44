"""Samples: what the network is trained on, as arrays, with variations of every signature, the same every time."""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.signal.channels import SEQUENCE_ROWS, sequence
from penlatch.signal.features import FEATURES, global_features
from penlatch.signal.preprocess import clean
from training.augment import vary
from training.datasets import MIN_POINTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from penlatch.signal.preprocess import Ink
    from training.datasets import Record

LENGTH: Final = SEQUENCE_ROWS
CHANNELS: Final = (
    *("x", "y", "p"),
    *("dx", "dy", "dp", "log_speed", "cos", "sin", "turn", "acceleration", "start", "pause", "time"),
)
"""The paper's three sequences, and what follows from them: a small network need not learn to differentiate."""
NETWORK_FEATURES: Final = tuple(feature.name for feature in FEATURES if feature.group != "size")
"""Sizes are in units of the pen, which differ between databases and doors."""
MOST_PER_CLASS: Final = 40
"""SigComp2009 has up to 200 forgeries of one person; more than this would outweigh everybody else."""

_COLUMNS = [place for place, feature in enumerate(FEATURES) if feature.name in NETWORK_FEATURES]


@dataclass(frozen=True, eq=False)
class Samples:
    """Signatures as the network takes them."""

    sequences: NDArray[np.float16]
    """float16 [samples, LENGTH, len(CHANNELS)]: half the memory; noise far below that of a pen."""
    features: NDArray[np.float32]
    """float32 [samples, len(NETWORK_FEATURES)]."""
    classes: NDArray[np.int32]
    """Writer and kind, counted from 0."""


def select(records: Iterable[Record]) -> tuple[list[Ink], NDArray[np.int32]]:
    """Clean the records that can be learned from and number their classes: each writer, genuine and forged.

    Returns:
        Inks, and int32 classes of the same length.
    """
    numbers: dict[tuple[str, str, str], int] = {}
    counts: dict[tuple[str, str, str], int] = {}
    inks, classes = [], []
    for record in records:
        ink = clean(record.trace)
        key = (record.database, record.user, record.kind)
        if len(ink) < MIN_POINTS or counts.get(key, 0) >= MOST_PER_CLASS:
            continue
        counts[key] = counts.get(key, 0) + 1
        inks.append(ink)
        classes.append(numbers.setdefault(key, len(numbers)))
    return inks, np.array(classes, dtype=np.int32)


def make(inks: list[Ink], classes: NDArray[np.int32], *, variation: int | None = None) -> Samples:
    """Compute the network's inputs, of the signatures themselves or of the variation of that number."""
    jobs = [(ink, place, variation) for place, ink in enumerate(inks)]
    # Each signature has a seed of its own, so that the number of processes changes nothing.
    with multiprocessing.get_context("fork").Pool(min(os.cpu_count() or 1, 4)) as pool:
        rows = pool.map(_inputs, jobs, chunksize=64)
    return Samples(
        sequences=np.stack([row for row, _ in rows]), features=np.stack([row for _, row in rows]), classes=classes
    )


def _inputs(job: tuple[Ink, int, int | None]) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    ink, place, variation = job
    if variation is not None:
        ink = vary(ink, np.random.default_rng((variation, place)))
    rows = sequence(ink, channels=CHANNELS, length=LENGTH).astype(np.float16)
    return rows, global_features(ink)[_COLUMNS].astype(np.float32)
