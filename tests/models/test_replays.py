"""Measuring replays: the figures count what they say they count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from penlatch.sim.writer import Writer
from penlatch.verify import replay
from training.replays import Person, limits, measure_deleted, measure_genuine, measure_species
from training.species import SPECIES, cropped, noisy, radius

SIGNATURES = 5


@pytest.fixture(scope="module")
def everybody() -> list[Person]:
    people = []
    for number in range(2):
        writer, rng = Writer(number), np.random.default_rng(number)
        traces = [writer.genuine(rng) for _ in range(SIGNATURES)]
        people.append(Person(f"U{number}", traces, [replay.course(trace) for trace in traces]))
    return people


def test_genuine_signatures_are_compared_with_all_others(everybody: list[Person]) -> None:
    found = measure_genuine(everybody)
    assert (found["bpcer"]["count"], found["bpcer"]["n"]) == (0, 2 * SIGNATURES)
    assert set(found["smallest"]) == set(limits())


def test_a_copied_file_is_no_repetition(everybody: list[Person]) -> None:
    first = everybody[0].traces[0]
    almost = replace(first, x=first.x + 1e-3 * np.sin(first.t))
    traces = [*everybody[0].traces, almost, first]
    found = measure_genuine([Person("U0", traces, [replay.course(trace) for trace in traces])])
    assert found["identical_files"] == 1
    assert found["bpcer"]["count"] == 3, "the first, the one that is almost it, and the first again"


def test_whoever_was_deleted_is_known_by_recordings_and_not_by_signing_on(everybody: list[Person]) -> None:
    found = measure_deleted(everybody, remembered=0.6)
    assert (found["bpcer"]["count"], found["bpcer"]["n"]) == (0, 4)
    assert (found["exact_recordings_known"]["count"], found["exact_recordings_known"]["n"]) == (6, 6)


def test_every_species_is_tried_on_everybody(everybody: list[Person]) -> None:
    found = measure_species(everybody, chosen=1)
    assert set(found) <= set(SPECIES)
    assert found["exact"]["count"] == 0
    assert found["exact"]["n"] == 3


def test_noise_is_a_share_of_the_size_and_cropping_leaves_out_the_ends(everybody: list[Person]) -> None:
    trace = everybody[0].traces[0]
    changed = noisy(0.02)(trace, np.random.default_rng(0))
    assert changed is not None
    assert (changed.x - trace.x).std() == pytest.approx(0.02 * radius(trace), rel=0.1)
    part = cropped(0.1, 0.2)(trace, np.random.default_rng(0))
    assert part is not None
    assert 0.6 < len(part) / len(trace) <= 0.71
    assert part.t[0] == 0
