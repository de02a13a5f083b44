"""Global features: each against a value worked out by hand, and what they must not depend on.

Three drawings serve for all: a straight line, a circle, and two strokes. Every feature has its value in at least one.
"""

from __future__ import annotations

from dataclasses import replace
from math import log, pi, sqrt
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.ink import Trace
from penlatch.messages import Reason
from penlatch.signal.features import FEATURES, global_features
from penlatch.signal.preprocess import clean
from support.drawings import draw, scrawl

if TYPE_CHECKING:
    from numpy.typing import NDArray

INDEX = {feature.name: k for k, feature in enumerate(FEATURES)}


def ln(value: float) -> float:
    """Return the logarithm with the floor that every logarithmic feature has."""
    return log(value + 0.001)


# A line, 30 mm right and 40 mm down in 1 s, pressure from 0.2 to 0.6: 101 rows at u = 0, 0.01, .. 1.
# var u = (101^2 - 1) / 12 / 100^2 = 0.085, so R = 50 sqrt(0.085) = 14.577 mm and v = 50 mm/s = 1 / sqrt(0.085) R/s.
LINE = draw(lambda t: (30 * t, 40 * t, 0.2 + 0.4 * t), [(0.0, 1.0)])
SD = sqrt(0.085)
LINE_VALUES = {
    "log_width": ln(30),
    "log_height": ln(40),
    "log_radius": ln(50 * SD),
    "log_length": ln(50),
    "log_aspect": ln(0.6 / SD) - ln(0.8 / SD),
    "log_spread": ln(0.6) - ln(0.8),
    "log_path": ln(1 / SD),
    "start_x": -0.3 / SD,
    "start_y": -0.4 / SD,
    "end_x": 0.3 / SD,
    "end_y": 0.4 / SD,
    "slant": 1,
    "skew_x": 0,
    "skew_y": 0,
    "baseline": 1,
    # atan2(40, 30) = 53 degrees is nearest to 45.
    "toward_right": 0,
    "toward_right_down": 1,
    "toward_down": 0,
    "log_curvature": ln(0),
    "handedness": 0,
    "log_median_turn": ln(0),
    "log_reversals_x": 0,
    "log_reversals_y": 0,
    "log_mean_speed": ln(1 / SD),
    "log_mean_speed_x": ln(0.6 / SD),
    "log_mean_speed_y": ln(0.8 / SD),
    "log_max_speed_x": ln(0.6 / SD),
    "log_max_speed_y": ln(0.8 / SD),
    "log_peak_speed": ln(1),
    "log_speed_variation": ln(0),
    "slow_share": 0,
    "log_mean_acceleration": ln(0),
    "log_max_acceleration": ln(0),
    "log_mean_jerk": ln(0),
    "log_tremor": ln(0),
    "rightward_share": 1,
    "downward_share": 1,
    "speed_trend": 0,
    "mean_pressure": 0.4,
    "pressure_deviation": 0.4 * SD,
    "max_pressure": 0.6,
    "log_pressure_change": ln(0.4),
    "pressure_trend": 1,
    # The first 25 rows have u = 0 .. 0.24, on average 0.12: 0.248 against 0.4.
    "pressure_begin": -0.152,
    "pressure_end": 0.152,
    "pressure_speed": 0,
    "pressure_downward": 0,
    "pressure_peak": 1,
    "log_duration": ln(1),
    "log_contact": ln(1.01),
    "pen_up_share": 0,
    "log_strokes": 0,
    "log_mean_pause": 0,
    "longest_pause": 0,
    "longest_stroke": 1,
    "first_stroke": 1,
    "last_stroke": 1,
    "log_beat": ln(0),
    "speed_peak": 0,
}

# A circle of 10 mm, clockwise, twice in 2 s (200 rows), at one pressure: R = 10 mm, v = 2 pi R/s.
CIRCLE = draw(lambda t: (10 * np.cos(2 * pi * t), 10 * np.sin(2 * pi * t), 0.5 + 0 * t), [(0.0, 1.99)])
CIRCLE_VALUES = {
    "log_width": ln(20),
    "log_height": ln(20),
    "log_radius": ln(10),
    "log_length": log(40 * pi * 199 / 200),
    "log_aspect": 0,
    "log_spread": 0,
    "log_path": log(4 * pi * 199 / 200),
    "start_x": 1,
    "start_y": 0,
    "end_x": 1,
    "end_y": -2 * pi / 100,  # one row short of the beginning
    "slant": 0,
    "skew_x": 0,
    "skew_y": 0,
    # cov(sin 2 pi t, t) over 0..2 is -1 / (2 pi); sd of the sine 1/sqrt 2, of t 2/sqrt 12.
    "baseline": -1 / (2 * pi) * sqrt(2) * sqrt(3),
    **dict.fromkeys([name for name in INDEX if name.startswith("toward_")], 1 / 8),
    "log_curvature": 0,  # one radian per radius
    "handedness": 1,
    "log_median_turn": ln(2 * pi / 100),
    # x turns at 0.5, 1, 1.5 s; y at 0.25, 0.75, 1.25, 1.75 s.
    "log_reversals_x": log(4),
    "log_reversals_y": log(5),
    "log_mean_speed": log(2 * pi),
    "log_mean_speed_x": log(4),  # 2 pi times the mean of |sin|, 2 / pi
    "log_mean_speed_y": log(4),
    "log_max_speed_x": log(2 * pi),
    "log_max_speed_y": log(2 * pi),
    "log_peak_speed": 0,
    "slow_share": 0,
    "log_mean_acceleration": log(4 * pi**2),
    "log_max_acceleration": log(4 * pi**2),
    "log_mean_jerk": log(8 * pi**3),
    "log_tremor": log(2 * pi),
    "rightward_share": 0.5,
    "downward_share": 0.5,
    "mean_pressure": 0.5,
    "pressure_deviation": 0,
    "log_pressure_change": ln(0),
    "pressure_trend": 0,
    "pressure_speed": 0,
    "pressure_downward": 0,
    "pressure_peak": 0,
    "log_duration": ln(1.99),
    "log_contact": ln(2.00),
    "log_beat": log(2),
    "half_way": 0.5,
}

# 10 mm to the right in 0.3 s (31 rows, p = 0.25), a pause of 0.2 s, 20 mm straight down through its middle in 0.5 s
# (51 rows, p = 0.75). L = 30 mm. Of y: mean 51/82 * 10 = 6.2195; mean square 51/82 * 134.667 = 83.756; mean cube
# 51/82 * 2040 = 1268.78; hence variance 45.074 and third moment 187.18. Of x: variance 31/82 * 8.8889 = 3.3604
# (31 rows, 1/3 mm apart: (31^2 - 1) / 12 / 9 = 8.8889). R = sqrt(48.434) = 6.9595 mm.
R = 6.9595


def _two_strokes(t: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    first = t < 0.4
    return np.where(first, 100 / 3 * t, 5.0), np.where(first, 0.0, 40 * (t - 0.5)), np.where(first, 0.25, 0.75)


TWO = draw(_two_strokes, [(0.0, 0.3), (0.5, 1.0)], hover=True)
P_SD = 0.5 * sqrt(31 * 51) / 82
TWO_VALUES = {
    "log_width": ln(10),
    "log_height": ln(20),
    "log_radius": ln(R),
    "log_length": ln(30),
    "log_path": ln(30 / R),
    "start_x": -5 / R,
    "start_y": -6.2195 / R,
    "end_x": 0,
    "end_y": (20 - 6.2195) / R,
    "slant": 0,
    "skew_x": 0,
    "skew_y": 187.18 / 45.074**1.5,
    "toward_right": 1 / 3,
    "toward_right_down": 0,
    "toward_down": 2 / 3,
    "toward_left": 0,
    "handedness": 0,
    "log_mean_speed": ln((31 * 100 / 3 + 51 * 40) / 82 / R),
    "log_mean_speed_x": ln(31 * 100 / 3 / 82 / R),
    "log_mean_speed_y": ln(51 * 40 / 82 / R),
    "log_max_speed_x": ln(100 / 3 / R),
    "log_max_speed_y": ln(40 / R),
    # mean v = 37.480 mm/s; sd v = (40 - 33.333) sqrt(31 * 51) / 82 = 3.2326 mm/s.
    "log_peak_speed": ln(40 / 37.480),
    "log_speed_variation": ln(3.2326 / 37.480),
    "rightward_share": 31 / 82,
    "downward_share": 51 / 82,
    # The groups' mean rows are 15 and 56: corr = (56 - 15) * sqrt(31 * 51) / 82 / sd, with sd of the rows 0..81
    # sqrt((82^2 - 1) / 12) = 23.669.
    "speed_trend": 41 * sqrt(31 * 51) / 82 / 23.669,
    "mean_pressure": (31 * 0.25 + 51 * 0.75) / 82,
    "pressure_deviation": P_SD,
    "max_pressure": 0.75,
    "log_pressure_change": ln(0),
    "pressure_trend": 41 * sqrt(31 * 51) / 82 / 23.669,
    "pressure_begin": -0.5 * 51 / 82,
    "pressure_end": 0.5 * 31 / 82,
    "pressure_speed": 1,
    "pressure_downward": 1,
    "pressure_peak": 31 / 81,
    "log_duration": ln(1),
    "log_contact": ln(0.82),
    "pen_up_share": 0.2,
    "log_strokes": log(2),
    "log_mean_pause": log(3),
    "longest_pause": 0.2,
    "longest_stroke": 51 / 82,
    "first_stroke": 31 / 82,
    "last_stroke": 51 / 82,
    # 15 mm: all of the first stroke and 5 mm of the second, reached in its 13th step of 0.4 mm.
    "half_way": 0.63,
    "speed_peak": 0.5,
}


@pytest.mark.parametrize(("name", "value"), LINE_VALUES.items())
def test_of_a_line(name: str, value: float) -> None:
    assert global_features(LINE)[INDEX[name]] == pytest.approx(value, abs=2e-4)


@pytest.mark.parametrize(("name", "value"), CIRCLE_VALUES.items())
def test_of_a_circle(name: str, value: float) -> None:
    # Chords for arcs, and one-sided slopes in the first and last rows: a few per cent, more in the third derivative.
    tolerance = 0.08 if name in {"log_mean_jerk", "log_tremor"} else 0.03
    assert global_features(CIRCLE)[INDEX[name]] == pytest.approx(value, abs=tolerance)


@pytest.mark.parametrize(("name", "value"), TWO_VALUES.items())
def test_of_two_strokes(name: str, value: float) -> None:
    assert global_features(TWO)[INDEX[name]] == pytest.approx(value, abs=2e-4)


def test_a_circle_the_other_way_round_is_left_handed() -> None:
    mirrored = replace(CIRCLE, y=-CIRCLE.y)
    assert global_features(mirrored)[INDEX["handedness"]] == pytest.approx(-1, abs=0.01)


def test_slow_rows_are_counted() -> None:
    # x = 1 - cos: v goes like |sin|, and is below 0.2 of its mean 2 / pi within 7.3 degrees of each turning point. Rows
    # are 3.6 degrees apart: 5 out of 50.
    swing = draw(lambda t: (1 - np.cos(2 * pi * t), 0 * t, 0.5 + 0 * t), [(0.0, 10.0)])
    assert global_features(swing)[INDEX["slow_share"]] == pytest.approx(0.1, abs=0.002)


def test_every_feature_has_a_value_worked_out_by_hand_a_formula_and_a_group() -> None:
    assert len(FEATURES) >= 40
    assert len(INDEX) == len(FEATURES)
    assert INDEX.keys() == LINE_VALUES.keys() | CIRCLE_VALUES.keys() | TWO_VALUES.keys()
    for feature in FEATURES:
        assert feature.formula
        assert feature.group in list(Reason)


# What features must not depend on.


def moved(trace: Trace, *, scale: float = 1.0, x: float = 0.0, y: float = 0.0, t: float = 0.0) -> Trace:
    return replace(trace, t=trace.t + t, x=trace.x * scale + x, y=trace.y * scale + y)


SIZE = np.array([feature.group == "size" for feature in FEATURES])


@settings(deadline=None)
@given(seed=st.integers(0, 1000), x=st.floats(-1000, 1000), y=st.floats(-1000, 1000))
def test_where_it_was_written_does_not_matter(seed: int, x: float, y: float) -> None:
    trace = scrawl(seed)
    np.testing.assert_allclose(global_features(moved(trace, x=x, y=y)), global_features(trace), atol=1e-6)


@settings(deadline=None)
@given(seed=st.integers(0, 1000), t=st.floats(0, 1000))
def test_when_it_was_written_does_not_matter(seed: int, t: float) -> None:
    trace = scrawl(seed)
    np.testing.assert_allclose(global_features(moved(trace, t=t)), global_features(trace), atol=1e-6)


@settings(deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 10))
def test_only_size_features_know_the_size(seed: int, scale: float) -> None:
    trace = scrawl(seed)
    small, large = global_features(trace), global_features(moved(trace, scale=scale))
    np.testing.assert_allclose(large[~SIZE], small[~SIZE], atol=1e-6)
    np.testing.assert_allclose(large[SIZE], small[SIZE] + log(scale), atol=0.002)


def test_only_rhythm_and_speed_features_know_the_pace() -> None:
    def line(pace: float) -> Trace:
        return draw(lambda t: (30 * pace * t, 40 * pace * t, 0.2 + 0.4 * pace * t), [(0.0, 1 / pace)])

    fast, slow = line(1.0), line(0.5)
    differ = np.abs(global_features(slow) - global_features(fast)) > 0.02
    groups = {feature.group for feature, differs in zip(FEATURES, differ, strict=True) if differs}
    names = {feature.name for feature, differs in zip(FEATURES, differ, strict=True) if differs}
    assert groups == {"rhythm", "speed", "pressure"}
    assert names & {feature.name for feature in FEATURES if feature.group == "pressure"} == {"log_pressure_change"}


@settings(deadline=None)
@given(seed=st.integers(0, 1000))
def test_hover_frames_do_not_matter(seed: int) -> None:
    np.testing.assert_array_equal(global_features(scrawl(seed, hover=True)), global_features(scrawl(seed)))


@pytest.mark.parametrize("hz", [133, 200, 1000])
def test_pens_of_any_rate_give_nearly_the_same_features(hz: float) -> None:
    def curve(t: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        return 15 * t + 4 * np.sin(11 * t), 6 * np.cos(13 * t), 0.5 + 0.3 * np.sin(9 * t)

    strokes = [(0.0, 0.6), (0.8, 1.4)]
    usual, other = global_features(draw(curve, strokes)), global_features(draw(curve, strokes, hz=hz))
    np.testing.assert_allclose(other, usual, atol=0.12)


# Whatever comes.


@settings(deadline=None)
@given(seed=st.integers(0, 1000), rows=st.integers(1, 60))
def test_every_feature_of_any_beginning_of_a_signature_is_finite(seed: int, rows: int) -> None:
    trace = scrawl(seed)
    head = Trace(t=trace.t[:rows], x=trace.x[:rows], y=trace.y[:rows], p=trace.p[:rows], down=trace.down[:rows])
    values = global_features(clean(head))
    assert values.shape == (len(FEATURES),)
    assert np.isfinite(values).all()


@pytest.mark.parametrize("rows", [1, 2, 3, 50])
def test_every_feature_of_a_dot_is_finite(rows: int) -> None:
    dot = Trace(
        t=np.arange(rows) / 100, x=np.full(rows, 77.7), y=np.zeros(rows), p=np.ones(rows), down=np.ones(rows, np.bool_)
    )
    assert np.isfinite(global_features(dot)).all()


def test_a_pen_without_pressure_has_no_pressure_to_speak_of() -> None:
    trace = replace(scrawl(4), p=np.ones(len(scrawl(4))))
    values = global_features(trace)
    for name in ("pressure_deviation", "pressure_trend", "pressure_speed", "pressure_downward", "pressure_peak"):
        assert values[INDEX[name]] == pytest.approx(0.0, abs=1e-9)
    assert values[INDEX["mean_pressure"]] == pytest.approx(1.0)
