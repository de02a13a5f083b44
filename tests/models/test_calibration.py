"""Fitting the calibration, on people made of numbers."""

from __future__ import annotations

import numpy as np
import pytest

from penlatch.signal.features import FEATURES
from penlatch.verify import fusion
from penlatch.verify.calibrate import terms
from penlatch.verify.verifier import Analysis
from support.drawings import scrawl
from training.calibration import Comparisons, fit, fit_logistic
from training.evaluate import calibrated_scores, fold_calibrations, summary

G = len(FEATURES)
STROKES = [fusion.prepare(scrawl(seed)) for seed in range(6)]


def analysis(
    rng: np.random.Generator, center: np.ndarray[tuple[int, ...], np.dtype[np.float64]], spread: float
) -> Analysis:
    """Return a signature whose features and sequences lie `spread` around a center."""
    embedding = center[:8] + spread * rng.normal(size=8)
    return Analysis(
        features=np.resize(center, G) + spread * rng.normal(size=G),
        prepared={
            "bilstm_se": (embedding / np.linalg.norm(embedding)).astype(np.float32),
            "fusion": STROKES[int(rng.integers(len(STROKES)))],
            "dtw": (np.resize(center, (20, 5)) + spread * rng.normal(size=(20, 5))).astype(np.float32),
        },
    )


@pytest.fixture(scope="module")
def people() -> list[Comparisons]:
    """Ten people; forgers come half way between them and a stranger."""
    rng = np.random.default_rng(3)
    found = []
    for number in range(10):
        own, other = rng.normal(size=40), rng.normal(size=40)
        found.append(
            Comparisons.of(
                str(number),
                genuine=[analysis(rng, own, 0.2) for _ in range(12)],
                skilled=[analysis(rng, 0.75 * own + 0.25 * other, 0.2) for _ in range(8)],
                random=[analysis(rng, rng.normal(size=40), 0.2) for _ in range(6)],
                candidates=10,
            )
        )
    return found


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


def test_the_table_of_fusion_costs_is_what_the_scorer_says(people: list[Comparisons]) -> None:
    person, chosen = people[0], [0, 2, 5]
    table = person.evidence(chosen).to_references["fusion"]
    for i in (1, 14, 23):
        expected = fusion.distances(person.fusion[i], [person.fusion[j] for j in chosen])
        assert table[i] == pytest.approx(expected)


def test_fitting_repeats_itself(people: list[Comparisons]) -> None:
    assert fit(people) == fit(people)


def test_half_is_where_both_errors_are_equally_frequent(people: list[Comparisons]) -> None:
    figures = summary(calibrated_scores(fold_calibrations(people), references=5), threshold=0.5)
    assert figures["eer_skilled"] < 20
    assert figures["fmr_random"] <= 5
    assert abs(figures["fnmr"] - figures["fmr_skilled"]) < 12


def test_nobody_is_judged_by_a_calibration_that_has_met_them(
    people: list[Comparisons], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []
    monkeypatch.setattr("training.evaluate.fit", lambda trained: seen.append({person.user for person in trained}))
    judged = [{person.user for person in tested} for _, tested in fold_calibrations(people)]
    assert all(not met & tested for met, tested in zip(seen, judged, strict=True))
    assert sorted(user for tested in judged for user in tested) == sorted(person.user for person in people)


def test_an_enrolment_hardly_refuses_the_people_it_was_fitted_to(people: list[Comparisons]) -> None:
    calibration = fit(people)
    for n in (1, 3):
        for person in people:
            found = calibration.agreement.logit(terms(person.evidence(range(n)), calibration.population))
            own, others = found[person.kinds == "genuine"][n:], found[person.kinds == "random"]
            assert (own >= 0).mean() > 0.7
            assert (others < 0).mean() > 0.7
