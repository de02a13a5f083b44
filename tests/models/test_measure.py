"""Measures: of everything that claims to be a person's, but for the references, at one threshold for all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from penlatch.signal.features import FEATURES
from penlatch.verify import dtw
from penlatch.verify.calibrate import (
    FORMAT,
    LEAST_SKILL,
    Boosted,
    Calibration,
    Logistic,
    Population,
    Skill,
    Spread,
    both,
    terms,
)
from training.comparisons import Comparisons
from training.measure import LEAST_TESTED, Scores, baseline, figures, judged, quoted, sittings, summary

if TYPE_CHECKING:
    from collections.abc import Sequence

NEAR: Final = Logistic(terms=("dtw_raw",), mean=(0.0,), scale=(1.0,), weight=(-1.0,), intercept=0.0)
"""Genuine where the mean distance is below 1."""
CALIBRATION: Final = Calibration(
    format=FORMAT,
    features=tuple(feature.name for feature in FEATURES),
    population=Population(spread={"dtw": Spread(mean=0.0, least=0.0, most=0.0)}, deviation=(1.0,) * len(FEATURES)),
    scorers=("dtw",),
    skill=Skill(
        logistic=NEAR,
        boosted=Boosted(
            terms=("dtw_raw",),
            roots=np.array([0]),
            term=np.array([0]),
            threshold=np.array([0.0]),
            left=np.array([0]),
            right=np.array([0]),
            value=np.array([0.0]),
            depth=0,
            intercept=0.0,
        ),
        shift=0.0,
    ),
    hand=NEAR,
    agreement=NEAR,
    surprise={},
)


def person(*, genuine: int = 10, sessions: Sequence[int] = (), user: str = "1", seed: int = 0) -> Comparisons:
    """Return someone whose genuine signatures are about 0.5 apart, forgeries 1.5 and strangers 4."""
    rng = np.random.default_rng(seed)
    kinds = np.repeat(["genuine", "skilled", "random"], [genuine, 6, 4])
    far = np.select([kinds == "genuine", kinds == "skilled"], [0.5, 1.5], 4.0)[:, np.newaxis]
    table = far * rng.uniform(0.8, 1.2, (len(kinds), genuine))
    table[:genuine] = (table[:genuine] + table[:genuine].T) / 2 * (1 - np.eye(genuine))
    return Comparisons(
        database="susig-visual",
        user=user,
        kinds=kinds,
        sessions=np.array([*sessions, *[0] * (len(kinds) - len(sessions))]),
        distances={"dtw": table},
        features=np.zeros((len(kinds), len(FEATURES))),
    )


def test_two_sittings_are_three_references_of_the_first_and_two_of_the_second() -> None:
    assert sittings(person(sessions=[1] * 5 + [2] * 5)) == [0, 1, 2, 5, 6]


@pytest.mark.parametrize("sessions", [[1] * 10, [0] * 10, [1] * 9 + [2], [1, 1] + [2] * 8])
def test_too_few_of_one_sitting_are_no_two_sittings(sessions: list[int]) -> None:
    assert sittings(person(sessions=sessions)) is None


def test_references_are_not_judged_by_themselves() -> None:
    chosen = [0, 3, 4]
    for scores in (judged(CALIBRATION, person(), chosen), baseline(person(), chosen)):
        assert {kind: len(found) for kind, found in scores.items()} == {"genuine": 7, "skilled": 6, "random": 4}


def test_judged_are_the_calibration_s_logits() -> None:
    one, chosen = person(), [0, 1, 2]
    values = terms(one.evidence(chosen), CALIBRATION.population)
    # Half of the skill is the logistic model, the trees say nothing.
    skill = np.logaddexp(-0.5 * values["dtw_raw"], LEAST_SKILL)
    expected = both(skill, -values["dtw_raw"])
    np.testing.assert_allclose(judged(CALIBRATION, one, chosen)["random"], expected[one.kinds == "random"])


def test_the_baseline_is_plain_warping_measured_by_the_references_own() -> None:
    one, chosen = person(), [0, 1, 2, 3]
    table = one.distances["dtw"]
    expected = [-dtw.normalised_score(table[k, chosen], table[np.ix_(chosen, chosen)]) for k in range(10, 16)]
    np.testing.assert_allclose(baseline(one, chosen)["skilled"], expected)


def test_the_baseline_of_one_reference_is_the_distance_as_it_stands() -> None:
    np.testing.assert_array_equal(baseline(person(), [2])["random"], -person().distances["dtw"][16:, 2])


def scores(genuine: Sequence[float], skilled: Sequence[float], random: Sequence[float]) -> Scores:
    return {"genuine": np.array(genuine), "skilled": np.array(skilled), "random": np.array(random)}


def test_a_summary_by_hand() -> None:
    # Apart for each person, but one person's forgeries lie where the other's genuine signatures do.
    people = [scores([2.0, 3.0], [1.0, 1.0], [-9.0]), scores([1.0, 1.0], [-1.0, -2.0], [-9.0, 0.5])]
    assert summary(people, threshold=0.0) == {
        "people": 2,
        "genuine": 4,
        "skilled": 4,
        "random": 3,
        "eer_random": 0.0,
        "eer_skilled": 25.0,
        "eer_skilled_per_user": 0.0,
        "fnmr": 0.0,
        "fmr_random": 33.33,
        "fmr_skilled": 50.0,
    }


def test_where_nobody_forged_there_is_no_figure_of_forgeries() -> None:
    found = summary([scores([1.0, 2.0], [], [-1.0])], threshold=0.0)
    assert not {name for name in found if "skilled" in name}
    assert found["eer_random"] == 0


def test_every_database_is_measured_by_one_three_and_five_references_and_two_sittings_where_it_has_them() -> None:
    one = person(sessions=[1] * 5 + [2] * 5)
    other = replace(person(user="2", seed=1), database="svc2004-task1")
    found = figures([(CALIBRATION, [one]), (CALIBRATION, [other])])
    by_count = {f"{database}, first {n}" for database in ("susig-visual", "svc2004-task1") for n in (1, 3, 5)}
    assert found.keys() == by_count | {"susig-visual, two sittings"}
    assert all(of.keys() == {"penlatch", "dtw"} for of in found.values())
    five = found["susig-visual, first 5"]["penlatch"]
    assert (five["people"], five["genuine"], five["skilled"], five["random"]) == (1, 5, 6, 4)


def test_whoever_has_too_few_left_is_not_measured() -> None:
    left = person(genuine=5 + LEAST_TESTED)
    fewer = person(genuine=4 + LEAST_TESTED, user="2")
    found = figures([(CALIBRATION, [left, fewer])])
    assert found["susig-visual, first 5"]["penlatch"]["people"] == 1
    assert found["susig-visual, first 3"]["penlatch"]["people"] == 2


def test_a_manifest_quotes_what_the_daemon_tells_people() -> None:
    one = {"penlatch": {"people": 40, "eer_skilled": 4.0, "fmr_skilled": 5.0}, "dtw": {"eer_skilled": 8.0}}
    two = {"penlatch": {"people": 39, "eer_skilled": 2.0}, "dtw": {"eer_skilled": 5.0}}
    told = quoted({"svc2004-task2, first 5": one, "svc2004-task2, two sittings": two})
    assert (told["two_sittings"]["one"], told["two_sittings"]["two"]) == (4.0, 2.0)
    assert "39 people" in told["two_sittings"]["data"]
    assert told["penlatch"]["threshold"] == 0.5
    assert told["measured"].keys() == {"svc2004-task2, first 5", "svc2004-task2, two sittings"}
