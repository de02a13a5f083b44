"""Preprocessing: whatever the pen and its clock did, the same hand gives the same ink."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.errors import TraceError
from penlatch.ink import Trace
from penlatch.signal.preprocess import Ink, clean, smooth, unit_square
from support.drawings import draw, scrawl, without_hover

if TYPE_CHECKING:
    from numpy.typing import NDArray

Columns = tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.float64]"]


def line(t: NDArray[np.float64]) -> Columns:
    """Move 100 mm/s to the right and 50 mm/s down."""
    return 100 * t, 50 * t, np.full(len(t), 0.5)


def loop(t: NDArray[np.float64]) -> Columns:
    """Draw a circle of 10 mm, once a second."""
    return 10 * np.cos(2 * np.pi * t), 10 * np.sin(2 * np.pi * t), 0.5 + 0.2 * np.sin(2 * np.pi * t)


def frames(t: list[float], x: list[float] | None = None, down: list[bool] | None = None) -> Trace:
    n = len(t)
    x_mm = np.arange(n, dtype=np.float64) if x is None else np.array(x, dtype=np.float64)
    touching = np.ones(n, dtype=np.bool_) if down is None else np.array(down)
    return Trace(t=np.array(t), x=x_mm, y=np.zeros(n), p=np.where(touching, 0.5, 0.0), down=touching)


def assert_same(one: Ink, other: Ink, tolerance: float = 0.0) -> None:
    for field in fields(Ink):
        np.testing.assert_allclose(getattr(one, field.name), getattr(other, field.name), atol=tolerance, rtol=0)


def strokes_of(trace: Trace) -> int:
    return int(clean(trace).start.sum())


# Five-point cubic smoothing.


@settings(deadline=None)
@given(
    coefficients=st.lists(st.floats(-10, 10), min_size=4, max_size=4), lengths=st.lists(st.integers(1, 12), min_size=1)
)
def test_smoothing_reproduces_any_cubic_up_to_the_ends_of_every_stroke(
    coefficients: list[float], lengths: list[int]
) -> None:
    values, start = [], []
    for k, length in enumerate(lengths):
        u = np.arange(length) / 4.0
        values.append(np.polyval(coefficients, u) + 1000.0 * k)
        start.append(np.arange(length) == 0)
    cubic = np.concatenate(values)
    np.testing.assert_allclose(smooth(cubic, np.concatenate(start)), cubic, atol=1e-9 * (1 + np.abs(cubic).max()))


def test_smoothing_answers_an_impulse_with_the_published_weights() -> None:
    middle = smooth(np.where(np.arange(13) == 6, 35.0, 0.0), np.arange(13) == 0)
    np.testing.assert_allclose(middle, [0, 0, 0, 0, -3, 12, 17, 12, -3, 0, 0, 0, 0], atol=1e-12)
    # An impulse in the first row: 69/70 there, 2/35 in the second, -3/35 in the third.
    start = np.arange(9) == 0
    np.testing.assert_allclose(smooth(np.array([70.0, 0, 0, 0, 0, 0, 0, 0, 0]), start)[:4], [69, 4, -6, 0], atol=1e-12)
    np.testing.assert_allclose(smooth(np.array([0, 0, 0, 0, 0, 0, 0, 0, 70.0]), start)[5:], [0, -6, 4, 69], atol=1e-12)


def test_smoothing_calms_noise() -> None:
    noise = np.random.default_rng(1).normal(size=2000)
    # The sum of the squared weights is 17/35: what remains of white noise.
    assert smooth(noise, np.arange(2000) == 0).var() == pytest.approx(17 / 35, rel=0.1)


def test_smoothing_does_not_reach_across_a_lift() -> None:
    start = np.array([True, False, False, False, False, True, False, False, False, False])
    far = np.array([0.0, 0, 0, 0, 0, 1e6, 1e6, 1e6, 1e6, 1e6])
    np.testing.assert_allclose(smooth(far, start), far, atol=1e-6)


# Strokes.


@settings(deadline=None)
@given(seed=st.integers(0, 1000))
def test_hover_frames_or_a_gap_in_time_give_the_same_ink(seed: int) -> None:
    live = scrawl(seed, hover=True)
    assert not live.down.all()
    assert_same(clean(live), clean(without_hover(live)))


def test_hover_frames_before_first_contact_and_after_last_do_not_matter() -> None:
    inner = frames([0.0, 0.01, 0.02])
    outer = frames([0.0, 0.01, 0.05, 0.06, 0.07, 0.08], [9, 9, 0, 1, 2, 9], [False, False, True, True, True, False])
    assert_same(clean(inner), clean(outer), tolerance=1e-12)


def test_a_short_lift_that_is_seen_begins_a_stroke() -> None:
    assert strokes_of(frames([0.0, 0.01, 0.02, 0.03, 0.04], down=[True, True, False, True, True])) == 2


@pytest.mark.parametrize("hz", [60, 100, 133, 200, 1000])
def test_three_lost_frames_are_one_stroke_and_a_pause_of_a_tenth_of_a_second_is_two(hz: float) -> None:
    t = np.arange(80) / hz
    lost = np.delete(t, [40, 41])
    assert strokes_of(frames(list(lost))) == 1
    paused = np.where(np.arange(80) < 40, t, t + 0.1)
    assert strokes_of(frames(list(paused))) == 2


def test_a_fast_pen_whose_frames_are_delayed_does_not_lift() -> None:
    t = np.arange(200) / 1000
    t[100:] += 0.03
    assert strokes_of(frames(list(t))) == 1


def test_strokes_of_ink_are_where_they_were_drawn() -> None:
    ink = clean(draw(line, [(0.0, 0.1), (0.3, 0.5)]))
    first, second = ink.strokes()
    np.testing.assert_allclose(ink.t[first], np.arange(11) / 100, atol=1e-12)
    np.testing.assert_allclose(ink.t[second], 0.3 + np.arange(21) / 100, atol=1e-12)
    np.testing.assert_allclose(ink.x, 100 * ink.t, atol=1e-9)


# The clock.


def test_at_100_hz_only_the_smoothing_changes_anything() -> None:
    trace = scrawl(3)
    ink = clean(trace)
    np.testing.assert_allclose(ink.t, trace.t, atol=1e-9)
    np.testing.assert_allclose(ink.x, smooth(trace.x, ink.start), atol=1e-9)
    np.testing.assert_allclose(ink.p, smooth(trace.p, ink.start), atol=1e-9)


@pytest.mark.parametrize("hz", [60, 75, 133, 200, 360, 1000])
def test_pens_of_any_rate_give_the_same_ink(hz: float) -> None:
    # 0.6 s and 0.4 s are whole numbers of frames at all these rates; 75 Hz has 45 and 30.
    times = [(0.0, 0.6), (1.0, 1.4)]
    ink, usual = clean(draw(loop, times, hz=hz)), clean(draw(loop, times))
    assert len(ink) == pytest.approx(len(usual), abs=2)
    assert ink.start.sum() == 2
    x, y, p = loop(ink.t)
    # Between two frames at 60 Hz a circle of 10 mm leaves its chord by 0.014 mm.
    np.testing.assert_allclose(ink.x, x, atol=0.03)
    np.testing.assert_allclose(ink.y, y, atol=0.03)
    np.testing.assert_allclose(ink.p, p, atol=0.002)


def test_a_repeated_time_stamp_is_a_frame_like_any_other() -> None:
    # A clock that ticks slightly slower than the tablet: the same stamp twice, once a second.
    n = 190
    ticks = np.floor(np.arange(n) * 0.995 + 1e-9) / 100
    assert (np.diff(ticks) == 0).any()
    ink = clean(frames(list(ticks)))
    speed = np.diff(ink.x)
    assert speed.max() / speed.min() < 1.02


def test_frames_that_arrive_in_batches_are_spread_over_the_time_of_the_batch() -> None:
    arrival = np.repeat(np.arange(25) * 0.04, 4)
    ink = clean(frames(list(arrival)))
    assert ink.start.sum() == 1
    speed = np.diff(ink.x)
    assert speed.max() / speed.min() < 1.05


def test_jitter_of_the_stamps_does_not_become_speed() -> None:
    rng = np.random.default_rng(5)
    even = np.arange(100) / 200
    ink = clean(frames(list(np.maximum.accumulate(even + rng.uniform(0, 0.003, 100)))))
    speed = np.diff(ink.x)[5:-5]
    assert speed.max() / speed.min() < 1.05


@settings(deadline=None, max_examples=50)
@given(late=st.lists(st.floats(0, 0.002), min_size=100, max_size=100), lost=st.sets(st.integers(2, 97), max_size=2))
def test_late_frames_of_a_100_hz_pen_change_nothing_and_lost_ones_nothing_around_them(
    late: list[float], lost: set[int]
) -> None:
    kept = np.array([n for n in range(100) if n not in lost])
    trace = draw(loop, [(0.0, 0.99)])
    trembling = np.maximum.accumulate(kept / 100 + np.array(late)[kept] * (kept > 0))
    ink, even = (
        clean(Trace(t=t, x=trace.x[kept], y=trace.y[kept], p=trace.p[kept], down=trace.down[kept]))
        for t in (trembling, kept / 100)
    )
    assert_same(ink, even, tolerance=1e-9)
    np.testing.assert_array_equal(ink.start, even.start)


def test_a_pen_that_rests_and_sends_nothing_has_rested() -> None:
    # 50 frames of 5 mm/s steps, a rest of 30 ms without frames, 50 more: the rest stays where it was.
    t = np.concatenate([np.arange(50) / 100, 0.52 + np.arange(50) / 100])
    ink = clean(frames(list(t)))
    assert ink.start.sum() == 1
    assert ink.t[-1] == pytest.approx(1.01)
    steps = np.diff(ink.x)
    assert steps[45:55].min() < 0.5
    assert steps[:40].min() == pytest.approx(1.0)


def test_time_starts_at_first_contact() -> None:
    late = frames([5.0, 5.01, 5.02, 5.03])
    assert_same(clean(late), clean(frames([0.0, 0.01, 0.02, 0.03])), tolerance=1e-9)


# Small and strange traces.


@pytest.mark.parametrize(
    "trace",
    [
        frames([0.0]),
        frames([0.0, 0.0]),
        frames([0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        frames([0.0, 1.0, 2.0]),
        frames([0.0, 1e-9, 1e-8]),
        frames([0.0, 0.01, 0.02], down=[False, True, False]),
        frames([0.0, 0.01, 0.02, 0.03, 0.04], down=[True, False, True, False, True]),
    ],
    ids=["a dot", "twice", "one stamp", "a frame per second", "no time", "a tap", "taps"],
)
def test_the_smallest_traces_are_ink(trace: Trace) -> None:
    ink = clean(trace)
    assert len(ink) >= 1
    assert ink.start[0]
    assert all(np.isfinite(getattr(ink, field.name)).all() for field in fields(Ink))


def test_a_pen_that_never_touched_left_no_ink() -> None:
    with pytest.raises(TraceError, match="never touched"):
        clean(frames([0.0, 0.01], down=[False, False]))


@settings(deadline=None)
@given(data=st.data())
def test_any_trace_becomes_finite_orderly_ink(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 40))
    column = st.lists(st.floats(-1e6, 1e6), min_size=n, max_size=n)
    intervals = st.lists(
        st.sampled_from([0.0, 1e-9, 0.001, 0.007, 0.01, 0.0167, 0.04, 0.5, 20.0]), min_size=n, max_size=n
    )
    t = np.cumsum(data.draw(intervals))
    down = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    down[data.draw(st.integers(0, n - 1))] = True
    p = np.array(data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n)))
    ink = clean(Trace(t=t, x=np.array(data.draw(column)), y=np.array(data.draw(column)), p=p, down=down))
    assert all(len(getattr(ink, field.name)) == len(ink) for field in fields(Ink))
    assert all(np.isfinite(getattr(ink, field.name)).all() for field in fields(Ink))
    assert ink.start[0]
    assert ink.t[0] == 0
    assert (np.diff(ink.t) >= 0).all()
    assert ink.p.min() >= 0
    assert ink.p.max() <= 1
    x, y = unit_square(ink)
    assert min(x.min(), y.min()) >= 0
    assert max(x.max(), y.max()) <= 1


# Scale and slope.


def test_the_longer_side_fills_the_unit_square_and_the_aspect_stays() -> None:
    # Elliptic: twice as wide as high.
    ink = clean(draw(lambda t: (20 * np.cos(8 * t) + 7, 10 * np.sin(8 * t) - 3, 0.5 + 0 * t), [(0.0, 1.0)]))
    x, y = unit_square(ink)
    assert (x.min(), x.max()) == (0.0, 1.0)
    assert y.min() == pytest.approx(0.25, abs=1e-3)
    assert y.max() == pytest.approx(0.75, abs=1e-3)


def test_a_dot_lies_in_the_middle_of_the_unit_square() -> None:
    x, y = unit_square(clean(frames([0.0, 0.01], [3.0, 3.0])))
    assert set(x) == set(y) == {0.5}


def test_the_slope_of_a_line_is_its_speed_and_no_slope_spans_a_lift() -> None:
    ink = clean(draw(line, [(0.0, 0.1), (0.5, 0.5), (0.9, 1.0)]))
    slope = ink.slope(ink.x)
    assert slope[11] == 0.0  # the stroke of one row
    np.testing.assert_allclose(np.delete(slope, 11), 100.0)
