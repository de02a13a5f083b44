"""Reach: what a hand can do is believed, what none can is not, however the frames were batched."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch.capture.frames import Frames
from penlatch.capture.plausible import FASTEST_MM_S, SLACK_MM, Reach
from support.figures import lissajous

STEP_S = 0.0075


def frames(*x: float, touching: tuple[bool, ...] | None = None, step_s: float = STEP_S) -> Frames:
    """Return frames along the x axis."""
    n = len(x)
    down = np.array(touching if touching is not None else [True] * n, dtype=np.bool_)
    return Frames(
        t=step_s * np.arange(n, dtype=np.float64),
        x=np.array(x),
        y=np.zeros(n),
        p=down.astype(float),
        near=np.ones(n, bool),
        touching=down,
    )


def test_no_frames_are_no_jump() -> None:
    assert not Reach().exceeded(Frames.empty())


def test_the_fastest_hand_is_believed_and_no_faster_one() -> None:
    furthest = SLACK_MM + FASTEST_MM_S * STEP_S
    assert not Reach().exceeded(frames(0.0, furthest - 0.01))
    assert Reach().exceeded(frames(0.0, furthest + 0.01))


def test_packets_that_a_busy_machine_put_close_together_are_believed() -> None:
    wire_s = 0.0023
    furthest = SLACK_MM + FASTEST_MM_S * wire_s
    assert Reach().exceeded(frames(0.0, furthest - 0.01, step_s=1e-6))
    assert not Reach(shortest_s=wire_s).exceeded(frames(0.0, furthest - 0.01, step_s=1e-6))
    assert Reach(shortest_s=wire_s).exceeded(frames(0.0, furthest + 0.01, step_s=1e-6))


def test_a_jump_between_batches_is_seen() -> None:
    reach = Reach()
    assert not reach.exceeded(frames(0.0))
    later = frames(0.0, 100.0).rows(1, 2)
    assert reach.exceeded(later)


@pytest.mark.parametrize("touching", [(True, False), (False, True), (False, False)])
def test_a_pen_in_the_air_may_be_anywhere(touching: tuple[bool, bool]) -> None:
    assert not Reach().exceeded(frames(0.0, 200.0, touching=touching))


def test_a_pen_that_was_lifted_comes_down_anywhere() -> None:
    reach = Reach()
    assert not reach.exceeded(frames(0.0, 0.0, touching=(True, False)))
    assert not reach.exceeded(frames(0.0, 0.0, 150.0, touching=(True, False, True)).rows(2, 3))


def test_a_pen_that_stands_still_for_long_may_be_far_away_then() -> None:
    assert not Reach().exceeded(frames(0.0, 50.0, step_s=0.5))


@given(st.lists(st.integers(0, 60), max_size=6), st.integers(0, 59), st.sampled_from([0.0, 120.0]))
def test_the_verdict_does_not_depend_on_batches(cuts: list[int], place: int, jump_mm: float) -> None:
    trace = lissajous()
    x = trace.x.copy()
    x[place] += jump_mm
    whole = Frames(t=trace.t, x=x, y=trace.y, p=trace.p, near=trace.down, touching=trace.down)
    reach = Reach()
    edges = [0, *sorted(cuts), len(whole)]
    found = [reach.exceeded(whole.rows(start, stop)) for start, stop in pairwise(edges)]
    assert any(found) == (jump_mm > 0)
