"""Synthetic people: they sign like themselves, forge like others, and what they write looks like handwriting."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.sim.program import RATE_HZ
from penlatch.sim.writer import DURATION_S, HEIGHT_MM, WIDTH_MM, Writer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from penlatch.ink import Trace

SEEDS = range(12)


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def shape_in_time(trace: Trace, points: int = 64) -> NDArray[np.float64]:
    """A signature as places and pressures at equally spaced moments, without its size and its place."""
    moments = np.linspace(0.0, trace.duration, points)
    x, y, p = (np.interp(moments, trace.t, column) for column in (trace.x, trace.y, trace.p))
    scale = np.hypot(x.std(), y.std())
    return np.concatenate([(x - x.mean()) / scale, (y - y.mean()) / scale, p])


def distance(a: Trace, b: Trace) -> float:
    shapes = np.abs(shape_in_time(a) - shape_in_time(b)).mean()
    return float(shapes + abs(np.log(a.duration / b.duration)))


def speed_minima_per_second(trace: Trace) -> float:
    speed = np.hypot(np.diff(trace.x), np.diff(trace.y)) * RATE_HZ
    smooth = np.convolve(speed, np.ones(5) / 5, mode="valid")
    return float(((smooth[1:-1] < smooth[:-2]) & (smooth[1:-1] <= smooth[2:])).sum()) / trace.duration


def test_the_same_seed_is_the_same_person() -> None:
    assert Writer(5).genuine(rng(1)).to_bytes() == Writer(5).genuine(rng(1)).to_bytes()
    assert Writer(5).forgery(rng(1), Writer(6)).to_bytes() == Writer(5).forgery(rng(1), Writer(6)).to_bytes()


def test_nobody_signs_twice_exactly_alike() -> None:
    writer, generator = Writer(5), rng(1)
    assert writer.genuine(generator).to_bytes() != writer.genuine(generator).to_bytes()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_signature_is_as_large_and_as_long_as_people_make_it(seed: int) -> None:
    trace = Writer(seed).genuine(rng(seed))
    width, height = np.ptp(trace.x[trace.down]), np.ptp(trace.y[trace.down])
    assert 0.4 * WIDTH_MM[0] < width < 1.4 * WIDTH_MM[1]
    assert 4.0 < height < 1.4 * HEIGHT_MM
    assert 0.7 * DURATION_S[0] < trace.duration < 1.4 * DURATION_S[1]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), other=st.integers(0, 2**32 - 1))
def test_pressure_is_felt_in_contact_and_only_there(seed: int, other: int) -> None:
    writer = Writer(seed)
    for trace in (writer.genuine(rng(seed)), writer.forgery(rng(seed), Writer(other)), writer.scribble(rng(seed))):
        assert trace.down[0]
        assert trace.down[-1]
        assert np.all(trace.p[~trace.down] == 0)
        assert np.all((trace.p[trace.down] > 0) & (trace.p[trace.down] <= 1))


def test_pressure_rises_and_falls_with_each_contact() -> None:
    for seed in SEEDS:
        trace = Writer(seed).genuine(rng(seed))
        longest = max(trace.strokes(), key=lambda stroke: stroke.stop - stroke.start)
        p = trace.p[longest]
        assert max(p[0], p[-1]) < 0.5 * np.median(p)
        assert np.abs(np.diff(p)).max() < 0.35


def test_frames_come_at_the_rate_of_a_tablet() -> None:
    np.testing.assert_allclose(np.diff(Writer(1).genuine(rng(1)).t), 1 / RATE_HZ)


def test_many_people_lift_the_pen_and_hover_frames_tell_of_it() -> None:
    strokes = [len(list(Writer(seed).genuine(rng(seed)).strokes())) for seed in range(40)]
    assert sum(count > 1 for count in strokes) > 20
    assert max(strokes) > 5


def test_the_pen_speeds_up_and_slows_down_as_often_as_in_real_signatures() -> None:
    rates = [speed_minima_per_second(Writer(seed).genuine(rng(seed))) for seed in range(40)]
    # Half of the signatures of SVC2004 Task2 lie between 7 and 9 minima per second.
    assert 6 < np.median(rates) < 11


def test_the_pen_never_jumps() -> None:
    for seed in SEEDS:
        trace = Writer(seed).genuine(rng(seed))
        assert np.hypot(np.diff(trace.x), np.diff(trace.y)).max() * RATE_HZ < 2500


@pytest.mark.parametrize("seed", SEEDS)
def test_genuine_signatures_are_closer_to_each_other_than_to_forgeries_and_to_other_people(seed: int) -> None:
    writer, generator = Writer(seed), rng(seed)
    own = [writer.genuine(generator) for _ in range(5)]
    forged = [writer.forgery(generator, Writer(seed + 100 + i)) for i in range(4)]
    others = [Writer(seed + 200 + i).genuine(generator) for i in range(4)]
    within = np.mean([distance(a, b) for a, b in combinations(own, 2)])
    to_forged = np.mean([distance(a, b) for a in own for b in forged])
    to_others = np.mean([distance(a, b) for a in own for b in others])
    assert within < to_forged < to_others


def test_a_forger_gets_the_shape_but_not_the_pace() -> None:
    ratios = []
    for seed in SEEDS:
        writer = Writer(seed)
        own, forged = writer.genuine(rng(seed)), writer.forgery(rng(seed), Writer(seed + 100))
        ratios.append(forged.duration / own.duration)
        assert np.ptp(forged.x) == pytest.approx(np.ptp(own.x), rel=0.5)
    assert np.median(ratios) > 1.15


def test_a_scribble_is_no_signature() -> None:
    for seed in SEEDS:
        scribble = Writer(seed).scribble(rng(seed))
        assert scribble.duration < 0.25
        assert 0 < scribble.ink_length < 15
