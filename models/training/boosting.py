"""Boosted trees by scikit-learn, as the plain columns that a terminal reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penlatch.verify.calibrate import Boosted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FORESTS: Final = 2
"""Models, of different random numbers, whose mean is taken."""
ROUNDS: Final = 150
RATE: Final = 0.05
LEAVES: Final = 8
LEAST_SAMPLES: Final = 60
"""In a leaf."""
PENALTY: Final = 10.0
"""L2, on leaf values."""
SHARE: Final = 0.4
"""Of the terms that each node may choose from."""
DIGITS: Final = 6
"""Significant digits of what is kept."""


def fit_boosted(
    names: Sequence[str], table: NDArray[np.float64], genuine: NDArray[np.bool_], weight: NDArray[np.float64]
) -> Boosted:
    """Fit trees to tell genuine from not; the same numbers every time.

    Args:
        names: of the columns.
        table: terms, float64 [samples, len(names)].
        genuine: what each sample is.
        weight: of each sample; their mean should be 1.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - half a second, not needed to read

    forests = [
        HistGradientBoostingClassifier(
            max_iter=ROUNDS,
            learning_rate=RATE,
            max_leaf_nodes=LEAVES,
            min_samples_leaf=LEAST_SAMPLES,
            l2_regularization=PENALTY,
            max_features=SHARE,
            early_stopping=False,
            random_state=seed,
        ).fit(table, genuine, sample_weight=weight)
        for seed in range(FORESTS)
    ]
    trees = [tree.nodes for forest in forests for (tree,) in forest._predictors]  # noqa: SLF001 - no public way
    return _columns(names, trees, intercept=float(np.mean([f._baseline_prediction for f in forests])))  # noqa: SLF001


def _columns(names: Sequence[str], trees: Sequence[NDArray[Any]], *, intercept: float) -> Boosted:
    roots = np.cumsum([0, *(len(nodes) for nodes in trees)])
    columns: dict[str, list[Any]] = {name: [] for name in ("term", "threshold", "left", "right", "value")}
    for root, nodes in zip(roots, trees, strict=False):
        leaf = nodes["is_leaf"].astype(bool)
        here = root + np.arange(len(nodes))
        columns["term"] += np.where(leaf, 0, nodes["feature_idx"]).tolist()
        columns["threshold"] += [_short(v) for v in np.where(leaf, 0.0, nodes["num_threshold"])]
        columns["left"] += np.where(leaf, here, root + nodes["left"]).tolist()
        columns["right"] += np.where(leaf, here, root + nodes["right"]).tolist()
        columns["value"] += [_short(v) for v in np.where(leaf, nodes["value"] / FORESTS, 0.0)]
    return Boosted(
        terms=tuple(names),
        roots=roots[:-1],
        depth=int(max(nodes["depth"].max() for nodes in trees)),
        intercept=intercept,
        **{name: np.array(values) for name, values in columns.items()},
    )


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
