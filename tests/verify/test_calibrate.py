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
    FLOOR,
    FORMAT,
    LEAST_SKILL,
    MAX_DEPTH,
    MAX_Z,
    SIGNED,
    Boosted,
    Calibration,
    Evidence,
    Logistic,
    Population,
    Skill,
    Spread,
    both,
    column,
    own_spread,
    terms,
    z_scores,
)
from penlatch.verify.verifier import DISTANCES

G = len(FEATURES)
WIDE = Spread(mean=np.log(0.5), least=np.log(0.25), most=np.log(1.0))
POPULATION = Population(spread={"dtw": WIDE}, deviation=(1.0,) * G)
BETWEEN = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]])


@pytest.fixture(scope="module")
def shipped() -> Calibration:
    return Calibration.from_bytes(Artefacts.load().files[CALIBRATION], path=CALIBRATION)


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
    assert found["dtw_raw"] == pytest.approx(np.log(3.001))


def test_every_scorer_has_a_floor_below_which_differences_are_noise() -> None:
    assert FLOOR.keys() == DISTANCES.keys()
    assert min(FLOOR.values()) > 0


def test_terms_tell_how_many_references_there_are() -> None:
    assert terms(evidence([1.0, 2.0, 6.0]), POPULATION)["references"] == 3
    assert terms(evidence([1.0], between=np.zeros((1, 1))), POPULATION)["references"] == 1


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


def test_terms_of_global_features_by_hand() -> None:
    found = terms(evidence([1.0, 1.0, 1.0], features=-2.0), POPULATION)
    # Nobody's references differ: population 3 x 1 over 5 degrees; a mean over three.
    z = 2 / np.sqrt(3 / 5 * 4 / 3)
    for name in ("z_mean", "z_rms", "z_top", "z_shape", "z_size", f"z_{SIGNED[0]}"):
        assert found[name] == pytest.approx(z)
    assert [found[f"s_{name}"] for name in SIGNED] == pytest.approx([-z] * len(SIGNED))


def test_own_variation_is_measured_by_the_population_s() -> None:
    references = np.zeros((3, G))
    references[:, 0] = [-3.0, 0.0, 3.0]
    assert terms(evidence([1.0, 1.0, 1.0], references=references), POPULATION)["own"] == pytest.approx(3 / np.sqrt(G))
    one = evidence([1.0], between=np.zeros((1, 1)))
    assert terms(one, POPULATION)["own"] == 0


# --- The logistic model -----------------------------------------------------------------------------------


def test_a_logit_by_hand() -> None:
    model = Logistic(terms=("a", "b"), mean=(1.0, 0.0), scale=(2.0, 1.0), weight=(-1.0, -0.5), intercept=0.25)
    assert model.logit({"a": np.array(4.0), "b": np.array(1.0), "c": np.array(9.0)}) == pytest.approx(0.25 - 1.5 - 0.5)
    # 100 is clipped to four scales.
    assert model.logit({"a": np.array(1.0), "b": np.array(100.0)}) == pytest.approx(0.25 - 2.0)


# --- Boosted trees ----------------------------------------------------------------------------------------


STUMPS = {
    # Tree 0: a <= 1 ? (b <= 0 ? -4 : 2) : 8. Tree 1: b <= 3 ? 0.5 : -0.5. A leaf leads to itself.
    "terms": ["a", "b"],
    "roots": [0, 5],
    "term": [0, 1, 0, 0, 0, 1, 0, 0],
    "threshold": [1.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0],
    "left": [1, 3, 2, 3, 4, 6, 6, 7],
    "right": [2, 4, 2, 3, 4, 7, 6, 7],
    "value": [0.0, 0.0, 8.0, -4.0, 2.0, 0.0, 0.5, -0.5],
    "depth": 2,
    "intercept": 0.25,
}


def trees(**changed: object) -> Boosted:
    return msgspec.convert({**STUMPS, **changed}, Boosted, dec_hook=column)


@pytest.mark.parametrize("shape", [Any, tuple[int, ...]])
@pytest.mark.parametrize("scalar", [np.intp, np.float64])
def test_a_column_holds_what_its_field_says_however_numpy_spells_the_shape(shape: Any, scalar: type) -> None:
    # numpy 1 says Any, numpy 2 a tuple, numpy 2.5 a type variable.
    assert column(np.ndarray[shape, np.dtype[scalar]], [1, 2]).dtype == scalar  # type: ignore[valid-type] # made here


@pytest.mark.parametrize(
    ("a", "b", "leaves"),
    [(0.0, -1.0, -4 + 0.5), (1.0, 0.0, -4 + 0.5), (1.0, 2.0, 2 + 0.5), (1.1, 0.0, 8 + 0.5), (9.0, 3.1, 8 - 0.5)],
)
def test_trees_by_hand(a: float, b: float, leaves: float) -> None:
    assert trees().logit({"a": np.array(a), "b": np.array(b), "c": np.array(0.0)}) == pytest.approx(0.25 + leaves)


def test_trees_judge_many_queries_as_they_judge_each() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-2, 5, (2, 4, 3))
    together = trees().logit({"a": a, "b": b})
    assert together.shape == (4, 3)
    alone = [[trees().logit({"a": a[i, j], "b": b[i, j]}) for j in range(3)] for i in range(4)]
    np.testing.assert_allclose(together, np.array(alone))


def test_steps_beyond_a_leaf_change_nothing() -> None:
    queries = {"a": np.linspace(-1, 3, 9), "b": np.linspace(4, -1, 9)}
    np.testing.assert_array_equal(trees(depth=MAX_DEPTH).logit(queries), trees().logit(queries))


def test_whole_trees_have_no_problem() -> None:
    assert trees().problem() is None


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        *(({name: []}, "different lengths") for name in ("term", "threshold", "left", "right", "value")),
        ({"roots": [0, 8]}, "lead nowhere"),
        ({"roots": [-1]}, "lead nowhere"),
        ({"left": [1, 3, 2, 3, 4, 6, 6, 8]}, "lead nowhere"),
        ({"right": [-1, 4, 2, 3, 4, 7, 6, 7]}, "lead nowhere"),
        ({"term": [2, 1, 0, 0, 0, 1, 0, 0]}, "not there"),
        ({"term": [-1, 1, 0, 0, 0, 1, 0, 0]}, "not there"),
        ({"terms": ["a"]}, "not there"),
        ({"depth": -1}, "not there"),
        ({"depth": MAX_DEPTH + 1}, "not there"),
        ({"depth": 1}, "deeper"),
        ({"left": [1, 0, 2, 3, 4, 6, 6, 7]}, "deeper"),
        ({"right": [2, 4, 2, 3, 2, 7, 6, 7]}, "deeper"),
    ],
)
def test_damaged_trees_say_what_is_wrong(changed: dict[str, object], problem: str) -> None:
    assert problem in str(trees(**changed).problem())


# --- Both questions ---------------------------------------------------------------------------------------


def test_skill_is_the_mean_of_both_models_and_a_shift() -> None:
    logistic = Logistic(terms=("b",), mean=(0.0,), scale=(1.0,), weight=(1.0,), intercept=3.0)
    skill = Skill(logistic=logistic, boosted=trees(), shift=-0.5)
    # The logistic model says 3 + 2, the trees 0.25 + 2 + 0.5.
    expected = np.logaddexp((5 + 2.75) / 2 - 0.5, LEAST_SKILL)
    assert skill.logit({"a": np.array(1.0), "b": np.array(2.0)}) == pytest.approx(expected)


@pytest.mark.parametrize("b", [-1e6, -50.0, -10.0])
def test_skill_gives_nobody_up_altogether(b: float) -> None:
    logistic = Logistic(terms=("b",), mean=(0.0,), scale=(1.0,), weight=(100.0,), intercept=0.0)
    skill = Skill(logistic=logistic, boosted=trees(), shift=0.0)
    assert skill.logit({"a": np.array(1.0), "b": np.array(b)}) == pytest.approx(LEAST_SKILL, abs=0.01)


@given(first=st.floats(-15, 15), second=st.floats(-15, 15))
def test_both_is_the_product_of_two_probabilities(first: float, second: float) -> None:
    found = both(np.array(first), np.array(second))
    expected = 1 / (1 + np.exp(-first)) / (1 + np.exp(-second))
    assert 1 / (1 + np.exp(-found)) == pytest.approx(expected, rel=1e-6)
    assert found == pytest.approx(both(np.array(second), np.array(first)))


@pytest.mark.parametrize(("first", "second", "expected"), [(2.0, 1e3, 2.0), (-1e3, 50.0, -1e3), (-1e4, -1e4, -2e4)])
def test_both_overflows_nowhere(first: float, second: float, expected: float) -> None:
    with np.errstate(over="raise"):
        assert both(np.array(first), np.array(second)) == pytest.approx(expected)


def test_genuine_is_whom_both_questions_are_answered_yes_for(shipped: Calibration) -> None:
    rng = np.random.default_rng(3)
    to = rng.uniform(0.01, 3, (20, 3))
    found = Evidence(
        to_references=dict.fromkeys(shipped.scorers, to),
        between_references=dict.fromkeys(shipped.scorers, BETWEEN),
        features=rng.normal(size=(20, G)),
        reference_features=np.zeros((3, G)),
    )
    values = terms(found, shipped.population)
    skill, hand, genuine = shipped.skill.logit(values), shipped.hand.logit(values), shipped.genuine(values)
    np.testing.assert_allclose(genuine, both(skill, hand))
    assert (genuine <= np.minimum(skill, hand)).all()


finite = st.floats(0, 1e6, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(
    to=st.lists(finite, min_size=3, max_size=3),
    between=st.lists(finite, min_size=3, max_size=3),
    feature=st.floats(-1e9, 1e9),
)
def test_whatever_the_evidence_the_probability_is_a_number(
    shipped: Calibration, to: list[float], between: list[float], feature: float
) -> None:
    table = np.zeros((3, 3))
    table[np.triu_indices(3, 1)] = between
    found = Evidence(
        to_references=dict.fromkeys(shipped.scorers, np.array(to)),
        between_references=dict.fromkeys(shipped.scorers, table + table.T),
        features=np.full(G, feature),
        reference_features=np.zeros((3, G)),
    )
    values = terms(found, shipped.population)
    assert np.isfinite(shipped.genuine(values))
    assert np.isfinite(shipped.agreement.logit(values))


# --- The file ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "value", "problem"),
    [
        (("format",), 9, "format 9"),
        (("format",), 1, f"format 1, this is {FORMAT}"),
        (("features",), ["log_weight"], "other global features"),
        (("skill", "logistic", "weight"), [1.0], "different lengths"),
        (("hand", "mean"), [1.0], "different lengths"),
        (("agreement", "scale"), [1.0], "different lengths"),
        (("skill", "boosted", "value"), [1.0], "different lengths"),
        (("skill", "boosted", "roots"), [10**6], "lead nowhere"),
        (("skill", "boosted", "depth"), 65, "not there"),
        (("skill", "boosted", "left"), [0.5], "damaged"),
        (("skill", "boosted", "left"), [2**63], "damaged"),
        (("skill", "boosted", "value"), [[1.0]], "damaged"),
        (("skill", "boosted", "value"), ["1"], "damaged"),
        (("skill", "boosted", "threshold"), 1.0, "damaged"),
        (("scorers",), ["bilstm_se", "graphology"], "its scorers are not those"),
        (("population", "deviation"), [1.0], "different lengths"),
        (("skill", "shift"), "high", "damaged"),
        (("genuine",), {}, "damaged"),
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
