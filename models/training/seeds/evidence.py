"""Evidence for a user whose forgers are known: how near a signature is to the genuine ones, and how near to the forged.

A user's training signatures are 15 genuine ones and 15 forgeries. What a classifier learns from must look like what it
will be asked, so every training signature is compared with the others only:

* a genuine one not with itself;
* a forgery with no forgery of the same forger: SVC2004's forgers seem to have written four each, S21-S24, S25-S28,
  and so on (distances between the training forgeries jump at these cuts), and most forgeries tested are by
  somebody new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from penlatch.signal.channels import DTW_ROWS, sequence
from penlatch.signal.features import global_features
from penlatch.verify import dtw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from penlatch.signal.preprocess import Ink

TRAINED: Final = 15
"""First signatures of either class of a user that train."""
BY_ONE_FORGER: Final = 4
"""Forgeries in a row that one forger wrote."""

ALIGNMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "pressure": ("p", "dp", "log_speed"),
    "movement": ("dx", "dy", "dp", "log_speed", "cos", "sin", "turn", "acceleration"),
}
"""Channels of time warpings beside the plain one, each divided by its standard deviation over training signatures."""
_FLOOR: Final = 1e-3
"""Added to distances before a logarithm."""
_SPREAD_FLOOR: Final = 0.05
"""Added to deviations of logarithms of distances."""
_NEAREST: Final = 3
_STRENGTH: Final = 0.3
"""Of the ridge in `_ridge`, beside a kernel of mean 1 on its diagonal."""
_MOST_Z: Final = 6.0
_TOP: Final = 8
"""How many of the strangest global features are looked at apart."""
_CONSTANT: Final = 1e-6


class User(NamedTuple):
    """One user's signatures compared with those that train."""

    genuine: int
    """How many of the signatures are genuine; they come first."""
    distances: Mapping[str, NDArray[np.float64]]
    """By alignment, float64 [signatures, 2 TRAINED]: to the genuine and to the forged ones that train."""
    features: NDArray[np.float64]
    """Global features, float64 [signatures, features]."""

    @property
    def trains(self) -> NDArray[np.intp]:
        """Rows of the signatures that train, in the order of the columns of `distances`."""
        return np.concatenate([np.arange(TRAINED), self.genuine + np.arange(TRAINED)])

    @property
    def tested(self) -> NDArray[np.intp]:
        """Rows of the others."""
        return np.setdiff1d(np.arange(len(self.features)), self.trains)

    def comparable(self) -> NDArray[np.bool_]:
        """Tell which training signatures each signature may be compared with, bool [signatures, 2 TRAINED]."""
        rows = np.arange(len(self.features))
        own = rows[:, None] == self.trains
        forger = np.where(rows < self.genuine, -1, (rows - self.genuine) // BY_ONE_FORGER)
        same = (forger[:, None] == forger[self.trains]) & (forger[:, None] >= 0)
        # Who wrote a tested forgery is not known.
        same[self.tested] = False
        return np.asarray(~own & ~same)


def scales(inks: Sequence[Sequence[Ink]], *, genuine: int) -> dict[str, NDArray[np.float32]]:
    """Return the standard deviation of each alignment's channels over the training signatures of all users."""
    training = [user[i] for user in inks for i in (*range(TRAINED), *range(genuine, genuine + TRAINED))]
    found = {}
    for name, channels in ALIGNMENTS.items():
        deviation = np.concatenate([_rows(ink, channels) for ink in training]).std(axis=0)
        found[name] = np.where(deviation > _CONSTANT, deviation, 1.0).astype(np.float32)
    return found


def compare(inks: Sequence[Ink], scale: Mapping[str, NDArray[np.float32]], *, genuine: int) -> User:
    """Compare one user's signatures with those of them that train.

    Args:
        inks: Genuine ones, then forgeries, in the order of the database; more than TRAINED of each.
        scale: What `scales` gave.
        genuine: How many of them are genuine.
    """
    prepared = {"plain": [dtw.prepare(ink) for ink in inks]} | {
        name: [_rows(ink, channels) / scale[name] for ink in inks] for name, channels in ALIGNMENTS.items()
    }
    trains = [*range(TRAINED), *range(genuine, genuine + TRAINED)]
    return User(
        genuine=genuine,
        distances={
            name: np.stack([dtw.distances(row, [rows[i] for i in trains]) for row in rows])
            for name, rows in prepared.items()
        },
        features=np.stack([global_features(ink) for ink in inks]),
    )


def _rows(ink: Ink, channels: Sequence[str]) -> NDArray[np.float32]:
    return sequence(ink, channels=channels, length=min(max(len(ink), 2), DTW_ROWS))


def spread_of_features(users: Sequence[User]) -> NDArray[np.float64]:
    """Return how much each global feature varies within a user's genuine training signatures, over users."""
    deviation = np.sqrt(np.mean([user.features[:TRAINED].var(axis=0) for user in users], axis=0))
    return np.where(deviation > _CONSTANT, deviation, 1.0)


def terms(user: User, spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn comparisons into what the classifier sees, the same for every user.

    For every alignment, with logarithms of distances to the genuine (g) and to the forged (f) ones: mean, least and
    mean of the three least of g, each beside the same among the other genuine ones and beside that of f, the three
    least of f beside the user's own, and by how many of the user's own deviations each of the three of g lies out. Of
    the global features: a ridge regression of the two classes, mean distance to the genuine ones [their spreads], and
    that of the strangest eight.

    Args:
        user: Whose.
        spread: What `spread_of_features` gave.

    Returns:
        float64 [signatures, 10 x alignments + 3].
    """
    may = user.comparable()
    columns = [_distance_terms(table, may) for table in user.distances.values()]
    return np.column_stack([*columns, _ridge(user, spread, may), _strangeness(user, spread, may)])


def _distance_terms(table: NDArray[np.float64], may: NDArray[np.bool_]) -> NDArray[np.float64]:
    genuine, forged = (_profile(table[:, half], may[:, half]) for half in (slice(0, TRAINED), slice(TRAINED, None)))
    own = [_own_profiles(table[:TRAINED, :TRAINED], without=row) for row in range(TRAINED)]
    own += [_own_profiles(table[:TRAINED, :TRAINED])] * (len(table) - TRAINED)
    mean = np.array([np.log(np.exp(profiles).mean(axis=0)) for profiles in own])
    middle = np.array([profiles.mean(axis=0) for profiles in own])
    deviation = np.array([profiles.std(axis=0) for profiles in own])
    outlying = (genuine - middle) / (deviation + _SPREAD_FLOOR)
    return np.column_stack([genuine - mean, genuine - forged, forged[:, 2] - mean[:, 2], outlying])


def _profile(table: NDArray[np.float64], may: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return logarithms of mean, least and mean of the three least distances that may be looked at, [signatures, 3]."""
    ordered = np.sort(np.where(may, table, np.inf), axis=1)
    mean = np.where(may, table, 0.0).sum(axis=1) / may.sum(axis=1)
    profile = np.column_stack([mean, ordered[:, 0], ordered[:, :_NEAREST].mean(axis=1)])
    return np.asarray(np.log(profile + _FLOOR))


def _own_profiles(between: NDArray[np.float64], *, without: int | None = None) -> NDArray[np.float64]:
    """Return the profiles of the genuine training signatures among each other, as if one of them had never been."""
    kept = np.arange(TRAINED) != without if without is not None else np.ones(TRAINED, dtype=np.bool_)
    others = kept & ~np.eye(TRAINED, dtype=np.bool_)
    return _profile(between[kept], others[kept])


def _ridge(user: User, spread: NDArray[np.float64], may: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Regress the class (+1 genuine, -1 forged) on the global features of those that each may be compared with."""
    z = ((user.features - user.features[:TRAINED].mean(axis=0)) / spread).clip(-_MOST_Z, _MOST_Z)
    kernel = z @ z.T / z.shape[1] + 1.0
    sign = np.where(np.arange(2 * TRAINED) < TRAINED, 1.0, -1.0)
    found = np.empty(len(z))
    for row, those in enumerate(may):
        rows, target = user.trains[those], sign[those]
        # Both classes weigh the same, however many are left of each.
        easing = np.where(target > 0, (target > 0).sum(), (target < 0).sum()) / TRAINED
        weights = np.linalg.solve(kernel[np.ix_(rows, rows)] + _STRENGTH * np.diag(easing), target)
        found[row] = kernel[row, rows] @ weights
    return found


def _strangeness(user: User, spread: NDArray[np.float64], may: NDArray[np.bool_]) -> NDArray[np.float64]:
    own = may[:, :TRAINED, None]
    references = user.features[None, :TRAINED]
    mean = np.where(own, references, 0.0).sum(axis=1) / own.sum(axis=1)
    deviation = np.sqrt(np.where(own, (references - mean[:, None]) ** 2, 0.0).sum(axis=1) / own.sum(axis=1))
    z = np.minimum(np.abs(user.features - mean) / ((spread + deviation) / 2), _MOST_Z)
    return np.column_stack([z.mean(axis=1), np.sort(z, axis=1)[:, -_TOP:].mean(axis=1)])
