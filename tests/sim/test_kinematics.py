"""The sigma-lognormal model does what its formulas promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.sim.kinematics import Impulses, Strokes, arc, chord

MU, SIGMA, T0, D = -1.8, 0.3, 0.2, 12.0


def stroke(*, turn: float = 0.0, heading: float = 0.0) -> Strokes:
    one = np.ones(1)
    return Strokes(
        impulses=Impulses(t0=T0 * one, mu=MU * one, sigma=SIGMA * one),
        distance=D * one,
        theta_s=(heading - turn / 2) * one,
        theta_e=(heading + turn / 2) * one,
    )


T = np.arange(0.0, 3.0, 1e-4)


def test_nothing_moves_before_the_command() -> None:
    before = np.linspace(-1.0, T0, 50)
    assert np.all(stroke().speed(before) == 0)
    assert np.all(np.stack(stroke().position(before)) == 0)


def test_the_speed_of_a_stroke_is_an_asymmetric_bell() -> None:
    speed = stroke(turn=1.0).speed(T)
    peak = int(speed.argmax())
    assert np.all(np.diff(speed[: peak + 1]) >= 0)
    assert np.all(np.diff(speed[peak:]) <= 0)
    mode, mean = T[peak], (T * speed).sum() / speed.sum()
    assert mode < mean
    rises, falls = (T[np.flatnonzero(speed > speed[peak] / 2)[i]] - mode for i in (0, -1))
    assert -rises < falls


def test_it_is_fastest_at_the_mode_of_the_lognormal() -> None:
    assert T[stroke().speed(T).argmax()] == pytest.approx(T0 + math.exp(MU - SIGMA**2), abs=2e-4)
    assert stroke().impulses.peak[0] == pytest.approx(T0 + math.exp(MU - SIGMA**2))


def test_half_of_it_is_done_at_the_median_of_the_lognormal() -> None:
    assert stroke().impulses.progress(np.array([T0 + math.exp(MU)]))[0, 0] == pytest.approx(0.5)


@pytest.mark.parametrize("turn", [0.0, 1e-9, 0.4, -2.5])
def test_the_distance_covered_is_d(turn: float) -> None:
    speed = stroke(turn=turn).speed(T)
    assert float(((speed[1:] + speed[:-1]) / 2 * np.diff(T)).sum()) == pytest.approx(D, rel=1e-4)


@pytest.mark.parametrize("turn", [0.0, 1e-9, 0.4, -2.5])
def test_the_position_is_the_integral_of_the_velocity(turn: float) -> None:
    strokes = stroke(turn=turn, heading=0.7)
    for position, velocity in zip(strokes.position(T), strokes.velocity(T), strict=True):
        integral = np.concatenate(([0.0], np.cumsum((velocity[1:] + velocity[:-1]) / 2 * np.diff(T))))
        np.testing.assert_allclose(position, integral, atol=1e-4)


def test_a_turning_stroke_is_a_circular_arc() -> None:
    x, y = stroke(turn=2.0).position(T)
    moving = slice(int(0.25e4), int(0.6e4))
    x, y = x[moving], y[moving]
    radius, heading = D / 2.0, -1.0
    centre_x, centre_y = -radius * math.sin(heading), radius * math.cos(heading)
    np.testing.assert_allclose(np.hypot(x - centre_x, y - centre_y), radius, atol=1e-9)


def test_overlapping_strokes_add_as_vectors() -> None:
    one = np.ones(2)
    both = Strokes(
        impulses=Impulses(t0=np.array([0.0, 0.08]), mu=MU * one, sigma=SIGMA * one),
        distance=np.array([10.0, 6.0]),
        theta_s=np.array([0.0, 1.5]),
        theta_e=np.array([1.0, 1.5]),
    )
    alone = [
        Strokes(
            impulses=Impulses(
                *(column[i : i + 1] for column in (both.impulses.t0, both.impulses.mu, both.impulses.sigma))
            ),
            distance=both.distance[i : i + 1],
            theta_s=both.theta_s[i : i + 1],
            theta_e=both.theta_e[i : i + 1],
        ).velocity(T)
        for i in range(2)
    ]
    for axis in range(2):
        np.testing.assert_allclose(both.velocity(T)[axis], alone[0][axis] + alone[1][axis])


@settings(max_examples=50, deadline=None)
@given(start=st.floats(-2, 5), duration=st.floats(0.02, 2.0), asymmetry=st.floats(0.01, 0.3))
def test_an_impulse_is_seen_when_it_was_asked_to_be(start: float, duration: float, asymmetry: float) -> None:
    impulse = Impulses.lasting(np.array([start]), np.array([duration]), np.array([asymmetry]))
    assert impulse.start[0] == pytest.approx(start, abs=1e-9)
    assert impulse.end[0] == pytest.approx(start + duration, abs=1e-6)
    early, late = impulse.progress(np.array([start, start + duration]))[0]
    assert early == pytest.approx(0.00135, abs=1e-5)
    assert late == pytest.approx(0.99865, abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(x=st.floats(-30, 30), y=st.floats(-30, 30), turn=st.floats(-4, 4))
def test_an_arc_spans_its_chord(x: float, y: float, turn: float) -> None:
    across = chord(*arc(np.array([x]), np.array([y]), np.array([turn])))
    np.testing.assert_allclose(np.concatenate(across), [x, y], atol=1e-9)
