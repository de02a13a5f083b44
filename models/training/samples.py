"""Samples: the pool that the network is trained from: every signature as network inputs, in several versions.

Version 0 of a signature is itself, the others are variations. Genuine signatures have synthetic forgeries besides. Each
has a seed of its own, so that the number of processes changes nothing.
"""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.signal.channels import SEQUENCE_ROWS, sequence
from penlatch.signal.features import FEATURES, global_features
from penlatch.signal.preprocess import clean
from training.augment import forge, vary
from training.datasets import MIN_POINTS
from training.splits import fold_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from penlatch.signal.preprocess import Ink
    from training.datasets import Record

LENGTH: Final = SEQUENCE_ROWS
CHANNELS: Final = (
    *("x", "y", "p"),
    *("dx", "dy", "dp", "log_speed", "cos", "sin", "turn", "acceleration", "start", "pause", "time", "pace"),
)
"""The paper's three sequences, and what follows from them: a small network need not learn to differentiate."""
NETWORK_FEATURES: Final = tuple(feature.name for feature in FEATURES if feature.group != "size")
"""Sizes are in units of the pen, which differ between databases and doors."""
MOST_FORGERIES: Final = 60
"""SigComp2009 has up to 200 forgeries of one person; the rest of them bring nothing new."""
LEAST_GENUINE: Final = 5
"""A writer with fewer genuine signatures fills no batch."""

GENUINE_VERSIONS: Final = 6
FORGED_VERSIONS: Final = 4
SYNTHETIC_VERSIONS: Final = 2

_COLUMNS = [place for place, feature in enumerate(FEATURES) if feature.name in NETWORK_FEATURES]


@dataclass(frozen=True)
class Signature:
    """One signature that can be learned from."""

    database: str
    user: str
    genuine: bool
    ink: Ink


@dataclass(frozen=True, eq=False)
class Writer:
    """Rows of the pool that belong to one writer: [signatures, versions] each."""

    database: str
    user: str
    genuine: NDArray[np.int32]
    forged: NDArray[np.int32]
    """By people; [0, FORGED_VERSIONS] where nobody forged this writer."""
    synthetic: NDArray[np.int32]

    @property
    def fold(self) -> int:
        """Which fold the writer is in; see `training.splits`."""
        return fold_of(self.user)


@dataclass(frozen=True, eq=False)
class Pool:
    """Every version of every signature, and whose it is."""

    sequences: NDArray[np.float16]
    """float16 [rows of the pool, LENGTH, len(CHANNELS)]: half the memory; its noise is far below that of a pen."""
    features: NDArray[np.float32]
    """float32 [rows of the pool, len(NETWORK_FEATURES)]."""
    writers: tuple[Writer, ...]

    def scaling(self) -> dict[str, NDArray[np.float32]]:
        """Return mean and deviation of every channel and feature, for `network.init`."""
        some = self.sequences[:: max(len(self.sequences) // 4000, 1)].astype(np.float32)
        return {
            "sequence_mean": some.mean(axis=(0, 1)),
            "sequence_deviation": some.std(axis=(0, 1)) + np.float32(1e-3),
            "features_mean": self.features.mean(axis=0),
            "features_deviation": self.features.std(axis=0) + np.float32(1e-3),
        }


def signatures(records: Iterable[Record]) -> list[Signature]:
    """Clean the records that can be learned from: long enough, and no more than `MOST_FORGERIES` of one person."""
    found, forgeries = [], dict[tuple[str, str], int]()
    for record in records:
        key = (record.database, record.user)
        forgeries[key] = forgeries.get(key, 0) + (record.kind == "skilled")
        if record.kind == "skilled" and forgeries[key] > MOST_FORGERIES:
            continue
        ink = clean(record.trace)
        if len(ink) >= MIN_POINTS:
            found.append(Signature(record.database, record.user, record.kind == "genuine", ink))
    return found


def pool(of: Sequence[Signature], *, processes: int | None = None) -> Pool:
    """Compute the network's inputs of every version of every signature."""
    jobs: list[tuple[int, int, Callable[..., Ink] | None]] = []
    rows: list[tuple[list[int], list[int]]] = []
    for place, signature in enumerate(of):
        versions = GENUINE_VERSIONS if signature.genuine else FORGED_VERSIONS
        own = list(range(len(jobs), len(jobs) + versions))
        jobs += [(place, version, vary if version else None) for version in range(versions)]
        synthetic = list(range(len(jobs), len(jobs) + (SYNTHETIC_VERSIONS if signature.genuine else 0)))
        jobs += [(place, version, forge) for version in range(len(synthetic))]
        rows.append((own, synthetic))
    sequences = np.empty((len(jobs), LENGTH, len(CHANNELS)), np.float16)
    features = np.empty((len(jobs), len(NETWORK_FEATURES)), np.float32)
    with multiprocessing.get_context("fork").Pool(
        processes or os.cpu_count() or 1, initializer=_remember, initargs=(of,)
    ) as workers:
        for k, (sequence_, features_) in enumerate(workers.imap(_inputs, jobs, chunksize=64)):
            sequences[k], features[k] = sequence_, features_
    return Pool(sequences, features, tuple(_writers(of, rows)))


def _writers(of: Sequence[Signature], rows: list[tuple[list[int], list[int]]]) -> Iterable[Writer]:
    owned: dict[tuple[str, str], list[int]] = {}
    for place, signature in enumerate(of):
        owned.setdefault((signature.database, signature.user), []).append(place)
    for (database, user), places in owned.items():
        genuine = [k for k in places if of[k].genuine]
        forged = [k for k in places if not of[k].genuine]
        if len(genuine) >= LEAST_GENUINE:
            yield Writer(
                database,
                user,
                genuine=np.array([rows[k][0] for k in genuine], np.int32),
                forged=np.array([rows[k][0] for k in forged], np.int32).reshape(-1, FORGED_VERSIONS),
                synthetic=np.array([rows[k][1] for k in genuine], np.int32),
            )


_shared: Sequence[Signature] = ()
"""What a worker process was born with."""


def _remember(of: Sequence[Signature]) -> None:
    global _shared  # noqa: PLW0603 - set once in each worker process, which has no other way to be handed it
    _shared = of


def _inputs(job: tuple[int, int, Callable[..., Ink] | None]) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    place, version, change = job
    ink = _shared[place].ink
    if change:
        ink = change(ink, np.random.default_rng((place, version, change is forge)))
    rows = sequence(ink, channels=CHANNELS, length=LENGTH).astype(np.float16)
    return rows, global_features(ink)[_COLUMNS].astype(np.float32)
