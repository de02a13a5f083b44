"""Error rates of verification, in the terms of ISO/IEC 19795-1: FMR, FNMR, EER; scores grow with similarity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Rates:
    """Errors at one threshold."""

    fmr: float
    """False match rate: share of impostors' attempts at or above the threshold."""
    fnmr: float
    """False non-match rate: share of genuine attempts below it."""


def rates(genuine: NDArray[np.float64], impostor: NDArray[np.float64], threshold: float) -> Rates:
    """Count errors where a score at or above `threshold` is a match."""
    return Rates(fmr=float((impostor >= threshold).mean()), fnmr=float((genuine < threshold).mean()))


def equal_error(genuine: NDArray[np.float64], impostor: NDArray[np.float64]) -> tuple[float, float]:
    """Find where both errors are equally frequent.

    The thresholds tried lie at every score and above them all. Where no threshold makes the rates equal, the EER is
    the mean of both at the threshold where they are closest; of several such thresholds, at the middle one.

    Args:
        genuine: Scores of genuine attempts, at least one.
        impostor: Scores of impostors' attempts, at least one.

    Returns:
        The EER as a share, and its threshold: between the score it lies at and the next lower one.
    """
    scores = np.unique(np.concatenate((genuine, impostor)))
    edges = np.concatenate((scores, [np.nextafter(scores[-1], np.inf)]))
    fnmr = np.searchsorted(np.sort(genuine), edges, side="left") / len(genuine)
    fmr = 1.0 - np.searchsorted(np.sort(impostor), edges, side="left") / len(impostor)
    apart = np.abs(fmr - fnmr)
    closest = np.flatnonzero(apart <= apart.min() + 1e-12)
    at = int(closest[len(closest) // 2])
    between = (edges[max(at - 1, 0)] + edges[at]) / 2
    # Scores may be neighbours among floats, with nothing between them.
    threshold = between if between > edges[max(at - 1, 0)] else edges[at]
    return float((fmr[at] + fnmr[at]) / 2), float(threshold)


def eer(genuine: NDArray[np.float64], impostor: NDArray[np.float64]) -> float:
    """Return the equal error rate as a share."""
    return equal_error(genuine, impostor)[0]


def bootstrap(
    users: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    statistic: Callable[[NDArray[np.float64], NDArray[np.float64]], float] = eer,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the 95 % interval of a statistic over people, who are drawn with replacement.

    People, not signatures: the signatures of one person share that person's luck.

    Args:
        users: Genuine and impostors' scores of each.
        statistic: Of the pooled scores.
        draws: How many samples of people.
        seed: Makes it repeatable.
    """
    rng = np.random.default_rng(seed)
    scores = list(users.values())
    values = []
    for _ in range(draws):
        drawn = rng.integers(len(scores), size=len(scores))
        genuine = np.concatenate([scores[i][0] for i in drawn])
        impostor = np.concatenate([scores[i][1] for i in drawn])
        values.append(statistic(genuine, impostor))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
