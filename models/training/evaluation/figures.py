"""Figures: the error rates of one scorer against one kind of forgery, in percent, and how sure they are.

The terms are those of ISO/IEC 19795-1. Rates at a common threshold pool the scores of all people: one threshold for
everybody, as a terminal has. EER per user fits a threshold to the tested scores of each person, which no terminal can:
it is here because the literature reports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from training.metrics import auc, bootstrap, eer, equal_error, fnmr_at_fmr, rates, zero_errors_bound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.evaluation.protocols import Attempt
    from training.evaluation.scoring import Scored

FMR_LIMITS: Final = (0.01, 0.001)
"""At which false match rates the FNMR is given."""

_DIGITS: Final = 3


class AtThreshold(msgspec.Struct, frozen=True, kw_only=True):
    """Errors where the scorer itself says that it matches."""

    threshold: float
    far: float
    """Share of the forgeries that match [%]: FMR, the paper's FAR."""
    far_bound: float
    """Where `far` is 0: what so few attempts cannot exclude, by the rule of 3 [%]; else `far`."""
    frr: float
    """Share of the genuine attempts that do not match [%]: FNMR, the paper's FRR."""
    aer: float
    """(FAR + FRR) / 2 [%]."""
    accuracy: float
    """Share of all attempts of both kinds that are judged rightly [%]."""


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """Figures against one kind of forgery."""

    people: int
    """Who has attempts of both kinds."""
    genuine: int
    """Attempts."""
    forgeries: int
    """Attempts."""
    eer: float
    """At a common threshold [%]."""
    eer_interval: tuple[float, float]
    """95 %, over people [%]."""
    eer_threshold: float
    """The common threshold where both errors are equal: found on the tested scores."""
    eer_per_user: float
    """Mean of the people's EERs, each at a threshold of their own [%]."""
    fnmr_at_fmr: dict[str, float]
    """FNMR [%] at the FMR [%] that is the key."""
    auc: float
    """Area under the ROC curve, a share."""
    at_threshold: AtThreshold | None
    """None for a scorer without a threshold of its own."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """By how much the EERs of two scorers differ, on the same attempts."""

    scorers: tuple[str, str]
    eer: float
    """The first one's at a common threshold less the second one's [percentage points]."""
    interval: tuple[float, float]
    """95 %, over people."""


class Pairs:
    """Genuine and forged scores of each person who has both, by one scorer."""

    def __init__(self, trials: Sequence[Scored], scorer: str, kind: Attempt, *, unmet: bool = False) -> None:
        """Collect the scores; `unmet` as for `Scored.of`."""
        by_user: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
        for trial in trials:
            found = trial.of(scorer, "genuine"), trial.of(scorer, kind, unmet=unmet)
            if all(map(len, found)):
                by_user.setdefault(trial.user, []).append(found)
        self.draws = by_user
        """By user: the scores of each draw."""
        self._genuine, self._forged = (
            [np.concatenate([draw[part] for draw in draws]) for draws in by_user.values()] for part in (0, 1)
        )

    def __len__(self) -> int:
        return len(self.draws)

    @property
    def most_draws(self) -> int:
        """How often the people were enrolled, at most."""
        return max(map(len, self.draws.values()), default=1)

    def pooled(self, people: NDArray[np.intp] | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the scores of all people, or of those of the given numbers, each as often as it is named."""
        chosen = range(len(self)) if people is None else people.tolist()
        return (
            np.concatenate([self._genuine[i] for i in chosen]),
            np.concatenate([self._forged[i] for i in chosen]),
        )

    def eer(self, people: NDArray[np.intp] | None = None) -> float:
        """Return the EER of the pooled scores as a share."""
        return eer(*self.pooled(people))


def against(pairs: Pairs, *, threshold: float | None, seed: int) -> Against | None:
    """Return the figures of one scorer against one kind of forgery, None where nobody was forged."""
    if not len(pairs):
        return None
    genuine, forged = pairs.pooled()
    error, where = equal_error(genuine, forged)
    low, high = bootstrap(len(pairs), pairs.eer, seed=seed)
    return Against(
        people=len(pairs),
        genuine=len(genuine),
        forgeries=len(forged),
        eer=percent(error),
        eer_interval=(percent(low), percent(high)),
        eer_threshold=round(where, 6),
        eer_per_user=percent(
            float(np.mean([np.mean([eer(*scores) for scores in draws]) for draws in pairs.draws.values()]))
        ),
        fnmr_at_fmr={f"{100 * limit:g}": percent(fnmr_at_fmr(genuine, forged, limit)) for limit in FMR_LIMITS},
        auc=round(auc(genuine, forged), 6),
        at_threshold=None if threshold is None else at_threshold(genuine, forged, threshold, draws=pairs.most_draws),
    )


def at_threshold(
    genuine: NDArray[np.float64], forged: NDArray[np.float64], threshold: float, *, draws: int = 1
) -> AtThreshold:
    """Count errors at a threshold that was fixed before.

    Args:
        genuine: Scores.
        forged: Scores.
        threshold: A score at or above it is a match.
        draws: How often each attempt was made, against other references: that is no new evidence.
    """
    found = rates(genuine, forged, threshold)
    right = (1 - found.fnmr) * len(genuine) + (1 - found.fmr) * len(forged)
    return AtThreshold(
        threshold=round(threshold, 6),
        far=percent(found.fmr),
        far_bound=percent(found.fmr or zero_errors_bound(len(forged) // draws)),
        frr=percent(found.fnmr),
        aer=percent((found.fmr + found.fnmr) / 2),
        accuracy=percent(right / (len(genuine) + len(forged))),
    )


def difference(names: tuple[str, str], pairs: tuple[Pairs, Pairs], *, seed: int) -> Difference:
    """Compare two scorers on the same people; the bootstrap draws the same people for both."""
    one, other = pairs
    low, high = bootstrap(len(one), lambda people: one.eer(people) - other.eer(people), seed=seed)
    return Difference(scorers=names, eer=percent(one.eer() - other.eer()), interval=(percent(low), percent(high)))


def percent(share: float) -> float:
    """Return a share in percent, rounded to what can be told apart."""
    return round(100 * share, _DIGITS)
