"""Reasons: what about a signature disagreed with the references, and by how much, for people and never for P(genuine).

An aspect's disagreement is the root mean square of the z-scores of its features (see `calibrate.z_scores`); that of the
speed is their mean, since a hand that is faster moves all of them, each in the direction that is known. How much of it
is usual, and how much is rare, differs from aspect to aspect: many features of a shape never go astray together. The
excess is the same scale for all: 1 where one genuine signature in twenty goes beyond, 1 / e = 0.37 where every other
does, and a power of the disagreement between and beyond. The greatest comes first.

Tempo, pauses and duration depend on each other, so a feature belongs to an aspect by what moves it:

* **speed** is how fast the pen moves for the size of what it draws. Everything done slower is speed, and speed alone.
* **rhythm** is when things happen: how much of the time goes into pauses, and how the strokes share the rest.
  Everything done slower leaves these shares as they are.
* **shape**, **pressure** and **size** are what their features say; **tilt** is where the pen leans.

Features that other changes move as well (the duration; the share of rows that go to the right) belong to none. How
fast the pressure changes belongs to two: to the pressure, and, as one of many, to the speed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from penlatch.messages import Disagreement, Reason
from penlatch.signal.features import FEATURES
from penlatch.verify.calibrate import PRIOR_REFERENCES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

FASTER: Final[Mapping[str, float]] = {
    "log_mean_speed": 1.0,
    "log_mean_acceleration": 1.0,
    "log_max_acceleration": 1.0,
    "log_mean_jerk": 1.0,
    "log_beat": 1.0,
    "log_pressure_change": 1.0,
    "log_contact": -1.0,
}
"""The features of the speed, and in which direction a faster hand moves them."""
_RHYTHM: Final = ("pen_up_share", "longest_pause", "log_mean_pause", "longest_stroke", "half_way")


class Rarity(Protocol):
    """What is usual and what is rare for genuine signatures; a `Calibration` is one."""

    @property
    def surprise(self) -> Mapping[str, float]:
        """By aspect: the disagreement that one genuine signature in twenty exceeds."""

    @property
    def usual(self) -> Mapping[str, float]:
        """By aspect: the disagreement that every other exceeds."""


def _of_group(group: str) -> tuple[str, ...]:
    return tuple(feature.name for feature in FEATURES if feature.group == group)


ASPECTS: Final[Mapping[Reason, tuple[str, ...]]] = {
    Reason.SHAPE: _of_group("shape"),
    Reason.SPEED: tuple(FASTER),
    Reason.PRESSURE: _of_group("pressure"),
    Reason.RHYTHM: _RHYTHM,
    Reason.SIZE: _of_group("size"),
}
"""By aspect: the global features that tell of it."""

TILT_DEVIATION: Final = (0.038, 0.052)
"""Standard deviation of each of `signal.tilt.TILT` within a person, over two sittings: SVC2004 Task2, 40 people, 800
genuine signatures (`scripts/reasons --tilt`)."""
TILT_SURPRISE: Final = 3.46
"""The disagreement in tilt that one genuine signature in twenty exceeds; from the same people."""
TILT_USUAL: Final = 1.03
"""And that every other exceeds."""
MAX_TILT_Z: Final = 12.0
"""Beyond so many standard deviations, a pen held further round is no more of a surprise."""
DECIMALS: Final = 2
"""Digits of an excess that are told; more would be noise."""

_NAMES = [feature.name for feature in FEATURES]
_PLACES: Final = {aspect: np.array([_NAMES.index(name) for name in names]) for aspect, names in ASPECTS.items()}
_DIRECTION: Final = np.array(list(FASTER.values()))


def disagreements(z: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return how far each aspect is from the references, in standard deviations.

    Args:
        z: Of the global features, float64 [..., len(FEATURES)].

    Returns:
        By aspect: float64 [...].
    """
    found = {aspect.value: np.sqrt((z[..., places] ** 2).mean(axis=-1)) for aspect, places in _PLACES.items()}
    found[Reason.SPEED.value] = np.abs((z[..., _PLACES[Reason.SPEED]] * _DIRECTION).mean(axis=-1))
    return found


def tilt_disagreement(tilt: NDArray[np.float64], references: NDArray[np.float64]) -> float:
    """Return the same for the way the pen was held.

    Args:
        tilt: Of the query, float64 [len(TILT)].
        references: Of the references, float64 [n, len(TILT)].
    """
    n = len(references)
    mean = references.mean(axis=0)
    own = ((references - mean) ** 2).sum(axis=0)
    prior = PRIOR_REFERENCES * np.array(TILT_DEVIATION) ** 2
    deviation = np.sqrt((prior + own) / (PRIOR_REFERENCES + n - 1) * (1 + 1 / n))
    z = ((tilt - mean) / deviation).clip(-MAX_TILT_Z, MAX_TILT_Z)
    return float(np.sqrt((z**2).mean()))


def excess(disagreement: float, *, usual: float, surprise: float) -> float:
    """Return how rare a disagreement is: 1 at `surprise`, 1 / e at `usual`, a power of it everywhere.

    Where nothing greater than zero and less than the surprise is known as usual, it is the share of the surprise.
    """
    power = 1.0 / math.log(surprise / usual) if 0 < usual < surprise else 1.0
    return float((disagreement / surprise) ** power)


def rank(
    z: NDArray[np.float64],
    rarity: Rarity,
    *,
    tilt: NDArray[np.float64] | None = None,
    reference_tilt: NDArray[np.float64] | None = None,
) -> tuple[Disagreement, ...]:
    """Order the aspects of one signature, the one that disagrees most first.

    Args:
        z: Of its global features, float64 [len(FEATURES)].
        rarity: What is usual and what is rare.
        tilt: Its tilt features, float64 [len(TILT)]; None where the pen tells no tilt.
        reference_tilt: Those of the references, float64 [n, len(TILT)]; None where one of them has none.
    """
    found = {
        Reason(aspect): excess(float(value), usual=rarity.usual.get(aspect, 0.0), surprise=rarity.surprise[aspect])
        for aspect, value in disagreements(z).items()
    }
    if tilt is not None and reference_tilt is not None:
        found[Reason.TILT] = excess(tilt_disagreement(tilt, reference_tilt), usual=TILT_USUAL, surprise=TILT_SURPRISE)
    ordered = sorted(found.items(), key=lambda each: -each[1])
    return tuple(Disagreement(reason=reason, excess=round(value, DECIMALS)) for reason, value in ordered)


def choose(ranked: Sequence[Disagreement], *, match: bool) -> Reason:
    """Return the one reason of a judgement: what disagreed most; `AGREES` for a match in which nothing is rare."""
    if match and ranked[0].excess < 1.0:
        return Reason.AGREES
    return ranked[0].reason
