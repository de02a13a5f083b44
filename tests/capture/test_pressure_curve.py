"""The pressure curve: as it was drawn, never backwards, and nothing at all by default."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.capture.pressure_curve import PressureCurve
from penlatch.config import STRAIGHT, Curve

shares = st.floats(0, 1)
curves = st.tuples(shares, shares, shares, shares)
SOFT: Curve = (0.0, 0.75, 0.25, 1.0)
HARD: Curve = (0.75, 0.0, 1.0, 0.25)


def drawn(curve: Curve, x: float) -> float:
    """Return y of the curve at `x`: its parameter is found by halving."""
    x1, y1, x2, y2 = curve
    low, high = 0.0, 1.0
    for _ in range(60):
        s = (low + high) / 2
        low, high = (s, high) if 3 * s * (1 - s) ** 2 * x1 + 3 * s**2 * (1 - s) * x2 + s**3 < x else (low, s)
    return 3 * low * (1 - low) ** 2 * y1 + 3 * low**2 * (1 - low) * y2 + low**3


@settings(max_examples=80, deadline=None)
@given(curve=curves, pressures=st.lists(shares, min_size=2))
def test_more_pressure_never_becomes_less(curve: Curve, pressures: list[float]) -> None:
    bent = PressureCurve(curve)(np.sort(pressures))
    assert (np.diff(bent) >= 0).all()
    assert 0 <= bent.min() <= bent.max() <= 1


@settings(max_examples=80, deadline=None)
@given(curve=curves)
def test_none_stays_none_and_full_stays_full(curve: Curve) -> None:
    assert PressureCurve(curve)(np.array([0.0, 1.0])).tolist() == [0.0, 1.0]


@settings(max_examples=80, deadline=None)
@given(
    curve=st.just(STRAIGHT) | st.tuples(shares, shares).map(lambda at: (at[0], at[0], at[1], at[1])),
    pressures=st.lists(shares),
)
def test_a_straight_curve_changes_nothing_to_the_last_bit(curve: Curve, pressures: list[float]) -> None:
    assert PressureCurve(curve)(np.array(pressures)).tolist() == pressures


@pytest.mark.parametrize("curve", [SOFT, HARD, (0.2, 0.6, 0.9, 0.1), (1.0, 0.0, 0.5, 0.5)])
def test_it_is_the_bezier_curve_of_its_control_points(curve: Curve) -> None:
    pressures = np.linspace(0, 1, 999)
    expected = [drawn(curve, pressure) for pressure in pressures]
    np.testing.assert_allclose(PressureCurve(curve)(pressures), expected, atol=1e-4)


def test_a_soft_curve_gives_more_and_a_hard_one_less() -> None:
    pressures = np.linspace(0.05, 0.95, 19)
    assert (PressureCurve(SOFT)(pressures) > pressures).all()
    assert (PressureCurve(HARD)(pressures) < pressures).all()
