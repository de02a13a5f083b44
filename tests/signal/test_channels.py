"""Channels: sequences of a fixed length for networks, and five normalised columns for time warping."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.ink import Trace
from penlatch.signal.channels import CHANNELS, DTW_ROWS, PAPER_CHANNELS, dtw_channels, sequence
from penlatch.signal.preprocess import clean, unit_square
from support.drawings import draw, scrawl

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLACES_DEVIATE = np.linspace(0.0, 1.0, 101).std()
"""Standard deviation of the rows of `diagonal` along its line [its length]."""
DOT = Trace(t=np.zeros(1), x=np.zeros(1), y=np.zeros(1), p=np.ones(1), down=np.ones(1, dtype=np.bool_))


def diagonal(*, speed: float = 1.0, hz: float = 100.0) -> Trace:
    """Draw 30 mm right and 40 mm down in 1 s, pressing ever harder, from 0.2 to 0.6."""
    strokes = [(0.0, 1.0 / speed)]
    return draw(lambda t: (30 * speed * t, 40 * speed * t, 0.2 + 0.4 * speed * t), strokes, hz=hz)


def column(trace: Trace, name: str, length: int = 11) -> NDArray[np.float64]:
    return sequence(trace, channels=(name,), length=length)[:, 0].astype(np.float64)


def test_every_channel_says_its_formula() -> None:
    assert set(PAPER_CHANNELS) <= CHANNELS.keys()
    for formula in CHANNELS.values():
        assert formula.__doc__


def test_the_paper_s_channels_are_position_in_the_unit_square_and_pressure() -> None:
    rows = sequence(diagonal(), length=5)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows[:, 0], [0.125, 0.3125, 0.5, 0.6875, 0.875], atol=1e-6)  # 30 of 40 mm, centred
    np.testing.assert_allclose(rows[:, 1], [0, 0.25, 0.5, 0.75, 1], atol=1e-6)
    np.testing.assert_allclose(rows[:, 2], [0.2, 0.3, 0.4, 0.5, 0.6], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dx", 0.6),
        ("dy", 0.8),
        ("dp", 0.04),  # 0.4 per second
        ("log_speed", np.log(1.1)),
        ("cos", 0.6 / 1.1),
        ("sin", 0.8 / 1.1),
        ("turn", 0.0),
        ("acceleration", 0.0),
        ("pause", 0.0),
        # 50 mm in 1 s, of which a tenth more; the places along it, uniform over 50 mm, deviate by 50 / sqrt(12).
        ("pace", np.log(1.1 / PLACES_DEVIATE + 0.01)),
    ],
)
def test_a_straight_line_drawn_evenly(name: str, value: float) -> None:
    np.testing.assert_allclose(column(diagonal(), name), value, atol=1e-6)


def test_turning_is_positive_clockwise_and_measured_per_50_ms() -> None:
    # Clockwise as one sees it, since y points down: one round per second turns 2 pi / 20 in 50 ms, less for cos, sin
    # being 1 / 1.1 of a unit vector.
    circle = draw(lambda t: (np.cos(2 * np.pi * t), np.sin(2 * np.pi * t), 0.5 + 0 * t), [(0.0, 1.0)])
    np.testing.assert_allclose(column(circle, "turn")[2:-2], 2 * np.pi / 20 / 1.21, rtol=0.01)


def test_acceleration_is_the_change_of_speed_per_50_ms() -> None:
    # v = 2 t, mean v = 1: 2 mean speeds per second are 0.1 per 50 ms.
    falling = draw(lambda t: (0 * t, 10 * t**2, 0.5 + 0 * t), [(0.0, 1.0)])
    np.testing.assert_allclose(column(falling, "acceleration")[1:-1], 0.1, rtol=0.01)


def test_starts_and_pauses_stay_sharp_when_resampled() -> None:
    # 0.3 s, a pause of 0.5 s, 0.69 s: 31 + 70 rows; the second stroke begins in row 31 of 0..100.
    trace = draw(lambda t: (t, t, 0.5 + 0 * t), [(0.0, 0.3), (0.8, 1.49)])
    start, pause = column(trace, "start", 11), column(trace, "pause", 11)
    np.testing.assert_array_equal(start, [1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(pause, [0, 0, 0, np.log(6.0), 0, 0, 0, 0, 0, 0, 0], rtol=1e-5)
    assert column(trace, "start", 400).sum() == 2


def test_time_includes_pen_ups() -> None:
    trace = draw(lambda t: (t, t, 0.5 + 0 * t), [(0.0, 0.2), (0.8, 1.0)])
    np.testing.assert_allclose(column(trace, "time", 42), np.r_[0:0.2:21j, 0.8:1.0:21j], atol=1e-6)


@pytest.mark.parametrize("name", sorted(CHANNELS.keys() - {"dp", "turn", "acceleration", "pause", "pace"}))
def test_the_hand_s_pace_leaves_the_channels_of_an_even_line_alone(name: str) -> None:
    np.testing.assert_allclose(column(diagonal(speed=0.5), name), column(diagonal(), name), atol=1e-6)


def test_the_hand_s_pace_is_a_channel_of_its_own() -> None:
    usual, slow = np.exp(column(diagonal(), "pace")), np.exp(column(diagonal(speed=0.5), "pace"))
    np.testing.assert_allclose(slow - 0.01, (usual - 0.01) / 2, rtol=0.01)


def test_pace_is_measured_in_the_drawing_s_own_size() -> None:
    trace = scrawl(4)
    larger = Trace(t=trace.t, x=3 * trace.x + 70, y=3 * trace.y - 5, p=trace.p, down=trace.down)
    np.testing.assert_allclose(column(larger, "pace", 60), column(trace, "pace", 60), atol=1e-5)


def test_a_pen_at_rest_is_slower_than_anybody_writes() -> None:
    np.testing.assert_allclose(column(DOT, "pace"), np.log(0.1 + 0.01), rtol=1e-6)


@settings(deadline=None)
@given(seed=st.integers(0, 500), length=st.integers(2, 300))
def test_every_channel_is_finite_and_of_the_length_asked_for(seed: int, length: int) -> None:
    rows = sequence(clean(scrawl(seed)), channels=tuple(CHANNELS), length=length)
    assert rows.shape == (length, len(CHANNELS))
    assert np.isfinite(rows).all()


def test_a_dot_has_channels_too() -> None:
    assert np.isfinite(sequence(DOT, channels=tuple(CHANNELS), length=16)).all()
    np.testing.assert_array_equal(dtw_channels(DOT), np.zeros((1, 5)))


def test_an_unknown_channel_is_refused() -> None:
    with pytest.raises(KeyError, match="altitude"):
        sequence(diagonal(), channels=("altitude",))


@pytest.mark.parametrize("hz", [60, 133, 200, 1000])
def test_pens_of_any_rate_give_the_same_sequence(hz: float) -> None:
    names = ("x", "y", "p", "dx", "dy", "log_speed")
    usual = sequence(diagonal(), channels=names, length=64)
    np.testing.assert_allclose(sequence(diagonal(hz=hz), channels=names, length=64), usual, atol=0.02)


def test_warping_channels_are_normalised_positions_slopes_and_pressure() -> None:
    ink = clean(scrawl(8))
    columns = dtw_channels(ink)
    assert columns.shape == (len(ink), 5)
    np.testing.assert_allclose(columns.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(columns.std(axis=0), 1)
    for k, values in enumerate([ink.x, ink.y, ink.slope(ink.x), ink.slope(ink.y), ink.p]):
        np.testing.assert_allclose(columns[:, k], (values - values.mean()) / values.std(), atol=1e-9)


def test_what_is_constant_says_nothing_to_warping() -> None:
    level = draw(lambda t: (30.0 * np.sin(t), 12 + 0 * t, 1 + 0 * t), [(0.0, 1.0)])
    columns = dtw_channels(level)
    np.testing.assert_array_equal(columns[:, [1, 3, 4]], 0.0)
    assert columns[:, 0].std() == pytest.approx(1)


def test_warping_looks_at_a_bounded_number_of_rows() -> None:
    slow = draw(lambda t: (np.sin(t), np.cos(t), 0.5 + 0.1 * np.sin(t)), [(0.0, 20.0)])
    columns = dtw_channels(slow)
    assert columns.shape == (DTW_ROWS, 5)
    np.testing.assert_allclose(columns.std(axis=0), 1)


def test_the_drawing_in_the_unit_square_is_what_the_channels_show() -> None:
    ink = clean(scrawl(2))
    x, y = unit_square(ink)
    rows = sequence(ink, length=len(ink))
    np.testing.assert_allclose(rows[:, :2], np.stack([x, y], axis=1), atol=1e-6)
