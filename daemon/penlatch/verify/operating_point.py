"""Operating points: the threshold that keeps false matches below a target on the people here, and how sure it is.

Everybody's references are signed for everybody else: each attempt is a random forgery (ISO/IEC 19795-1, zero-effort
impostor). Attempts of the same two people resemble each other, so what is promised counts pairs of people: a pair errs
if any of its attempts matches, which is never less than the share of attempts that do. A threshold meets the target
where the upper 95 % limit (Clopper and Pearson, Biometrika 26, 1934) of the share of pairs that err is at most the
target; without an error that takes 3 / target pairs (the rule of three).

No forger takes part, so nothing here speaks of skilled forgeries. They are why no threshold below `LEAST` is proposed:
there the calibration balances skilled forgeries passed against genuine signatures refused.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.config import DEFAULT_THRESHOLD
from penlatch.messages import CurvePoint, OperatingPoint, Rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CONFIDENCE: Final = 0.95
LEAST: Final = DEFAULT_THRESHOLD
"""The lowest threshold that is ever proposed."""
STEP: Final = 1e-4
"""A threshold is proposed in multiples of this."""
CURVE: Final = (*(round(0.05 * i, 2) for i in range(1, 20)), 0.99, 0.999)
"""Thresholds of the curve."""

_ITERATIONS: Final = 300
_TINY: Final = 1e-300
_BISECTIONS: Final = 60
"""Halvings of [0, 1]: beyond the precision of a double."""


def clopper_pearson(errors: int, trials: int) -> tuple[float, float]:
    """Return the two-sided exact interval of a rate at `CONFIDENCE`.

    Raises:
        ValueError: unless 0 <= errors <= trials and there is a trial.
    """
    _require(errors, trials)
    tail = (1.0 - CONFIDENCE) / 2
    low = 0.0 if errors == 0 else _quantile(errors, trials - errors + 1, tail)
    return low, _upper(errors, trials, tail)


def upper_limit(errors: int, trials: int) -> float:
    """Return the one-sided upper limit of a rate at `CONFIDENCE`; about 3 / trials where there is no error.

    Raises:
        ValueError: unless 0 <= errors <= trials and there is a trial.
    """
    _require(errors, trials)
    return _upper(errors, trials, 1.0 - CONFIDENCE)


def rate(errors: int, trials: int) -> Rate:
    """Return a rate with its interval.

    Raises:
        ValueError: unless 0 <= errors <= trials and there is a trial.
    """
    low, high = clopper_pearson(errors, trials)
    return Rate(errors=errors, trials=trials, rate=errors / trials, low=low, high=high)


def threshold_for(pairs: NDArray[np.float64], target: float) -> float | None:
    """Return the lowest threshold, from `LEAST` on, at which the target is met with `CONFIDENCE`.

    Args:
        pairs: The greatest P(genuine) of each ordered pair of people, float64 [pairs].
        target: Greatest rate of false matches, 0..1.

    Returns:
        None where so few pairs cannot show it, or only a threshold above 1 would do.
    """
    n = len(pairs)
    if n == 0 or upper_limit(0, n) > target:
        return None
    allowed = _most(n, target)
    if allowed >= n:
        return LEAST
    # The first that must not match; P(genuine) from the threshold on is a match.
    highest = float(np.sort(pairs)[::-1][allowed])
    threshold = max(LEAST, (math.floor(highest / STEP) + 1) * STEP)
    return round(threshold, 4) if threshold <= 1.0 else None


def at(threshold: float, own: NDArray[np.float64], others: Sequence[NDArray[np.float64]]) -> OperatingPoint:
    """Return how often the people of a terminal err at a threshold.

    Args:
        threshold: P(genuine) from which on it is a match.
        own: Of each genuine attempt, float64 [attempts], at least one.
        others: By ordered pair of people, of each attempt: float64 [attempts], at least one pair.
    """
    attempts = np.concatenate(others)
    matching = sum(bool((pair >= threshold).any()) for pair in others)
    return OperatingPoint(
        threshold=threshold,
        fmr=rate(int(np.count_nonzero(attempts >= threshold)), len(attempts)),
        pairs=rate(matching, len(others)),
        fnmr=rate(int(np.count_nonzero(~(own >= threshold))), len(own)),
    )


def curve(own: NDArray[np.float64], attempts: NDArray[np.float64]) -> tuple[CurvePoint, ...]:
    """Return both error rates over the thresholds of `CURVE`; arguments as in `at`, the attempts of all pairs."""
    return tuple(
        CurvePoint(
            threshold=threshold,
            fmr=float(np.mean(attempts >= threshold)),
            fnmr=float(np.mean(~(own >= threshold))),
        )
        for threshold in CURVE
    )


def _most(n: int, target: float) -> int:
    """Return how many of n pairs may err with the upper limit still within the target; 0 is known to be possible."""
    low, high = 0, n
    while low < high:
        middle = (low + high + 1) // 2
        if upper_limit(middle, n) <= target:
            low = middle
        else:
            high = middle - 1
    return low


def _upper(errors: int, trials: int, tail: float) -> float:
    return 1.0 if errors == trials else _quantile(errors + 1, trials - errors, 1.0 - tail)


def _require(errors: int, trials: int) -> None:
    if not 0 <= errors <= trials or trials < 1:
        raise ValueError(f"{errors} errors in {trials} trials")


def _quantile(a: int, b: int, share: float) -> float:
    """Return the quantile of the Beta distribution with parameters a and b, both 1 at least, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _beta(middle, a, b) < share else (low, middle)
    return (low + high) / 2


def _beta(x: float, a: int, b: int) -> float:
    """Return the regularised incomplete beta function I_x(a, b) by its continued fraction (DLMF 8.17.22)."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _beta(1.0 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    c, d = 1.0, 1.0 / max(1.0 - (a + b) * x / (a + 1), _TINY)
    fraction = d
    for m in range(1, _ITERATIONS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / (_nonzero(1.0 + term * d))
            c = _nonzero(1.0 + term / c)
            fraction *= c * d
        if abs(c * d - 1.0) < 1e-14:
            break
    return front * fraction / a


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
