"""Poorer pens: each takes away what it says, and nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings

from penlatch.errors import TraceError
from penlatch.ink import Trace
from penlatch.signal.preprocess import clean
from support.drawings import scrawl
from support.traces import traces
from training.evaluation.degrade import DEGRADATIONS, DROPPED, degraded
from training.records import Record


def record(trace: Trace, *, index: int = 1) -> Record:
    return Record(database="index", user="ada", kind="genuine", session=1, index=index, trace=trace)


def spoilt(trace: Trace, name: str, *, seed: int = 0) -> Trace:
    return degraded(record(trace), name, seed=seed)


def test_without_pressure_there_is_contact_or_none() -> None:
    original = scrawl(1, hover=True)
    found = spoilt(original, "no-pressure")
    assert (found.p == original.down).all()
    assert not found.pen.has_pressure
    assert (found.x == original.x).all()


def test_jitter_moves_stamps_and_nothing_else() -> None:
    original = scrawl(1)
    found = spoilt(original, "jitter")
    assert (found.x == original.x).all()
    assert found.t[0] == 0
    assert 0.001 < np.abs(found.t - original.t).mean() < 0.02
    assert np.diff(found.t).std() > 2 * 0.001


@pytest.mark.parametrize(("name", "hz"), [("60hz", 60), ("200hz", 200), ("1000hz", 1000)])
@pytest.mark.parametrize("hover", [False, True])
def test_another_rate_is_the_same_signature_at_that_rate(name: str, hz: int, *, hover: bool) -> None:
    original = scrawl(2, hover=hover)
    found = spoilt(original, name)
    within = [np.diff(found.t[s]) for s in found.strokes()]
    gaps = np.concatenate(within)
    assert np.median(gaps) == pytest.approx(1 / hz, rel=0.01)
    assert found.duration == pytest.approx(original.duration, abs=2 / hz)
    before, after = clean(original), clean(found)
    assert after.start.sum() == before.start.sum(), "strokes stay strokes"
    # Both begin within a frame of each other; a hand moves 0.1 m/s or so.
    assert np.abs(np.interp(after.t, before.t, before.x) - after.x).max() < 6 * (1 / hz + 0.01) * 20


def test_hover_frames_stay_in_the_air() -> None:
    original = scrawl(2, hover=True)
    found = spoilt(original, "200hz")
    assert found.down[[0, -1]].all()
    assert found.down.mean() == pytest.approx(original.down.mean(), abs=0.02)


def test_a_touch_between_two_ticks_is_still_a_touch() -> None:
    t = np.array([0.0, 0.001, 0.5, 0.501])
    down = np.ones(4, dtype=np.bool_)
    found = spoilt(Trace(t=t, x=t, y=t, p=np.full(4, 0.5), down=down), "60hz")
    assert len(found) == 2
    assert found.t == pytest.approx([0, 0.5], abs=0.002)


def test_about_three_frames_in_a_hundred_are_lost() -> None:
    kept = [len(degraded(record(scrawl(seed), index=seed), "drop", seed=0)) / len(scrawl(seed)) for seed in range(40)]
    assert 1 - float(np.mean(kept)) == pytest.approx(DROPPED, abs=0.008)
    original = scrawl(0)
    found = spoilt(original, "drop")
    assert set(found.t) <= set(original.t)
    assert (found.t[0], found.t[-1]) == (original.t[0], original.t[-1])


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_the_same_signature_is_spoilt_the_same_way_every_time(name: str) -> None:
    original = scrawl(3)
    assert spoilt(original, name).to_bytes() == spoilt(original, name).to_bytes()


@pytest.mark.parametrize("name", ["jitter", "drop", "60hz"])
def test_chance_differs_between_signatures_and_seeds(name: str) -> None:
    original = scrawl(3)
    other = degraded(record(original, index=2), name, seed=0)
    assert spoilt(original, name).to_bytes() != other.to_bytes()
    assert spoilt(original, name).to_bytes() != spoilt(original, name, seed=1).to_bytes()


@settings(max_examples=60, deadline=None)
@given(trace=traces())
def test_any_trace_stays_a_trace(trace: Trace) -> None:
    short = dataclasses.replace(trace, t=trace.t / 50)
    for name in DEGRADATIONS:
        found = spoilt(short, name)
        # The only frame in contact may be one of those that are lost.
        assert short.down.any() or not found.down.any()
        try:
            clean(found)
        except TraceError:
            assert not found.down.any()
