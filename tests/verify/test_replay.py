"""Replays: a signature that is played back is known again, however it is moved, and none is taken for another."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.errors import TraceError
from penlatch.ink import Trace
from penlatch.sim.disguise import hesitant
from penlatch.sim.writer import Writer
from penlatch.verify.replay import LIMIT, POINTS, VIEWS, course, distances, from_bytes, nearest, to_bytes
from support.traces import traces

PEOPLE, TIMES = 6, 5
SIGNED = [
    [writer.genuine(np.random.default_rng((writer.seed, number))) for number in range(TIMES)]
    for writer in map(Writer, range(PEOPLE))
]
EVERYTHING = np.stack([course(trace) for own in SIGNED for trace in own])


def moved(trace: Trace, *, factor: complex = 1.0, by: complex = 0.0, tempo: float = 1.0) -> Trace:
    """Turn and scale a signature, put it elsewhere, and take another time over it."""
    z = (trace.x + 1j * trace.y) * factor + by
    return replace(trace, x=z.real, y=z.imag, t=trace.t * tempo)


@settings(max_examples=60, deadline=None)
@given(
    person=st.integers(0, PEOPLE - 1),
    number=st.integers(0, TIMES - 1),
    turn=st.floats(-0.3, 0.3),
    size=st.floats(0.5, 2.0),
    x=st.floats(-300, 300),
    y=st.floats(-300, 300),
    tempo=st.floats(0.5, 2.0),
)
def test_place_size_direction_and_tempo_do_not_hide_a_replay(
    person: int, number: int, turn: float, size: float, x: float, y: float, tempo: float
) -> None:
    replayed = moved(SIGNED[person][number], factor=size * np.exp(1j * turn), by=complex(x, y), tempo=tempo)
    found = nearest(course(replayed), EVERYTHING)
    assert found is not None
    assert found.position == person * TIMES + number
    assert found.replay


@settings(max_examples=40, deadline=None)
@given(person=st.integers(0, PEOPLE - 1), number=st.integers(0, TIMES - 1), seed=st.integers(0, 2**32 - 1))
def test_noise_of_half_a_hundredth_of_its_size_does_not_hide_a_replay(person: int, number: int, seed: int) -> None:
    trace, rng = SIGNED[person][number], np.random.default_rng(seed)
    radius = float(np.hypot(trace.x[trace.down].std(), trace.y[trace.down].std()))
    noise = rng.normal(0.0, 0.005 * radius, (2, len(trace)))
    found = nearest(course(replace(trace, x=trace.x + noise[0], y=trace.y + noise[1])), EVERYTHING)
    assert found is not None
    assert found.replay


def test_an_exact_replay_is_not_apart_at_all() -> None:
    for position, own in enumerate(EVERYTHING):
        found = nearest(own, EVERYTHING)
        assert found is not None
        assert found.position == position
        assert found.distance == pytest.approx(0.0, abs=1e-9)


def test_pressure_tells_nothing() -> None:
    trace = SIGNED[0][0]
    flat = replace(trace, p=np.where(trace.down, 0.3, 0.0))
    assert (course(flat) == course(trace)).all()


def test_fewer_or_more_frames_a_second_do_not_hide_a_replay() -> None:
    for own in SIGNED:
        for hz in (75.0, 133.0, 400.0):
            trace = own[0]
            t = np.arange(0.0, trace.duration, 1.0 / hz)
            down = trace.down[np.searchsorted(trace.t, t).clip(max=len(trace) - 1)]
            x, y, p = (np.interp(t, trace.t, column) for column in (trace.x, trace.y, trace.p))
            found = nearest(course(Trace(t=t, x=x, y=y, p=np.where(down, p, 0.0), down=down)), EVERYTHING)
            assert found is not None
            assert found.replay, hz


def test_frames_in_the_air_may_be_there_or_not() -> None:
    for own in SIGNED:
        trace = own[0]
        kept = {name: getattr(trace, name)[trace.down] for name in ("t", "x", "y", "p", "down")}
        assert distances(course(Trace(**kept)), course(trace)[None])[0] < LIMIT


def test_a_part_that_is_missing_seldom_hides_a_replay() -> None:
    known = 0
    for own in SIGNED:
        trace = own[1]
        rows = slice(int(0.03 * len(trace)), int(0.97 * len(trace)))
        part = {name: getattr(trace, name)[rows] for name in ("t", "x", "y", "p", "down")}
        found = nearest(course(Trace(**part)), EVERYTHING)
        assert found is not None
        known += found.replay
    assert known >= PEOPLE - 1


def test_nobody_repeats_themselves_so_exactly() -> None:
    for own in SIGNED:
        for one, other in combinations(own, 2):
            assert distances(course(one), course(other)[None])[0] > 1.5 * LIMIT


def test_nobody_is_taken_for_anybody_else() -> None:
    found = distances(EVERYTHING[0], EVERYTHING[TIMES:])
    assert found.min() > 5 * LIMIT


def test_among_thousands_the_one_is_found() -> None:
    many = np.concatenate([EVERYTHING] * 80)
    hidden = SIGNED[2][3]
    many[2 * TIMES + 3 :: len(EVERYTHING)] = EVERYTHING[0]
    many[1234] = course(hidden)
    found = nearest(course(moved(hidden, factor=1.1, tempo=0.7)), many)
    assert found is not None
    assert (found.position, found.replay) == (1234, True)


def test_among_nothing_there_is_nothing() -> None:
    assert nearest(EVERYTHING[0], EVERYTHING[:0]) is None


def test_it_is_kept_as_it_was_and_in_less_than_two_kilobytes() -> None:
    data = to_bytes(EVERYTHING[0])
    assert len(data) < 2048
    assert (from_bytes(data) == EVERYTHING[0]).all()
    with pytest.raises(ValueError, match="reshape"):
        from_bytes(data[:-6])


@settings(deadline=None)
@given(trace=traces(), other=traces())
def test_whatever_was_written_has_a_course_and_a_distance(trace: Trace, other: Trace) -> None:
    if not (trace.down.any() and other.down.any()):
        with pytest.raises(TraceError):
            course(trace if not trace.down.any() else other)
        return
    one, two = course(trace), course(other)
    assert one.shape == (VIEWS, POINTS, 3)
    for found in distances(one, np.stack((one, two))):
        assert 0.0 <= found <= 1.0
    assert nearest(one, two[None]) is not None


def test_longer_pauses_do_not_hide_a_replay() -> None:
    for own in SIGNED:
        longer = hesitant(own[0])
        if longer is not None:
            found = nearest(course(longer), EVERYTHING)
            assert found is not None
            assert found.replay


def test_a_dot_is_no_replay_of_a_dot() -> None:
    n = 40
    dot = Trace(
        t=np.arange(n) / 100, x=np.full(n, 3.0), y=np.full(n, 4.0), p=np.full(n, 0.5), down=np.ones(n, dtype=np.bool_)
    )
    found = nearest(course(dot), course(dot)[None])
    assert found is not None
    assert not found.replay
