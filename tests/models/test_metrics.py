"""Error rates, by examples small enough to count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.metrics import auc, bootstrap, curve, eer, equal_error, fnmr_at_fmr, rates, zero_errors_bound


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


def test_the_curve_lists_both_errors_at_every_score_and_above_all() -> None:
    found = curve(scores(0.4, 0.8), scores(0.2, 0.4))
    assert found.threshold[:3].tolist() == [0.2, 0.4, 0.8]
    assert found.fmr.tolist() == [1.0, 0.5, 0.0, 0.0]
    assert found.fnmr.tolist() == [0.0, 0.0, 0.5, 1.0]


def test_fnmr_at_a_limit_of_fmr() -> None:
    genuine, impostor = scores(0.2, 0.5, 0.7, 0.9), scores(0.1, 0.3, 0.4, 0.6)
    # FMR 1/4 is reached above 0.4, where only 0.2 is refused; none matches above 0.6, where 0.5 is refused too.
    assert fnmr_at_fmr(genuine, impostor, 0.25) == 0.25
    assert fnmr_at_fmr(genuine, impostor, 0.1) == 0.5
    assert fnmr_at_fmr(genuine, impostor, 1.0) == 0


def test_auc_is_how_often_the_genuine_score_is_the_greater() -> None:
    assert auc(scores(0.8, 0.9), scores(0.1, 0.2)) == 1
    assert auc(scores(0.1), scores(0.9)) == 0
    # Pairs: 0.5 > 0.3, 0.5 = 0.5 (half), 0.4 > 0.3, 0.4 < 0.5.
    assert auc(scores(0.5, 0.4), scores(0.3, 0.5)) == pytest.approx(2.5 / 4)


def test_no_error_in_three_hundred_attempts_excludes_one_percent() -> None:
    assert zero_errors_bound(300) == pytest.approx(0.01)
    assert zero_errors_bound(2) == 1


@settings(max_examples=50, deadline=None)
@given(genuine=values, impostor=values)
def test_a_curve_runs_from_all_to_nobody(genuine: list[float], impostor: list[float]) -> None:
    found = curve(scores(*genuine), scores(*impostor))
    assert (found.fmr[0], found.fnmr[0]) == (1, 0)
    assert (found.fmr[-1], found.fnmr[-1]) == (0, 1)
    assert (np.diff(found.fmr) <= 0).all()
    assert (np.diff(found.fnmr) >= 0).all()


@settings(max_examples=50, deadline=None)
@given(genuine=values, impostor=values)
def test_auc_of_the_negated_scores_is_the_complement(genuine: list[float], impostor: list[float]) -> None:
    g, i = scores(*genuine), scores(*impostor)
    assert auc(-g, -i) == pytest.approx(1 - auc(g, i))


@settings(max_examples=50, deadline=None)
@given(genuine=values, impostor=values, limit=st.floats(0, 1))
def test_a_stricter_limit_never_refuses_fewer(genuine: list[float], impostor: list[float], limit: float) -> None:
    g, i = scores(*genuine), scores(*impostor)
    assert fnmr_at_fmr(g, i, limit / 2) >= fnmr_at_fmr(g, i, limit)


def test_the_bootstrap_draws_people_and_repeats_itself() -> None:
    bad = np.array([True] + 9 * [False])
    low, high = bootstrap(10, lambda drawn: float(bad[drawn].mean()), draws=300)
    assert (low, high) == bootstrap(10, lambda drawn: float(bad[drawn].mean()), draws=300)
    assert low == 0
    assert 0.1 < high < 0.6
    assert bootstrap(2, lambda _: 0.25) == (0.25, 0.25)


def test_what_two_statistics_share_vanishes_from_their_difference() -> None:
    luck = np.random.default_rng(0).normal(size=12)
    assert bootstrap(12, lambda d: float(luck[d].mean() - (luck[d] - 1).mean())) == pytest.approx((1, 1))
