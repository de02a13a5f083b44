"""Boosted trees: the columns that a terminal reads say what scikit-learn says; needs scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

ensemble = pytest.importorskip(
    "sklearn.ensemble", reason="scikit-learn is not installed: scripts/train makes .venv-train, which has it"
)

from training import boosting  # noqa: E402 - after the skip
from training.boosting import FORESTS, fit_boosted  # noqa: E402 - likewise

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = ("a", "b", "c", "d")
ROUNDS = 25


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boosting, "ROUNDS", ROUNDS)


def samples(seed: int = 0, count: int = 1500) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Return terms on a grid, so that no sample lies on a threshold, whether genuine, and weights of mean 1."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(count, len(NAMES))).round(2)
    genuine = rng.random(count) < 1 / (1 + np.exp(-(2 * table[:, 0] - 3 * (table[:, 1] > 0.3) * table[:, 2])))
    weight = rng.uniform(0.5, 1.5, count)
    return table, genuine, weight / weight.mean()


def columns(table: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    return dict(zip(NAMES, table.T, strict=True))


def test_it_is_scikit_learn_s_decision_function() -> None:
    table, genuine, weight = samples()
    forests = [
        ensemble.HistGradientBoostingClassifier(
            max_iter=ROUNDS,
            learning_rate=boosting.RATE,
            max_leaf_nodes=boosting.LEAVES,
            min_samples_leaf=boosting.LEAST_SAMPLES,
            l2_regularization=boosting.PENALTY,
            max_features=boosting.SHARE,
            early_stopping=False,
            random_state=seed,
        ).fit(table, genuine, sample_weight=weight)
        for seed in range(FORESTS)
    ]
    model = fit_boosted(NAMES, table, genuine, weight)
    unseen = samples(seed=1)[0]
    for queries in (table, unseen):
        expected = np.mean([forest.decision_function(queries) for forest in forests], axis=0)
        np.testing.assert_allclose(model.logit(columns(queries)), expected, atol=1e-5)


def test_it_is_whole_and_has_all_trees() -> None:
    model = fit_boosted(NAMES, *samples())
    assert model.problem() is None
    assert len(model.roots) == FORESTS * ROUNDS
    assert model.terms == NAMES


def test_it_is_the_same_every_time() -> None:
    once, again = (msgspec.json.encode(fit_boosted(NAMES, *samples()), enc_hook=np.ndarray.tolist) for _ in range(2))
    assert once == again


def test_it_learns_what_no_sum_over_terms_can_say() -> None:
    table, _, weight = samples()
    genuine = (table[:, 0] > 0) ^ (table[:, 1] > 0)
    logits = fit_boosted(NAMES, table, genuine, weight).logit(columns(samples(seed=2)[0]))
    unseen = samples(seed=2)[0]
    assert ((logits > 0) == ((unseen[:, 0] > 0) ^ (unseen[:, 1] > 0))).mean() > 0.85


def test_a_sample_that_weighs_nothing_says_nothing() -> None:
    table, _, weight = samples()
    ignored = table[:, 3] > 0
    model = fit_boosted(NAMES, table, np.where(ignored, True, table[:, 0] > 0), np.where(ignored, 1e-9, weight))
    queries = samples(seed=3)[0]
    queries[:, 3] = 0.5
    assert ((model.logit(columns(queries)) > 0) == (queries[:, 0] > 0)).mean() > 0.9
