"""Error rates of verification, in the terms of ISO/IEC 19795-1: FMR, FNMR, EER, DET; scores grow with similarity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Rates:
    """Errors at one threshold."""

    fmr: float
    """False match rate: share of impostors' attempts at or above the threshold."""
    fnmr: float
    """False non-match rate: share of genuine attempts below it."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Both errors at every threshold that makes a difference, float64 [n] each, from letting all in to nobody."""

    threshold: NDArray[np.float64]
    """A score at or above it is a match; grows. The last one lies above every score."""
    fmr: NDArray[np.float64]
    """Falls from 1 to 0."""
    fnmr: NDArray[np.float64]
    """Grows from 0 to 1."""


def rates(genuine: NDArray[np.float64], impostor: NDArray[np.float64], threshold: float) -> Rates:
    """Count errors where a score at or above `threshold` is a match."""
    return Rates(fmr=float((impostor >= threshold).mean()), fnmr=float((genuine < threshold).mean()))


def curve(genuine: NDArray[np.float64], impostor: NDArray[np.float64]) -> Curve:
    """Count errors at every score and above them all: what DET and ROC curves are drawn from.

    Args:
        genuine: Scores of genuine attempts, at least one.
        impostor: Scores of impostors' attempts, at least one.
    """
    scores = np.unique(np.concatenate((genuine, impostor)))
    edges = np.concatenate((scores, [np.nextafter(scores[-1], np.inf)]))
    return Curve(
        threshold=edges,
        fmr=1.0 - np.searchsorted(np.sort(impostor), edges, side="left") / len(impostor),
        fnmr=np.searchsorted(np.sort(genuine), edges, side="left") / len(genuine),
    )


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
    found = curve(genuine, impostor)
    edges = found.threshold
    apart = np.abs(found.fmr - found.fnmr)
    closest = np.flatnonzero(apart <= apart.min() + 1e-12)
    at = int(closest[len(closest) // 2])
    between = (edges[max(at - 1, 0)] + edges[at]) / 2
    # Scores may be neighbours among floats, with nothing between them.
    threshold = between if between > edges[max(at - 1, 0)] else edges[at]
    return float((found.fmr[at] + found.fnmr[at]) / 2), float(threshold)


def eer(genuine: NDArray[np.float64], impostor: NDArray[np.float64]) -> float:
    """Return the equal error rate as a share."""
    return equal_error(genuine, impostor)[0]


def fnmr_at_fmr(genuine: NDArray[np.float64], impostor: NDArray[np.float64], fmr: float) -> float:
    """Return the least false non-match rate among the thresholds whose false match rate is at most `fmr`.

    With fewer than 1 / `fmr` impostors' attempts that is where none of them matches: a statement about these
    attempts, not about rates that small.
    """
    found = curve(genuine, impostor)
    return float(found.fnmr[found.fmr <= fmr + 1e-12].min())


def auc(genuine: NDArray[np.float64], impostor: NDArray[np.float64]) -> float:
    """Return the area under the ROC curve: how often a genuine score is the greater of two, equal ones counting half.

    The statistic of Mann and Whitney over the product of both numbers.
    """
    ordered = np.sort(impostor)
    below = np.searchsorted(ordered, genuine, side="left")
    not_above = np.searchsorted(ordered, genuine, side="right")
    return float((below + not_above).mean() / 2 / len(impostor))


def zero_errors_bound(attempts: int) -> float:
    """Return the rate that no error in so many independent attempts excludes, with 95 % confidence: the rule of 3.

    ISO/IEC 19795-1, annex B: an upper bound of 3/n.
    """
    return min(1.0, 3.0 / attempts)


def bootstrap(
    people: int, statistic: Callable[[NDArray[np.intp]], float], *, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of a statistic over people, who are drawn with replacement.

    People, not signatures: the signatures of one person share that person's luck. The same number of people and the
    same seed draw the same people, so that a difference of two statistics keeps what both share.

    Args:
        people: How many there are.
        statistic: Of the people of these numbers, each as often as it is drawn.
        draws: How many samples of people.
        seed: Makes it repeatable.
    """
    rng = np.random.default_rng(seed)
    values = [statistic(rng.integers(people, size=people)) for _ in range(draws)]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
