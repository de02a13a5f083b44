"""Operating points: exact intervals, and a threshold that is promised only where so many people can show it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.config import DEFAULT_THRESHOLD
from penlatch.verify.operating_point import CURVE, at, clopper_pearson, curve, rate, threshold_for, upper_limit

trials = st.integers(1, 20_000)
targets = st.sampled_from([0.0005, 0.001, 0.01, 0.05, 0.1])
scores = st.floats(0, 1, allow_subnormal=False)


def binomial(errors: int, n: int, p: float) -> float:
    """Return P(X <= errors) of n trials by summing, in logarithms."""
    if p <= 0 or p >= 1:
        return float(p <= 0)
    terms = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
        for k in range(errors + 1)
    ]
    return math.fsum(map(math.exp, terms))


# --- Intervals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("errors", "n", "low", "high"),
    [
        # scipy.stats.beta.ppf of the definition, scipy 1.14
        (0, 100, 0.0, 0.0362167),
        (5, 100, 0.0164319, 0.1128349),
        (100, 100, 0.9637833, 1.0),
        (50, 100_000, 0.00037113, 0.00065916),
    ],
)
def test_intervals_are_those_of_the_tables(errors: int, n: int, low: float, high: float) -> None:
    assert clopper_pearson(errors, n) == pytest.approx((low, high), abs=1e-6)


@given(n=st.integers(1, 400), share=st.floats(0, 1))
def test_the_limits_leave_just_the_tails(n: int, share: float) -> None:
    errors = round(share * n)
    low, high = clopper_pearson(errors, n)
    assert 0 <= low <= errors / n <= high <= 1
    if errors < n:
        assert binomial(errors, n, high) == pytest.approx(0.025, rel=1e-6)
    if errors > 0:
        assert 1 - binomial(errors - 1, n, low) == pytest.approx(0.025, rel=1e-6)


@given(n=trials, share=st.floats(0, 1))
def test_errors_and_successes_mirror_each_other(n: int, share: float) -> None:
    errors = round(share * n)
    low, high = clopper_pearson(errors, n)
    assert clopper_pearson(n - errors, n) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@given(n=st.integers(30, 10**6))
def test_without_an_error_it_is_the_rule_of_three(n: int) -> None:
    assert upper_limit(0, n) == pytest.approx(3 / n, rel=0.06)
    assert upper_limit(0, n) == pytest.approx(1 - 0.05 ** (1 / n), rel=1e-9)


@given(n=trials, share=st.floats(0, 1))
def test_more_errors_never_lower_the_limit_and_more_trials_never_raise_it(n: int, share: float) -> None:
    errors = round(share * (n - 1))
    assert upper_limit(errors, n) <= upper_limit(errors + 1, n)
    assert upper_limit(errors, n + 1) <= upper_limit(errors, n)


@pytest.mark.parametrize(("errors", "n"), [(0, 0), (-1, 10), (11, 10)])
def test_what_cannot_have_happened_has_no_interval(errors: int, n: int) -> None:
    with pytest.raises(ValueError, match="trials"):
        rate(errors, n)


# --- Thresholds -----------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 4000), target=targets, skew=st.floats(0.1, 10))
def test_a_proposed_threshold_keeps_its_promise(seed: int, n: int, target: float, skew: float) -> None:
    pairs = np.random.default_rng(seed).random(n) ** skew
    threshold = threshold_for(pairs, target)
    if threshold is None:
        # Either so few pairs show nothing, or even the strictest threshold lets too many through.
        assert upper_limit(0, n) > target or upper_limit(int((pairs >= 1.0).sum()), n) > target or pairs.max() > 0.9999
        return
    assert DEFAULT_THRESHOLD <= threshold <= 1.0
    assert upper_limit(int((pairs >= threshold).sum()), n) <= target


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(300, 3000))
def test_it_is_no_stricter_than_it_must_be(seed: int, n: int) -> None:
    pairs = np.random.default_rng(seed).random(n)
    threshold = threshold_for(pairs, 0.05)
    assert threshold is not None
    if threshold > DEFAULT_THRESHOLD:
        assert upper_limit(int((pairs >= threshold - 1.01e-4).sum()), n) > 0.05


@given(st.lists(scores, min_size=1, max_size=200), targets)
def test_a_stricter_target_never_gets_a_lower_threshold(values: list[float], target: float) -> None:
    pairs = np.array(values * 20)
    strict, loose = threshold_for(pairs, target), threshold_for(pairs, 2 * target)
    assert strict is None or (loose is not None and loose <= strict)


def test_too_few_people_show_nothing() -> None:
    assert threshold_for(np.zeros(5 * 4), 0.1) is None
    assert threshold_for(np.zeros(0), 0.1) is None
    assert threshold_for(np.zeros(55 * 54), 0.001) is None
    assert threshold_for(np.zeros(56 * 55), 0.001) == DEFAULT_THRESHOLD


def test_strangers_who_are_certain_to_match_leave_no_threshold() -> None:
    assert threshold_for(np.ones(5000), 0.001) is None


# --- Error rates ----------------------------------------------------------------------------------------------


def test_error_rates_by_hand() -> None:
    others = [np.array([0.1, 0.6]), np.array([0.2, 0.5]), np.array([0.3, 0.4])]
    point = at(0.5, np.array([0.9, 0.5, 0.49, float("nan")]), others)
    assert (point.fmr.errors, point.fmr.trials) == (2, 6)
    assert (point.pairs.errors, point.pairs.trials) == (2, 3)
    assert (point.fnmr.errors, point.fnmr.trials) == (2, 4)
    assert point.fmr.rate == pytest.approx(1 / 3)


@given(st.lists(scores, min_size=1, max_size=50), st.lists(scores, min_size=1, max_size=50))
def test_along_the_curve_one_error_falls_and_the_other_rises(own: list[float], others: list[float]) -> None:
    points = curve(np.array(own), np.array(others))
    assert [point.threshold for point in points] == list(CURVE)
    assert sorted((point.fmr for point in points), reverse=True) == [point.fmr for point in points]
    assert sorted(point.fnmr for point in points) == [point.fnmr for point in points]
