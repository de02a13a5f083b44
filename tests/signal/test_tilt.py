"""Tilt: where the pen leaned, whatever the tablet's way of telling it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given

from penlatch.signal.tilt import TILT, tilt_features
from support.drawings import scrawl
from support.traces import traces

if TYPE_CHECKING:
    from penlatch.ink import Trace


def leaning(right: float, near: float) -> Trace:
    trace = scrawl(1)
    return replace(trace, tilt_x=np.full(len(trace), right), tilt_y=np.full(len(trace), near))


@pytest.mark.parametrize(
    ("right", "near", "expected"),
    [(0, 0, (0, 0)), (30, 0, (0.5, 0)), (0, -30, (0, -0.5)), (45, 45, (3**-0.5, 3**-0.5)), (90, 0, (1, 0))],
)
def test_a_lean_is_the_horizontal_part_of_the_pens_direction(
    right: float, near: float, expected: tuple[float, float]
) -> None:
    assert tilt_features(leaning(right, near)) == pytest.approx(expected, abs=1e-3)


def test_only_contact_counts() -> None:
    trace = leaning(10.0, 20.0)
    assert trace.tilt_x is not None
    down = trace.down.copy()
    down[: len(trace) // 2] = False
    hovering = replace(trace, down=down, tilt_x=np.where(down, trace.tilt_x, 80.0))
    assert tilt_features(hovering) == pytest.approx(tilt_features(trace))


def test_a_pen_without_tilt_tells_none() -> None:
    assert tilt_features(scrawl(1)) is None


@given(traces())
def test_any_trace_has_finite_tilt_or_none(trace: Trace) -> None:
    found = tilt_features(trace)
    if trace.tilt_x is None or not trace.down.any():
        assert found is None
    else:
        assert found is not None
        assert found.shape == (len(TILT),)
        assert (np.abs(found) <= 1.0).all()
