"""The fusion cost: every formula of the timing feature fusion paper, worked out by hand."""

from __future__ import annotations

from math import atan, pi, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.ink import Trace
from penlatch.signal.preprocess import clean
from penlatch.verify.fusion import (
    Model,
    combine,
    cost,
    deformation_cost,
    directions,
    distances,
    normalise,
    prepare,
    pressure_level,
    rotation_cost,
    sample,
    shape_cost,
    threshold,
    translation_cost,
)
from support.drawings import draw, scrawl

WHOLE = np.array([0.0, 1.0])
"""Bounds of a signature that is one character."""


def model(speed: list[float], level: list[float]) -> Model:
    return Model.of(np.array(speed), np.array(level))


def with_angles(base: list[float], opening: list[float]) -> Model:
    """Make a model whose twelve base vectors have these directions [rad]; nothing else of it matters."""
    flat = model([1.0] * 5, [1.0] * 5)
    vectors = np.exp(1j * np.array(base)).reshape(3, 4)
    return flat._replace(base=vectors, opening=np.array(opening).reshape(3, 4))


# Sampling: 5 segments of 6 samples.


@pytest.mark.parametrize(
    ("pressure", "level"),
    [(0.0, 1), (0.2499, 1), (0.25, 2), (0.4999, 2), (0.5, 3), (0.7499, 3), (0.75, 4), (0.99, 4), (1.0, 4)],
)
def test_a_line_of_0_to_3_mm_has_one_of_four_levels(pressure: float, level: int) -> None:
    assert pressure_level(np.array([pressure]))[0] == level


def test_segments_have_the_median_speed_and_the_pressure_of_their_middle() -> None:
    # 31 rows: sample k of 30 is row k. What is drawn before each sample, by segment; the median of six is the mean of
    # the middle two: 3.5, 7, 7, 1, 3.5. The greatest is 7.
    drawn = [1, 6, 2, 5, 3, 4] + [7] * 6 + [0, 14, 0, 14, 0, 14] + [1] * 6 + [2, 2, 2, 5, 5, 5]
    # Sample 3 of every segment: rows 3, 9, 15, 21, 27; d = 0.3, 0.9, 1.5, 2.4, 3 mm: levels 1, 2, 3, 4, 4.
    pressure = np.full(31, 0.01)
    pressure[[3, 9, 15, 21, 27]] = 0.1, 0.3, 0.5, 0.8, 1.0
    prepared = np.stack([pressure, np.cumsum([0, *drawn]), np.arange(31) == 0], axis=1).astype(np.float32)

    speed, level = sample([prepared], WHOLE)
    np.testing.assert_allclose(speed, [[[0.5, 1, 1, 1 / 7, 0.5]]], rtol=1e-6)
    np.testing.assert_allclose(level, [[[0.25, 0.5, 0.75, 1, 1]]], rtol=1e-6)


def test_characters_are_sampled_each_within_its_own_time() -> None:
    # 61 rows: ten times as fast in the second half, but even within each; pressure levels 1 and 3.
    steps = np.concatenate([[0.0], np.full(30, 1.0), np.full(30, 10.0)])
    pressure = np.where(np.arange(61) <= 30, 0.1, 0.6)
    prepared = np.stack([pressure, np.cumsum(steps), np.arange(61) == 0], axis=1).astype(np.float32)
    speed, level = sample([prepared], np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(speed, np.ones((1, 2, 5)))
    np.testing.assert_allclose(level, np.ones((1, 2, 5)))
    # As one character, the segment in the middle has three samples of either speed: median 5.5 of 10.
    speed, level = sample([prepared], WHOLE)
    np.testing.assert_allclose(speed, [[[0.1, 0.1, 0.55, 1, 1]]], rtol=1e-6)
    np.testing.assert_allclose(level, [[[1 / 3, 1 / 3, 1 / 3, 1, 1]]], rtol=1e-6)


def test_what_is_prepared_is_pressure_path_and_characters() -> None:
    # 3 mm right, a lift, 1 mm right beyond: the jump of 6 mm is not drawn.
    trace = draw(lambda t: (np.where(t < 0.5, 10 * t, 9 + 2 * (t - 1)), 0 * t, 0.5 + 0 * t), [(0.0, 0.3), (1.0, 1.5)])
    prepared = prepare(trace)
    assert prepared.dtype == np.float32
    np.testing.assert_allclose(prepared[:, 0], 0.5, rtol=1e-6)
    np.testing.assert_allclose(prepared[[0, 30, 31, 81], 1], [0, 0.75, 0.75, 1], atol=1e-6)
    np.testing.assert_array_equal(np.flatnonzero(prepared[:, 2]), [0, 31])
    np.testing.assert_array_equal(prepared, prepare(clean(trace)))


def test_nothing_drawn_has_no_speed() -> None:
    np.testing.assert_array_equal(normalise(np.zeros((2, 5))), np.zeros((2, 5)))


# The model.


def test_triangle_and_tetrahedron_at_a_node() -> None:
    # Node 1, t = 0.2, with v' = 0.5 and F' = 1: sides' products 0.2, 0.5, 0.1, so half the root of 0.04 + 0.25 + 0.01;
    # and 0.5 * 0.2 * 1 / 3.
    one = model([0.5] * 5, [1.0] * 5)
    assert one.area[0] == pytest.approx(sqrt(0.3) / 2)
    assert one.volume[0] == pytest.approx(1 / 30)


@settings(deadline=None)
@given(v=st.floats(0, 1), f=st.floats(0.25, 1))
def test_area_and_volume_are_those_of_the_corners(v: float, f: float) -> None:
    one = model([v] * 5, [f] * 5)
    for k, t in enumerate([0.2, 0.4, 0.6, 0.8, 1.0]):
        corners = np.array([[v, t, 0], [0, t, f], [v, 0, f]])
        cross = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        assert one.area[k] == pytest.approx(np.linalg.norm(cross) / 2)
        assert one.volume[k] == pytest.approx(abs(np.linalg.det(corners)) / 6, abs=1e-12)


def test_directions_of_a_contour() -> None:
    # Right, down, down, right. Node 1 has no predecessor; node 3 lies on a straight line.
    base, opening = directions(np.array([0, 1, 1 + 1j, 1 + 2j, 2 + 2j]))
    np.testing.assert_allclose(base, [1, (-1 + 1j) / sqrt(2), -1, (1 - 1j) / sqrt(2)], atol=1e-12)
    np.testing.assert_allclose(opening, [0, pi / 2, pi, pi / 2], atol=1e-12)


def test_a_neighbour_in_the_same_place_gives_no_direction() -> None:
    base, opening = directions(np.array([0, 0, 1, 1, 1], dtype=np.complex128))
    np.testing.assert_allclose(base, [0, 1, -1, 0], atol=1e-12)
    np.testing.assert_allclose(opening, 0, atol=1e-12)


# The costs.


def test_shape_cost_is_the_mean_of_the_roots_of_the_differences() -> None:
    a, b = np.zeros(5), np.array([0.01, 0.04, 0.09, 0.16, 0.25])
    assert shape_cost(a, b) == pytest.approx((0.1 + 0.2 + 0.3 + 0.4 + 0.5) / 5)
    assert shape_cost(b, a) == shape_cost(a, b)


def test_translation_cost_counts_speed_and_level_on_two_contours_each_over_four_nodes() -> None:
    a = model([0.5, 0.5, 0.5, 0.5, 0.0], [0.5] * 5)
    b = model([0.6, 0.3, 0.8, 0.1, 1.0], [0.5, 0.5, 0.5, 0.75, 1.0])
    # Speed 0.1 + 0.2 + 0.3 + 0.4, level 0.25; node 5 is not looked at.
    assert translation_cost(a, b) == pytest.approx(2 * (1.0 + 0.25) / 12)


def test_rotation_cost_is_the_mean_angle_between_base_vectors() -> None:
    turned = [0.0] * 12
    turned[2], turned[7], turned[11] = pi / 2, -pi / 3, 3 * pi / 2  # the last is a quarter turn the other way
    a, b = with_angles([0.0] * 12, [0.0] * 12), with_angles(turned, [0.0] * 12)
    assert rotation_cost(a, b) == pytest.approx((pi / 2 + pi / 3 + pi / 2) / 12)


def test_deformation_cost_is_the_mean_difference_of_opening_angles() -> None:
    opened = [0.0] * 12
    opened[0], opened[5] = pi, pi / 4
    a, b = with_angles([0.0] * 12, [pi / 2] + [0.0] * 11), with_angles([0.0] * 12, opened)
    assert deformation_cost(a, b) == pytest.approx((pi / 2 + pi / 4) / 12)


def test_a_node_without_direction_is_neither_rotated_nor_deformed() -> None:
    a, b = with_angles([0.0] * 12, [0.0] * 12), with_angles([1.0] * 12, [2.0] * 12)
    still = a._replace(base=np.zeros((3, 4), dtype=np.complex128))
    assert rotation_cost(still, b) == deformation_cost(still, b) == 0


def test_angles_are_weighed_against_distances() -> None:
    assert combine(np.array(1.0), np.array(2.0)) == pytest.approx(5 / 3)


def test_a_whole_cost_by_hand() -> None:
    # A: v' = 1, F' = 1 throughout. B: the same but F' = 1/2 at the first four nodes.
    a, b = model([1.0] * 5, [1.0] * 5), model([1.0] * 5, [0.5] * 4 + [1.0])
    # Areas: sqrt(1 + 2 t^2) / 2 against sqrt(0.25 + 1.25 t^2) / 2 at t = 0.2, 0.4, 0.6, 0.8; equal at 1.
    # 0.519615 - 0.273861, 0.574456 - 0.335410, 0.655744 - 0.418330, 0.754983 - 0.512348; their roots:
    s = (0.495736 + 0.488923 + 0.487252 + 0.492580) / 5
    # Volumes: t / 3 against t / 6; roots of t / 6:
    v = (sqrt(0.2 / 6) + sqrt(0.4 / 6) + sqrt(0.6 / 6) + sqrt(0.8 / 6)) / 5
    t = 2 * 4 * 0.5 / 12
    # Contours: speed against time is one line in both. Speed against level is one place in A, without direction. Time
    # against level is straight in both but for node 4 of B, where it bends up by atan(0.5 / 0.2): it opens by so much
    # less than pi, and its bisector is off the perpendicular by half of it.
    bend = atan(2.5)
    f = ((bend / 2 / 12) ** 2 + (bend / 12) ** 2) / 3
    assert cost(a, b) == pytest.approx(s + v + t + f, abs=1e-6)
    assert cost(a, b) == pytest.approx(0.954761, abs=1e-6)


@settings(deadline=None)
@given(data=st.data())
def test_costs_are_symmetric_bounded_and_zero_between_equals(data: st.DataObject) -> None:
    speed = st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.55, 0.8, 1.0]), min_size=5, max_size=5)
    level = st.lists(st.sampled_from([0.25, 0.5, 0.75, 1.0]), min_size=5, max_size=5)
    a, b = (model(data.draw(speed), data.draw(level)) for _ in "ab")
    assert cost(a, a) == pytest.approx(0, abs=1e-12)
    assert cost(a, b) == pytest.approx(cost(b, a))
    assert 0 <= rotation_cost(a, b) <= pi
    assert 0 <= deformation_cost(a, b) <= pi
    assert np.isfinite(cost(a, b))


# Signatures.


def test_the_cost_between_signatures_is_the_mean_over_their_characters() -> None:
    def two_words(second_pressure: float) -> Trace:
        """Write two equal loops side by side; the second one's pressure grows to a level of its own."""
        return draw(
            lambda t: (
                np.where(t < 1.0, np.cos(6 * t), 10 + np.cos(6 * (t - 1.5))),
                np.where(t < 1.0, np.sin(6 * t), np.sin(6 * (t - 1.5))),
                np.where(t < 1.0, 0.3, 0.3 + second_pressure * (t - 1.5)),
            ),
            [(0.0, 0.99), (1.5, 2.49)],
        )

    even, growing = prepare(two_words(0.0)), prepare(two_words(0.6))
    assert even[:, 2].sum() == 2
    bounds = np.array([0.0, 0.5, 1.0])
    models = Model.of(*sample([even, growing], bounds))
    each = cost(models.take(slice(0, 1)), models.take(slice(1, 2)))[0]
    assert each[0] == pytest.approx(0.0, abs=1e-3)
    assert each[1] > 0.2
    np.testing.assert_allclose(distances(even, [growing, even]), [each.mean(), 0.0], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seeds=st.lists(st.integers(0, 300), min_size=2, max_size=5))
def test_distances_are_those_of_each_reference_under_one_layout(seeds: list[int]) -> None:
    prepared = [prepare(scrawl(seed)) for seed in seeds]
    table = np.array([distances(query, prepared) for query in prepared])
    assert np.isfinite(table).all()
    np.testing.assert_allclose(np.diag(table), 0, atol=1e-9)
    np.testing.assert_allclose(table, table.T, atol=1e-9)


def test_hover_frames_size_and_place_do_not_matter() -> None:
    live, plain = scrawl(5, hover=True), scrawl(5)
    larger = Trace(t=plain.t, x=2 * plain.x + 9, y=2 * plain.y, p=plain.p, down=plain.down)
    np.testing.assert_array_equal(prepare(live), prepare(plain))
    np.testing.assert_allclose(distances(prepare(larger), [prepare(plain)]), 0, atol=1e-4)


def test_a_dot_can_be_compared() -> None:
    dot = Trace(t=np.zeros(1), x=np.zeros(1), y=np.zeros(1), p=np.ones(1), down=np.ones(1, dtype=np.bool_))
    prepared = prepare(dot)
    np.testing.assert_array_equal(distances(prepared, [prepared]), [0.0])
    assert np.isfinite(distances(prepared, [prepare(scrawl(1)), prepared])).all()


def test_without_references_there_are_no_distances() -> None:
    assert distances(prepare(scrawl(1)), []).shape == (0,)


def test_the_threshold_is_the_mean_genuine_cost_over_0_6() -> None:
    # The paper's own figures: 0.2287 / 0.6 = 0.3812.
    between = np.full((3, 3), 0.2287)
    np.fill_diagonal(between, 0.0)
    assert threshold(between) == pytest.approx(0.3812, abs=1e-4)
    with pytest.raises(ValueError, match="two references"):
        threshold(np.zeros((1, 1)))
