"""Figures, by people few enough to count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.drawings import scrawl
from training.evaluation.figures import Pairs, against, at_threshold, difference
from training.evaluation.scoring import Scored
from training.evaluation.unseen import Choice
from training.evaluation.worst import PER_PERSON, SHOWN, worst_cases
from training.records import Record

MODELS = Choice(folder=Path("models"), name="models", why="fold", fold=0)
TRACE = scrawl(0)


def person(
    user: str,
    genuine: list[float],
    skilled: list[float],
    random: list[float] | None = None,
    *,
    draw: int = 0,
    met: bool = False,
    scorer: str = "fused",
) -> Scored:
    random = random or []
    kinds = ["genuine"] * len(genuine) + ["skilled"] * len(skilled) + ["random"] * len(random)
    attempts = tuple(
        Record(database="index", user=user, kind="genuine", session=1, index=i, trace=TRACE) for i in range(len(kinds))
    )
    values = np.array([*genuine, *skilled, *random], dtype=np.float64)
    return Scored(
        user=user,
        draw=draw,
        choice=MODELS,
        threshold=0.5,
        references=attempts[:1],
        attempts=attempts,
        kinds=np.array(kinds, dtype=np.str_),
        met=np.array([kind == "random" and met for kind in kinds]),
        nearest=np.zeros(len(kinds), dtype=np.intp),
        scores={scorer: values, "dtw": values - 1, "swapped": np.negative(values)},
    )


ADA = person("ada", [0.8, 0.9, 0.6, 0.7], [0.1, 0.2, 0.3, 0.65])
BOB = person("bob", [0.4, 0.5], [0.1, 0.2])


def test_a_common_threshold_pools_people_and_one_of_their_own_does_not() -> None:
    found = against(Pairs([ADA, BOB], "fused", "skilled"), threshold=0.5, seed=0)
    assert found is not None
    assert (found.people, found.genuine, found.forgeries) == (2, 6, 6)
    # From 0.4 on: no genuine one refused, 0.65 let in: 0 and 1/6. From 0.5 on: 1/6 and 1/6.
    assert found.eer == pytest.approx(100 / 6, abs=0.001)
    # Ada: above 0.6 one of four is refused, one let in: 1/4. Bob: 0.
    assert found.eer_per_user == 12.5
    assert found.eer_interval[0] <= found.eer <= found.eer_interval[1]
    assert found.fnmr_at_fmr == {"1": 50.0, "0.1": 50.0}, "above 0.65: 0.4, 0.5 and 0.6 are refused"
    # 36 pairs; 0.65 is above 0.4, 0.5, 0.6: three are the wrong way round.
    assert found.auc == pytest.approx(33 / 36, abs=1e-6)


def test_errors_at_a_fixed_threshold() -> None:
    found = at_threshold(np.array([0.4, 0.5, 0.9]), np.array([0.1, 0.5]), 0.5)
    assert found.frr == pytest.approx(100 / 3, abs=0.001)
    assert found.far == 50
    assert found.aer == pytest.approx((100 / 3 + 50) / 2, abs=0.001)
    assert found.accuracy == 60, "2 + 1 of 5"
    assert found.far_bound == found.far


def test_no_false_match_is_no_proof_that_there_is_none() -> None:
    found = at_threshold(np.array([0.9]), np.full(1500, 0.1), 0.5)
    assert found.far == 0
    assert found.far_bound == 0.2, "3 / 1500"
    repeated = at_threshold(np.array([0.9]), np.full(1500, 0.1), 0.5, draws=10)
    assert repeated.far_bound == 2.0, "150 forgeries, each compared ten times"


def test_a_scorer_without_a_threshold_has_no_errors_at_one() -> None:
    found = against(Pairs([ADA], "dtw", "skilled"), threshold=None, seed=0)
    assert found is not None
    assert found.at_threshold is None


def test_whoever_was_not_forged_is_not_counted() -> None:
    unforged = person("eve", [0.1, 0.1], [])
    assert len(Pairs([ADA, unforged], "fused", "skilled")) == 1
    assert against(Pairs([unforged], "fused", "skilled"), threshold=0.5, seed=0) is None


def test_draws_of_one_person_are_that_person() -> None:
    pairs = Pairs([ADA, person("ada", [0.9], [0.95], draw=1), BOB], "fused", "skilled")
    assert len(pairs) == 2
    found = against(pairs, threshold=None, seed=0)
    assert found is not None
    # Ada's draws: 1/4 and 1, their mean 5/8; Bob: 0.
    assert found.eer_per_user == pytest.approx(100 * (5 / 8 + 0) / 2, abs=0.001)


def test_forgers_whom_the_models_have_met_can_be_left_out() -> None:
    trials = [person("ada", [0.9], [], [0.1], met=True), person("bob", [0.9], [], [0.2, 0.3])]
    assert len(Pairs(trials, "fused", "random")) == 2
    assert Pairs(trials, "fused", "random", unmet=True).pooled()[1].tolist() == [0.2, 0.3]


def test_a_scorer_does_not_differ_from_itself_on_another_scale() -> None:
    found = difference(
        ("fused", "dtw"), (Pairs([ADA, BOB], "fused", "skilled"), Pairs([ADA, BOB], "dtw", "skilled")), seed=0
    )
    assert (found.eer, found.interval) == (0, (0, 0))


def test_a_difference_is_the_first_less_the_second() -> None:
    trials = [person(f"u{n}", [0.8, 0.9], [0.1, 0.2]) for n in range(5)]
    found = difference(
        ("swapped", "fused"), (Pairs(trials, "swapped", "skilled"), Pairs(trials, "fused", "skilled")), seed=0
    )
    assert (found.eer, found.interval) == (100, (100, 100))


def test_the_worst_cases_are_those_most_wrong_and_of_several_people() -> None:
    trials = [person(f"u{n}", [0.1 * n, 0.05, 0.06, 0.9], [0.5 + 0.05 * n, 0.2], [0.3]) for n in range(5)]
    found = worst_cases(trials, "fused")
    genuine = [case.score for case in found["genuine"]]
    assert genuine == sorted(genuine)
    assert len(genuine) == SHOWN["genuine"]
    assert genuine[0] == 0
    users = [case.user for case in found["genuine"]]
    assert max(map(users.count, users)) == PER_PERSON
    assert [case.score for case in found["skilled"]][:2] == [0.7, 0.65]


def test_a_signature_tested_in_several_draws_is_shown_once() -> None:
    trials = [person("ada", [0.1], [0.9], draw=draw) for draw in range(3)]
    assert [len(cases) for cases in worst_cases(trials, "fused").values()] == [1, 1, 0]
