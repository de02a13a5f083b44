"""Episodes: which signatures of which writers make up each batch, drawn beforehand, the same every time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from training.objective import FORGED, GENUINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from training.samples import Writer

WRITERS: Final = 8
"""Writers in a batch."""

SHARE: Final[Mapping[str, float]] = {
    "svc2004-task1": 0.16,
    "svc2004-task2": 0.22,
    "susig-visual": 0.22,
    "susig-blind": 0.18,
    "sigcomp2009-nfi": 0.12,
    "sigcomp2009-training": 0.03,
    "synthetic": 0.07,
}
"""How often a writer of each database is drawn: more often where people forged than where nobody did."""


class Episodes(NamedTuple):
    """Everything drawn, for `steps` batches."""

    rows: NDArray[np.int32]
    """Rows of the pool [steps, WRITERS, GENUINE + FORGED]."""
    synthetic: NDArray[np.bool_]
    """Which forgeries are synthetic [steps, WRITERS, FORGED]."""
    writers: NDArray[np.int32]
    """[steps, WRITERS]."""


def draw(writers: Sequence[Writer], *, allowed: Sequence[int], steps: int, seed: int) -> Episodes:
    """Draw batches of different writers.

    Where a writer was forged by people, all forgeries but one are theirs; the last, and where nobody forged, every
    one is synthetic.

    Args:
        writers: of the pool.
        allowed: places of those that may be drawn.
        steps: number of batches.
        seed: of the drawing.
    """
    rng = np.random.default_rng((seed, 2))
    count = {database: sum(writers[k].database == database for k in allowed) for database in SHARE}
    chance = np.array([SHARE[writers[k].database] / count[writers[k].database] for k in allowed])
    chance /= chance.sum()
    rows = np.empty((steps, WRITERS, GENUINE + FORGED), np.int32)
    synthetic = np.empty((steps, WRITERS, FORGED), np.bool_)
    drawn = np.empty((steps, WRITERS), np.int32)
    for step in range(steps):
        drawn[step] = rng.choice(np.asarray(allowed), WRITERS, replace=False, p=chance)
        for k, place in enumerate(drawn[step]):
            rows[step, k], synthetic[step, k] = _signatures(writers[place], rng)
    return Episodes(rows, synthetic, drawn)


def _signatures(writer: Writer, rng: np.random.Generator) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    genuine = writer.genuine[rng.permutation(len(writer.genuine))[:GENUINE]]
    by_people = writer.forged[rng.permutation(len(writer.forged))[: FORGED - 1]]
    made = writer.synthetic[rng.integers(len(writer.synthetic), size=FORGED - len(by_people))]
    rows = [table[rng.integers(len(table))] for table in (*genuine, *by_people, *made)]
    return np.array(rows, np.int32), np.arange(FORGED) >= len(by_people)
