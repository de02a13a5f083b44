"""Replays: what is made of earlier signatures is known again, and no signature of one's own is taken for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from penlatch.errors import TraceError
from penlatch.ink import Trace
from penlatch.sim.writer import Writer
from penlatch.verify import mixture
from penlatch.verify.course import Course
from penlatch.verify.replay import Remembered, course, find, nearness
from support.traces import traces
from training.species import SPECIES

PEOPLE, TIMES = 4, 6
SIGNED = [
    [writer.genuine(np.random.default_rng((writer.seed, number))) for number in range(TIMES)]
    for writer in map(Writer, range(PEOPLE))
]
COURSES = [[course(trace) for trace in own] for own in SIGNED]
REMEMBERED = [Remembered(own[:-1]) for own in COURSES]
"""The last one of each is not remembered."""

ALWAYS = [
    name
    for name in SPECIES
    if name.startswith(("exact", "shifted", "turned", "1.2", "press", "spliced", "tempo swings by 5", "tempo wanders"))
    or name in ("0.8 times as long", "2 times as long", "1000 Hz", "two strokes swapped", "halves swapped")
    or name in ("stretched 2 %", "frames reported twice", "frames reported six times", "5 of 40 frames lost")
    or "a lift in" in name
]


@pytest.mark.parametrize("species", ALWAYS)
def test_what_is_made_of_recordings_is_known_again(species: str) -> None:
    for number, own in enumerate(SIGNED):
        made = SPECIES[species](own[:3], own[-1], np.random.default_rng(number))
        if made is not None:
            assert find(course(made), REMEMBERED[number]) is not None, number


@pytest.mark.parametrize("weight", ["0.2 to 0.8", "0.5 to 0.5", "0.8 to 0.2"])
def test_a_mean_of_two_is_known_again(weight: str) -> None:
    for number, own in enumerate(SIGNED):
        made = SPECIES[f"average, {weight}"](own[:3], own[-1], np.random.default_rng(number))
        assert made is not None
        assert find(course(made), REMEMBERED[number]) is not None, number


def test_nobody_repeats_themselves_so_exactly() -> None:
    for own in COURSES:
        for number, probe in enumerate(own):
            assert find(probe, Remembered(own[:number] + own[number + 1 :])) is None


def test_nobody_is_taken_for_anybody_else() -> None:
    for number, own in enumerate(COURSES):
        others = Remembered([probe for at, other in enumerate(COURSES) if at != number for probe in other])
        assert all(find(probe, others) is None for probe in own)


def test_the_one_that_was_played_back_is_named() -> None:
    for position in range(TIMES - 1):
        found = find(COURSES[1][position], REMEMBERED[1])
        assert found is not None
        assert (found.position, found.way) == (position, "windows")


def test_what_is_added_later_is_known_as_well() -> None:
    remembered = Remembered(COURSES[0][:2])
    remembered.add(COURSES[0][2:4])
    assert len(remembered) == 4
    assert remembered.nbytes > 0
    found = find(COURSES[0][3], remembered)
    assert found is not None
    assert found.position == 3


def test_among_nothing_there_is_nothing() -> None:
    assert find(COURSES[0][0], Remembered()) is None
    assert nearness(COURSES[0][0], Remembered()).mixture == np.inf


def test_a_dot_is_no_replay_of_a_dot() -> None:
    n = 40
    dot = Trace(
        t=np.arange(n) / 100, x=np.full(n, 3.0), y=np.full(n, 4.0), p=np.full(n, 0.5), down=np.ones(n, dtype=np.bool_)
    )
    assert find(course(dot), Remembered([course(dot), course(dot)])) is None


@settings(deadline=None, max_examples=60)
@given(trace=traces(), other=traces())
def test_whatever_was_written_can_be_compared(trace: Trace, other: Trace) -> None:
    if not (trace.down.any() and other.down.any()):
        with pytest.raises(TraceError):
            course(trace if not trace.down.any() else other)
        return
    one, two = course(trace), course(other)
    find(one, Remembered([two, two, COURSES[0][0]]))
    nearness(one, Remembered([one, two]))


@pytest.mark.parametrize("seed", [11, 303, 307])
def test_whoever_signs_for_months_is_not_taken_for_a_replay(seed: int) -> None:
    writer, rng = Writer(seed), np.random.default_rng(seed)
    before = Remembered([course(writer.genuine(rng)) for _ in range(300)])
    assert all(find(course(writer.genuine(rng)), before) is None for _ in range(30))


def test_limits_fall_with_the_number_of_signatures_and_a_recording_stays_one() -> None:
    nearest = nearness(COURSES[0][-1], REMEMBERED[0]).mixture
    assert nearest < 2 * mixture.LIMIT
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixture, "LIMIT", 1.1 * nearest)
        assert find(COURSES[0][-1], REMEMBERED[0]) is not None
        assert find(COURSES[0][-1], REMEMBERED[0], among=1000) is None
    assert find(COURSES[0][0], REMEMBERED[0], among=100_000) is not None


def test_lifts_that_were_put_in_give_another_reading_that_is_not_stored() -> None:
    made = SPECIES["a lift in every tenth frame"](SIGNED[0], SIGNED[0][0], np.random.default_rng(0))
    assert made is not None
    probe = course(made)
    assert probe.joined is not None
    assert Course.from_bytes(probe.to_bytes()).joined is None
    assert nearness(probe, REMEMBERED[0]).covered[0] <= nearness(probe.joined, REMEMBERED[0]).covered[0]
