"""Intervals over people: how much a figure owes to who happened to be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Attempts = tuple[NDArray[np.float64], NDArray[np.float64]]
    """Scores of one person: of genuine signatures, and of forgeries."""


def bootstrap(
    people: int, statistic: Callable[[NDArray[np.intp]], float], *, draws: int = 1000, seed: int = 0
) -> list[float]:
    """Return the 95 % interval [%] of a statistic (a share) over people, who are drawn with replacement.

    People, not signatures: the signatures of one person share that person's luck.

    Args:
        people: How many there are.
        statistic: Of the people of these numbers, each as often as it is drawn.
        draws: How many samples of people.
        seed: Makes it repeatable.
    """
    rng = np.random.default_rng(seed)
    values = [statistic(rng.integers(people, size=people)) for _ in range(draws)]
    return [round(100 * float(v), 2) for v in np.percentile(values, [2.5, 97.5])]


def of_attempts(
    attempts: Sequence[Attempts],
    statistic: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> list[float]:
    """Return the interval [%] of a statistic of the pooled scores of the people that are drawn."""

    def pooled(drawn: NDArray[np.intp]) -> float:
        genuine, forged = (np.concatenate([attempts[i][k] for i in drawn]) for k in (0, 1))
        return statistic(genuine, forged)

    return bootstrap(len(attempts), pooled, draws=draws, seed=seed)
