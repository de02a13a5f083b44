"""A pen rests when it only hovers, never while something of a signature may be on its way."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.capture.frames import Frames
from penlatch.capture.resting import ARRIVED_S, RESTING_AFTER_S, Rest
from penlatch.capture.segmenter import Segmenter
from penlatch.config import LONGEST_IDLE_S, Segment
from penlatch.ink import PenInfo
from support.strokes import cut, frames


def hovering(start: float, stop: float) -> Frames:
    t = np.arange(start, stop, 0.25)
    return frames(t, [False] * len(t))


def away(t: float) -> Frames:
    return dataclasses.replace(frames([t], [False]), near=np.array([False]))


def test_a_pen_that_came_near_rests_when_it_did_not_touch() -> None:
    rest = Rest()
    rest.follow(hovering(5.0, 5.5))
    rest.follow(hovering(5.5, 5.0 + ARRIVED_S))
    assert not rest.resting
    rest.follow(hovering(5.0 + ARRIVED_S, 6.0 + ARRIVED_S))
    assert rest.resting


def test_contact_wakes_it_and_keeps_it_awake() -> None:
    rest = Rest()
    rest.follow(hovering(5.0, 9.0))
    rest.follow(hovering(9.0, 20.0))
    assert rest.resting
    rest.follow(frames([20.0, 20.25], [True, False]))
    assert not rest.resting
    rest.follow(hovering(20.5, 20.25 + RESTING_AFTER_S))
    assert not rest.resting
    rest.follow(hovering(20.5 + RESTING_AFTER_S, 21.0 + RESTING_AFTER_S))
    assert rest.resting


def test_a_pen_that_comes_back_is_awake() -> None:
    rest = Rest()
    rest.follow(hovering(5.0, 9.0))
    rest.follow(hovering(9.0, 20.0))
    rest.follow(away(20.0))
    rest.follow(hovering(900.0, 900.5))
    assert not rest.resting


def test_nothing_new_changes_nothing() -> None:
    rest = Rest()
    rest.follow(Frames.empty(gap=True))
    assert not rest.resting


@given(
    touching=st.lists(st.sampled_from([True, False, False, False]), min_size=1, max_size=60),
    step=st.sampled_from([0.01, 0.5, 2.0]),
    at=st.lists(st.integers(0, 60), max_size=10),
)
@settings(max_examples=60)
def test_no_signature_is_open_while_a_pen_rests(touching: list[bool], step: float, at: list[int]) -> None:
    """So none can be cut short by what waits unread, with the longest pen-up wait there may be."""
    rest, segmenter = Rest(), Segmenter(Segment(idle_s=LONGEST_IDLE_S), PenInfo(name="pen"))
    for batch in cut(frames(7.0 + step * np.arange(len(touching), dtype=np.float64), touching), at):
        segmenter.feed(batch)
        rest.follow(batch)
        assert not rest.resting or segmenter.deadline is None
