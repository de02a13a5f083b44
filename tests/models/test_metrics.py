"""Error rates, by examples small enough to count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.metrics import bootstrap, eer, equal_error, rates


def scores(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64)


def test_rates_count_a_score_at_the_threshold_as_a_match() -> None:
    counted = rates(scores(0.4, 0.5, 0.6, 0.9), scores(0.1, 0.5), 0.5)
    assert counted.fnmr == 0.25
    assert counted.fmr == 0.5


def test_perfect_separation_has_no_error() -> None:
    value, threshold = equal_error(scores(0.8, 0.9), scores(0.1, 0.2, 0.3))
    assert value == 0
    assert 0.3 < threshold <= 0.8


def test_total_confusion_is_all_error() -> None:
    assert eer(scores(0.1, 0.2), scores(0.8, 0.9)) == 1


def test_one_of_four_each() -> None:
    # At a threshold above 0.5: genuine 0.2 is refused (1 of 4), impostor 0.6 is let in (1 of 4).
    value, threshold = equal_error(scores(0.2, 0.7, 0.8, 0.9), scores(0.1, 0.3, 0.5, 0.6))
    assert value == 0.25
    assert 0.5 < threshold <= 0.6


def test_where_the_rates_never_meet_it_is_their_mean_where_they_are_closest() -> None:
    # Thresholds in (0.4, 0.5]: FNMR 1/3, FMR 1/2; in (0.5, 0.6]: FNMR 1/3, FMR 0. Closest: the first, by 1/6.
    assert eer(scores(0.3, 0.6, 0.7), scores(0.2, 0.5)) == pytest.approx((1 / 3 + 1 / 2) / 2)


def test_equal_scores_fall_together() -> None:
    assert eer(scores(0.5, 0.5), scores(0.5, 0.5)) == 0.5


values = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@settings(max_examples=100, deadline=None)
@given(genuine=values, impostor=values)
def test_the_threshold_gives_the_error(genuine: list[float], impostor: list[float]) -> None:
    value, threshold = equal_error(scores(*genuine), scores(*impostor))
    found = rates(scores(*genuine), scores(*impostor), threshold)
    assert (found.fmr + found.fnmr) / 2 == pytest.approx(value)


@settings(max_examples=50, deadline=None)
@given(genuine=values, impostor=values)
def test_a_monotone_scale_changes_nothing(genuine: list[float], impostor: list[float]) -> None:
    g, i = np.round(scores(*genuine), 6), np.round(scores(*impostor), 6)
    assert eer(g, i) == pytest.approx(eer(10 * g - 3, 10 * i - 3))


def test_the_bootstrap_draws_people_and_repeats_itself() -> None:
    good = (scores(0.9), scores(0.1))
    bad = (scores(0.1), scores(0.9))
    people = {str(n): good for n in range(9)} | {"x": bad}
    low, high = bootstrap(people, draws=300)
    assert (low, high) == bootstrap(people, draws=300)
    assert low == 0
    assert 0.1 < high < 0.6
    assert bootstrap({"a": good, "b": good}) == (0, 0)
