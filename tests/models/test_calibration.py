"""Fitting the calibration, on people made of numbers; its trees need scikit-learn."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from penlatch.signal.features import FEATURES
from penlatch.verify.calibrate import FLOOR, Calibration, own_spread, term_names, terms
from penlatch.verify.verifier import DISTANCES
from training import boosting, calibration
from training.calibration import (
    AGREEMENT_REFUSES,
    SCORERS,
    fit,
    fit_logistic,
    fit_population,
    hand_terms,
)
from training.comparisons import Comparisons
from training.measure import judged, summary
from training.plan import DEVELOPMENT

G = len(FEATURES)
GENUINE, SKILLED, RANDOM = 12, 8, 6
PEOPLE = 12
FOLDS = 3

with_trees = pytest.mark.skipif(
    importlib.util.find_spec("sklearn") is None,
    reason="scikit-learn is not installed: scripts/train makes .venv-train, which has it",
)


def person(number: int, rng: np.random.Generator) -> Comparisons:
    """Return someone whose forgers come half way between them and a stranger, in every scorer and feature."""
    own, other = rng.normal(size=(2, G))
    strangers = rng.normal(size=(RANDOM, G))
    spread = rng.uniform(0.15, 0.3)
    centers = np.vstack([np.repeat([own, 0.6 * own + 0.4 * other], [GENUINE, SKILLED], axis=0), strangers])
    places = centers + spread * rng.normal(size=centers.shape)
    # Scorers see different thirds of the places.
    distances = {}
    for k, scorer in enumerate(SCORERS):
        seen = places[:, k :: len(SCORERS)]
        distances[scorer] = np.sqrt(((seen[:, None] - seen[None, :GENUINE]) ** 2).mean(-1))
    return Comparisons(
        database="svc2004-task2",
        user=str(number),
        kinds=np.repeat(["genuine", "skilled", "random"], [GENUINE, SKILLED, RANDOM]),
        sessions=np.ones(len(places), dtype=np.int64),
        distances=distances,
        features=centers + 0.3 * rng.normal(size=centers.shape),
    )


@pytest.fixture(scope="module")
def people() -> list[Comparisons]:
    rng = np.random.default_rng(3)
    return [person(number, rng) for number in range(PEOPLE)]


@pytest.fixture(scope="module")
def fitted(people: list[Comparisons]) -> list[tuple[Calibration, list[Comparisons]]]:
    """Each third of the people with a calibration that has not met them."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(boosting, "ROUNDS", 20)
        return [(fit([p for p in people if int(p.user) % FOLDS != fold]), people[fold::FOLDS]) for fold in range(FOLDS)]


# --- The logistic model -----------------------------------------------------------------------------------


def test_a_logistic_model_finds_the_odds_it_was_made_with() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 2))
    genuine = rng.random(len(x)) < 1 / (1 + np.exp(-(0.5 - 2 * x[:, 0] + x[:, 1])))
    model = fit_logistic(("a", "b"), x, genuine, np.ones(len(x)), penalty=1e-6)
    assert np.array(model.weight) / np.array(model.scale) == pytest.approx([-2, 1], abs=0.08)
    assert model.logit({"a": np.array(0.0), "b": np.array(0.0)}) == pytest.approx(0.5, abs=0.08)


def test_a_weight_counts_like_repetition() -> None:
    x, genuine = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([True, False, True, False])
    twice = fit_logistic(("a",), np.vstack((x, x[:2])), np.append(genuine, genuine[:2]), np.ones(6), penalty=1e-6)
    heavy = fit_logistic(("a",), x, genuine, np.array([2.0, 2.0, 1.0, 1.0]), penalty=1e-6)
    for at in (0.0, 1.5, 3.0):
        assert heavy.logit({"a": np.array(at)}) == pytest.approx(twice.logit({"a": np.array(at)}), abs=1e-4)


def test_a_penalty_draws_weights_to_zero() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 1))
    free, bound = (
        fit_logistic(("a",), x, x[:, 0] > 0, np.ones(200), penalty=penalty).weight[0] for penalty in (1.0, 1000.0)
    )
    assert 0 < bound < 0.2 * free


# --- The population ---------------------------------------------------------------------------------------


def test_the_population_is_the_mean_over_people(people: list[Comparisons]) -> None:
    population = fit_population(people, SCORERS)
    for scorer in SCORERS:
        own = [own_spread(p.distances[scorer][:5, :5], None, floor=FLOOR[scorer]) for p in people]
        for name in ("mean", "least", "most"):
            assert getattr(population.spread[scorer], name) == pytest.approx(np.mean([getattr(o, name) for o in own]))
    # Every feature was made with the same deviation within a person.
    assert np.array(population.deviation) == pytest.approx(0.3, rel=0.35)


# --- The terms --------------------------------------------------------------------------------------------


def test_every_term_of_a_model_is_computed_at_a_door(people: list[Comparisons]) -> None:
    found = terms(people[0].evidence([0, 1, 2]), fit_population(people, SCORERS))
    for names in (term_names(SCORERS), hand_terms(SCORERS)):
        assert set(names) <= found.keys()
        assert len(set(names)) == len(names)


def test_a_door_runs_scorers_that_exist_and_every_database_has_a_weight() -> None:
    assert set(SCORERS) <= DISTANCES.keys()
    assert calibration.DATABASE.keys() == set(DEVELOPMENT)


# --- The whole calibration --------------------------------------------------------------------------------


@with_trees
def test_fitting_repeats_itself(people: list[Comparisons], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boosting, "ROUNDS", 3)
    assert fit(people[:6]).to_bytes() == fit(people[:6]).to_bytes()


@with_trees
def test_what_is_fitted_is_what_a_door_reads(fitted: list[tuple[Calibration, list[Comparisons]]]) -> None:
    for found, _ in fitted:
        read = Calibration.from_bytes(found.to_bytes(), path="calibration.json")
        assert read.to_bytes() == found.to_bytes()
        assert read.scorers == SCORERS


@with_trees
def test_half_is_where_both_errors_are_equally_frequent(
    fitted: list[tuple[Calibration, list[Comparisons]]],
) -> None:
    scores = [judged(found, one, range(5)) for found, tested in fitted for one in tested]
    figures = summary(scores, threshold=0.0)
    assert figures["eer_skilled"] < 20
    assert figures["fmr_random"] <= 5
    assert abs(figures["fnmr"] - figures["fmr_skilled"]) < 12


@with_trees
def test_few_references_are_worse_and_none_too_few(fitted: list[tuple[Calibration, list[Comparisons]]]) -> None:
    one, five = (
        summary([judged(found, p, range(count)) for found, tested in fitted for p in tested])["eer_skilled"]
        for count in (1, 5)
    )
    assert five <= one < 40


@with_trees
def test_an_enrolment_hardly_refuses_the_people_it_was_fitted_to(
    people: list[Comparisons], fitted: list[tuple[Calibration, list[Comparisons]]]
) -> None:
    found, strangers = fitted[0]
    for n in (1, 3):
        own, others = [], []
        for one in (p for p in people if p not in strangers):
            logits = found.agreement.logit(terms(one.evidence(range(n)), found.population))
            own.append(logits[one.kinds == "genuine"][n:])
            others.append(logits[one.kinds == "random"])
        assert (np.concatenate(own) >= 0).mean() > 1 - 5 * AGREEMENT_REFUSES
        assert (np.concatenate(others) < 0).mean() > 0.7


@with_trees
def test_a_disagreement_is_usual_for_half_and_a_surprise_from_one_in_twenty(
    fitted: list[tuple[Calibration, list[Comparisons]]],
) -> None:
    for found, _ in fitted:
        assert found.usual.keys() == found.surprise.keys()
        assert all(0 < found.usual[aspect] < found.surprise[aspect] for aspect in found.usual)


@with_trees
def test_forgeries_of_who_weighs_nothing_change_nothing(
    people: list[Comparisons], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boosting, "ROUNDS", 3)
    monkeypatch.setitem(calibration.DATABASE, "susig-blind", 0.0)
    rng = np.random.default_rng(9)
    names, share = term_names(SCORERS), {"genuine": 1.0, "skilled": 1.0}
    ignored = replace(person(99, rng), database="susig-blind")
    population = fit_population(people, SCORERS)
    tables = []
    for of in (people[:4], [*people[:4], ignored]):
        rng = np.random.default_rng(0)
        drawn = [calibration._samples(one, population, (5, 3), rng) for one in of]
        tables.append(calibration._table(names, drawn, share))
    for a, b in zip(*tables, strict=True):
        np.testing.assert_array_equal(a, b)
