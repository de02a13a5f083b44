"""Calibration: every formula by hand, and no evidence that breaks it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.errors import ModelError
from penlatch.signal.features import FEATURES
from penlatch.verify.artefacts import CALIBRATION, Artefacts
from penlatch.verify.calibrate import (
    MAX_Z,
    Calibration,
    Evidence,
    Logistic,
    Population,
    Spread,
    own_spread,
    terms,
    z_scores,
)

G = len(FEATURES)
WIDE = Spread(mean=np.log(0.5), least=np.log(0.25), most=np.log(1.0))
POPULATION = Population(spread={"dtw": WIDE}, deviation=(1.0,) * G)
BETWEEN = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]])


def evidence(to: Any, *, between: Any = BETWEEN, features: Any = 0.0, references: Any = None) -> Evidence:
    return Evidence(
        to_references={"dtw": np.asarray(to, dtype=np.float64)},
        between_references={"dtw": np.asarray(between, dtype=np.float64)},
        features=np.broadcast_to(np.asarray(features, dtype=np.float64), (*np.shape(to)[:-1], G)),
        reference_features=np.zeros((len(between), G)) if references is None else references,
    )


# --- Distances --------------------------------------------------------------------------------------------


def test_the_spread_of_references_by_hand() -> None:
    # Off the diagonal: mean 2; least of each row 1, 1, 2; mean of each row 1.5, 2, 2.5.
    spread = own_spread(BETWEEN, None, floor=0.0)
    assert spread.mean == pytest.approx(np.log(2))
    assert spread.least == pytest.approx(np.log(4 / 3))
    assert spread.most == pytest.approx(np.log(2.5))


def test_the_population_counts_as_two_pairs() -> None:
    spread = own_spread(BETWEEN, WIDE, floor=0.0)
    # Three pairs of references, so the population has 2 parts of 5.
    assert spread.mean == pytest.approx(0.6 * np.log(2) + 0.4 * np.log(0.5))


def test_one_reference_has_the_spread_of_the_population() -> None:
    assert own_spread(np.zeros((1, 1)), WIDE, floor=0.0) == WIDE


def test_terms_of_distances_by_hand() -> None:
    spread = own_spread(BETWEEN, WIDE, floor=1e-3)
    found = terms(evidence([1.0, 2.0, 6.0]), POPULATION)
    assert found["dtw_mean"] == pytest.approx(np.log(3.001) - spread.mean)
    assert found["dtw_least"] == pytest.approx(np.log(1.001) - spread.least)
    assert found["dtw_most"] == pytest.approx(np.log(6.001) - spread.most)
    assert found["dtw_spread"] == pytest.approx(spread.mean)


def test_many_queries_at_once_are_each_alone() -> None:
    rng = np.random.default_rng(1)
    to, features = rng.random((4, 3)), rng.normal(size=(4, G))
    together = terms(evidence(to, features=features), POPULATION)
    for i in range(4):
        alone = terms(evidence(to[i], features=features[i]), POPULATION)
        assert alone.keys() == together.keys()
        assert all(alone[name] == pytest.approx(together[name][i]) for name in alone)


# --- Global features --------------------------------------------------------------------------------------


def test_z_scores_by_hand() -> None:
    references = np.zeros((3, G))
    references[:, 0] = [-1.0, 0.0, 1.0]
    z = z_scores(evidence([1.0, 1.0, 1.0], features=2.0, references=references), POPULATION)
    # Own squares 2, population 3 x 1; degrees 3 + 3 - 1 = 5; a mean over three: 1 + 1/3.
    assert z[0] == pytest.approx(2 / np.sqrt((3 + 2) / 5 * 4 / 3))
    assert z[1] == pytest.approx(2 / np.sqrt(3 / 5 * 4 / 3))


def test_beyond_six_deviations_further_is_no_more_surprising() -> None:
    z = z_scores(evidence([1.0, 1.0, 1.0], features=1e6), POPULATION)
    assert (z == MAX_Z).all()


# --- The logistic model -----------------------------------------------------------------------------------


def test_a_logit_by_hand() -> None:
    model = Logistic(terms=("a", "b"), mean=(1.0, 0.0), scale=(2.0, 1.0), weight=(-1.0, -0.5), intercept=0.25)
    assert model.logit({"a": np.array(4.0), "b": np.array(1.0), "c": np.array(9.0)}) == pytest.approx(0.25 - 1.5 - 0.5)
    # 100 is clipped to four scales.
    assert model.logit({"a": np.array(1.0), "b": np.array(100.0)}) == pytest.approx(0.25 - 2.0)


finite = st.floats(0, 1e6, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(
    to=st.lists(finite, min_size=3, max_size=3),
    between=st.lists(finite, min_size=3, max_size=3),
    feature=st.floats(-1e9, 1e9),
)
def test_whatever_the_evidence_the_probability_is_a_number(
    to: list[float], between: list[float], feature: float
) -> None:
    shipped = Calibration.from_bytes(Artefacts.load().files[CALIBRATION], path="x")
    table = np.zeros((3, 3))
    table[np.triu_indices(3, 1)] = between
    scorers = ("bilstm_se", "fusion", "dtw")
    found = Evidence(
        to_references=dict.fromkeys(scorers, np.array(to)),
        between_references=dict.fromkeys(scorers, table + table.T),
        features=np.full(G, feature),
        reference_features=np.zeros((3, G)),
    )
    values = terms(found, shipped.population)
    assert np.isfinite(shipped.genuine.logit(values))
    assert np.isfinite(shipped.agreement.logit(values))


# --- The file ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "value", "problem"),
    [
        (("format",), 9, "format 9"),
        (("features",), ["log_weight"], "other global features"),
        (("genuine", "weight"), [1.0], "different lengths"),
        (("population", "deviation"), [1.0], "different lengths"),
        (("genuine", "intercept"), "high", "damaged"),
    ],
)
def test_a_calibration_of_another_kind_is_refused(where: tuple[str, ...], value: object, problem: str) -> None:
    raw = json.loads(Artefacts.load().files[CALIBRATION])
    part = raw
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = value
    with pytest.raises(ModelError, match=problem):
        Calibration.from_bytes(msgspec.json.encode(raw), path="calibration.json")
