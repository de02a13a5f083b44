"""The packet clock never runs backwards or ahead, keeps pauses, learns a period that exists and invents none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.capture.packet_clock import FIRST_LOOK, HICCUP_S, PacketClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Times = NDArray[np.float64]

WIRE_TIME = 9 * 10 / 19_200
"""Of an ISDV4 packet at 19200 baud [s]."""

reads = st.lists(
    st.tuples(st.sampled_from([0.0, 1e-6, 0.001, 0.004, 0.01, 0.016, 0.1, 3.0]), st.integers(0, 12)), max_size=120
)
periods = st.sampled_from([0.005, 1 / 133, 0.01, 0.0125])


def clock() -> PacketClock:
    return PacketClock(wire_time=WIRE_TIME)


def stamp_all(machine: PacketClock, sampled: Times, arrived: Times) -> Times:
    """Return the recovered times; packets of equal arrival come in one read."""
    reads, counts = np.unique(arrived, return_counts=True)
    assert counts.sum() == len(sampled)
    return np.concatenate([machine.stamp(float(when), int(n)) for when, n in zip(reads, counts, strict=True)])


@given(reads)
def test_time_never_runs_backwards_nor_ahead_of_the_arrival(steps: Sequence[tuple[float, int]]) -> None:
    machine, now, last = clock(), 1000.0, -np.inf
    for wait, n in steps:
        now += wait
        times = machine.stamp(now, n)
        assert len(times) == n
        if n:
            assert times[0] >= last
            assert (np.diff(times) >= 0).all()
            assert times[-1] <= now
            last = times[-1]


def test_the_first_times_are_those_of_arrival() -> None:
    machine = clock()
    arrivals = [5.0, 5.0102, 5.0199, 5.0331]
    assert [machine.stamp(when, 1)[0] for when in arrivals] == arrivals
    assert machine.period is None


def test_an_unexplained_burst_is_spaced_by_what_the_wire_takes() -> None:
    assert clock().stamp(5.0, 3) == pytest.approx([5.0 - 2 * WIRE_TIME, 5.0 - WIRE_TIME, 5.0])


@given(periods, st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_a_steady_pen_keeps_its_rhythm_under_jitter(period: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sampled = 7.0 + period * np.arange(400, dtype=np.float64)
    arrived = np.maximum.accumulate(sampled + rng.exponential(0.0005, 400))
    machine = clock()
    times = stamp_all(machine, sampled, arrived)
    assert machine.period == pytest.approx(period, rel=0.02)
    settled = slice(100, None)
    assert np.abs(np.diff(times - sampled)[settled]).max() < 0.35 * period
    assert np.std(np.diff(times)[settled]) < np.std(np.diff(arrived)[settled])


@given(periods, st.sampled_from([0.008, 0.016]), st.floats(0, 1))
@settings(max_examples=30)
def test_the_bursts_of_a_latency_timer_are_taken_apart(period: float, latency: float, phase: float) -> None:
    sampled = 7.0 + period * (np.arange(500, dtype=np.float64) + phase)
    arrived = np.ceil(sampled / latency) * latency
    times = stamp_all(clock(), sampled, arrived)
    assert np.abs(np.diff(times)[150:] - period).max() < 0.25 * period


@given(periods)
def test_packets_that_a_stall_merged_are_spaced_by_the_period(period: float) -> None:
    sampled = 7.0 + period * np.arange(200, dtype=np.float64)
    arrived = sampled.copy()
    arrived[120:130] = sampled[129] + 0.0001
    times = stamp_all(clock(), sampled, arrived)
    assert np.allclose(times, sampled, atol=0.001)


@given(st.floats(HICCUP_S + 0.001, 5.0))
def test_a_pause_stays_a_pause(pause: float) -> None:
    sampled = 7.0 + 0.01 * np.arange(200, dtype=np.float64)
    sampled[100:] += pause
    times = stamp_all(clock(), sampled, sampled)
    assert np.allclose(times, sampled, atol=1e-6)


@pytest.mark.parametrize("left_out", [1, 3, 10])
def test_reports_left_out_stay_left_out_but_for_one_packet_in_doubt(left_out: int) -> None:
    sampled = 7.0 + 0.01 * np.delete(np.arange(200, dtype=np.float64), slice(120, 120 + left_out))
    times = stamp_all(clock(), sampled, sampled + 0.0002)
    assert np.count_nonzero(np.abs(times - sampled) > 0.001) <= 1


@pytest.mark.parametrize("delay", [0.006, 0.0099, 0.03, 0.045])
def test_a_late_packet_is_put_back_in_its_place_when_the_next_are_in_time(delay: float) -> None:
    sampled = 7.0 + 0.01 * np.arange(200, dtype=np.float64)
    arrived = sampled + 0.0002
    late = arrived[120] + delay
    # What was held up behind it arrives right after it, in one read.
    arrived[121:] = np.maximum(arrived[121:], late + 0.0001)
    arrived[120] = late
    times = stamp_all(clock(), sampled, arrived)
    assert np.abs(times - sampled).max() < 0.003


@pytest.mark.parametrize("steps", [(0.002, 0.025), (0.005, 0.015), (0.001, 0.020, 0.040)])
def test_a_source_without_a_period_keeps_its_times_of_arrival(steps: tuple[float, ...]) -> None:
    kept = []
    for seed in range(20):
        arrived = 7.0 + np.cumsum(np.random.default_rng(seed).choice(steps, 300))
        kept.append(np.mean(stamp_all(clock(), arrived, arrived) == arrived))
    assert np.mean(kept) > 0.98


@given(reads)
def test_no_time_strays_from_the_arrival_by_more_than_it_may(steps: Sequence[tuple[float, int]]) -> None:
    machine, now = clock(), 1000.0
    for wait, n in steps:
        now += wait
        allowed = max(machine._patience, HICCUP_S) if machine.period else 0.0
        if n:
            assert now - machine.stamp(now, n)[-1] <= allowed + 1e-9


def test_a_pen_of_another_rate_is_learned_anew() -> None:
    slow = 7.0 + 0.01 * np.arange(200, dtype=np.float64)
    fast = slow[-1] + 0.005 * np.arange(1, 401, dtype=np.float64)
    machine = clock()
    stamp_all(machine, slow, slow)
    assert machine.period == pytest.approx(0.01)
    times = stamp_all(machine, fast, fast)
    assert machine.period == pytest.approx(0.005)
    assert np.allclose(times[100:], fast[100:], atol=0.001)


def test_the_period_is_known_before_a_pen_that_approaches_has_touched() -> None:
    machine = clock()
    for when in 7.0 + 0.01 * np.arange(FIRST_LOOK, dtype=np.float64):
        machine.stamp(float(when), 1)
    assert machine.period == pytest.approx(0.01)


@given(periods, st.floats(0, 1), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_a_pen_that_is_looked_at_now_and_then_keeps_its_rhythm_also_when_it_is_read_at_once_again(
    period: float, phase: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sampled = 7.0 + period * np.arange(2000, dtype=np.float64)
    ready = np.maximum.accumulate(sampled + rng.exponential(0.0003, len(sampled)))
    looks = ready[199] + np.cumsum(0.08 + rng.exponential(0.002, 60)) + phase * period
    left = slice(200, int(np.searchsorted(ready, looks[-1], side="right")))
    arrived = ready.copy()
    arrived[left] = looks[np.searchsorted(looks, ready[left])]
    machine = clock()
    times = stamp_all(machine, sampled, arrived)
    assert machine.period == pytest.approx(period, rel=0.005)
    assert np.abs(times - sampled)[100:].max() < 1.5 * period
    # A signature begins in the last look, or after it.
    assert np.abs(np.diff(times) - period)[left.stop - 20 :].max() < 0.7 * period
